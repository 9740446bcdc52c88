//! API keys: 256 random bits, of which the store keeps only the SHA-256.
//!
//! No password hash: a key cannot be guessed, and a slow hash would only slow
//! every request down.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::id::KeyId;
use super::role::Role;
use super::time::Timestamp;

const PREFIX: &str = "hk_";

/// A key as its holder has it. Shown once; has no `Debug` on purpose.
pub struct KeyText(String);

impl KeyText {
    /// A key of 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)))
    }

    /// A key somebody presents or an operator has chosen.
    pub fn given(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the store knows the key by.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// What is known of a key, its text and its hash apart. One that was revoked is
/// not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: KeyId,
    /// For people, to tell keys apart.
    pub name: Option<String>,
    pub role: Role,
    /// From then on it opens nothing; absent: until it is revoked.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl Key {
    /// A key that opens everything until it is revoked.
    pub fn admin(id: KeyId, created_at: Timestamp) -> Self {
        Self { id, name: None, role: Role::Admin, expires_at: None, created_at }
    }

    /// When it ended, if it has.
    pub fn expired_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|end| *end <= now)
    }
}

/// The secret part of an inbound URL: `wh_` and 32 letters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SourceToken(String);

impl SourceToken {
    pub fn new(random: [u8; 20]) -> Self {
        // Lower case only: people read these aloud and type them.
        let digits = random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(format!("wh_{digits}"))
    }

    /// A token that came in a URL or from the store.
    pub fn given(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SourceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_hash() {
        let key = KeyText::new([7; 32]);
        assert_eq!(KeyText::given(key.reveal()).hash(), key.hash());
        assert_ne!(KeyText::new([8; 32]).hash(), key.hash());
    }

    #[test]
    fn a_key_ends_at_its_instant() {
        let at = Timestamp::from_millis;
        let id = crate::domain::id::TypedId::new(at(0), [1; 10]);
        let endless = Key::admin(id, at(0));
        assert_eq!(endless.expired_at(at(i64::MAX)), None);
        let key = Key { expires_at: Some(at(5)), ..endless };
        assert_eq!(key.expired_at(at(4)), None);
        assert_eq!(key.expired_at(at(5)), Some(at(5)));
    }
}
