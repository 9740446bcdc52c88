//! Signatures that stand in a value of a request: which value, what stands before
//! them, how they are written, and what they are of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::evidence::{Evidence, Locator, Part};
use super::secret::Key;
use super::signature::{Kind, Proven, Unproven};
use super::template::Template;
use super::time::Timestamp;

/// Where a signature stands, and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueForm {
    pub encoding: Encoding,
    /// Where the signature stands.
    pub at: Locator,
    /// What separates several signatures in one value.
    pub split: Option<String>,
    /// What stands before each.
    pub prefix: String,
    pub signed: Template<Part>,
    pub timestamp: Option<Stamp>,
    /// Where the hex SHA-256 of a body stands that is not signed itself.
    pub body_hash: Option<Locator>,
}

/// How a signature's bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
}

/// When a request was signed, and how long it may be on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    pub at: Locator,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    pub tolerance_seconds: u32,
}

impl ValueForm {
    /// Whether the request proves that its sender holds the secret.
    pub(super) fn verify(
        &self,
        (kind, key): (Kind, impl FnOnce() -> Result<Key, Unproven>),
        request: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<Proven, Unproven> {
        let given = request.find(&self.at).ok_or_else(|| Unproven::Missing(self.at.clone()))?;
        let mut candidates = entries(&given, self.split.as_deref(), &self.prefix).peekable();
        if candidates.peek().is_none() {
            return Err(Unproven::Malformed(self.at.clone()));
        }
        let stamp = self.timestamp.as_ref().map(|stamp| stamp.read(request)).transpose()?;
        let signed = self
            .signed
            .fill(|part| request.part(part, stamp.as_ref().map(|(text, _)| text.as_str())))
            .ok_or(Unproven::Incomplete)?;
        let key = key()?;
        if !candidates.any(|candidate| self.matches((kind, &key), &signed, candidate)) {
            return Err(Unproven::Wrong(self.at.clone()));
        }
        self.check_body(request)?;
        // Only now: what a stranger sends is told nothing about our clock.
        let Some((stamp, (_, at))) = self.timestamp.as_ref().zip(stamp) else { return Ok(Proven { once: None }) };
        let age_seconds = now.as_secs().saturating_sub(at);
        if age_seconds.unsigned_abs() > u64::from(stamp.tolerance_seconds) {
            return Err(Unproven::Stale { age_seconds, tolerance_seconds: stamp.tolerance_seconds });
        }
        Ok(Proven { once: Some(Sha256::digest(&signed).into()) })
    }

    fn matches(&self, (kind, key): (Kind, &Key), signed: &[u8], candidate: &str) -> bool {
        if kind == Kind::Token {
            let Key::Symmetric(token) = key else { return false };
            // Of hashes, so that not even the length shows.
            return Sha256::digest(token).ct_eq(&Sha256::digest(candidate)).into();
        }
        self.encoding.decode(candidate).is_some_and(|signature| key.holds(kind, signed, &signature))
    }

    /// A body that is not signed itself must be what its signed hash says. With
    /// neither a form nor a hash, anybody could have changed it.
    fn check_body(&self, request: &Evidence<'_>) -> Result<(), Unproven> {
        let Some(at) = &self.body_hash else { return Ok(()) };
        match request.find(at) {
            Some(hash) => {
                let is = Sha256::digest(request.body).ct_eq(&Encoding::Hex.decode(&hash).unwrap_or_default());
                if is.into() { Ok(()) } else { Err(Unproven::BodyChanged) }
            }
            None if request.is_form() || request.body.is_empty() => Ok(()),
            None => Err(Unproven::Missing(at.clone())),
        }
    }

    /// One signature of `request`, with what stands before it. Nothing when the
    /// key cannot sign, or something that is to be signed is not there.
    pub(super) fn sign(&self, (kind, key): (Kind, &Key), request: &Evidence<'_>, at: Timestamp) -> Option<String> {
        let stamp = at.as_secs().to_string();
        let signed = self.signed.fill(|part| request.part(part, Some(&stamp)))?;
        Some(format!("{}{}", self.prefix, self.encoding.encode(&key.sign(kind, &signed)?)))
    }
}

/// What `value` has behind `prefix`, once or several times.
fn entries<'a>(value: &'a str, split: Option<&'a str>, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let pieces: Vec<&str> = match split {
        // More than any sender's rotation needs: each costs a comparison.
        Some(split) => value.split(split).take(32).collect(),
        None => vec![value],
    };
    pieces.into_iter().filter_map(move |piece| piece.trim().strip_prefix(prefix)).filter(|piece| !piece.is_empty())
}

impl Stamp {
    /// The text that was signed, and the seconds since 1970 that it means.
    fn read(&self, request: &Evidence<'_>) -> Result<(String, i64), Unproven> {
        let given = request.find(&self.at).ok_or_else(|| Unproven::Missing(self.at.clone()))?;
        let text = entries(&given, self.split.as_deref(), &self.prefix).next();
        let read = text.and_then(|text| Some((text.to_owned(), text.parse().ok()?)));
        read.ok_or_else(|| Unproven::BadTimestamp(self.at.clone()))
    }
}

