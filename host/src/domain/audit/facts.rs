//! What can be said of a thing in the audit log, and how two states of it
//! differ.
//!
//! Each thing is taken apart whole, without `..`: whoever gives it a field has
//! to say here whether the field may be shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::access::Auth;
use crate::domain::endpoint::Endpoint;
use crate::domain::event_type::{EventKind, OwnKind};
use crate::domain::key::Key;
use crate::domain::oauth::OAuth;
use crate::domain::pipeline::{Pipeline, Step};
use crate::domain::session::PortalScope;
use crate::domain::source::Source;
use crate::domain::tenant::Tenant;
use crate::domain::tls::Tls;
use crate::domain::user::User;

/// A value whose JSON is longer than this many bytes is not shown: it is said
/// that it changed.
const MAX_SHOWN: usize = 1024;

/// One field that changed. What is absent was not set, or is not shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// Why neither value is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hidden {
    Secret,
    /// It is long.
    Long,
}

impl Change {
    /// From what to what; `null` is what was not set.
    pub fn new(field: impl Into<String>, old: Value, new: Value) -> Self {
        let set = |value: Value| Some(value).filter(|value| !value.is_null());
        Self { field: field.into(), old: set(old), new: set(new), hidden: None }
    }

    /// Something secret changed.
    pub fn secret(field: impl Into<String>) -> Self {
        Self { field: field.into(), old: None, new: None, hidden: Some(Hidden::Secret) }
    }
}

/// One field of a thing. Has no `Debug`: some of them are secrets.
#[derive(Clone)]
pub struct Fact {
    field: &'static str,
    value: Value,
    is_secret: bool,
}

impl Fact {
    /// A field that may be shown.
    pub fn shown(field: &'static str, value: impl Serialize) -> Self {
        Self { field, value: json_of(value), is_secret: false }
    }

    /// A field of which only a change may be told.
    pub fn secret(field: &'static str, value: impl Serialize) -> Self {
        Self { field, value: json_of(value), is_secret: true }
    }

    fn is_set(&self) -> bool {
        match &self.value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => true,
        }
    }
}

fn json_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("what is set up has text keys only")
}

/// A thing whose changes are logged.
pub trait Audited {
    /// Always the same fields in the same order.
    fn facts(&self) -> Vec<Fact>;
}

/// What there is now.
pub fn created(thing: &impl Audited) -> Vec<Change> {
    thing.facts().into_iter().filter(Fact::is_set).map(|fact| change(nothing(&fact), fact)).collect()
}

/// What there is no more.
pub fn deleted(thing: &impl Audited) -> Vec<Change> {
    thing.facts().into_iter().filter(Fact::is_set).map(|fact| change(fact.clone(), nothing(&fact))).collect()
}

/// What is different.
pub fn updated<T: Audited>(before: &T, after: &T) -> Vec<Change> {
    let pairs = before.facts().into_iter().zip(after.facts());
    pairs.filter(|(old, new)| old.value != new.value).map(|(old, new)| change(old, new)).collect()
}

fn nothing(fact: &Fact) -> Fact {
    Fact { value: Value::Null, ..*fact }
}

fn change(old: Fact, new: Fact) -> Change {
    let is_long = |fact: &Fact| fact.value.to_string().len() > MAX_SHOWN;
    let hidden = match () {
        () if old.is_secret => Some(Hidden::Secret),
        () if is_long(&old) || is_long(&new) => Some(Hidden::Long),
        () => None,
    };
    match hidden {
        Some(_) => Change { field: new.field.to_owned(), old: None, new: None, hidden },
        None => Change::new(new.field, old.value, new.value),
    }
}

impl Audited for Tenant {
    fn facts(&self) -> Vec<Fact> {
        let Self { id: _, name, plan, dialect, limits, retention, created_at: _ } = self;
        vec![
            Fact::shown("name", name),
            Fact::shown("plan", plan),
            Fact::shown("dialect", dialect),
            Fact::shown("limits", limits),
            Fact::shown("retention", retention),
        ]
    }
}

