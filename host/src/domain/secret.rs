//! Secrets: what signs, or proves who signed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

/// A secret as its holders write it.
///
/// Has no `Debug`, `Display`, `Clone` or `Serialize` on purpose: a struct that
/// holds one cannot derive them either, so it cannot reach a log by accident.
/// What it is worth as a key depends on the dialect: [`KeyForm`].
#[derive(PartialEq, Eq)]
pub struct Secret(String);

/// At most this many bytes.
const MAX_LENGTH: usize = 1024;

impl Secret {
    /// A secret of Standard Webhooks: 24 bytes, the least that it takes.
    pub fn standard(random: [u8; 24]) -> Self {
        Self(format!("{STANDARD_PREFIX}{}", STANDARD.encode(random)))
    }

    /// A secret that is text: 192 bits in hex behind a prefix.
    pub fn text(prefix: &str, random: [u8; 24]) -> Self {
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{prefix}{digits}"))
    }

    /// A key pair of Standard Webhooks, the public key behind the seed.
    pub fn ed25519(random: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&random).expect("32 bytes are a seed");
        Self(format!("{ED25519_SECRET_PREFIX}{}", STANDARD.encode([&random, pair.public_key().as_ref()].concat())))
    }

    /// A secret that somebody brings along, if it can be one in this form.
    pub fn parse(text: &str, form: KeyForm) -> Result<Self, NotASecret> {
        form.key(text).map(|_| Self(text.to_owned()))
    }

    /// What the store kept.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text: for the one answer that shows it, to be sealed, and to be made
    /// a key of.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

const STANDARD_PREFIX: &str = "whsec_";
const ED25519_SECRET_PREFIX: &str = "whsk_";
const ED25519_PUBLIC_PREFIX: &str = "whpk_";

/// How a secret's text becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// Its UTF-8 bytes are the key.
    Text,
    /// `whsec_` and base64 (Standard Webhooks).
    Standard,
    /// `whsk_` or `whpk_` and base64 (Standard Webhooks, asymmetric).
    Ed25519,
    /// A public key on P-256 in base64 (RFC 5480, DER).
    Spki,
}

/// A key that is ready to be used.
pub(super) enum Key {
    Symmetric(Vec<u8>),
    Ed25519Pair(Box<Ed25519KeyPair>),
    Ed25519Public([u8; 32]),
    P256Public([u8; 65]),
}

/// The text is no secret of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASecret(KeyForm);

impl fmt::Display for NotASecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            KeyForm::Text => write!(f, "a secret is 1 to {MAX_LENGTH} characters, none of them a control character"),
            KeyForm::Standard => f.write_str("a secret is `whsec_` and 24 to 64 bytes in base64"),
            KeyForm::Ed25519 => f.write_str("a key is `whsk_` or `whpk_` and an Ed25519 key in base64"),
            KeyForm::Spki => f.write_str("a public key is a DER key on P-256 in base64, as the sender shows it"),
        }
    }
}

