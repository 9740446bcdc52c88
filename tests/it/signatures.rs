//! The shared signature vectors, against the dialects and senders as they ship.

use hookyard::domain::evidence::Evidence;
use hookyard::domain::header::Header;
use hookyard::domain::time::Timestamp;
use hookyard::domain::verification::{Judgement, Options, Verification};
use serde_json::Value;

fn vectors(of: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors/signatures.json")).expect("JSON");
    let of = all[of].as_array().expect("vectors").clone();
    assert!(!of.is_empty());
    of
}

fn text(vector: &Value, field: &str) -> String {
    vector[field].as_str().unwrap_or_default().to_owned()
}

/// Whether a source with `scheme` takes the request, and not with another body
/// or another secret.
fn check(scheme: &str, secret: &str, fields: &[(&str, String)], body: &str, at: i64) {
    let (_, senders) = hookyard::dialects::load(None).expect("what ships can be read");
    let header = |(name, value): &(&str, String)| Header { name: name.to_lowercase(), value: value.clone() };
    let headers: Vec<Header> = fields.iter().map(header).collect();
    let judge = |secret: &str, body: &str| {
        let verification =
            Verification::new(scheme, Options::default(), Some(secret.to_owned()), None, &senders).expect("it fits");
        let request = Evidence::new(&headers, "", "", body.as_bytes());
        verification.rules(&senders).judge("POST", &request, Timestamp::from_millis(at * 1000))
    };
    let taken = judge(secret, body);
    assert!(matches!(taken, Judgement::Accept { .. }), "{scheme}: {taken:?}");
    let refused = judge(secret, &format!("{body} "));
    assert!(matches!(refused, Judgement::Refuse(_)), "{scheme}, another body: {refused:?}");
    let other = if secret.starts_with("whsec_M") { "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" } else { "another one" };
    let other = if secret.starts_with("whsec_C") { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } else { other };
    let refused = judge(other, body);
    assert!(matches!(refused, Judgement::Refuse(_)), "{scheme}, another secret: {refused:?}");
}

#[test]
fn standard_webhooks_vectors_hold() {
    for vector in vectors("standard-webhooks") {
        let at = vector["timestamp"].as_i64().expect("seconds");
        for (scheme, prefix) in [("standard-webhooks", "webhook"), ("svix", "svix")] {
            let names = ["id", "timestamp", "signature"].map(|name| format!("{prefix}-{name}"));
            let values = [text(&vector, "id"), at.to_string(), text(&vector, "signature")];
            let fields: Vec<(&str, String)> = names.iter().map(String::as_str).zip(values).collect();
            check(scheme, &text(&vector, "secret"), &fields, &text(&vector, "body"), at);
        }
    }
}

#[test]
fn the_vectors_of_senders_hold() {
    for scheme in ["github", "stripe", "shopify", "meta", "slack"] {
        for vector in vectors(scheme) {
            let at = vector["timestamp"].as_i64().unwrap_or(0);
            let (name, value) = (text(&vector, "header"), text(&vector, "value"));
            let fields = [(name.as_str(), value), ("x-slack-request-timestamp", at.to_string())];
            check(scheme, &text(&vector, "secret"), &fields, &text(&vector, "body"), at);
        }
    }
}

#[test]
fn the_platforms_vectors_hold() {
    for vector in vectors("hex-body-hmac") {
        for (scheme, name) in [
            ("dmhub", "X-DMHub-Signature"),
            ("dmtolead", "X-DMtoLead-Signature"),
            ("docssmith", "x-docssmith-demo2-signature"),
            ("connectgain", "X-Webhook-Signature"),
        ] {
            let fields = [(name, text(&vector, "value"))];
            check(scheme, &text(&vector, "secret"), &fields, &text(&vector, "body"), 0);
        }
    }
}
