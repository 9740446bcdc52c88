//! The header that binds a request's body to its signature (RFC 9530).

use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::super::structured::{Bare, Value, bytes, dictionary};

pub(super) const DIGEST: &str = "content-digest";

/// What it says of a body.
pub(in crate::domain) fn content_digest(body: &[u8]) -> String {
    format!("sha-256={}", bytes(&Sha256::digest(body)))
}

/// Whether the body is what the header says: every hash of it that is known
/// here, and one at least.
pub(super) fn fits_digest(header: &str, body: &[u8]) -> bool {
    let Some(members) = dictionary(header) else { return false };
    let known = members.iter().filter_map(|member| {
        let hash = match member.key {
            "sha-256" => Sha256::digest(body).to_vec(),
            "sha-512" => Sha512::digest(body).to_vec(),
            _ => return None,
        };
        Some(matches!(&member.value, Value::Item(Bare::Bytes(given)) if bool::from(given.ct_eq(&hash))))
    });
    let known: Vec<bool> = known.collect();
    !known.is_empty() && known.into_iter().all(|fits| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_that_is_known_must_fit() {
        let good = content_digest(b"a");
        assert!(fits_digest(&good, b"a") && fits_digest(&format!("md5=:AA==:, {good}"), b"a"));
        assert!(!fits_digest(&good, b"b") && !fits_digest("md5=:AA==:", b"a") && !fits_digest("", b"a"));
        assert!(!fits_digest(&format!("sha-512=:AA==:, {good}"), b"a"));
    }
}
