//! Schemes that are nobody's: made of what a tenant chose, for senders that no
//! file describes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::evidence::{Locator, Part};
use super::secret::KeyForm;
use super::sender::Sender;
use super::signature::{Form, Kind, Scheme};
use super::template::Template;
use super::value_signature::{Encoding, Stamp, ValueForm};

/// How long a signed request may be on its way, unless told otherwise. Standard
/// Webhooks, Stripe and Slack all say five minutes.
const DEFAULT_TOLERANCE: u32 = 300;

/// The names of these schemes.
pub const OWN_SCHEMES: [&str; 5] = ["none", "hmac", "bearer", "basic", "api-key"];

/// What there is to choose, beside secrets. Which scheme takes which:
/// `made_of`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A template: `{timestamp}.{body}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_seconds: Option<u32>,
}

/// A hash function under an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// A field of a verification that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct BadVerification {
    pub field: &'static str,
    pub problem: String,
}

impl fmt::Display for BadVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.problem)
    }
}

pub(super) fn wrong<T>(field: &'static str, problem: impl fmt::Display) -> Result<T, BadVerification> {
    Err(BadVerification { field, problem: problem.to_string() })
}

/// The schemes that are nobody's: made of what the tenant chose.
pub(super) fn made_of(scheme: &str, options: &Options) -> Result<Option<Sender>, BadVerification> {
    let token = |at: &str, prefix: &str| -> Result<Scheme, BadVerification> {
        let form = ValueForm {
            encoding: Encoding::Hex,
            at: header(at, "header")?,
            split: None,
            prefix: prefix.to_owned(),
            signed: parse_signed("{body}")?,
            timestamp: None,
            body_hash: None,
        };
        Ok(Scheme { name: None, kind: Kind::Token, key: KeyForm::Text, form: Form::Value(form) })
    };
    Ok(Some(match scheme {
        "none" => {
            only(options, &[])?;
            made(scheme, "Nothing is verified", Vec::new())
        }
        "bearer" => {
            only(options, &[])?;
            made(scheme, "Bearer token", vec![token("authorization", "Bearer ")?])
        }
        "basic" => {
            only(options, &["username"])?;
            // The secret is what stands in the header: see `basic_secret`.
            made(scheme, "Basic authentication", vec![token("authorization", "Basic ")?])
        }
        "api-key" => {
            only(options, &["header", "prefix"])?;
            let name = options.header.as_deref().unwrap_or("x-api-key");
            made(scheme, "API key", vec![token(name, options.prefix.as_deref().unwrap_or(""))?])
        }
        "hmac" => made(scheme, "HMAC", vec![hmac(options)?]),
        _ => return Ok(None),
    }))
}

fn hmac(options: &Options) -> Result<Scheme, BadVerification> {
    only(options, &["header", "hash", "encoding", "prefix", "signed", "timestamp_header", "tolerance_seconds"])?;
    let Some(name) = &options.header else { return wrong("header", "name the header that has the signature") };
    let stamp = options.timestamp_header.as_deref().map(|name| header(name, "timestamp_header")).transpose()?;
    if stamp.is_none() && options.tolerance_seconds.is_some() {
        return wrong("tolerance_seconds", "give a timestamp_header too");
    }
    let usual = if stamp.is_some() { "{timestamp}.{body}" } else { "{body}" };
    let signed = options.signed.as_deref().unwrap_or(usual);
    if stamp.is_some() && !signed.contains("{timestamp}") {
        return wrong("signed", "must have {timestamp} in it, or anybody could change the timestamp");
    }
    if stamp.is_none() && signed.contains("{timestamp}") {
        return wrong("timestamp_header", "name the header that has the timestamp");
    }
    if !signed.contains("{body}") {
        return wrong("signed", "must have {body} in it, or anybody could change the body");
    }
    let kind = match options.hash.unwrap_or(Hash::Sha256) {
        Hash::Sha1 => Kind::HmacSha1,
        Hash::Sha256 => Kind::HmacSha256,
        Hash::Sha512 => Kind::HmacSha512,
    };
    let form = ValueForm {
        encoding: options.encoding.unwrap_or_default(),
        at: header(name, "header")?,
        split: None,
        prefix: options.prefix.clone().unwrap_or_default(),
        signed: parse_signed(signed)?,
        timestamp: stamp.map(|at| Stamp {
            at,
            split: None,
            prefix: String::new(),
            tolerance_seconds: options.tolerance_seconds.unwrap_or(DEFAULT_TOLERANCE),
        }),
        body_hash: None,
    };
    Ok(Scheme { name: None, kind, key: KeyForm::Text, form: Form::Value(form) })
}

fn made(name: &str, title: &str, signature: Vec<Scheme>) -> Sender {
    Sender {
        name: name.to_owned(),
        title: title.to_owned(),
        summary: String::new(),
        secret: None,
        optional: false,
        binary: false,
        signature,
        challenge: None,
    }
}

fn header(name: &str, field: &'static str) -> Result<Locator, BadVerification> {
    format!("header.{name}").parse().or_else(|_| wrong(field, "is no header name"))
}

/// At most this many bytes in what is to be signed, as it is written.
const MAX_SIGNED: usize = 256;

/// Each place once: what is signed is put together before anything is proven.
fn parse_signed(text: &str) -> Result<Template<Part>, BadVerification> {
    let signed: Template<Part> = text.parse().or_else(|problem| wrong("signed", problem))?;
    let places: Vec<&Part> = signed.places().collect();
    let twice = places.iter().enumerate().any(|(at, place)| places[..at].contains(place));
    if text.len() > MAX_SIGNED || twice {
        return wrong("signed", format!("at most {MAX_SIGNED} bytes are allowed, and each place once"));
    }
    Ok(signed)
}

/// Refuses what the scheme does not take: a setting that is ignored in silence
/// is one that somebody relies on.
pub(super) fn only(options: &Options, taken: &[&str]) -> Result<(), BadVerification> {
    let given = [
        ("username", options.username.is_some()),
        ("header", options.header.is_some()),
        ("hash", options.hash.is_some()),
        ("encoding", options.encoding.is_some()),
        ("prefix", options.prefix.is_some()),
        ("signed", options.signed.is_some()),
        ("timestamp_header", options.timestamp_header.is_some()),
        ("tolerance_seconds", options.tolerance_seconds.is_some()),
    ];
    match given.into_iter().find(|(name, given)| *given && !taken.contains(name)) {
        Some((name, _)) => wrong(name, "this scheme does not take it"),
        None => Ok(()),
    }
}

/// What stands behind `Basic ` (RFC 7617).
pub fn basic_secret(username: &str, password: &str) -> String {
    STANDARD.encode(format!("{username}:{password}"))
}
