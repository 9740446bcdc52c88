//! Verification: how the requests of one source prove themselves, as its tenant
//! set it up, and what becomes of a request that does or does not.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::evidence::{Evidence, Locator};
use super::header::Header;
use super::own_scheme::{made_of, only, wrong};
use super::secret::{KeyForm, Secret};
use super::sender::{Challenge, Sender, Senders};
use super::signature::{Kind, MAX_TOLERANCE, Scheme, Unproven};
use super::time::Timestamp;

pub use super::own_scheme::{BadVerification, OWN_SCHEMES, Options, basic_secret};

/// What a tenant set up for one source.
#[derive(Clone)]
pub struct Verification {
    /// A sender's name, or `hmac`, `bearer`, `basic`, `api-key` or `none`.
    pub scheme: String,
    pub options: Options,
    pub secret: Option<Arc<Secret>>,
    /// What a challenge must bring along.
    pub verify_token: Option<Arc<Secret>>,
}

/// A verification with the sender that its scheme names.
pub struct Rules<'a> {
    verification: &'a Verification,
    /// Absent: the operator's file that described it is gone. What cannot be
    /// verified is refused.
    sender: Option<Arc<Sender>>,
}

/// Neither secret is shown.
impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("scheme", &self.scheme).field("options", &self.options).finish()
    }
}

/// What stands where a secret was.
const NOT_KEPT: &str = "(not kept)";

/// What is to become of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is who it says. What must not come twice is named.
    Accept {
        once: Option<[u8; 32]>,
    },
    /// It wants this word back.
    Answer(Reply),
    Refuse(String),
}

/// A challenge's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Json(String),
}

impl Verification {
    /// By knowing the URL.
    pub fn none() -> Self {
        Self { scheme: "none".to_owned(), options: Options::default(), secret: None, verify_token: None }
    }

    pub fn is_none(&self) -> bool {
        self.scheme == "none"
    }

    /// What is to be done by it.
    pub fn rules(&self, senders: &Senders) -> Rules<'_> {
        Rules { verification: self, sender: find(&self.scheme, &self.options, senders).ok() }
    }

    /// A verification that can work, or the field that is wrong.
    pub fn new(
        scheme: &str,
        options: Options,
        secret: Option<String>,
        verify_token: Option<String>,
        senders: &Senders,
    ) -> Result<Self, BadVerification> {
        let sender = find(scheme, &options, senders)?;
        if options.tolerance_seconds.is_some_and(|seconds| !(1..=MAX_TOLERANCE).contains(&seconds)) {
            return wrong("tolerance_seconds", format!("give 1 to {MAX_TOLERANCE}"));
        }
        let secret = secret.map(|text| parse_secret(&sender, &text)).transpose()?;
        // A provider shows its secret once it knows the URL; what is our
        // tenant's own to choose can be chosen now.
        if secret.is_none() && sender.secret.is_none() && !sender.signature.is_empty() {
            return wrong("secret", "is needed for this scheme");
        }
        let wants_token = sender.challenge.as_ref().is_some_and(|challenge| challenge.token.is_some());
        if verify_token.is_some() && !wants_token {
            return wrong("verify_token", "this scheme has none");
        }
        let token = |text: String| Secret::parse(&text, KeyForm::Text).map(Arc::new);
        let verify_token = verify_token.map(token).transpose().or_else(|problem| wrong("verify_token", problem))?;
        Ok(Self { scheme: scheme.to_owned(), options, secret: secret.map(Arc::new), verify_token })
    }

    /// What the store kept.
    pub fn stored(scheme: String, options: Options, secret: Option<String>, verify_token: Option<String>) -> Self {
        let kept = |text: Option<String>| text.map(|text| Arc::new(Secret::stored(text)));
        Self { scheme, options, secret: kept(secret), verify_token: kept(verify_token) }
    }
}

