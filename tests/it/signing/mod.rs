//! Signatures of every kind, verified by other people's code: key pairs that the
//! server makes, and whole messages as RFC 9421 has them.

mod documented;
mod leaks;
mod master_key;
mod messages;
mod pairs;

use hookyard_tests::{Api, Arrived};
use serde_json::{Map, Value};

/// A request's headers, as the oracles take them.
fn headers(request: &Arrived) -> Map<String, Value> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    request.headers.iter().map(|(name, value)| (name.to_string(), Value::String(text(value)))).collect()
}

/// A tenant's public keys, asked for without a key.
async fn keys(jwks_url: &str) -> Vec<Value> {
    let answer = Api::new("", None).get(jwks_url).await;
    assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    answer.expect(200)["keys"].as_array().expect("keys").clone()
}
