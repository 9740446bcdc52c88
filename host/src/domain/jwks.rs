//! Other people's public keys as a JSON Web Key Set (RFC 7517, RFC 7518), and
//! what each of them verifies. Our own are in `jwk.rs`.
//!
//! An algorithm is taken only with a key that is made for it, so that nobody
//! chooses by a header what a key is used as; there is no `none`, and nothing
//! that a shared secret signs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

/// RFC 7518, section 3.1, and RFC 8037, section 3.1; RFC 9864 has another word
/// for the last.
const ALGORITHMS: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"];

/// The keys that can verify signatures, of all that there are.
pub struct Keys(Vec<Known>);

struct Known {
    kid: Option<String>,
    /// The one algorithm that it is for, where it says so.
    alg: Option<String>,
    key: PublicKey,
}

enum PublicKey {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Why a signature is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// It is made in a way that is not taken.
    Algorithm,
    /// No key has this name and is for this algorithm.
    NoKey,
    /// It is another's, or of something else.
    Signature,
}

impl Keys {
    /// The keys in a set, if it is one. Those of other kinds and for other uses are
    /// passed over, as RFC 7517, section 5, asks.
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(body).ok()?;
        Some(Self(keys.into_iter().filter_map(Known::read).collect()))
    }

    /// Whether a key that is called `kid` made `signature` of `message`; any that
    /// is for `alg`, where the signer does not say which.
    pub fn verify(&self, alg: &str, kid: Option<&str>, message: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        if !ALGORITHMS.contains(&alg) {
            return Err(Unverified::Algorithm);
        }
        let named = |known: &&Known| kid.is_none() || known.kid.as_deref() == kid;
        let meant = |known: &&Known| known.alg.as_deref().is_none_or(|own| own == alg) && known.key.is_for(alg);
        let mut fitting = self.0.iter().filter(named).filter(meant).peekable();
        if fitting.peek().is_none() {
            return Err(Unverified::NoKey);
        }
        match fitting.any(|known| known.key.made(alg, message, signature)) {
            true => Ok(()),
            false => Err(Unverified::Signature),
        }
    }
}

impl Known {
    fn read(jwk: Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            #[serde(rename = "use")]
            usage: Option<String>,
            kid: Option<String>,
            alg: Option<String>,
            crv: Option<String>,
            n: Option<String>,
            e: Option<String>,
            x: Option<String>,
            y: Option<String>,
        }
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => PublicKey::Rsa(RsaPublicKeyComponents { n: bytes(jwk.n)?, e: bytes(jwk.e)? }),
            ("EC", Some("P-256")) => PublicKey::P256(point(jwk.x, jwk.y, 32)?),
            ("EC", Some("P-384")) => PublicKey::P384(point(jwk.x, jwk.y, 48)?),
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(bytes(jwk.x)?),
            _ => return None,
        };
        Some(Self { kid: jwk.kid, alg: jwk.alg, key })
    }
}

fn bytes(text: Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

/// Uncompressed (SEC 1, section 2.3.3).
fn point(x: Option<String>, y: Option<String>, length: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(x)?, bytes(y)?);
    (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
}

impl PublicKey {
    fn is_for(&self, alg: &str) -> bool {
        match self {
            Self::Rsa(_) => rsa(alg).is_some(),
            Self::P256(_) => alg == "ES256",
            Self::P384(_) => alg == "ES384",
            Self::Ed25519(_) => ["EdDSA", "Ed25519"].contains(&alg),
        }
    }

    fn made(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match self {
            Self::Rsa(key) => rsa(alg).is_some_and(|how| key.verify(how, message, signature).is_ok()),
            Self::P256(key) => by(&signature::ECDSA_P256_SHA256_FIXED, key),
            Self::P384(key) => by(&signature::ECDSA_P384_SHA384_FIXED, key),
            Self::Ed25519(key) => by(&signature::ED25519, key),
        }
    }
}

/// With keys of 2048 bits at least.
fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.4, and RFC 7515, appendix A.3.
    const SET: &str = r#"{"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "EC", "crv": "P-256", "kid": "two", "alg": "ES256", "use": "sig",
         "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty": "EC", "crv": "P-256", "kid": "three", "use": "enc",
         "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty": "oct", "kid": "four", "k": "c2VjcmV0"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, 7]}"#;
    const BY_ONE: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    const BY_TWO: &str = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    #[track_caller]
    fn check(token: &str, alg: &str, kid: Option<&str>, expected: Result<(), Unverified>) {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let keys = Keys::read(SET.as_bytes()).unwrap();
        assert_eq!(keys.verify(alg, kid, message.as_bytes(), &signature), expected, "{alg} {kid:?}");
    }

    #[test]
    fn a_signature_is_verified_by_the_key_that_is_made_for_it() {
        check(BY_ONE, "EdDSA", Some("one"), Ok(()));
        check(BY_ONE, "Ed25519", None, Ok(()));
        check(BY_TWO, "ES256", Some("two"), Ok(()));
        check(BY_TWO, "ES256", None, Ok(()));
        check(BY_TWO, "EdDSA", Some("one"), Err(Unverified::Signature));
        check(&BY_TWO.replacen("eyJpc3Mi", "eyJpc3Nj", 1), "ES256", Some("two"), Err(Unverified::Signature));
    }

    #[test]
    fn what_is_named_otherwise_or_meant_otherwise_verifies_nothing() {
        check(BY_TWO, "ES256", Some("one"), Err(Unverified::NoKey));
        check(BY_TWO, "ES256", Some("three"), Err(Unverified::NoKey));
        check(BY_TWO, "ES384", Some("two"), Err(Unverified::NoKey));
        check(BY_TWO, "RS256", None, Err(Unverified::NoKey));
        for alg in ["none", "None", "", "HS256", "RS1", "es256"] {
            check(BY_TWO, alg, None, Err(Unverified::Algorithm));
        }
    }

    #[test]
    fn what_is_no_set_is_none() {
        for text in ["", "[]", "{}", r#"{"keys": {}}"#] {
            assert!(Keys::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Keys::read(br#"{"keys": []}"#).is_some());
    }
}
