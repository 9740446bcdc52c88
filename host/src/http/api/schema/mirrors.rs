//! The domain's structures as the API writes them. Each is described under the
//! name that it has here.

mod wire;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain;
use crate::domain::event::EventType;
use crate::domain::explain::Reason;
use crate::domain::id::{ErasureId, EventId, RequestId, TenantId};
use crate::domain::pace::Period;
use crate::domain::pipeline::{LogLevel, OnFailure};
use crate::domain::place::PlaceId;
use crate::domain::plugin::{Job, PluginName};
use crate::domain::retention::Keep;
use crate::domain::time::Timestamp;
use crate::domain::value_signature::Encoding;

/// A type of the domain is described as its mirror is.
macro_rules! mirrored {
    ($($type:ty => $mirror:ty;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                <$mirror as PartialSchema>::schema()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                <$mirror as ToSchema>::name()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$mirror as ToSchema>::schemas(schemas);
            }
        }
    )*};
}

mirrored! {
    domain::audit::Change => FieldChange;
    domain::budget::Budget => Budget;
    domain::dialect::Dialect => wire::Dialect;
    domain::diff::Difference => Difference;
    domain::erasure::Erasure => Erasure;
    domain::event::Event => Event;
    domain::event_type::EventKind => EventKind;
    domain::explain::Explanation => Explanation;
    domain::grants::Grants => Grants;
    domain::header::Header => Header;
    domain::jwk::Jwk => Jwk;
    domain::limits::Limits => Limits;
    domain::verification::Options => VerificationOptions;
    domain::pace::RateLimit => RateLimit;
    domain::pipeline::StepReport => StepReport;
    domain::plugin::Description => PluginDescription;
    domain::request::Fate => Fate;
    domain::retention::OwnRetention => Retention;
    domain::retry::RetryPolicy => RetryPolicy;
    domain::sender::Sender => wire::Sender;
    domain::tenant::Tenant => Tenant;
    domain::upgrade::Moved => MovedStep;
    domain::usage::Counted => Counted;
    domain::usage::Usage => Usage;
}

/// Something that happened in a tenant.
#[derive(Serialize, ToSchema)]
struct Event {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    occurred_at: Timestamp,
    received_at: Timestamp,
    /// Not sent before; at once, when null.
    deliver_at: Option<Timestamp>,
    subject: Option<String>,
    account: Option<String>,
    tags: Vec<String>,
    /// As it was published. Null in lists, and once it is not kept any more.
    data: Value,
    /// The request that it was made of, when a source received it.
    request_id: Option<RequestId>,
    /// The trace that it is part of (W3C Trace Context), where it is part of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    /// When its data went.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_gone_at: Option<Timestamp>,
}

/// A field that changed. What is absent was not set, or is not shown.
#[derive(Serialize, ToSchema)]
struct FieldChange {
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
    /// Why neither value is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<WhyHidden>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum WhyHidden {
    Secret,
    Long,
}

/// What one call of a plugin may use. What is left out is the default.
#[derive(Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Budget {
    /// Units of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    /// Bytes of linear memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    /// Bytes that may cross to the host at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<u64>,
    /// Bytes of log that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<u64>,
}

/// What a step may reach. Nothing, unless its tenant says so.
#[derive(Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Grants {
    /// Earlier events of the same subject.
    #[serde(skip_serializing_if = "not")]
    history: bool,
    #[serde(skip_serializing_if = "not")]
    summaries: bool,
    /// The names of the secrets that it may sign with.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    secrets: BTreeSet<String>,
    #[serde(skip_serializing_if = "not")]
    state: bool,
    /// The hosts that it may send requests to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    http: BTreeSet<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn not(value: &bool) -> bool {
    !value
}

/// One place where two documents differ.
#[derive(Serialize, ToSchema)]
struct Difference {
    /// A JSON Pointer.
    path: String,
    /// Absent where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// Absent where there is nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// An erasure, and what came of it so far.
#[derive(Serialize, ToSchema)]
struct Erasure {
    id: ErasureId,
    state: ErasureState,
    /// Null once it is erased.
    subject: Option<String>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    erased: Erased,
}

/// Rows are being deleted; their bytes are being overwritten; nothing is left.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ErasureState {
    Erasing,
    Wiping,
    Done,
}

/// How much is gone.
#[derive(Serialize, ToSchema)]
struct Erased {
    events: u64,
    deliveries: u64,
    attempts: u64,
    requests: u64,
    /// Values that steps kept under the subject.
    state_values: u64,
}

/// A type of event: what it means, and what its data looks like.
#[derive(Serialize, ToSchema)]
struct EventKind {
    #[serde(rename = "type")]
    event_type: EventType,
    name: String,
    description: String,
    /// A JSON Schema (2020-12) of the data.
    schema: Option<Value>,
    example: Option<Value>,
}

