//! Handshakes: how a receiver says that it wants what it is about to get.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::Answer;
use super::delivery::Outcome;
use super::dialect::{Field, Place};
use super::header::Header;

/// What is asked of a receiver before the first delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    pub kind: HandshakeKind,
    pub deadline_seconds: u64,
    /// A receiver that does not know the handshake is not delivered to.
    #[serde(default = "yes")]
    pub required: bool,
    /// Of the object that is sent.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// A JSON Pointer to where the token must be in the answer.
    #[serde(default)]
    pub answer: String,
}

fn yes() -> bool {
    true
}

/// The mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandshakeKind {
    /// A token is POSTed and must come back: status 200, JSON.
    Echo,
    /// `OPTIONS` with an origin, which must be allowed.
    /// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection>
    Options,
}

/// Why an endpoint is not verified, for its owner.
#[derive(Debug, PartialEq, Eq)]
pub enum NotVerified {
    Unreachable(String),
    Status { status: u16, wanted: &'static str },
    NotJson { content_type: String },
    TooLong,
    NoToken(String),
    OtherToken(String),
    NotAllowed { origin: String },
}

impl fmt::Display for NotVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver was not verified: ")?;
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::Status { status: status @ 300..400, wanted } => {
                write!(f, "it answered {status}, a redirect, which is not followed; answer {wanted}")
            }
            Self::Status { status, wanted } => write!(f, "it answered status {status}; answer {wanted}"),
            Self::NotJson { content_type } if content_type.is_empty() => {
                f.write_str("its answer has no content type; answer with application/json")
            }
            Self::NotJson { content_type } => {
                write!(f, "its answer is {}; answer with application/json", content_type.escape_debug())
            }
            Self::TooLong => f.write_str("its answer is too long; answer with the token and nothing else"),
            Self::NoToken(pointer) => write!(f, "its answer is no JSON with the token at {pointer}"),
            Self::OtherToken(pointer) => {
                write!(f, "the token at {pointer} of its answer is not the one that it was sent")
            }
            Self::NotAllowed { origin } => {
                write!(f, "it does not allow `{origin}` in the header webhook-allowed-origin of its answer")
            }
        }
    }
}

impl Handshake {
    /// A handshake that a receiver can pass, or why none could.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(1..=15).contains(&self.deadline_seconds) {
            return Err("`deadline_seconds` is 1 to 15");
        }
        let known =
            |place: &Place| matches!(place, Place::Token | Place::SentAt | Place::SentAtRfc3339 | Place::Tenant);
        let mut places = self.fields.iter().flat_map(|field| field.value.places());
        match self.kind {
            HandshakeKind::Options => Ok(()),
            HandshakeKind::Echo if !self.fields.iter().any(|field| field.value.only_place() == Some(&Place::Token)) => {
                Err("one of `fields` must be `{token}`")
            }
            HandshakeKind::Echo if !places.all(known) => Err("`fields` have what only an event has"),
            HandshakeKind::Echo if !self.answer.starts_with('/') => Err("`answer` is a JSON Pointer, such as /token"),
            HandshakeKind::Echo => Ok(()),
        }
    }

    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds)
    }

    /// Whether the answer is what was hoped for. `token` is what was sent, or
    /// the origin.
    pub fn judge(&self, outcome: &Outcome, answer: Option<&Answer>, token: &str) -> Result<(), NotVerified> {
        let (status, answer) = match (outcome.status(), answer) {
            (Some(status), Some(answer)) => (status, answer),
            _ => return Err(NotVerified::Unreachable(outcome.in_words())),
        };
        match self.kind {
            HandshakeKind::Echo => self.judge_echo(status, answer, token),
            HandshakeKind::Options => self.judge_options(status, answer, token),
        }
    }

    fn judge_echo(&self, status: u16, answer: &Answer, token: &str) -> Result<(), NotVerified> {
        if status != 200 {
            return Err(NotVerified::Status { status, wanted: "200" });
        }
        let content_type = header(answer, "content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(NotVerified::NotJson { content_type: content_type.chars().take(80).collect() });
        }
        if answer.cut {
            return Err(NotVerified::TooLong);
        }
        let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        let said = json.as_ref().and_then(|json| json.pointer(&self.answer)?.as_str());
        match said {
            Some(said) if said == token => Ok(()),
            Some(_) => Err(NotVerified::OtherToken(self.answer.clone())),
            None => Err(NotVerified::NoToken(self.answer.clone())),
        }
    }

    fn judge_options(&self, status: u16, answer: &Answer, origin: &str) -> Result<(), NotVerified> {
        let allowed = header(answer, "webhook-allowed-origin");
        let is_allowed = |allowed: &str| allowed == "*" || allowed.eq_ignore_ascii_case(origin);
        match allowed {
            Some(allowed) if !allowed.split(',').any(|one| is_allowed(one.trim())) => {
                Err(NotVerified::NotAllowed { origin: origin.to_owned() })
            }
            Some(_) if (200..300).contains(&status) => Ok(()),
            // A receiver that has never heard of this, or a gateway before it.
            None if !self.required && matches!(status, 200..=299 | 400..=499 | 501) => Ok(()),
            Some(_) => Err(NotVerified::Status { status, wanted: "200" }),
            None if (200..300).contains(&status) => Err(NotVerified::NotAllowed { origin: origin.to_owned() }),
            None => Err(NotVerified::Status { status, wanted: "200 and webhook-allowed-origin" }),
        }
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|Header { name: found, .. }| found == name).map(|header| header.value.as_str())
}
