//! The shared signature vectors.

use hookyard::domain::signature::SigningSecret;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    #[serde(rename = "standard-webhooks")]
    standard_webhooks: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    secret: String,
    id: String,
    timestamp: i64,
    body: String,
    signature: String,
}

#[test]
fn standard_webhooks_vectors_hold() {
    let vectors: Vectors = serde_json::from_str(include_str!("../vectors/signatures.json")).unwrap();
    assert!(!vectors.standard_webhooks.is_empty());
    for vector in vectors.standard_webhooks {
        let secret = SigningSecret::parse(&vector.secret).unwrap();
        assert_eq!(secret.sign_text(&vector.id, vector.timestamp, vector.body.as_bytes()), vector.signature);
        assert_ne!(secret.sign_text(&vector.id, vector.timestamp + 1, vector.body.as_bytes()), vector.signature);
    }
}