impl Audited for Key {
    fn facts(&self) -> Vec<Fact> {
        let Self { id: _, name, role, expires_at, created_at: _ } = self;
        vec![Fact::shown("name", name), Fact::shown("role", role.as_str()), Fact::shown("expires_at", expires_at)]
    }
}

impl Audited for User {
    fn facts(&self) -> Vec<Fact> {
        let Self { id: _, whose: _, email, name, role, password, created_at: _ } = self;
        vec![
            Fact::shown("email", email),
            Fact::shown("name", name),
            Fact::shown("role", role.as_str()),
            Fact::secret("password", password.as_ref().map(|password| password.reveal())),
        ]
    }
}

impl Audited for PortalScope {
    fn facts(&self) -> Vec<Fact> {
        let Self { account, capabilities, embed_origins } = self;
        vec![
            Fact::shown("account", account),
            Fact::shown("capabilities", capabilities),
            Fact::shown("embed_origins", embed_origins),
        ]
    }
}

impl Audited for Source {
    fn facts(&self) -> Vec<Fact> {
        let Self {
            id: _,
            tenant: _,
            name,
            token,
            event_type,
            verification,
            rate_limit,
            pipeline,
            revision: _,
            created_at: _,
        } = self;
        let text = |secret: &Option<std::sync::Arc<crate::domain::secret::Secret>>| {
            secret.as_ref().map(|secret| secret.reveal().to_owned())
        };
        let mut facts = vec![
            Fact::shown("name", name),
            Fact::secret("url", token.as_str()),
            Fact::shown("rate_limit", rate_limit),
            Fact::shown("event_type", event_type.as_ref().map(ToString::to_string)),
            Fact::shown("verification.scheme", &verification.scheme),
            Fact::shown("verification.options", &verification.options),
            Fact::secret("verification.secret", text(&verification.secret)),
            Fact::secret("verification.verify_token", text(&verification.verify_token)),
        ];
        facts.extend(steps(pipeline));
        facts
    }
}

impl Audited for Endpoint {
    fn facts(&self) -> Vec<Fact> {
        let Self {
            id: _,
            tenant: _,
            name,
            url,
            subscription,
            headers,
            access,
            pipeline,
            retry,
            pace,
            dialect,
            status,
            revision: _,
            created_at: _,
        } = self;
        let secret = access.headers.iter().map(|header| (header.name.as_str(), header.value.reveal()));
        let values: Vec<(&str, &str)> =
            headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).chain(secret).collect();
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let mut facts = vec![
            Fact::shown("name", name),
            Fact::shown("url", url.as_str()),
            Fact::shown("event_types", &subscription.event_types),
            Fact::shown("accounts", &subscription.accounts),
            Fact::shown("tags", &subscription.tags),
            Fact::shown("headers", names),
            // Receivers' keys are there.
            Fact::secret("headers.values", values),
            Fact::shown("retry", retry),
            Fact::shown("pace", pace),
            Fact::shown("dialect", dialect),
            Fact::shown("state", status.state()),
            Fact::shown("reason", status.reason()),
        ];
        facts.extend(login(access.auth.as_ref()));
        facts.extend(tls(access.tls.as_ref()));
        facts.extend(steps(pipeline));
        facts
    }
}

fn login(auth: Option<&Auth>) -> [Fact; 2] {
    let (kind, values) = match auth {
        None => (None, Vec::new()),
        Some(Auth::Basic { username, password }) => (Some("basic"), vec![username.as_str(), password.reveal()]),
        Some(Auth::Bearer { token }) => (Some("bearer"), vec![token.reveal()]),
        Some(Auth::OAuth(OAuth { token_url, client_id, client_secret, scope, audience, client_auth: _ })) => {
            let optional = [scope, audience].map(|text| text.as_deref().unwrap_or_default());
            (Some("oauth2"), [&[token_url.as_str(), client_id, client_secret.reveal()], optional.as_slice()].concat())
        }
    };
    [Fact::shown("auth", kind), Fact::secret("auth.values", values)]
}