impl Encoding {
    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }

    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => {
                let digits = text.as_bytes();
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
                if digits.len() % 2 == 1 { None } else { digits.chunks_exact(2).map(byte).collect() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::super::secret::Secret;
    use super::super::signature::{Form, Scheme};
    use super::*;

    /// What a scheme's form makes of a request.
    fn sign(scheme: &Scheme, secret: &Secret, request: &Evidence<'_>, at: Timestamp) -> Option<String> {
        let Form::Value(form) = &scheme.form else { panic!("another form") };
        form.sign((scheme.kind, &scheme.key.key(secret.reveal()).unwrap()), request, at)
    }

    fn scheme(json: serde_json::Value) -> Scheme {
        serde_json::from_value(json).unwrap()
    }

    fn standard() -> Scheme {
        scheme(serde_json::json!({
            "kind": "hmac-sha256", "key": "standard", "encoding": "base64", "at": "header.webhook-signature",
            "split": " ", "prefix": "v1,", "signed": "{header.webhook-id}.{timestamp}.{body}",
            "timestamp": {"at": "header.webhook-timestamp", "tolerance_seconds": 300},
        }))
    }

    fn headers(fields: &[(&str, &str)]) -> Vec<Header> {
        fields.iter().map(|(name, value)| Header { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: (&str, &str) = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    const AT: (&str, &str) = ("webhook-timestamp", "1614265330");
    /// From the Standard Webhooks libraries' own tests.
    const RIGHT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn signatures_are_those_of_the_specification() {
        let headers = headers(&[ID]);
        let request = Evidence::new(&headers, "", "", BODY);
        let at = Timestamp::from_millis(1_614_265_330_000);
        assert_eq!(sign(&standard(), &Secret::stored(SECRET.to_owned()), &request, at).as_deref(), Some(RIGHT));
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], body: &[u8], late: i64, expected: &str) {
        let headers = headers(fields);
        let request = Evidence::new(&headers, "", "", body);
        let now = Timestamp::from_millis((1_614_265_330 + late) * 1000);
        let said = match standard().verify(&Secret::stored(SECRET.to_owned()), &request, now) {
            Ok(proven) => format!("proven, once: {}", proven.once.is_some()),
            Err(unproven) => unproven.to_string(),
        };
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn a_request_proves_itself_or_says_why_not() {
        let signed = |value| ("webhook-signature", value);
        let several = format!("v1,AAAA v1a,xyz {RIGHT}");
        check(&[ID, AT, signed(RIGHT)], BODY, 0, "proven, once: true");
        check(&[ID, AT, signed(&several)], BODY, 299, "proven");
        check(&[ID, AT, signed(RIGHT)], b"{}", 0, "header `webhook-signature` does not match");
        check(&[ID, AT, signed(RIGHT)], BODY, 301, "it was signed 301 s ago");
        check(&[ID, AT, signed(RIGHT)], BODY, -301, "it was signed 301 s in the future");
        check(&[ID, AT], BODY, 0, "header `webhook-signature` is missing");
        check(&[ID, signed(RIGHT)], BODY, 0, "header `webhook-timestamp` is missing");
        check(&[ID, ("webhook-timestamp", "soon"), signed(RIGHT)], BODY, 0, "header `webhook-timestamp` has no");
        check(&[AT, signed(RIGHT)], BODY, 0, "something that the signature must cover");
        check(&[ID, AT, signed("v2,AAAA")], BODY, 0, "header `webhook-signature` is not written");
        check(&[ID, AT, signed("v1,")], BODY, 0, "header `webhook-signature` is not written");
        check(&[ID, AT, signed("v1,not base64")], BODY, 0, "header `webhook-signature` does not match");
    }

    #[test]
    fn hex_is_read_in_both_cases_and_odd_digits_are_none() {
        assert_eq!(Encoding::Hex.decode("00fFa0"), Some(vec![0, 0xff, 0xa0]));
        for bad in ["0", "0g", "é"] {
            assert_eq!(Encoding::Hex.decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_body_outside_the_signature_needs_its_hash() {
        let twilio = scheme(serde_json::json!({
            "kind": "hmac-sha1", "encoding": "base64", "at": "header.x-twilio-signature",
            "signed": "{url}{form}", "body_hash": "query.bodySHA256",
        }));
        let secret = Secret::stored("token".to_owned());
        let now = Timestamp::from_millis(0);
        let verify = |query: &str, body: &[u8], content_type: &str| {
            let url = format!("https://example.com/in?{query}");
            let bare = headers(&[("content-type", content_type)]);
            let signature = sign(&twilio, &secret, &Evidence::new(&bare, query, &url, body), now).unwrap();
            let signed = headers(&[("content-type", content_type), ("x-twilio-signature", &signature)]);
            twilio.verify(&secret, &Evidence::new(&signed, query, &url, body), now).map(|_| ())
        };
        let hash = Encoding::Hex.encode(&Sha256::digest(b"{}"));
        assert_eq!(verify("", b"a=1&b=2", "application/x-www-form-urlencoded"), Ok(()));
        assert_eq!(verify(&format!("bodySHA256={hash}"), b"{}", "application/json"), Ok(()));
        assert_eq!(verify(&format!("bodySHA256={hash}"), b"[]", "application/json"), Err(Unproven::BodyChanged));
        let missing = Err(Unproven::Missing(Locator::Query("bodySHA256".to_owned())));
        assert_eq!(verify("", b"{}", "application/json"), missing);
    }
}
