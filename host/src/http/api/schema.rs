//! What the API's document says of the domain's types. The domain knows no
//! OpenAPI: its words and identifiers are described here, its structures by
//! [`mirrors`], which `tests/it/openapi.rs` holds against real answers.

use std::borrow::Cow;

use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::delivery::State;
use crate::domain::event::EventType;
use crate::domain::explain::Reason;
use crate::domain::id;
use crate::domain::oauth::ClientAuth;
use crate::domain::pace::{Order, Period};
use crate::domain::pipeline::{LogLevel, OnFailure};
use crate::domain::place::PlaceId;
use crate::domain::plugin::{Digest, Job, PluginName};
use crate::domain::replay::{Progress, Through};
use crate::domain::retention::Keep;
use crate::domain::role::Role;
use crate::domain::signature::Kind;
use crate::domain::subscription::TypePattern;
use crate::domain::time::Timestamp;
use crate::domain::user::ROLES;
use crate::domain::value_signature::Encoding;

#[expect(dead_code, reason = "they are read by the derive, and never made")]
mod mirrors;

/// A component (`application/wasm`), as a body.
pub(super) struct Component;

/// One event, or a list of them.
pub(super) struct Published;

/// A role that people can have.
pub(super) struct UserRole;

/// A named schema that is given by a function.
macro_rules! described {
    ($($type:ty = $name:literal: $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )*};
}

described! {
    Timestamp = "Timestamp": text("An instant (RFC 3339); answers have it in milliseconds and UTC.", "2026-11-21T08:30:00.000Z")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    EventType = "EventType": text("What kind of event it is: words with dots between them.", "order.paid")
        .pattern(Some("^[A-Za-z0-9_.:/-]{1,128}$"));
    TypePattern = "TypePattern": text("An event type in which `*` stands for any run of characters.", "order.*")
        .pattern(Some("^[A-Za-z0-9_.:/*-]{1,128}$"));
    PluginName = "PluginName": text("Lower case letters, digits and hyphens, at most 64.", "tag-filter")
        .pattern(Some("^[a-z][a-z0-9-]{0,63}$"));
    Digest = "Digest": text("The SHA-256 of a component.", &format!("sha256:{}", "0".repeat(64)))
        .pattern(Some("^sha256:[0-9a-f]{64}$"));
    Keep = "Keep": text("For how long: days, hours or minutes, an hour at least; or `forever`.", "30d")
        .pattern(Some("^([0-9]+[dhm]|forever)$"));
    PlaceId = "PlaceId": text("The id of a source or an endpoint.", "ep_01arz3ndektsv4rrffq69g5fav")
        .pattern(Some("^(src|ep)_[0-9a-hjkmnp-tv-z]{26}$"));

    id::TenantId = "TenantId": identifier("ten", "A tenant's id.");
    id::KeyId = "KeyId": identifier("key", "An API key's id.");
    id::UserId = "UserId": identifier("usr", "A user's id.");
    id::SourceId = "SourceId": identifier("src", "A source's id.");
    id::EndpointId = "EndpointId": identifier("ep", "An endpoint's id.");
    id::RequestId = "RequestId": identifier("req", "A request's id.");
    id::EventId = "EventId": identifier("evt", "An event's id.");
    id::DeliveryId = "DeliveryId": identifier("dlv", "A delivery's id.");
    id::ReplayId = "ReplayId": identifier("rpl", "A replay's id.");
    id::AttemptId = "AttemptId": identifier("att", "An attempt's id.");
    id::AuditId = "AuditId": identifier("aud", "The id of an entry in the audit log.");
    id::ErasureId = "ErasureId": identifier("era", "An erasure's id.");
    id::HostId = "HostId": identifier("host", "The id of one run of a server.");

    Role = "Role": words("What the holder of a key may do.", &Role::ALL.map(Role::as_str));
    UserRole = "UserRole": words("What somebody may do.", &ROLES.map(Role::as_str));
    State = "DeliveryState": words("Where a delivery stands.", &State::ALL.map(State::as_str));
    ClientAuth = "ClientAuth": words("Where the client's name and secret stand.", &["basic", "body"]);
    Encoding = "Encoding": words("How a signature's bytes are written.", &["hex", "base64"]);
    Period = "Period": words("What a rate is counted over.", &["second", "minute", "hour"]);
    LogLevel = "LogLevel": words("How much a plugin's line matters to it.", &["debug", "info", "warn", "error"]);
    OnFailure = "OnFailure": words(
        "What happens to an event when its step refuses it or misbehaves: the delivery is dead (or the request \
         quarantined), it goes on as if the step were not there, or it is not wanted.",
        &["fail", "pass", "drop"],
    );
    Job = "Job": words("What a plugin does in a pipeline.", &["mapper", "filter", "transformer"]);
    Progress = "ReplayState": words("Whether a replay goes on.", &["running", "done", "cancelled"]);
    Through = "Through": words(
        "The message of then, or what the endpoint's pipeline makes of the event now.",
        &["as-sent", "current"],
    );
    Kind = "SignatureKind": words(
        "The mechanism of a signature.",
        &["hmac-sha1", "hmac-sha256", "hmac-sha512", "ed25519", "ecdsa-p256-sha256", "token"],
    );
    Reason = "Reason": words("Why an event did or did not get to an endpoint.", REASONS);

    Order = "Order": OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Boolean))
        .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["endpoint", "subject"])))
        .description(Some(
            "First in, first out: `true` (or `\"endpoint\"`) for all of the endpoint's deliveries, `\"subject\"` for those \
             of one subject.",
        ));

    Component = "Component": text("A WebAssembly component.", "").content_media_type("application/wasm");
}

const REASONS: &[&str] = &[
    "delivered",
    "waiting",
    "later",
    "line",
    "circuit",
    "rate",
    "retrying",
    "paused",
    "step",
    "receiver",
    "cancelled",
    "type",
    "account",
    "tag",
    "unverified",
    "disabled",
    "plan-limit",
    "created-later",
    "changed-since",
];

impl PartialSchema for Published {
    fn schema() -> RefOr<Schema> {
        let one = || Ref::from_schema_name("NewEvent");
        let many = ArrayBuilder::new().items(one()).min_items(Some(1)).max_items(Some(super::events::MAX_BATCH));
        RefOr::T(OneOfBuilder::new().item(one()).item(many).into())
    }
}

impl ToSchema for Published {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("NewEvent".to_owned(), super::events::EventForm::schema()));
        super::events::EventForm::schemas(schemas);
    }
}

fn text(description: &str, example: &str) -> ObjectBuilder {
    let examples = Some(example).filter(|example| !example.is_empty());
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).examples(examples)
}

/// As [`id`] writes them.
fn identifier(prefix: &str, description: &str) -> ObjectBuilder {
    text(description, &format!("{prefix}_01arz3ndektsv4rrffq69g5fav"))
        .pattern(Some(format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$")))
}

fn words(description: &str, words: &[&str]) -> ObjectBuilder {
    let words = Some(words.iter().map(|word| word.to_string()));
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).enum_values(words)
}
