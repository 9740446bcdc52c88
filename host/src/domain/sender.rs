//! Senders: whose requests sources receive, and how such a request proves
//! itself. Data (`host/senders/*.toml`); every dialect is a sender too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dialect::{Dialect, Dialects, Place};
use super::evidence::Locator;
use super::handshake::HandshakeKind;
use super::signature::Scheme;

/// A maker of webhooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// The name of its file: what a source's `verification.scheme` says.
    #[serde(skip_deserializing)]
    pub name: String,
    pub title: String,
    pub summary: String,
    /// What to give as the secret, and where the sender shows it.
    #[serde(default)]
    pub secret: Option<String>,
    /// Without a secret nothing is verified.
    #[serde(skip)]
    pub optional: bool,
    /// It says in headers, which its signature does not cover, what the event is.
    #[serde(skip)]
    pub binary: bool,
    /// The first whose key form takes the secret verifies. None: there is
    /// nothing to verify.
    #[serde(default)]
    pub signature: Vec<Scheme>,
    #[serde(default)]
    pub challenge: Option<Challenge>,
}

/// A request that asks for a word back instead of bringing an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    pub method: String,
    pub when: Condition,
    /// Must be the `verify_token` that the tenant set.
    #[serde(default)]
    pub token: Option<Locator>,
    /// The word.
    pub answer: Locator,
    /// The signature must hold as well.
    pub signed: bool,
    /// Answered as a JSON object with this one member, and not as text.
    #[serde(skip)]
    pub member: Option<String>,
}

/// Something in a request that has one value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub at: Locator,
    pub equals: String,
}

impl Sender {
    /// Whoever speaks a dialect, seen from the other side.
    pub fn of_dialect(dialect: &Dialect) -> Self {
        let secret = match dialect.signature.is_empty() {
            true => None,
            false => Some(format!("The {} that {} shows.", dialect.secret.name, dialect.title)),
        };
        Self {
            name: dialect.name.clone(),
            title: dialect.title.clone(),
            summary: format!("Requests that are signed as {} signs them.", dialect.title),
            secret,
            optional: dialect.secret.optional,
            binary: dialect.headers.iter().any(|header| header.name.to_ascii_lowercase().starts_with("ce-")),
            signature: dialect.signature.clone(),
            challenge: echo(dialect),
        }
    }
}

/// A dialect that wants a token echoed is answered by our sources as well.
fn echo(dialect: &Dialect) -> Option<Challenge> {
    let handshake = dialect.handshake.as_ref().filter(|handshake| handshake.kind == HandshakeKind::Echo)?;
    let member = handshake.answer.strip_prefix('/').filter(|member| !member.contains(['/', '~']))?;
    let pointer = |name: &str| Locator::Json(format!("/{}", name.replace('~', "~0").replace('/', "~1")));
    let fixed = handshake.fields.iter().find(|field| field.value.places().next().is_none())?;
    let token = handshake.fields.iter().find(|field| field.value.only_place() == Some(&Place::Token))?;
    Some(Challenge {
        method: "POST".to_owned(),
        when: Condition { at: pointer(&fixed.name), equals: fixed.value.as_str().to_owned() },
        token: None,
        answer: pointer(&token.name),
        // It comes before its receiver can know the key.
        signed: false,
        member: Some(member.to_owned()),
    })
}

/// Every sender that this server knows.
#[derive(Clone, Debug, Default)]
pub struct Senders(BTreeMap<String, Arc<Sender>>);

impl Senders {
    /// Those of files, and those that the dialects are.
    pub fn new(senders: impl IntoIterator<Item = Sender>, dialects: &Dialects) -> Self {
        let all = dialects.all().map(|dialect| Sender::of_dialect(dialect)).chain(senders);
        Self(all.map(|sender| (sender.name.clone(), Arc::new(sender))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Sender>> {
        self.0.get(name)
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Sender>> {
        self.0.values()
    }
}