fn tls(tls: Option<&Tls>) -> [Fact; 2] {
    let chain = tls.and_then(|tls| tls.client.as_ref()).map(|client| client.chain.as_str());
    let key = tls.and_then(|tls| tls.client.as_ref()).map(|client| client.key.reveal());
    let ca = tls.and_then(|tls| tls.ca.as_deref());
    let parts = [("client_certificate", chain), ("ca", ca)].map(|(name, part)| part.map(|_| name));
    let names: Vec<&str> = parts.into_iter().flatten().collect();
    let values: Vec<&str> = [chain, key, ca].into_iter().flatten().collect();
    [Fact::shown("tls", names), Fact::secret("tls.values", values)]
}

impl Audited for OwnKind {
    fn facts(&self) -> Vec<Fact> {
        let Self { kind: EventKind { event_type: _, name, description, schema, example }, check } = self;
        vec![
            Fact::shown("name", name),
            Fact::shown("description", description),
            Fact::shown("schema", schema),
            Fact::shown("example", example),
            Fact::shown("check", check),
        ]
    }
}

/// Configurations are whole programs, and some have keys in them that their
/// authors took out later.
fn steps(pipeline: &Pipeline) -> [Fact; 2] {
    let shown = |step: &Step| {
        let Step { plugin, version, digest: _, job, config: _, on_failure, grants, budget } = step;
        json!({
            "plugin": plugin, "version": version, "job": job, "on_failure": on_failure, "grants": grants,
            "budget": budget,
        })
    };
    let configs: Vec<&str> = pipeline.steps.iter().map(|step| step.config.as_str()).collect();
    [Fact::shown("steps", pipeline.steps.iter().map(shown).collect::<Vec<_>>()), Fact::secret("steps.config", configs)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing with one fact of each kind.
    struct Thing(Option<&'static str>, Option<&'static str>);

    impl Audited for Thing {
        fn facts(&self) -> Vec<Fact> {
            vec![Fact::shown("name", self.0), Fact::secret("password", self.1)]
        }
    }

    fn text(changes: Vec<Change>) -> String {
        serde_json::to_string(&changes).expect("JSON")
    }

    #[test]
    fn what_is_different_is_told_and_secrets_are_not() {
        let before = Thing(Some("a"), Some("hush"));
        assert_eq!(text(updated(&before, &Thing(Some("a"), Some("hush")))), "[]");
        assert_eq!(
            text(updated(&before, &Thing(Some("b"), Some("hush")))),
            r#"[{"field":"name","old":"a","new":"b"}]"#
        );
        assert_eq!(text(updated(&before, &Thing(None, Some("hush")))), r#"[{"field":"name","old":"a"}]"#);
        assert_eq!(
            text(updated(&before, &Thing(Some("a"), Some("other")))),
            r#"[{"field":"password","hidden":"secret"}]"#
        );
        assert_eq!(text(created(&before)), r#"[{"field":"name","new":"a"},{"field":"password","hidden":"secret"}]"#);
        assert_eq!(text(deleted(&Thing(Some("a"), None))), r#"[{"field":"name","old":"a"}]"#);
    }

    #[test]
    fn what_is_long_is_not_kept_twice() {
        let long = "x".repeat(MAX_SHOWN).leak();
        assert_eq!(
            text(updated(&Thing(Some("a"), None), &Thing(Some(long), None))),
            r#"[{"field":"name","hidden":"long"}]"#
        );
    }

    #[test]
    fn a_change_survives_its_json() {
        for change in [Change::new("a", Value::Null, json!([1])), Change::secret("b")] {
            let text = serde_json::to_string(&change).expect("JSON");
            assert_eq!(serde_json::from_str::<Change>(&text).expect("JSON"), change);
        }
    }
}
