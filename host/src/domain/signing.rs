//! What a dialect signs with: the secrets of its endpoints, and the headers of a
//! message, the signature last.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::dialect::Dialect;
use super::evidence::{Evidence, Locator};
use super::header::Header;
use super::message_signature::{Component, INPUT, SIGNATURE, content_digest};
use super::secret::{KeyForm, Secret};
use super::signature::{Form, Scheme};
use super::time::Timestamp;
use super::value_signature::ValueForm;

/// A request that is to be signed.
pub struct Unsigned<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub body: &'a [u8],
    /// What is sent beside the dialect's own headers. Of two with one name, the
    /// later one is, and the dialect's own before all.
    pub beside: Vec<&'a Header>,
}

impl Dialect {
    /// The scheme that signs with `secret`.
    pub fn scheme_for(&self, secret: &Secret) -> Option<&Scheme> {
        self.signature.iter().find(|scheme| scheme.takes(secret))
    }

    /// The scheme that endpoints call so.
    pub fn scheme_named(&self, name: &str) -> Result<&Scheme, SecretError> {
        let found = self.signature.iter().find(|scheme| scheme.name.as_deref() == Some(name));
        found.ok_or_else(|| {
            let names = self.signature.iter().filter_map(|scheme| scheme.name.as_deref());
            let there: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            SecretError::NoSuchSignature { title: self.title.clone(), there }
        })
    }

    /// The secret of a new endpoint: the one that was given, or one that is made
    /// of `random`, or none where the dialect does without. Where a scheme is
    /// wanted, it is one of that.
    pub fn secret(
        &self,
        wanted: Option<&Scheme>,
        given: Option<&str>,
        random: [u8; 32],
    ) -> Result<Option<Secret>, SecretError> {
        let Some(first) = wanted.or(self.signature.first()) else {
            return if given.is_some() { Err(SecretError::Unsigned(self.title.clone())) } else { Ok(None) };
        };
        let schemes = wanted.map_or(self.signature.as_slice(), std::slice::from_ref);
        match given {
            Some(text) => {
                let signing =
                    |scheme: &Scheme| Secret::parse(text, scheme.key).ok().filter(|secret| scheme.key.can_sign(secret));
                schemes.iter().find_map(signing).map(Some).ok_or_else(|| {
                    let problem = Secret::parse(text, first.key).err().map(|problem| problem.to_string());
                    SecretError::BadForm(problem.unwrap_or_else(|| "a public key cannot sign".to_owned()))
                })
            }
            None if self.secret.optional && wanted.is_none() => Ok(None),
            None => Ok(Some(match first.key {
                KeyForm::Ed25519 => Secret::ed25519(random),
                KeyForm::Standard => Secret::standard(half(random)),
                _ => Secret::text(&self.secret.prefix, half(random)),
            })),
        }
    }

    /// Whether messages carry a signature of each secret while a rotation
    /// overlaps. Otherwise the old one signs until its end.
    pub fn signs_with_several(&self) -> bool {
        self.signature.iter().any(Scheme::has_room_for_several)
    }

    /// The dialect's own headers around a request, the signature last. `secrets`
    /// are those that sign now, the newest first. Says whether each did: a message
    /// that should be signed must not go out without.
    pub fn sign<'s>(
        &self,
        mut headers: Vec<Header>,
        request: &Unsigned<'_>,
        secrets: impl Iterator<Item = &'s Secret>,
        sent_at: Timestamp,
    ) -> (Vec<Header>, bool) {
        if self.covers_digest() {
            headers.push(Header { name: "content-digest".to_owned(), value: content_digest(request.body) });
        }
        let mut signed = Signed::default();
        let mut all_signed = true;
        {
            let sent = self.sent(&headers, request);
            let evidence = Evidence::new(&sent, "", request.url, request.body).with_method(request.method);
            for secret in secrets {
                let scheme = self.scheme_for(secret);
                all_signed &= scheme.and_then(|scheme| signed.add(scheme, secret, &evidence, sent_at)).is_some();
            }
        }
        (headers.into_iter().chain(signed.headers(sent_at)).collect(), all_signed || self.signature.is_empty())
    }

    fn covers_digest(&self) -> bool {
        let digest = Component::Header("content-digest".to_owned());
        self.signature
            .iter()
            .any(|scheme| matches!(&scheme.form, Form::Message(form) if form.components.contains(&digest)))
    }

    /// What signatures may cover: the dialect's own headers, and where whole
    /// messages are signed, all that is sent.
    fn sent<'a>(&self, own: &'a [Header], request: &Unsigned<'_>) -> Cow<'a, [Header]> {
        if self.signature.iter().all(|scheme| matches!(scheme.form, Form::Value(_))) {
            return Cow::Borrowed(own);
        }
        let all: BTreeMap<&str, &str> =
            request.beside.iter().copied().chain(own).map(|header| (&*header.name, &*header.value)).collect();
        all.into_iter().map(|(name, value)| Header { name: name.to_owned(), value: value.to_owned() }).collect()
    }
}

