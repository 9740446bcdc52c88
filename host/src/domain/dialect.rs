//! Dialects: how a platform speaks on the wire. Data (`host/dialects/*.toml`),
//! interpreted here; no platform has a name in the code.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claim::ATTEMPT_DEADLINE;
use super::event::{Event, EventType};
use super::event_type::EventKind;
use super::evidence::{Locator, Part};
use super::handshake::Handshake;
use super::header::Header;
use super::retry::RetryPolicy;
use super::secret::KeyForm;
use super::signature::{Form, Kind, Scheme};
use super::subscription::{Mismatch, Subscription};
use super::template::Template;
use super::tenant::Tenant;

/// One platform's manner of speaking.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    /// The name of its file.
    #[serde(skip_deserializing)]
    pub name: String,
    pub title: String,
    pub summary: String,
    /// Where it differs from what the platform's page says, and why.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the dots in event types become on the wire.
    #[serde(default)]
    pub wire_separator: Option<String>,
    #[serde(default)]
    pub envelope: Envelope,
    /// Made anew at every attempt.
    #[serde(default)]
    pub headers: Vec<DialectHeader>,
    /// The first whose key form takes the secret signs. None: nothing is
    /// signed.
    #[serde(default)]
    pub signature: Vec<Scheme>,
    #[serde(default)]
    pub secret: SecretPolicy,
    #[serde(default)]
    pub handshake: Option<Handshake>,
    /// The house's schedule, when absent.
    #[serde(default)]
    pub retry: Option<RetryPolicy>,
    #[serde(default)]
    pub delivery: DeliveryRules,
    #[serde(default)]
    pub url: UrlRules,
    #[serde(default)]
    pub plans: Vec<Plan>,
    /// Shown with what they are called on the wire, and so not from here.
    #[serde(default, skip_serializing)]
    pub tag_trigger: Option<EventKind>,
    #[serde(default, skip_serializing)]
    pub events: Vec<EventKind>,
}

/// What an event travels in before any transformer has seen it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Envelope {
    pub content_type: String,
    pub body: BodyShape,
    pub canonical: Option<Canonical>,
    pub fields: Vec<Field>,
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            content_type: "application/json".to_owned(),
            body: BodyShape::Object,
            canonical: None,
            fields: Vec::new(),
        }
    }
}

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyShape {
    /// An object of the envelope's fields.
    Object,
    /// A list with that object.
    List,
    /// The event's data, as it was published.
    Data,
}

/// A form that the body is brought into before it is stored and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Canonical {
    /// What `JSON.stringify` prints: [`super::canonical::javascript`].
    Javascript,
}

/// A member of the envelope's object. Left out when a place has no value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    pub value: Template<Place>,
}

/// A header of the dialect's. Left out when a place has no value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialectHeader {
    pub name: String,
    pub value: Template<Place>,
}

/// What a dialect's templates can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Id,
    Type,
    OccurredAt,
    OccurredAtSeconds,
    /// Seconds since 1970.
    SentAt,
    SentAtRfc3339,
    Tenant,
    Subject,
    Account,
    /// JSON; only as a whole value.
    Data,
    /// JSON; only as a whole value.
    Tags,
    /// What a receiver must say back.
    Token,
    /// This server's host name.
    Origin,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "id" => Self::Id,
            "type" => Self::Type,
            "occurred_at" => Self::OccurredAt,
            "occurred_at_seconds" => Self::OccurredAtSeconds,
            "sent_at" => Self::SentAt,
            "sent_at_rfc3339" => Self::SentAtRfc3339,
            "tenant" => Self::Tenant,
            "subject" => Self::Subject,
            "account" => Self::Account,
            "data" => Self::Data,
            "tags" => Self::Tags,
            "token" => Self::Token,
            "origin" => Self::Origin,
            _ => {
                return Err("there is no such place; there are id, type, occurred_at, occurred_at_seconds, sent_at, \
                     sent_at_rfc3339, tenant, subject, account, data, tags, token and origin");
            }
        })
    }
}

/// Who makes secrets, and what they are called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretPolicy {
    /// Without a secret nothing is signed; otherwise the host makes one.
    pub optional: bool,
    pub name: String,
    /// Of secrets that the host makes.
    pub prefix: String,
}

impl Default for SecretPolicy {
    fn default() -> Self {
        Self { optional: false, name: "secret".to_owned(), prefix: String::new() }
    }
}

/// How long a receiver may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryRules {
    pub deadline_seconds: u64,
    /// Whether 410 is believed: the delivery is dead and the endpoint disabled.
    pub believe_gone: bool,
}