/// What happened, and what to do.
#[derive(Serialize, ToSchema)]
struct Explanation {
    /// A delivery's state, or `skipped`.
    state: String,
    reason: Reason,
    summary: String,
    /// Null when there is nothing to do.
    advice: Option<String>,
}

/// A header field; its name is in lower case.
#[derive(Serialize, ToSchema)]
struct Header {
    name: String,
    value: String,
}

/// A public key (RFC 7517, RFC 8037).
#[derive(Serialize, ToSchema)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    #[serde(rename = "use")]
    usage: String,
    alg: String,
}

/// What the operator lets a tenant have. What is left out is the default.
#[derive(Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    /// The most that a call of a plugin may use.
    fuel: u64,
    memory: u64,
    output: u64,
    log: u64,
    /// Null: no limit.
    events_per_second: Option<u32>,
    events_per_day: Option<u64>,
    events_per_month: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        let domain::budget::Ceilings { fuel, memory, output, log } = domain::budget::Ceilings::default();
        Self { fuel, memory, output, log, events_per_second: None, events_per_day: None, events_per_month: None }
    }
}

/// How long a tenant's past is kept, where that is shorter than the server keeps
/// it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retention {
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bodies: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Keep>,
}

/// What there is to choose in a verification. Which scheme takes which is said
/// when one is too much.
#[derive(Serialize, ToSchema)]
struct VerificationOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// A template: `{timestamp}.{body}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance_seconds: Option<u32>,
}

/// The hash function under an HMAC.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// At most so many requests in each second, minute or hour.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    limit: u32,
    per: Period,
}

/// What one step came to, with what it cost and what it said.
#[derive(Serialize, ToSchema)]
struct StepReport {
    plugin: PluginName,
    version: u32,
    job: Job,
    #[serde(flatten)]
    outcome: StepOutcome,
    /// It failed, and this was done instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<OnFailure>,
    log: Vec<LogLine>,
    /// Deterministic units of work.
    fuel: u64,
    duration_us: u64,
    /// Bytes at the end of the call.
    memory: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
enum StepOutcome {
    /// A mapper made this many events.
    Mapped { events: usize },
    /// A filter let the event through.
    Kept,
    /// A filter stopped the event.
    Dropped { reason: String },
    /// A transformer made a message.
    Transformed,
    /// The plugin said no on purpose.
    Refused { code: String, message: String },
    /// The plugin misbehaved.
    Faulted {
        limit: String,
        message: String,
        /// The functions that were running, the innermost first.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        backtrace: Vec<String>,
    },
}

/// A line that a plugin wrote.
#[derive(Serialize, ToSchema)]
struct LogLine {
    level: LogLevel,
    text: String,
}

/// What a plugin says of itself.
#[derive(Serialize, ToSchema)]
struct PluginDescription {
    name: String,
    version: String,
    summary: String,
    /// A JSON Schema.
    config_schema: Value,
    capabilities: Vec<String>,
    examples: Vec<PluginExample>,
}

/// A case that is run when the plugin is uploaded.
#[derive(Serialize, ToSchema)]
struct PluginExample {
    name: String,
    job: Job,
    config: Value,
    input: Value,
    output: Value,
}

/// What became of a request.
#[derive(Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Fate {
    /// It became events.
    Accepted,
    /// The pipeline understood it and wanted nothing of it.
    Ignored { reason: String },
    /// The pipeline could not make events of it. It can be run again.
    Quarantined { reason: String },
    /// It was its sender's handshake.
    Answered,
    /// It did not prove who sent it.
    Refused { reason: String },
}

/// When failed attempts are made again.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryPolicy {
    /// The delay in seconds after each failed attempt but the last.
    schedule: Vec<u64>,
    /// How far a delay may move, as a share of it.
    #[schema(required = false)]
    jitter: f64,
}

/// One customer of whoever runs the server.
#[derive(Serialize, ToSchema)]
struct Tenant {
    id: TenantId,
    name: String,
    plan: Option<String>,
    dialect: String,
    limits: Limits,
    retention: Retention,
    created_at: Timestamp,
}

/// A step that changed its version.
#[derive(Serialize, ToSchema)]
struct MovedStep {
    /// The source or endpoint whose step it is.
    whose: PlaceId,
    /// Counted from 0.
    step: usize,
    from: u32,
    to: u32,
}

/// Events on their way in.
#[derive(Serialize, ToSchema)]
struct Counted {
    taken: u64,
    /// By a limit. A request to a source is one.
    refused: u64,
}

/// What the calls of a plugin came to.
#[derive(Serialize, ToSchema)]
struct Usage {
    calls: u64,
    /// Of these, those in which the plugin declined.
    refused: u64,
    /// And those in which it misbehaved.
    faulted: u64,
    fuel: u64,
    duration_us: u64,
    /// The most bytes that one call had.
    memory: u64,
}