impl Rules<'_> {
    /// Whether the sender may be who it should be, and what it wants. Requests
    /// with a method that nobody expects are not even asked about.
    pub fn judge(&self, method: &str, request: &Evidence<'_>, now: Timestamp) -> Judgement {
        let Some(sender) = &self.sender else {
            let scheme = &self.verification.scheme;
            return Judgement::Refuse(format!("this server does not know the scheme `{scheme}` any more"));
        };
        let challenge = sender.challenge.as_ref();
        match challenge.filter(|challenge| challenge.is(method, request)) {
            Some(challenge) => self.answer(sender, challenge, request, now),
            None => match self.prove(sender, request, now) {
                Ok(once) => Judgement::Accept { once },
                Err(unproven) => Judgement::Refuse(unproven.to_string()),
            },
        }
    }

    /// Whether a request with this method has business here.
    pub fn expects(&self, method: &str) -> bool {
        let challenge = self.sender.as_ref().and_then(|sender| sender.challenge.as_ref());
        method == "POST" || challenge.is_some_and(|challenge| challenge.method == method)
    }

    fn prove(&self, sender: &Sender, request: &Evidence<'_>, now: Timestamp) -> Result<Option<[u8; 32]>, Unproven> {
        if sender.signature.is_empty() {
            return Ok(None);
        }
        let Some(secret) = &self.verification.secret else {
            return if sender.optional { Ok(None) } else { Err(Unproven::NoSecret) };
        };
        let scheme = sender.signature.iter().find(|scheme| scheme.takes(secret)).ok_or(Unproven::NoSecret)?;
        match self.verification.options.tolerance_seconds {
            Some(seconds) => scheme.clone().tolerating(seconds).verify(secret, request, now),
            None => scheme.verify(secret, request, now),
        }
        .map(|proven| proven.once)
    }

    fn answer(&self, sender: &Sender, challenge: &Challenge, request: &Evidence<'_>, now: Timestamp) -> Judgement {
        if let Some(at) = &challenge.token {
            let given = request.find(at).unwrap_or_default();
            let Some(token) = &self.verification.verify_token else {
                let problem = "the source has no verify_token yet; set the one that the sender was given";
                return Judgement::Refuse(problem.to_owned());
            };
            let is = Sha256::digest(token.reveal()).ct_eq(&Sha256::digest(given.as_bytes()));
            if !bool::from(is) {
                return Judgement::Refuse(format!("{} is not the source's verify_token", at.in_words()));
            }
        }
        if challenge.signed
            && let Err(unproven) = self.prove(sender, request, now)
        {
            return Judgement::Refuse(unproven.to_string());
        }
        match (request.find(&challenge.answer), &challenge.member) {
            (None, _) => Judgement::Refuse(format!("{} is missing", challenge.answer.in_words())),
            (Some(word), None) => Judgement::Answer(Reply::Text(word.into_owned())),
            (Some(word), Some(member)) => {
                Judgement::Answer(Reply::Json(serde_json::json!({ member.as_str(): word }).to_string()))
            }
        }
    }

    /// Whether headers that no signature covers may say what the event is: where
    /// nothing covers the body either, or the sender has no other way.
    pub fn trusts_headers(&self) -> bool {
        let tokens_only = |sender: &Arc<Sender>| sender.signature.iter().all(|scheme| scheme.kind == Kind::Token);
        self.sender.as_ref().is_some_and(|sender| sender.binary || tokens_only(sender))
    }

    /// The query as it may be kept: without the token of a challenge.
    pub fn query_without_secrets(&self, query: String) -> String {
        let challenge = self.sender.as_ref().and_then(|sender| sender.challenge.as_ref());
        let Some(Locator::Query(name)) = challenge.and_then(|challenge| challenge.token.as_ref()) else {
            return query;
        };
        let mut kept = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            kept.append_pair(&key, if key == *name { NOT_KEPT } else { &value });
        }
        kept.finish()
    }

    /// The headers as they may be kept: without secrets that are sent along.
    pub fn without_secrets(&self, headers: Vec<Header>) -> Vec<Header> {
        let token = |name: &str| {
            // Whatever the scheme: nobody means to have these kept.
            if ["authorization", "cookie"].contains(&name) {
                return true;
            }
            let at = |scheme: &Scheme| scheme.header() == Some(name);
            let mut schemes = self.sender.iter().flat_map(|sender| &sender.signature);
            schemes.any(|scheme| scheme.kind == Kind::Token && at(scheme))
        };
        let kept = |header: Header| match token(&header.name) {
            true => Header { value: NOT_KEPT.to_owned(), ..header },
            false => header,
        };
        headers.into_iter().map(kept).collect()
    }
}

