//! Secrets that tenants store under a name, for steps to sign with.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::secret::Secret;
use super::time::Timestamp;

/// At most this many bytes in a secret: room for a private key in PEM.
const MAX_LENGTH: usize = 4096;

/// A secret and its name. Has no `Debug`, like what it holds.
pub struct NamedSecret {
    pub name: String,
    pub secret: Secret,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The text is no name for a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct NotASecretName;

impl fmt::Display for NotASecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret's name is 1 to 64 letters, digits, hyphens, dots and underscores")
    }
}

/// The text is too short or too long.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongLength;

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a secret has 1 to {MAX_LENGTH} bytes")
    }
}

impl NamedSecret {
    pub fn check_name(name: &str) -> Result<(), NotASecretName> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if plain && (1..=64).contains(&name.len()) { Ok(()) } else { Err(NotASecretName) }
    }

    /// What a tenant wants kept: any text, which is a key by its UTF-8 bytes.
    pub fn value(text: String) -> Result<Secret, WrongLength> {
        if (1..=MAX_LENGTH).contains(&text.len()) { Ok(Secret::stored(text)) } else { Err(WrongLength) }
    }

    pub fn hmac_sha256(&self, data: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.reveal().as_bytes()).expect("HMAC takes any key");
        mac.update(data);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_rfc_4231_says() {
        // Test case 2.
        let now = Timestamp::from_millis(0);
        let secret = NamedSecret::value("Jefe".to_owned()).ok().unwrap();
        let named = NamedSecret { name: "jefe".to_owned(), secret, created_at: now, updated_at: now };
        let hex: String = named.hmac_sha256(b"what do ya want for nothing?").map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_name_is_plain() {
        let takes = |name: &str| NamedSecret::check_name(name).is_ok();
        assert!(takes("crm") && takes("Stripe_live.2-b") && takes(&"x".repeat(64)));
        assert!(!takes("") && !takes("a b") && !takes("a/b") && !takes("ä") && !takes(&"x".repeat(65)));
        assert!(NamedSecret::value(String::new()).is_err() && NamedSecret::value("x".repeat(4097)).is_err());
    }
}
