//! How others speak on the wire: the platforms that are stood in for, and the makers
//! of webhooks.

use serde::Serialize;
use utoipa::ToSchema;

use super::RetryPolicy;
use crate::domain::signature::Kind;
use crate::domain::value_signature::Encoding;

/// How a platform speaks on the wire.
#[derive(Serialize, ToSchema)]
pub(super) struct Dialect {
    name: String,
    title: String,
    summary: String,
    /// Where it differs from what the platform's page says, and why.
    notes: Vec<String>,
    /// What the dots in event types become on the wire.
    wire_separator: Option<String>,
    envelope: Envelope,
    headers: Vec<NamedTemplate>,
    signature: Vec<SignatureScheme>,
    secret: SecretPolicy,
    handshake: Option<Handshake>,
    /// The house's schedule, when null.
    retry: Option<RetryPolicy>,
    delivery: DeliveryRules,
    url: UrlRules,
    plans: Vec<Plan>,
}

/// What an event travels in.
#[derive(Serialize, ToSchema)]
struct Envelope {
    content_type: String,
    /// `object`, `list` or `data`.
    body: String,
    canonical: Option<String>,
    fields: Vec<NamedTemplate>,
}

/// A member of an object or a header, and the template of its value.
#[derive(Serialize, ToSchema)]
struct NamedTemplate {
    name: String,
    value: String,
}

/// Who makes secrets, and what they are called.
#[derive(Serialize, ToSchema)]
struct SecretPolicy {
    optional: bool,
    name: String,
    prefix: String,
}

/// What is asked of a receiver before the first delivery.
#[derive(Serialize, ToSchema)]
struct Handshake {
    /// `echo` or `options`.
    kind: String,
    deadline_seconds: u64,
    required: bool,
    fields: Vec<NamedTemplate>,
    answer: String,
}

/// How long a receiver may take, and whether its 410 is believed.
#[derive(Serialize, ToSchema)]
struct DeliveryRules {
    deadline_seconds: u64,
    believe_gone: bool,
}

/// What the platform says of URLs.
#[derive(Serialize, ToSchema)]
struct UrlRules {
    https: Option<String>,
}

/// What a plan allows.
#[derive(Serialize, ToSchema)]
struct Plan {
    name: String,
    /// How many URLs; no limit, when null.
    endpoints: Option<u32>,
}

/// A maker of webhooks.
#[derive(Serialize, ToSchema)]
pub(super) struct Sender {
    name: String,
    title: String,
    summary: String,
    /// What to give as the secret, and where the sender shows it.
    secret: Option<String>,
    signature: Vec<SignatureScheme>,
    challenge: Option<Challenge>,
}

/// A request that asks for a word back instead of bringing an event.
#[derive(Serialize, ToSchema)]
struct Challenge {
    method: String,
    when: Condition,
    token: Option<String>,
    answer: String,
    signed: bool,
}

/// Something in a request that has one value.
#[derive(Serialize, ToSchema)]
struct Condition {
    at: String,
    equals: String,
}

/// How a signature is made and found.
#[derive(Serialize, ToSchema)]
struct SignatureScheme {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    kind: Kind,
    /// `text`, `standard`, `ed25519` or `spki`.
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<SignatureTimestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageSignature>,
}

/// When a request was signed, and how long it may be on its way.
#[derive(Serialize, ToSchema)]
struct SignatureTimestamp {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    prefix: String,
    tolerance_seconds: u32,
}

/// How whole messages are signed (RFC 9421).
#[derive(Serialize, ToSchema)]
struct MessageSignature {
    label: String,
    components: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_seconds: Option<u32>,
    tolerance_seconds: u32,
}