impl KeyForm {
    /// What `text` is worth.
    pub(super) fn key(self, text: &str) -> Result<Key, NotASecret> {
        let wrong = NotASecret(self);
        if text.is_empty() || text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(wrong);
        }
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| wrong);
        match self {
            Self::Text => Ok(Key::Symmetric(text.as_bytes().to_vec())),
            Self::Standard => {
                let key = decode(text.strip_prefix(STANDARD_PREFIX).ok_or(wrong)?)?;
                if (24..=64).contains(&key.len()) { Ok(Key::Symmetric(key)) } else { Err(wrong) }
            }
            Self::Ed25519 => match text.strip_prefix(ED25519_PUBLIC_PREFIX) {
                Some(public) => decode(public)?.try_into().map(Key::Ed25519Public).map_err(|_| wrong),
                None => {
                    let bytes = decode(text.strip_prefix(ED25519_SECRET_PREFIX).ok_or(wrong)?)?;
                    ed25519_pair(&bytes).map(|pair| Key::Ed25519Pair(Box::new(pair))).ok_or(wrong)
                }
            },
            Self::Spki => p256_point(&decode(text)?).map(Key::P256Public).ok_or(wrong),
        }
    }

    /// Whether a message can be signed with it: a public key can only verify.
    pub fn can_sign(self, secret: &Secret) -> bool {
        matches!(self.key(&secret.0), Ok(Key::Symmetric(_) | Key::Ed25519Pair(_)))
    }

    /// Whether the server can make secrets of this form.
    pub fn is_made(self) -> bool {
        matches!(self, Self::Text | Self::Standard | Self::Ed25519)
    }

    /// The public half of a secret that can sign, to be given to receivers.
    /// Where it stands behind the seed it is read and not computed again: that
    /// was done when the secret came in.
    pub fn public(self, secret: &Secret) -> Option<[u8; 32]> {
        let pair = secret.0.strip_prefix(ED25519_SECRET_PREFIX).filter(|_| self == Self::Ed25519)?;
        let bytes = STANDARD.decode(pair).ok()?;
        match bytes.split_at_checked(32)? {
            (seed, []) => ed25519_pair(seed)?.public_key().as_ref().try_into().ok(),
            (_, public) => public.try_into().ok(),
        }
    }
}

/// A public key as Standard Webhooks writes it: `whpk_` and base64.
pub fn written_public(public: &[u8; 32]) -> String {
    format!("{ED25519_PUBLIC_PREFIX}{}", STANDARD.encode(public))
}

/// A seed, or a seed with the public key behind it, as libraries write both.
fn ed25519_pair(bytes: &[u8]) -> Option<Ed25519KeyPair> {
    match bytes.split_at_checked(32)? {
        (seed, []) => Ed25519KeyPair::from_seed_unchecked(seed).ok(),
        (seed, public) => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok(),
    }
}

/// The point in a `SubjectPublicKeyInfo` for an uncompressed key on P-256: what
/// stands before it is always the same (RFC 5480, sections 2.1 and 2.2).
fn p256_point(der: &[u8]) -> Option<[u8; 65]> {
    const BEFORE: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    der.strip_prefix(&BEFORE)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_takes_what_is_of_it() {
        use KeyForm::{Ed25519, Spki, Standard, Text};
        let check = |text: &str, form: KeyForm, takes: bool| {
            assert_eq!(Secret::parse(text, form).is_ok(), takes, "{form:?} {text}");
        };
        check("hush", Text, true);
        check("", Text, false);
        check("a\nb", Text, false);
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Text, true);
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Standard, true);
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Standard, false);
        check("whsec_c2hvcnQ=", Standard, false);
        check("whsec_%%%%", Standard, false);
        check(&format!("whsk_{}", STANDARD.encode([7; 32])), Ed25519, true);
        check(&format!("whsk_{}", STANDARD.encode([7; 64])), Ed25519, false);
        check(&format!("whpk_{}", STANDARD.encode([7; 32])), Ed25519, true);
        check(&format!("whpk_{}", STANDARD.encode([7; 31])), Ed25519, false);
        check("MFkw", Spki, false);
        check(Secret::standard([9; 24]).reveal(), Standard, true);
    }

    #[test]
    fn only_a_pair_has_a_public_half() {
        let pair = Secret::stored(format!("whsk_{}", STANDARD.encode([7; 32])));
        let public = KeyForm::Ed25519.public(&pair).unwrap();
        let written = written_public(&public);
        assert!(Secret::parse(&written, KeyForm::Ed25519).is_ok());
        assert_eq!(KeyForm::Ed25519.public(&Secret::stored(written)), None);
        assert_eq!(KeyForm::Standard.public(&Secret::standard([9; 24])), None);
        // With its public key behind it, the same pair.
        let made = Secret::ed25519([7; 32]);
        assert!(Secret::parse(made.reveal(), KeyForm::Ed25519).is_ok());
        assert_eq!(KeyForm::Ed25519.public(&made), Some(public));
    }
}
