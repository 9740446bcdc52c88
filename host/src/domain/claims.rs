//! What an OpenID provider says of somebody: the claims of an ID token, or the
//! answer of the userinfo endpoint (OpenID Connect Core 1.0, section 5).

use serde_json::{Map, Value};

use super::oidc::Unusable;
use super::user::Email;

/// What is said of somebody.
pub struct Claims(Map<String, Value>);

/// Why nobody can be looked for by what is said of them.
#[derive(Debug, PartialEq, Eq)]
pub enum NoAddress {
    Missing,
    /// The provider does not say that the address is theirs.
    Unverified,
}

impl Claims {
    pub(super) fn of(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// What the userinfo endpoint said, if it is of the subject of an ID token
    /// (section 5.3.2).
    pub fn more(&self, body: &[u8]) -> Result<Self, Unusable> {
        let more: Self = serde_json::from_slice(body).map(Self).map_err(|_| Unusable("it is no JSON object"))?;
        match more.text("sub") {
            Some(subject) if self.text("sub") == Some(subject) => Ok(more),
            _ => Err(Unusable("its `sub` is not that of the ID token")),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Whether it says all that is looked for. Where it does not, the userinfo
    /// endpoint may (section 5.4).
    pub fn has_address(&self, claim: &str) -> bool {
        self.get(claim).is_some() && self.get(VERIFIED).is_some()
    }

    /// The address that `claim` names, where the provider stands for it.
    pub fn address(&self, claim: &str) -> Result<Email, NoAddress> {
        // Of other letters than ASCII's some become those, made small: nobody has
        // an address for which another one is taken.
        let text = self.text(claim).filter(|text| text.to_lowercase() == text.to_ascii_lowercase());
        let address = text.and_then(|text| text.parse().ok()).ok_or(NoAddress::Missing)?;
        // Some write it as text.
        let is_verified = match self.get(VERIFIED) {
            Some(Value::Bool(is_verified)) => *is_verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        if is_verified { Ok(address) } else { Err(NoAddress::Unverified) }
    }
}

const VERIFIED: &str = "email_verified";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        Claims(value.as_object().unwrap().clone())
    }

    #[test]
    fn an_address_is_one_that_the_provider_stands_for() {
        let check = |value: Value, expected: Result<&str, NoAddress>| {
            let said = claims(value.clone()).address("email");
            assert_eq!(said.as_ref().map(Email::as_str), expected.as_ref().copied(), "{value}");
        };
        check(json!({"email": "Jane@Example.com", "email_verified": true}), Ok("jane@example.com"));
        check(json!({"email": "jane@example.com", "email_verified": "true"}), Ok("jane@example.com"));
        for verified in [json!(false), json!("false"), json!(1), json!(null), json!("TRUE")] {
            check(json!({"email": "jane@example.com", "email_verified": verified}), Err(NoAddress::Unverified));
        }
        check(json!({"email": "jane@example.com"}), Err(NoAddress::Unverified));
        check(json!({"email": "jane", "email_verified": true}), Err(NoAddress::Missing));
        check(json!({"email": "\u{212a}arl@example.com", "email_verified": true}), Err(NoAddress::Missing));
        check(json!({"email": ["jane@example.com"], "email_verified": true}), Err(NoAddress::Missing));
        check(json!({"email_verified": true}), Err(NoAddress::Missing));
    }

    #[test]
    fn more_of_somebody_is_of_the_same_one() {
        let token = claims(json!({"sub": "1"}));
        assert!(token.more(br#"{"sub": "1", "email": "a@b"}"#).is_ok_and(|more| more.text("email") == Some("a@b")));
        for body in [r#"{"sub": "2"}"#, "{}", r#"{"sub": 1}"#, "[]", "eyJ.eyJ.x"] {
            assert!(token.more(body.as_bytes()).is_err(), "{body}");
        }
    }
}
