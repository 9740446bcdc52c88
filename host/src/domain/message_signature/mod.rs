//! HTTP message signatures (RFC 9421): what of a request is covered, under
//! which parameters, and whether a signature holds.
//!
//! Of what the RFC has, this is what webhooks need: requests, HMAC-SHA256 and
//! Ed25519, components without parameters.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::evidence::{Evidence, Locator};
use super::secret::Key;
use super::signature::{Kind, Proven, Unproven};
use super::structured::{Bare, Member, Value, bytes, dictionary, is_key, quoted};
use super::time::Timestamp;

mod component;
mod digest;

pub use component::{Component, NotAComponent};
pub(super) use digest::content_digest;

use digest::{DIGEST, fits_digest};

/// The headers that a signature makes.
pub(super) const INPUT: &str = "signature-input";
pub(super) const SIGNATURE: &str = "signature";

/// At most this many signatures of one request are looked at: each costs a
/// computation.
const MAX_SIGNATURES: usize = 8;

/// How a dialect signs whole messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageForm {
    /// Signatures are labelled with it and a number, the newest key's with 1.
    #[serde(default = "label")]
    pub label: String,
    /// What is covered. A header that a request does not have is left out.
    pub components: Vec<Component>,
    /// What the signature is for, so that one made for something else does not
    /// count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_seconds: Option<u32>,
    /// How far `created` may be off.
    pub tolerance_seconds: u32,
}

fn label() -> String {
    "sig".to_owned()
}

/// RFC 9421, section 2.5.
fn base(components: &[Component], parameters: &str, request: &Evidence<'_>) -> Option<Vec<u8>> {
    let mut base = String::new();
    for component in components {
        base.push_str(&format!("\"{component}\": {}\n", component.value(request)?));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    Some(base.into_bytes())
}

impl Kind {
    /// Its name in the registry of RFC 9421.
    fn alg(self) -> Option<&'static str> {
        match self {
            Self::HmacSha256 => Some("hmac-sha256"),
            Self::Ed25519 => Some("ed25519"),
            _ => None,
        }
    }
}

