//! Passwords: what may be one, and how it is kept: Argon2id (RFC 9106) with the
//! least that OWASP's password storage cheat sheet asks for.
//!
//! A hash takes tens of milliseconds and 19 MiB: whoever calls does it aside.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

/// Long enough that a list of common ones has few of them (NIST SP 800-63B asks
/// for 8 at least and for no rules about kinds of characters).
const MIN_CHARS: usize = 10;
/// So that nobody has a megabyte hashed.
const MAX_BYTES: usize = 512;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_LEN: usize = 32;
/// As RFC 9106, section 3.1, recommends.
pub const SALT_LEN: usize = 16;

/// A password as somebody typed it. Has no `Debug` on purpose.
pub struct Password(String);

/// What a password that is not taken lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    Short,
    Long,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "give at least {MIN_CHARS} characters; some words in a row are easy to keep"),
            Self::Long => write!(f, "give at most {MAX_BYTES} bytes"),
        }
    }
}

impl Password {
    /// One that somebody chooses.
    pub fn chosen(text: String) -> Result<Self, Unfit> {
        match () {
            () if text.len() > MAX_BYTES => Err(Unfit::Long),
            () if text.chars().count() < MIN_CHARS => Err(Unfit::Short),
            () => Ok(Self(text)),
        }
    }

    /// One that somebody signs in with: whatever was chosen is shorter than the
    /// longest, and nothing longer is looked at.
    pub fn given(mut text: String) -> Self {
        if text.len() > MAX_BYTES {
            text.clear();
        }
        Self(text)
    }

    pub fn hash(&self, salt: [u8; SALT_LEN]) -> PasswordHash {
        let hash = STANDARD_NO_PAD.encode(self.digest(&salt));
        PasswordHash(format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${hash}",
            STANDARD_NO_PAD.encode(salt)
        ))
    }

    fn digest(&self, salt: &[u8]) -> [u8; HASH_LEN] {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_LEN)).expect("the numbers are Argon2's");
        let mut hash = [0; HASH_LEN];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.as_bytes(), salt, &mut hash)
            .expect("password and salt have a length that Argon2 takes");
        hash
    }
}

/// What is kept of a password, as a PHC string, so that stronger numbers can come
/// beside these. Not to be shown: a weak password can be found from it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// What the store kept.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// What the store keeps.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it was made of `password`. What cannot be read was made of none.
    pub fn is_of(&self, password: &Password) -> bool {
        let numbers = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
        let parts = self.0.strip_prefix(&numbers).and_then(|rest| rest.split_once('$'));
        let decoded = parts
            .and_then(|(salt, hash)| Some((STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?)));
        match decoded {
            Some((salt, hash)) if salt.len() == SALT_LEN => password.digest(&salt).ct_eq(hash.as_slice()).into(),
            _ => false,
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone() {
        let hash = Password::given("correct horse battery".to_owned()).hash([7; SALT_LEN]);
        assert!(hash.is_of(&Password::given("correct horse battery".to_owned())));
        assert!(!hash.is_of(&Password::given("correct horse batterY".to_owned())));
        assert!(!hash.is_of(&Password::given(String::new())));
        assert_ne!(Password::given("correct horse battery".to_owned()).hash([8; SALT_LEN]), hash);
        let damaged = PasswordHash::stored(hash.reveal().replace("m=", "m=9"));
        assert!(!damaged.is_of(&Password::given("correct horse battery".to_owned())));
        assert!(!hash.reveal().contains("correct") && format!("{hash:?}") == "PasswordHash(..)");
    }

    #[test]
    fn a_password_is_long_and_not_endless() {
        let check = |text: String, fit: Result<(), Unfit>| assert_eq!(Password::chosen(text).map(drop), fit);
        check("short".to_owned(), Err(Unfit::Short));
        check("0123456789".to_owned(), Ok(()));
        check("ääääääääää".to_owned(), Ok(()));
        check("x".repeat(MAX_BYTES), Ok(()));
        check("x".repeat(MAX_BYTES + 1), Err(Unfit::Long));
        // No password at all is that of nobody.
        assert!(
            !Password::given("y".repeat(20)).hash([1; SALT_LEN]).is_of(&Password::given("x".repeat(MAX_BYTES + 1)))
        );
    }
}
