//! Signatures: how a request proves who sent it. One description serves both
//! ways: what a dialect signs with is what a source verifies with.
//!
//! A description is data (`host/dialects`, `host/senders`, or what a tenant
//! writes): which mechanism, where the signature stands, and what is signed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::evidence::{Evidence, Locator, Part};
use super::jwk::thumbprint;
use super::message_signature::MessageForm;
use super::secret::{Key, KeyForm, Secret};
use super::template::Template;
use super::time::Timestamp;
use super::value_signature::{Encoding, Stamp, ValueForm};

/// At most this many seconds may a timestamp be off: what was seen is remembered
/// for a day, and a timestamp may be as far in the future as in the past.
pub const MAX_TOLERANCE: u32 = 12 * 60 * 60;

/// How a signature is made and found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Scheme {
    /// What endpoints call it, where their dialect has several: `v1a`.
    pub name: Option<String>,
    pub kind: Kind,
    pub key: KeyForm,
    pub form: Form,
}

/// What a signature looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Somewhere in a value, as each platform has it.
    Value(ValueForm),
    /// HTTP message signatures (RFC 9421).
    Message(MessageForm),
}

/// A scheme as files have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    kind: Kind,
    #[serde(default = "text")]
    key: KeyForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Locator>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<Template<Part>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_hash: Option<Locator>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<MessageForm>,
}

fn text() -> KeyForm {
    KeyForm::Text
}

impl TryFrom<Written> for Scheme {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { name, kind, key, encoding, at, split, prefix, signed, timestamp, body_hash, message } = written;
        let of_values = [split.is_some(), prefix.is_some(), signed.is_some(), timestamp.is_some(), body_hash.is_some()];
        let form = match (at, message) {
            (Some(at), None) => Form::Value(ValueForm {
                encoding: encoding.unwrap_or_default(),
                at,
                split,
                prefix: prefix.unwrap_or_default(),
                signed: signed.unwrap_or_else(|| "{body}".parse().expect("`body` is a part")),
                timestamp,
                body_hash,
            }),
            (None, Some(_)) if encoding.is_some() || of_values.contains(&true) => {
                return Err("`message` says it all: give `name`, `kind` and `key` beside it");
            }
            (None, Some(message)) => {
                message.check(kind)?;
                Form::Message(message)
            }
            _ => return Err("give `at`, where the signature stands, or `message` (RFC 9421)"),
        };
        Ok(Self { name, kind, key, form })
    }
}

impl From<Scheme> for Written {
    fn from(Scheme { name, kind, key, form }: Scheme) -> Self {
        let bare = Self {
            name,
            kind,
            key,
            encoding: None,
            at: None,
            split: None,
            prefix: None,
            signed: None,
            timestamp: None,
            body_hash: None,
            message: None,
        };
        match form {
            Form::Message(message) => Self { message: Some(message), ..bare },
            Form::Value(form) => Self {
                encoding: Some(form.encoding),
                at: Some(form.at),
                split: form.split,
                prefix: Some(form.prefix).filter(|prefix| !prefix.is_empty()),
                signed: Some(form.signed),
                timestamp: form.timestamp,
                body_hash: form.body_hash,
                ..bare
            },
        }
    }
}

/// The mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    Ed25519,
    EcdsaP256Sha256,
    /// The secret itself, sent along.
    Token,
}

/// A request has proven itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Proven {
    /// What must not come twice, where the scheme's timestamp bounds for how
    /// long that has to be remembered: the SHA-256 of what was signed.
    pub once: Option<[u8; 32]>,
}

/// Why a request proves nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Unproven {
    NoSecret,
    Missing(Locator),
    /// No signature in the value has the scheme's form.
    Malformed(Locator),
    Wrong(Locator),
    BadTimestamp(Locator),
    Stale {
        age_seconds: i64,
        tolerance_seconds: u32,
    },
    /// Something that should be signed is not there.
    Incomplete,
    BodyChanged,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => f.write_str("the source has no secret yet; set the one that the sender shows"),
            Self::Missing(at) => write!(f, "{} is missing", at.in_words()),
            Self::Malformed(at) => write!(f, "{} is not written as this sender writes it", at.in_words()),
            Self::Wrong(at) => write!(
                f,
                "{} does not match: it was made with another secret or over another body, or the request was changed",
                at.in_words()
            ),
            Self::BadTimestamp(at) => write!(f, "{} has no timestamp in seconds", at.in_words()),
            Self::Stale { age_seconds, tolerance_seconds } => write!(
                f,
                "it was signed {} s {}, and {tolerance_seconds} s are tolerated; is a clock wrong?",
                age_seconds.unsigned_abs(),
                if *age_seconds < 0 { "in the future" } else { "ago" }
            ),
            Self::Incomplete => f.write_str("something that the signature must cover is missing"),
            Self::BodyChanged => f.write_str("the body is not the one that was signed"),
        }
    }
}