impl MessageForm {
    /// A form with which somebody could sign, or what is wrong with it.
    pub(super) fn check(&self, kind: Kind) -> Result<(), &'static str> {
        let covers = |name: &str| self.components.iter().any(|component| component.to_string() == name);
        let twice = (1..self.components.len()).any(|at| self.components[..at].contains(&self.components[at]));
        if kind.alg().is_none() {
            return Err("messages are signed with hmac-sha256 or ed25519");
        }
        if !is_key(&self.label) {
            return Err("`label` is lower case letters, digits, `_`, `-`, `.` and `*`, a letter first");
        }
        if self.tag.as_deref().is_some_and(|tag| quoted(tag).is_none()) {
            return Err("`tag` is visible ASCII");
        }
        if !covers(DIGEST) || !covers("@method") || !(covers("@target-uri") || covers("@path") && covers("@authority"))
        {
            return Err(
                "`components` must have content-digest, @method, and @target-uri or @authority and @path: what \
                 is not covered can be changed by anybody",
            );
        }
        if twice { Err("`components` has one twice") } else { Ok(()) }
    }

    /// The members of the two headers for the `number`th signature. Nothing when
    /// the key cannot sign or something cannot be covered.
    pub(super) fn sign(
        &self,
        (kind, key): (Kind, &Key),
        key_id: &str,
        number: usize,
        request: &Evidence<'_>,
        at: Timestamp,
    ) -> Option<(String, String)> {
        let there = self.components.iter().filter(|component| !component.is_absent(request));
        let components: Vec<Component> = there.cloned().collect();
        let parameters = self.parameters(&components, kind.alg()?, key_id, at)?;
        let signature = key.sign(kind, &base(&components, &parameters, request)?)?;
        let label = format!("{}{number}", self.label);
        Some((format!("{label}={parameters}"), format!("{label}={}", bytes(&signature))))
    }

    fn parameters(&self, components: &[Component], alg: &str, key_id: &str, at: Timestamp) -> Option<String> {
        let names: Vec<String> = components.iter().map(|component| format!("\"{component}\"")).collect();
        let mut text = format!("({});created={}", names.join(" "), at.as_secs());
        if let Some(seconds) = self.expires_seconds {
            text.push_str(&format!(";expires={}", at.as_secs() + i64::from(seconds)));
        }
        text.push_str(&format!(";keyid={};alg=\"{alg}\"", quoted(key_id)?));
        if let Some(tag) = &self.tag {
            text.push_str(&format!(";tag={}", quoted(tag)?));
        }
        Some(text)
    }

    /// Whether one of the request's signatures was made with the key, covers what
    /// has to be covered and is young enough.
    pub(super) fn verify(
        &self,
        (kind, key): (Kind, &Key),
        request: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<Proven, Unproven> {
        let at = |name: &str| Locator::Header(name.to_owned());
        let header = |name: &str| request.all_of(name).ok_or_else(|| Unproven::Missing(at(name)));
        let (inputs, signatures) = (header(INPUT)?, header(SIGNATURE)?);
        let inputs = dictionary(&inputs).ok_or_else(|| Unproven::Malformed(at(INPUT)))?;
        let signatures = dictionary(&signatures).ok_or_else(|| Unproven::Malformed(at(SIGNATURE)))?;
        let mut refused = Unproven::Missing(at(SIGNATURE));
        for input in inputs.iter().take(MAX_SIGNATURES) {
            let Some(signature) = signatures.iter().find(|signature| signature.key == input.key) else { continue };
            match self.verify_one((kind, key), input, signature, request, now) {
                Ok(proven) => return Ok(proven),
                Err(unproven) => refused = unproven,
            }
        }
        Err(refused)
    }

    fn verify_one(
        &self,
        (kind, key): (Kind, &Key),
        input: &Member<'_>,
        signature: &Member<'_>,
        request: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<Proven, Unproven> {
        let malformed = |name: &str| Unproven::Malformed(Locator::Header(name.to_owned()));
        let components = components(&input.value).ok_or_else(|| malformed(INPUT))?;
        let Value::Item(Bare::Bytes(signature)) = &signature.value else { return Err(malformed(SIGNATURE)) };
        let is = |name: &str, wanted: Option<&str>| matches!((parameter(input, name), wanted), (Some(Bare::Text(given)), Some(wanted)) if given == wanted);
        if parameter(input, "alg").is_some() && !is("alg", kind.alg())
            || self.tag.is_some() && !is("tag", self.tag.as_deref())
        {
            return Err(malformed(INPUT));
        }
        // What stands in the request and is not covered was put there by anybody.
        let covered = |wanted: &Component| {
            components.contains(wanted)
                || matches!(wanted, Component::Header(name) if name != DIGEST) && wanted.is_absent(request)
        };
        if !self.components.iter().all(covered) {
            return Err(Unproven::Incomplete);
        }
        let base = base(&components, input.written, request).ok_or(Unproven::Incomplete)?;
        if !key.holds(kind, &base, signature) {
            return Err(Unproven::Wrong(Locator::Header(SIGNATURE.to_owned())));
        }
        if let Some(digest) = request.all_of(DIGEST)
            && components.contains(&Component::Header(DIGEST.to_owned()))
            && !fits_digest(&digest, request.body)
        {
            return Err(Unproven::BodyChanged);
        }
        self.is_young(input, now)?;
        Ok(Proven { once: Some(Sha256::digest(&base).into()) })
    }

    /// Only asked of a signature that holds: what a stranger sends is told
    /// nothing about our clock.
    fn is_young(&self, input: &Member<'_>, now: Timestamp) -> Result<(), Unproven> {
        let Some(Bare::Integer(created)) = parameter(input, "created") else {
            return Err(Unproven::BadTimestamp(Locator::Header(INPUT.to_owned())));
        };
        let age_seconds = now.as_secs().saturating_sub(*created);
        let is_over = matches!(parameter(input, "expires"), Some(Bare::Integer(expires)) if *expires < now.as_secs());
        if is_over || age_seconds.unsigned_abs() > u64::from(self.tolerance_seconds) {
            return Err(Unproven::Stale { age_seconds, tolerance_seconds: self.tolerance_seconds });
        }
        Ok(())
    }
}

/// A parameter of a signature.
fn parameter<'m>(input: &'m Member<'_>, name: &str) -> Option<&'m Bare> {
    input.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What an inner list covers; nothing when it has what is not known here, or one
/// twice.
fn components(list: &Value<'_>) -> Option<Vec<Component>> {
    let Value::List(items) = list else { return None };
    let mut components: Vec<Component> = Vec::new();
    for (item, parameters) in items {
        let Bare::Text(name) = item else { return None };
        let component = name.parse().ok().filter(|component| !components.contains(component))?;
        if !parameters.is_empty() {
            return None;
        }
        components.push(component);
    }
    Some(components)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::super::header::Header;
    use super::super::secret::{KeyForm, Secret};
    use super::*;

    /// The `test-request` of RFC 9421, appendix B.2.
    const FIELDS: &[(&str, &str)] = &[
        ("host", "example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        (
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("content-length", "18"),
    ];
    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const URL: &str = "https://example.com/foo?param=Value&Pet=dog";
    const CREATED: i64 = 1_618_884_473;

    fn key(kind: Kind) -> Key {
        let (form, text) = match kind {
            Kind::Ed25519 => {
                let seed = URL_SAFE_NO_PAD.decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU").unwrap();
                (KeyForm::Ed25519, format!("whsk_{}", STANDARD.encode(seed)))
            }
            _ => {
                let shared = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
                (KeyForm::Standard, format!("whsec_{shared}"))
            }
        };
        form.key(Secret::parse(&text, form).unwrap().reveal()).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn form(components: &[&str]) -> MessageForm {
        MessageForm {
            label: "sig".to_owned(),
            components: components.iter().map(|name| name.parse().unwrap()).collect(),
            tag: None,
            expires_seconds: None,
            tolerance_seconds: 60,
        }
    }

    fn fields(more: &[(&str, &str)]) -> Vec<Header> {
        let header = |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: (*value).to_owned() };
        FIELDS.iter().chain(more).map(header).collect()
    }

    struct Vector {
        kind: Kind,
        covers: &'static [&'static str],
        parameters: &'static str,
        base: &'static str,
        signature: &'static str,
    }

    const B25: Vector = Vector {
        kind: Kind::HmacSha256,
        covers: &["date", "@authority", "content-type"],
        parameters: "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
        base: "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\
               \"@authority\": example.com\n\
               \"content-type\": application/json\n\
               \"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;\
               keyid=\"test-shared-secret\"",
        signature: "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    };

    const B26: Vector = Vector {
        kind: Kind::Ed25519,
        covers: &["date", "@method", "@path", "@authority", "content-type", "content-length"],
        parameters: "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");\
                     created=1618884473;keyid=\"test-key-ed25519\"",
        base: "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\
               \"@method\": POST\n\
               \"@path\": /foo\n\
               \"@authority\": example.com\n\
               \"content-type\": application/json\n\
               \"content-length\": 18\n\
               \"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");\
               created=1618884473;keyid=\"test-key-ed25519\"",
        signature: "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    };

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for Vector { kind, covers, parameters, base: expected, signature } in [B25, B26] {
            let plain = fields(&[]);
            let form = form(covers);
            let made = base(&form.components, parameters, &Evidence::new(&plain, "", URL, BODY)).unwrap();
            assert_eq!(String::from_utf8(made.clone()).unwrap(), expected);
            assert_eq!(STANDARD.encode(key(kind).sign(kind, &made).unwrap()), signature);

            let (input, signature) = (format!("sig-b2={parameters}"), format!("sig-b2=:{signature}:"));
            let signed = fields(&[("signature-input", &input), ("signature", &signature)]);
            let judge = |method: &str, late: i64| {
                let request = Evidence::new(&signed, "", URL, BODY).with_method(method);
                form.verify((kind, &key(kind)), &request, Timestamp::from_millis((CREATED + late) * 1000))
            };
            assert!(judge("POST", 60).is_ok());
            assert_eq!(judge("POST", 61), Err(Unproven::Stale { age_seconds: 61, tolerance_seconds: 60 }));
            assert_eq!(judge("PUT", 0).is_ok(), !covers.contains(&"@method"));
            let other = if kind == Kind::Ed25519 { Kind::HmacSha256 } else { Kind::Ed25519 };
            let request = Evidence::new(&signed, "", URL, BODY);
            assert!(form.verify((other, &key(other)), &request, Timestamp::from_millis(CREATED * 1000)).is_err());
        }
    }

    const COVERED: &[&str] = &["@method", "@target-uri", "content-digest", "content-type", "webhook-id"];

    /// What becomes of a request that was signed and then changed.
    #[track_caller]
    fn check(change: impl Fn(&mut Vec<Header>), url: &str, body: &[u8], expected: &str) {
        let mut form = form(COVERED);
        (form.tag, form.expires_seconds) = (Some("webhook".to_owned()), Some(30));
        let at = Timestamp::from_millis(CREATED * 1000);
        let mut headers = fields(&[("webhook-id", "evt_1")]);
        let key = key(Kind::Ed25519);
        let signed =
            form.sign((Kind::Ed25519, &key), "a \"key\"", 1, &Evidence::new(&headers, "", URL, BODY), at).unwrap();
        for (name, value) in [(INPUT, format!("other=(\"@method\");created=1, {}", signed.0)), (SIGNATURE, signed.1)] {
            headers.push(Header { name: name.to_owned(), value });
        }
        change(&mut headers);
        let said = match form.verify((Kind::Ed25519, &key), &Evidence::new(&headers, "", url, body), at) {
            Ok(proven) => format!("proven, once: {}", proven.once.is_some()),
            Err(unproven) => unproven.to_string(),
        };
        assert!(said.starts_with(expected), "{said}");
    }

    fn edit(name: &'static str, with: impl Fn(&str) -> String) -> impl Fn(&mut Vec<Header>) {
        move |headers| {
            let header = headers.iter_mut().find(|header| header.name == name).unwrap();
            header.value = with(&header.value);
        }
    }

    #[test]
    fn what_is_covered_cannot_be_changed() {
        check(|_| {}, URL, BODY, "proven, once: true");
        check(edit("date", |_| "now".to_owned()), URL, BODY, "proven");
        check(|_| {}, "https://example.com/bar", BODY, "header `signature` does not match");
        check(|_| {}, URL, b"{}", "the body is not the one");
        check(edit("webhook-id", |_| "evt_2".to_owned()), URL, BODY, "header `signature` does not match");
        let second = || Header { name: "webhook-id".to_owned(), value: "evt_2".to_owned() };
        check(|headers| headers.push(second()), URL, BODY, "header `signature` does not match");
        check(edit("content-digest", |_| content_digest(b"{}")), URL, b"{}", "header `signature` does not match");
        check(|headers| headers.retain(|header| header.name != "content-digest"), URL, BODY, "something that the");
        check(edit(INPUT, |input| input.replace("1618884473", "1618884474")), URL, BODY, "header `signature` does not");
        check(edit(INPUT, |input| input.replace(" \"webhook-id\"", "")), URL, BODY, "something that the signature");
        check(
            edit(INPUT, |input| input.replace("=\"webhook\"", "=\"x\"")),
            URL,
            BODY,
            "header `signature-input` is not",
        );
        check(edit(INPUT, |input| input.replace("=\"ed25519\"", "=\"rsa\"")), URL, BODY, "header `signature-input` is");
        check(
            edit(INPUT, |input| input.replace("\"@method\"", "\"@method\";req")),
            URL,
            BODY,
            "header `signature-input`",
        );
        check(edit(INPUT, |input| input.replace("@method", "@status")), URL, BODY, "header `signature-input` is not");
        check(edit(INPUT, |_| "sig1=".to_owned()), URL, BODY, "header `signature-input` is not written");
        check(edit(SIGNATURE, |value| value.replace("sig1", "sig2")), URL, BODY, "header `signature` is missing");
        check(|headers| headers.retain(|header| header.name != SIGNATURE), URL, BODY, "header `signature` is missing");
    }

    #[test]
    fn a_header_that_is_not_there_is_left_out_and_cannot_be_added() {
        let form = form(COVERED);
        let at = Timestamp::from_millis(CREATED * 1000);
        let key = key(Kind::HmacSha256);
        let mut headers = fields(&[]);
        headers.retain(|header| header.name != "content-type");
        let request = Evidence::new(&headers, "", URL, BODY);
        let (input, signature) = form.sign((Kind::HmacSha256, &key), "k", 1, &request, at).unwrap();
        assert!(
            input.starts_with("sig1=(\"@method\" \"@target-uri\" \"content-digest\");created=1618884473;keyid=\"k\"")
        );
        headers.push(Header { name: INPUT.to_owned(), value: input });
        headers.push(Header { name: SIGNATURE.to_owned(), value: signature });
        let verify = |headers: &[Header]| {
            form.verify((Kind::HmacSha256, &key), &Evidence::new(headers, "", URL, BODY), at).map(|_| ())
        };
        assert_eq!(verify(&headers), Ok(()));
        headers.push(Header { name: "content-type".to_owned(), value: "text/html".to_owned() });
        assert_eq!(verify(&headers), Err(Unproven::Incomplete));
    }

    #[test]
    fn a_form_that_leaves_the_body_open_is_refused() {
        let check = |components: &[&str], expected: &str| {
            let said = form(components).check(Kind::Ed25519).err().unwrap_or("good");
            assert!(said.starts_with(expected), "{components:?}: {said}");
        };
        check(COVERED, "good");
        check(&["@method", "@authority", "@path", "content-digest"], "good");
        check(&["@method", "@target-uri"], "`components` must have");
        check(&["@target-uri", "content-digest"], "`components` must have");
        check(&["@method", "@path", "content-digest"], "`components` must have");
        check(&["@method", "@method", "@target-uri", "content-digest"], "`components` has one twice");
        assert!(form(COVERED).check(Kind::HmacSha512).is_err());
        assert!(MessageForm { label: "S".to_owned(), ..form(COVERED) }.check(Kind::Ed25519).is_err());
    }
}