impl Default for DeliveryRules {
    fn default() -> Self {
        Self { deadline_seconds: ATTEMPT_DEADLINE.as_secs(), believe_gone: true }
    }
}

/// What the platform says of URLs, beyond the operator's own policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UrlRules {
    pub https: Option<Advice>,
}

/// How much something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// What the operator's policy lets through gets a warning.
    Advised,
}

/// What a plan allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub name: String,
    /// How many URLs; no limit, when absent.
    #[serde(default)]
    pub endpoints: Option<u32>,
}

/// What is wrong with a dialect that could be read.
#[derive(Debug)]
pub struct BadDialect {
    /// The part of the file: `envelope.fields`.
    pub part: &'static str,
    pub problem: String,
}

impl Dialect {
    /// A dialect that makes sense as a whole, or the part that does not.
    pub fn check(self) -> Result<Self, BadDialect> {
        let wrong = |part, problem: &str| Err(BadDialect { part, problem: problem.to_owned() });
        if self.envelope.fields.is_empty() != (self.envelope.body == BodyShape::Data) {
            return wrong("envelope.fields", "give fields, or `body = \"data\"` and none");
        }
        let whole = |value: &Template<Place>| {
            let json = |place: &Place| matches!(place, Place::Data | Place::Tags);
            value.only_place().is_some() || !value.places().any(json)
        };
        if !self.envelope.fields.iter().all(|field| whole(&field.value)) {
            return wrong("envelope.fields", "`{data}` and `{tags}` are JSON and can only be a whole value");
        }
        let kept = |value: &Template<Place>| {
            !value.places().any(|place| matches!(place, Place::SentAt | Place::SentAtRfc3339 | Place::Token))
        };
        if !self.envelope.fields.iter().all(|field| kept(&field.value)) {
            return wrong("envelope.fields", "the body is made once: when it is sent can only stand in a header");
        }
        for header in &self.headers {
            if let Err(problem) = Header::dialects(&header.name) {
                return wrong("headers", &problem.to_string());
            }
        }
        let in_header = |scheme: &Scheme| matches!(scheme.form, Form::Message(_)) || scheme.header().is_some();
        if !self.signature.iter().all(in_header) {
            return wrong("signature.at", "a message's signature stands in a header");
        }
        if let Some(problem) = self.ambiguity() {
            return wrong("signature", problem);
        }
        if let Some(problem) = self.signature.iter().find_map(|scheme| self.cannot_sign(scheme)) {
            return wrong("signature", &problem);
        }
        if Header::parse("content-type", &self.envelope.content_type).is_err() {
            return wrong("envelope.content_type", "is no header value");
        }
        if let Some(Err(problem)) = self.handshake.as_ref().map(Handshake::check) {
            return wrong("handshake", problem);
        }
        if !self.secret.optional && self.signature.first().is_some_and(|first| !first.key.is_made()) {
            return wrong("signature.key", "the first must be of a form that the server can make secrets of");
        }
        if !(1..=ATTEMPT_DEADLINE.as_secs()).contains(&self.delivery.deadline_seconds) {
            return wrong("delivery.deadline_seconds", "give 1 to 15");
        }
        if let Some(Err(problem)) = self.retry.clone().map(RetryPolicy::check) {
            return wrong("retry", &problem.to_string());
        }
        let mut types: Vec<&EventType> = self.kinds().map(|kind| &kind.event_type).collect();
        types.sort_by_key(|event_type| event_type.as_str());
        if let Some(pair) = types.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong("events", &format!("`{}` is there twice", pair[0]));
        }
        Ok(self)
    }

    /// Why a secret or a name would not say which scheme is meant, if so.
    fn ambiguity(&self) -> Option<&'static str> {
        let mut schemes = self.signature.iter().enumerate();
        schemes.find_map(|(at, scheme)| {
            let before = &self.signature[..at];
            if scheme.name.is_some() && before.iter().any(|other| other.name == scheme.name) {
                Some("two schemes have one name")
            } else if before.iter().any(|other| other.key == scheme.key || other.key == KeyForm::Text) {
                Some("the key form of a scheme takes every secret of a later one")
            } else {
                None
            }
        })
    }

    /// Why messages could not be signed by a scheme, if so.
    fn cannot_sign(&self, scheme: &Scheme) -> Option<String> {
        match (scheme.kind, scheme.key) {
            (Kind::HmacSha1 | Kind::HmacSha256 | Kind::HmacSha512, KeyForm::Text | KeyForm::Standard)
            | (Kind::Ed25519, KeyForm::Ed25519) => {}
            (Kind::Token | Kind::EcdsaP256Sha256, _) => return Some("this kind can only be verified".to_owned()),
            _ => return Some("the key is of another kind".to_owned()),
        }
        let Form::Value(form) = &scheme.form else { return None };
        let made = |name: &str| self.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        let missing = form.signed.places().find(|part| match part {
            Part::Body | Part::Url | Part::Timestamp => false,
            Part::At(Locator::Header(name)) => !made(name),
            Part::Form | Part::At(_) => true,
        });
        if missing.is_some() {
            return Some("`signed` has what messages of this dialect do not have".to_owned());
        }
        let stamp = form.timestamp.as_ref()?;
        let stands = match &stamp.at {
            Locator::Header(name) => stamp.at == form.at && form.split.is_some() || made(name),
            _ => false,
        };
        if !stands {
            return Some("no header of this dialect has the timestamp, so that nobody could verify it".to_owned());
        }
        let covers = |part: &Part| *part == Part::Timestamp || *part == Part::At(stamp.at.clone());
        let covered = form.signed.places().any(covers);
        (!covered).then(|| "`signed` does not cover the timestamp, so that anybody could change it".to_owned())
    }

    /// Whether events of a type are the handshake's, which no subscription is
    /// about.
    pub fn is_handshakes(&self, event_type: &str) -> bool {
        let fields = self.handshake.iter().flat_map(|handshake| &handshake.fields);
        fields.filter(|field| field.value.places().next().is_none()).any(|field| field.value.as_str() == event_type)
    }

    /// Every event that the platform has, its tag trigger among them.
    pub fn kinds(&self) -> impl Iterator<Item = &EventKind> {
        self.events.iter().chain(&self.tag_trigger)
    }

    /// What an event type is called on the wire.
    pub fn wire_name<'a>(&self, event_type: &'a str) -> Cow<'a, str> {
        match &self.wire_separator {
            Some(separator) if event_type.contains('.') => Cow::Owned(event_type.replace('.', separator)),
            _ => Cow::Borrowed(event_type),
        }
    }

    /// Whether an endpoint that speaks this dialect wants the event. A type may
    /// be selected by its own name or by the one that it has on the wire. Where
    /// tags trigger one event of its own, and a subscription names that event,
    /// its tags are about that event alone.
    pub fn wants(&self, subscription: &Subscription, event: &Event) -> Result<(), Mismatch> {
        let event_type = event.event_type.as_str();
        let wire_name = self.wire_name(event_type);
        let selected = subscription.fits_type(event_type) || subscription.fits_type(&wire_name);
        if !selected || self.is_handshakes(event_type) {
            return Err(Mismatch::Type);
        }
        if !subscription.fits_account(event.account.as_deref()) {
            return Err(Mismatch::Account);
        }
        let of_another = self.tag_trigger.as_ref().is_some_and(|trigger| {
            let trigger = trigger.event_type.as_str();
            subscription.names(trigger) && trigger != event_type && trigger != wire_name
        });
        if of_another || subscription.fits_tags(&event.tags) { Ok(()) } else { Err(Mismatch::Tag) }
    }

    /// One deadline for an attempt.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.delivery.deadline_seconds).min(ATTEMPT_DEADLINE)
    }

    /// How many URLs a tenant may have, and the plan that says so. Nothing
    /// where the dialect knows no plans, or the tenant is on none.
    pub fn plan_of(&self, tenant: &Tenant) -> Option<&Plan> {
        let name = tenant.plan.as_deref()?;
        self.plans.iter().find(|plan| plan.name.eq_ignore_ascii_case(name))
    }

    /// The smallest plan that allows more than `plan`.
    pub fn larger_than(&self, plan: &Plan) -> Option<&Plan> {
        let room = |plan: &Plan| plan.endpoints.unwrap_or(u32::MAX);
        self.plans.iter().filter(|other| room(other) > room(plan)).min_by_key(|plan| room(plan))
    }
}

/// Every dialect that this server speaks.
#[derive(Clone, Debug, Default)]
pub struct Dialects(BTreeMap<String, Arc<Dialect>>);

impl Dialects {
    pub fn new(dialects: impl IntoIterator<Item = Dialect>) -> Self {
        Self(dialects.into_iter().map(|dialect| (dialect.name.clone(), Arc::new(dialect))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Dialect>> {
        self.0.get(name)
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Dialect>> {
        self.0.values()
    }

    /// Their names, for an error.
    pub fn names(&self) -> String {
        self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