fn half(random: [u8; 32]) -> [u8; 24] {
    *random.first_chunk().expect("24 is less than 32")
}

/// Signatures of one request, by the header that they stand in.
#[derive(Default)]
struct Signed<'a> {
    values: BTreeMap<&'a str, (&'a ValueForm, Vec<String>)>,
    inputs: Vec<String>,
    messages: Vec<String>,
}

impl<'a> Signed<'a> {
    /// One more. Nothing when the secret cannot sign.
    fn add(&mut self, scheme: &'a Scheme, secret: &Secret, request: &Evidence<'_>, at: Timestamp) -> Option<()> {
        let key = scheme.key.key(secret.reveal()).ok()?;
        match &scheme.form {
            Form::Value(form) => {
                let signature = form.sign((scheme.kind, &key), request, at)?;
                let Locator::Header(name) = &form.at else { return None };
                self.values.entry(name).or_insert_with(|| (form, Vec::new())).1.push(signature);
            }
            Form::Message(form) => {
                let (key_id, number) = (scheme.key_id(secret)?, self.messages.len() + 1);
                let (input, signature) = form.sign((scheme.kind, &key), &key_id, number, request, at)?;
                self.inputs.push(input);
                self.messages.push(signature);
            }
        }
        Some(())
    }

    fn headers(self, sent_at: Timestamp) -> Vec<Header> {
        let values = self.values.into_iter().map(|(name, (form, all))| (name, value(form, all, sent_at)));
        let messages = [(INPUT, self.inputs), (SIGNATURE, self.messages)];
        let messages =
            messages.into_iter().filter(|(_, all)| !all.is_empty()).map(|(name, all)| (name, all.join(", ")));
        values.chain(messages).map(|(name, value)| Header { name: name.to_owned(), value }).collect()
    }
}

/// The value that `all` signatures, the newest first, come to.
fn value(form: &ValueForm, all: Vec<String>, sent_at: Timestamp) -> String {
    match &form.split {
        Some(split) => {
            // A timestamp that stands beside the signatures goes before them.
            let beside = form.timestamp.as_ref().filter(|stamp| stamp.at == form.at);
            let stamp = beside.map(|stamp| format!("{}{}", stamp.prefix, sent_at.as_secs()));
            stamp.into_iter().chain(all).collect::<Vec<String>>().join(split)
        }
        None => all.into_iter().next_back().unwrap_or_default(),
    }
}

/// Why an endpoint cannot have this secret.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretError {
    Unsigned(String),
    BadForm(String),
    NoSuchSignature { title: String, there: Vec<String> },
}

impl SecretError {
    /// The field of the API that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoSuchSignature { .. } => "signature",
            Self::Unsigned(_) | Self::BadForm(_) => "secret",
        }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(title) => write!(f, "{title} signs nothing; leave the secret out"),
            Self::BadForm(problem) => f.write_str(problem),
            Self::NoSuchSignature { title, there } if there.is_empty() => {
                write!(f, "{title} leaves no choice; leave it out")
            }
            Self::NoSuchSignature { title, there } => write!(f, "{title} has {}", there.join(", ")),
        }
    }
}
