//! What an ID token has to be before it is believed (OpenID Connect Core 1.0,
//! section 3.1.3.7).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::claims::Claims;
use super::jwks::{Keys, Unverified};
use super::oidc::{Issuer, Unusable};
use super::session::TokenText;
use super::time::Timestamp;

/// Clocks may be apart by so much.
const LEEWAY: Duration = Duration::from_secs(60);

/// What it must say.
pub struct Expected<'a> {
    pub issuer: &'a Issuer,
    pub client_id: &'a str,
    /// Of the sign-in that it is the end of.
    pub nonce: &'a TokenText,
    pub now: Timestamp,
}

const UNREADABLE: Unusable = Unusable("it is no signed JWT");

/// What `token` says of somebody, if one of `keys` signed it and it is for us,
/// now and here.
pub fn read(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Claims, Unusable> {
    #[derive(Deserialize)]
    struct Head {
        alg: String,
        kid: Option<String>,
        crit: Option<IgnoredAny>,
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(UNREADABLE)?;
    let (head, claims) = signed.split_once('.').ok_or(UNREADABLE)?;
    let head: Head = json(head)?;
    // RFC 7515, section 4.1.11: whoever does not know what is critical refuses it.
    if head.crit.is_some() {
        return Err(Unusable("it has an extension that is critical, and none is known here"));
    }
    keys.verify(&head.alg, head.kid.as_deref(), signed.as_bytes(), &decode(signature)?).map_err(|why| match why {
        Unverified::Algorithm => Unusable(
            "it is signed in a way that is not taken; have the provider sign for this client with RS256, PS256, \
             ES256 or EdDSA",
        ),
        Unverified::NoKey => Unusable("no key of the provider's has its `kid` and is for its `alg`"),
        Unverified::Signature => Unusable("its signature is not the provider's"),
    })?;
    let claims = Claims::of(json(claims)?);
    check(&claims, expected).map(|()| claims)
}

fn decode(part: &str) -> Result<Vec<u8>, Unusable> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE)
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, Unusable> {
    serde_json::from_slice(&decode(part)?).map_err(|_| UNREADABLE)
}

fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), Unusable> {
    if claims.text("iss") != Some(expected.issuer.as_str()) {
        return Err(Unusable("its `iss` is another issuer"));
    }
    let client = Some(expected.client_id);
    let (is_for_us, is_for_others) = match claims.get("aud") {
        Some(Value::Array(all)) => (all.iter().any(|one| one.as_str() == client), all.len() > 1),
        one => (one.and_then(Value::as_str) == client, false),
    };
    if !is_for_us {
        return Err(Unusable("its `aud` is another client"));
    }
    // Who it was issued to has to be us, where it is for others as well.
    if claims.get("azp").map_or(is_for_others, |party| party.as_str() != client) {
        return Err(Unusable("its `azp` is not this client, or it is for several and does not say whose it is"));
    }
    times(claims, expected.now)?;
    let nonce = claims.text("nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.reveal().as_bytes())) {
        return Err(Unusable("its `nonce` is not that of the sign-in"));
    }
    match claims.text("sub") {
        Some(subject) if !subject.is_empty() => Ok(()),
        _ => Err(Unusable("it has no `sub`")),
    }
}

