//! Standard Webhooks signatures, scheme `v1` (HMAC-SHA256).
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::id::EventId;
use super::time::Timestamp;

const PREFIX: &str = "whsec_";

/// The key that one endpoint's messages are signed with.
///
/// Has no `Debug`, `Display`, `Clone` or `Serialize` on purpose: a struct that
/// holds one cannot derive them either, so the key cannot reach a log by
/// accident. The ways out are a signature, [`SigningSecret::reveal`], which the
/// handler that creates an endpoint calls once, and [`SigningSecret::key`],
/// which the store calls to seal it.
pub struct SigningSecret(Vec<u8>);

/// The text is no signing secret.
#[derive(Debug, PartialEq, Eq)]
pub struct NotASecret;

impl fmt::Display for NotASecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret is `whsec_` and 24 to 64 bytes in base64")
    }
}

impl SigningSecret {
    /// A secret of 24 random bytes, the least that the specification takes.
    pub fn new(random: [u8; 24]) -> Self {
        Self(random.to_vec())
    }

    /// A secret that somebody brings along: `whsec_` and base64.
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        let key = STANDARD.decode(text.strip_prefix(PREFIX).ok_or(NotASecret)?).map_err(|_| NotASecret)?;
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(NotASecret) }
    }

    /// A key that the store kept.
    pub fn from_key(key: Vec<u8>) -> Self {
        Self(key)
    }

    /// The bytes, to be sealed.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// The text, for the one answer that shows it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// Signs `id.timestamp.body`.
    pub fn sign(&self, id: EventId, at: Timestamp, body: &[u8]) -> String {
        self.sign_text(&id.to_string(), at.as_secs(), body)
    }

    /// Signs with any identifier, as senders of other makes have them.
    pub fn sign_text(&self, id: &str, at_secs: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{at_secs}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // From the Standard Webhooks libraries' own tests.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign_text("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_survives_its_text() {
        let text = SigningSecret::new([9; 24]).reveal();
        assert_eq!(SigningSecret::parse(&text).map(|secret| secret.0).ok(), Some(vec![9; 24]));
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%%"] {
            assert_eq!(SigningSecret::parse(bad).map(|_| ()), Err(NotASecret), "{bad}");
        }
    }
}
