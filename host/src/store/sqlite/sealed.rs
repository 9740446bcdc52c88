//! What is sealed before it reaches the disk, and under which label.

use super::rows::corrupt;
use crate::domain::header::Header;
use crate::domain::id::EndpointId;
use crate::domain::signature::SigningSecret;
use crate::store::StoreError;
use crate::store::seal::{Label, Seal};

const SECRET: &str = "endpoint-secret";
const HEADERS: &str = "endpoint-headers";

pub(super) fn seal_secret(seal: &Seal, endpoint: EndpointId, secret: &SigningSecret) -> Vec<u8> {
    seal.seal(Label { what: SECRET, whose: &endpoint.to_string() }, secret.key())
}

pub(super) fn open_secret(seal: &Seal, endpoint: EndpointId, sealed: &[u8]) -> Result<SigningSecret, StoreError> {
    let key = seal.open(Label { what: SECRET, whose: &endpoint.to_string() }, sealed);
    key.map(SigningSecret::from_key).map_err(|_| corrupt("endpoint_secrets.sealed"))
}

pub(super) fn seal_headers(seal: &Seal, endpoint: EndpointId, headers: &[Header]) -> Vec<u8> {
    let plain = super::bulk::json(&headers);
    seal.seal(Label { what: HEADERS, whose: &endpoint.to_string() }, plain.as_bytes())
}

pub(super) fn open_headers(seal: &Seal, endpoint: EndpointId, sealed: &[u8]) -> Result<Vec<Header>, StoreError> {
    let plain = seal.open(Label { what: HEADERS, whose: &endpoint.to_string() }, sealed);
    let plain = plain.map_err(|_| corrupt("endpoints.headers"))?;
    serde_json::from_slice(&plain).map_err(|_| corrupt("endpoints.headers"))
}