fn times(claims: &Claims, now: Timestamp) -> Result<(), Unusable> {
    let seconds = |name| claims.get(name).and_then(Value::as_f64);
    let moment = |at: Timestamp| at.as_millis() as f64 / 1000.0;
    let (late, early) = (moment(now + LEEWAY), moment(now) - LEEWAY.as_secs_f64());
    let (Some(ends_at), Some(issued_at)) = (seconds("exp"), seconds("iat")) else {
        return Err(Unusable("it has no `exp` or no `iat`"));
    };
    if ends_at <= early {
        return Err(Unusable("it has expired; look at the clocks of both servers"));
    }
    if issued_at > late || seconds("nbf").is_some_and(|begins_at| begins_at > late) {
        return Err(Unusable("it is from the future; look at the clocks of both servers"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn keys() -> Keys {
        let x = URL_SAFE_NO_PAD.encode(pair(1).public_key());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]});
        Keys::read(set.to_string().as_bytes()).unwrap()
    }

    fn signed(head: &Value, claims: &Value, by: &Ed25519KeyPair) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(by.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn head() -> Value {
        json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"})
    }

    fn good() -> Value {
        json!({"iss": "https://id.example", "aud": "us", "sub": "jane", "nonce": "n", "exp": NOW + 300, "iat": NOW})
    }

    fn with(change: Value) -> Value {
        let mut claims = good();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    fn said(token: &str) -> Result<(), &'static str> {
        let issuer = "https://id.example".parse().unwrap();
        let nonce = TokenText::given("n");
        let now = Timestamp::from_millis(NOW * 1000);
        let expected = Expected { issuer: &issuer, client_id: "us", nonce: &nonce, now };
        read(token, &keys(), &expected).map(|_| ()).map_err(|Unusable(why)| why)
    }

    #[track_caller]
    fn check(change: Value, expected: Result<(), &str>) {
        match (said(&signed(&head(), &with(change.clone()), &pair(1))), expected) {
            (Err(why), Err(begin)) => assert!(why.starts_with(begin), "{change}: {why}"),
            (said, expected) => assert_eq!(said.is_ok(), expected.is_ok(), "{change}: {said:?}"),
        }
    }

    #[test]
    fn what_is_for_us_now_and_here_is_believed() {
        check(json!({}), Ok(()));
        check(json!({"aud": ["us"]}), Ok(()));
        check(json!({"aud": ["us", "them"], "azp": "us"}), Ok(()));
        check(json!({"azp": "us", "nbf": NOW}), Ok(()));
        check(json!({"exp": NOW - 59, "iat": NOW + 59}), Ok(()));
        check(json!({"exp": f64::from(2_000_000_000)}), Ok(()));
    }

    #[test]
    fn everything_else_is_not() {
        for issuer in [json!("https://id.example/"), json!("https://ID.example"), json!(["https://id.example"])] {
            check(json!({"iss": issuer}), Err("its `iss`"));
        }
        check(json!({"iss": null}), Err("its `iss`"));
        for audience in [json!("them"), json!([]), json!("us "), json!(null), json!({"us": 1})] {
            check(json!({"aud": audience}), Err("its `aud`"));
        }
        check(json!({"aud": ["us", "them"]}), Err("its `azp`"));
        check(json!({"azp": "them"}), Err("its `azp`"));
        check(json!({"azp": 7}), Err("its `azp`"));
        check(json!({"exp": NOW - 60}), Err("it has expired"));
        for times in [json!({"exp": null}), json!({"iat": null}), json!({"exp": "2099"})] {
            check(times, Err("it has no `exp`"));
        }
        check(json!({"iat": NOW + 61}), Err("it is from the future"));
        check(json!({"nbf": NOW + 61}), Err("it is from the future"));
        for nonce in [json!("m"), json!(""), json!(null), json!(["n"])] {
            check(json!({"nonce": nonce}), Err("its `nonce`"));
        }
        check(json!({"sub": null}), Err("it has no `sub`"));
        check(json!({"sub": ""}), Err("it has no `sub`"));
    }

    #[test]
    fn a_token_is_three_parts_that_the_provider_signed() {
        let token = signed(&head(), &good(), &pair(1));
        let parts: Vec<&str> = token.split('.').collect();
        for text in ["", "..", "a.b", &parts[..2].join("."), &format!("x.{token}"), &format!("{token}=")] {
            assert_eq!(said(text), Err(UNREADABLE.0), "{text}");
        }
        assert!(said(&signed(&head(), &good(), &pair(2))).unwrap_err().starts_with("its signature"));
        assert!(
            said(&signed(&json!({"alg": "EdDSA", "kid": "l"}), &good(), &pair(1))).unwrap_err().starts_with("no key")
        );
        let critical = json!({"alg": "EdDSA", "crit": ["exp"]});
        assert!(said(&signed(&critical, &good(), &pair(1))).unwrap_err().contains("critical"));
        for alg in ["none", "HS256"] {
            let head = json!({"alg": alg, "kid": "k"});
            let token = signed(&head, &good(), &pair(1));
            assert!(said(&token).unwrap_err().contains("not taken"), "{alg}");
            let bare = format!("{}.", token.rsplit_once('.').unwrap().0);
            assert!(said(&bare).unwrap_err().contains("not taken"), "{alg}");
        }
    }
}