impl Challenge {
    fn is(&self, method: &str, request: &Evidence<'_>) -> bool {
        self.method == method && request.find(&self.when.at).is_some_and(|value| value == self.when.equals)
    }
}

fn parse_secret(sender: &Sender, text: &str) -> Result<Secret, BadVerification> {
    if sender.signature.is_empty() {
        return wrong("secret", "this scheme has none");
    }
    let taken = sender.signature.iter().find_map(|scheme| Secret::parse(text, scheme.key).ok());
    match (taken, sender.signature.first()) {
        (Some(secret), _) => Ok(secret),
        (None, Some(first)) => Secret::parse(text, first.key).or_else(|problem| wrong("secret", problem)),
        (None, None) => wrong("secret", "this scheme has none"),
    }
}

/// The sender that a scheme names, or one made of the options.
fn find(scheme: &str, options: &Options, senders: &Senders) -> Result<Arc<Sender>, BadVerification> {
    match made_of(scheme, options)? {
        Some(sender) => Ok(Arc::new(sender)),
        None => named(scheme, options, senders),
    }
}

/// A sender of a file or a dialect, which leaves little to choose.
fn named(scheme: &str, options: &Options, senders: &Senders) -> Result<Arc<Sender>, BadVerification> {
    let Some(sender) = senders.get(scheme) else {
        let known: Vec<&str> = senders.all().map(|sender| sender.name.as_str()).collect();
        let made = OWN_SCHEMES.join(", ");
        let scheme = scheme.escape_debug();
        return wrong("scheme", format!("there is no scheme `{scheme}`; there are {made}, {}", known.join(", ")));
    };
    only(options, &["tolerance_seconds"])?;
    if options.tolerance_seconds.is_some() && sender.signature.iter().all(|scheme| scheme.tolerance_seconds().is_none())
    {
        return wrong("tolerance_seconds", "this scheme signs no timestamp");
    }
    Ok(sender.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scheme: &str, options: serde_json::Value, secret: Option<&str>, expected: &str) {
        let options = serde_json::from_value(options).unwrap();
        let made = Verification::new(scheme, options, secret.map(str::to_owned), None, &Senders::default());
        let said = made.map_or_else(|problem| problem.to_string(), |made| made.scheme);
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn a_scheme_takes_what_it_needs_and_nothing_else() {
        let j = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        check("none", j("{}"), None, "none");
        check("none", j("{}"), Some("x"), "`secret`: this scheme has none");
        check("bearer", j("{}"), Some("x"), "bearer");
        check("bearer", j("{}"), None, "`secret`: is needed");
        check("bearer", j(r#"{"header": "x"}"#), Some("x"), "`header`: this scheme does not take it");
        check("hmac", j(r#"{"header": "x-sig"}"#), Some("x"), "hmac");
        check("hmac", j("{}"), Some("x"), "`header`: name the header");
        check("hmac", j(r#"{"header": "x sig"}"#), Some("x"), "`header`: is no header name");
        check("hmac", j(r#"{"header": "x", "signed": "{timestamp}{body}"}"#), Some("x"), "`timestamp_header`");
        check("hmac", j(r#"{"header": "x", "signed": "{boby}"}"#), Some("x"), "`signed`");
        check("hmac", j(r#"{"header": "x", "signed": "v0"}"#), Some("x"), "`signed`: must have {body}");
        check(
            "hmac",
            j(r#"{"header": "x", "timestamp_header": "t", "signed": "{body}"}"#),
            Some("x"),
            "`signed`: must have {ti",
        );
        check(
            "hmac",
            j(r#"{"header": "x", "timestamp_header": "t", "tolerance_seconds": 99999}"#),
            Some("x"),
            "`tolerance",
        );
        check("hmac", j(r#"{"header": "x", "signed": "{body}{body}"}"#), Some("x"), "`signed`: at most 256 bytes");
        check("strype", j("{}"), None, "`scheme`: there is no scheme `strype`");
    }
}