impl Scheme {
    /// Whether a secret can be one of this scheme.
    pub fn takes(&self, secret: &Secret) -> bool {
        self.key.key(secret.reveal()).is_ok()
    }

    /// Whether the request proves that its sender holds the secret.
    pub fn verify(&self, secret: &Secret, request: &Evidence<'_>, now: Timestamp) -> Result<Proven, Unproven> {
        let key = || self.key.key(secret.reveal()).map_err(|_| Unproven::NoSecret);
        match &self.form {
            Form::Value(form) => form.verify((self.kind, key), request, now),
            Form::Message(form) => form.verify((self.kind, &key()?), request, now),
        }
    }

    /// The header that a value with signatures is.
    pub fn header(&self) -> Option<&str> {
        match &self.form {
            Form::Value(ValueForm { at: Locator::Header(name), .. }) => Some(name),
            _ => None,
        }
    }

    /// How far the time of signing may be off, where one is signed.
    pub fn tolerance_seconds(&self) -> Option<u32> {
        match &self.form {
            Form::Value(form) => form.timestamp.as_ref().map(|stamp| stamp.tolerance_seconds),
            Form::Message(form) => Some(form.tolerance_seconds),
        }
    }

    /// The same with another tolerance.
    pub fn tolerating(mut self, seconds: u32) -> Self {
        match &mut self.form {
            Form::Value(form) => {
                form.timestamp.iter_mut().for_each(|stamp| stamp.tolerance_seconds = seconds);
            }
            Form::Message(form) => form.tolerance_seconds = seconds,
        }
        self
    }

    /// Whether messages carry a signature of each secret while a rotation
    /// overlaps.
    pub fn has_room_for_several(&self) -> bool {
        match &self.form {
            Form::Value(form) => form.split.is_some(),
            Form::Message(_) => true,
        }
    }

    /// What the key is called where a signature names it.
    pub fn key_id(&self, secret: &Secret) -> Option<String> {
        match (&self.form, self.key.public(secret)) {
            (_, Some(public)) => Some(thumbprint(&public)),
            (Form::Message(_), None) => match self.key.key(secret.reveal()) {
                // Of the key, so that a rotation gives another; a signature tells
                // as much about it.
                Ok(Key::Symmetric(key)) => {
                    let name = hmac_sha256(&key, b"hookyard key id").finalize().into_bytes();
                    Some(URL_SAFE_NO_PAD.encode(&name[..12]))
                }
                _ => None,
            },
            (Form::Value(_), None) => None,
        }
    }
}

impl Key {
    /// A signature of `bytes`; nothing when the key cannot make one.
    pub(super) fn sign(&self, kind: Kind, bytes: &[u8]) -> Option<Vec<u8>> {
        Some(match (kind, self) {
            (Kind::HmacSha1, Self::Symmetric(key)) => hmac_sha1(key, bytes).finalize().into_bytes().to_vec(),
            (Kind::HmacSha256, Self::Symmetric(key)) => hmac_sha256(key, bytes).finalize().into_bytes().to_vec(),
            (Kind::HmacSha512, Self::Symmetric(key)) => hmac_sha512(key, bytes).finalize().into_bytes().to_vec(),
            (Kind::Ed25519, Self::Ed25519Pair(pair)) => pair.sign(bytes).as_ref().to_vec(),
            _ => return None,
        })
    }

    /// Whether `signature` is one of `bytes` by this key.
    pub(super) fn holds(&self, kind: Kind, bytes: &[u8], signature: &[u8]) -> bool {
        match (kind, self) {
            (Kind::HmacSha1, Self::Symmetric(key)) => hmac_sha1(key, bytes).verify_slice(signature).is_ok(),
            (Kind::HmacSha256, Self::Symmetric(key)) => hmac_sha256(key, bytes).verify_slice(signature).is_ok(),
            (Kind::HmacSha512, Self::Symmetric(key)) => hmac_sha512(key, bytes).verify_slice(signature).is_ok(),
            (Kind::Ed25519, Self::Ed25519Public(public)) => {
                UnparsedPublicKey::new(&ED25519, public).verify(bytes, signature).is_ok()
            }
            (Kind::Ed25519, Self::Ed25519Pair(pair)) => {
                UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(bytes, signature).is_ok()
            }
            (Kind::EcdsaP256Sha256, Self::P256Public(public)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public).verify(bytes, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn hmac_sha1(key: &[u8], data: &[u8]) -> Hmac<Sha1> {
    Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length").chain_update(data)
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length").chain_update(data)
}

fn hmac_sha512(key: &[u8], data: &[u8]) -> Hmac<Sha512> {
    Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes a key of any length").chain_update(data)
}
