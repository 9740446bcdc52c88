//! Errors as callers read them: RFC 9457 problem details with a closed list of
//! types, and the field where there is one.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::exchange::TooSlow;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::gate::Refused;
use crate::intake::IntakeError;
use crate::sandbox::Rejected;
use crate::store::StoreError;
use crate::telemetry::Chain;

/// Why a call was not answered as hoped.
#[derive(Debug)]
pub(super) enum ApiError {
    Unauthenticated,
    /// A key that opens nothing: of whom and why is nobody's business.
    KeyUnknown,
    /// Told to whoever has the key.
    KeyExpired(Timestamp),
    /// The key is valid and its role not enough.
    Role {
        has: Role,
        needs: Role,
    },
    /// The key is valid and this is not for its holder.
    Forbidden,
    /// Not a part of what a portal's session reaches, and why.
    OutsidePortal(&'static str),
    /// Also the answer for another tenant's things: existence is information.
    NotFound,
    NoSuchMethod,
    /// Not JSON, or not the query string that was meant.
    Malformed {
        field: Option<String>,
        problem: String,
    },
    /// Understood, and wrong.
    Invalid {
        field: String,
        problem: String,
    },
    TooLarge {
        limit: usize,
    },
    Conflict {
        field: Option<String>,
        problem: String,
    },
    PluginRejected(Rejected),
    /// The tenant's plan allows no more of it.
    PlanLimit(String),
    /// A request at an inbound URL did not prove who sent it.
    Unproven(String),
    /// An event's data does not fit its type's schema.
    Misfit {
        field: String,
        pointer: String,
        problem: String,
    },
    /// Try again in a moment.
    Busy,
    /// More than the tenant or the source may bring in.
    Limited(Refused),
    /// The disk takes no writes.
    Unwritable,
    /// The tenant has one going, and may have no other beside it.
    OneAtATime(&'static str),
    /// A first-party plugin is not compiled yet.
    Preparing(String),
    /// The exchange took too long. What was begun goes on.
    TimedOut,
    /// The head has both `Content-Length` and `Transfer-Encoding`.
    TwoEnds,
    /// The body dripped in.
    TooSlow,
    /// A fault of ours while answering.
    Crashed,
    Internal(StoreError),
}

/// Why a call was not answered as hoped (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// From a closed list: programs can go by it.
    #[serde(rename = "type")]
    #[schema(pattern = "^urn:hookyard:problem:[a-z-]+$", example = "urn:hookyard:problem:invalid")]
    kind: String,
    title: &'a str,
    status: u16,
    /// What is wrong and what to do, for people.
    detail: String,
    /// The field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// A JSON Pointer to what is wrong, from the request's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
}

impl ApiError {
    pub(super) fn invalid(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self::Invalid { field: field.into(), problem: problem.to_string() }
    }

    /// Status, the word in the problem's type, and its title.
    fn class(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated | Self::KeyUnknown | Self::KeyExpired(_) => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "A valid API key is needed")
            }
            Self::Forbidden | Self::OutsidePortal(_) | Self::Role { .. } => {
                (StatusCode::FORBIDDEN, "forbidden", "This key may not do that")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "The method is not allowed here"),
            Self::Malformed { .. } | Self::TwoEnds => {
                (StatusCode::BAD_REQUEST, "malformed", "The request could not be read")
            }
            Self::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field is wrong"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::Conflict { .. } => (StatusCode::CONFLICT, "conflict", "It conflicts with what is there"),
            Self::PluginRejected(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "plugin-rejected", "The component was not accepted")
            }
            Self::PlanLimit(_) => (StatusCode::FORBIDDEN, "plan-limit", "The plan allows no more"),
            Self::Unproven(_) => (StatusCode::UNAUTHORIZED, "unproven", "The request did not prove who sent it"),
            Self::Misfit { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "misfit", "The data does not fit its schema"),
            Self::Preparing(_) => (StatusCode::SERVICE_UNAVAILABLE, "preparing", "The plugin is being prepared"),
            Self::Busy | Self::OneAtATime(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much is waiting"),
            Self::Limited(Refused::TenantTooFast { .. } | Refused::SourceTooFast { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many come in")
            }
            Self::Limited(_) => (StatusCode::TOO_MANY_REQUESTS, "quota-spent", "The quota is spent"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "The body came too slowly"),
            Self::Unwritable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unwritable", "The database is away or takes no writes")
            }
            Self::TimedOut => (StatusCode::REQUEST_TIMEOUT, "timed-out", "The exchange took too long"),
            Self::Crashed | Self::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed in here")
            }
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Unauthenticated => "send `Authorization: Bearer <key>`".to_owned(),
            Self::KeyUnknown => {
                "this key is not known: it was revoked, is not from here, or was made at another host less \
                than a second ago"
                    .to_owned()
            }
            Self::KeyExpired(end) => format!("this key expired at {end}; take another"),
            Self::Role { has, needs } => {
                format!("the caller has the role {has}; this needs the role {}", enough_for(*needs))
            }
            Self::Forbidden => "a tenant's key reaches what is the tenant's, the operator's key /v1/tenants".to_owned(),
            Self::OutsidePortal(why) => (*why).to_owned(),
            Self::NotFound => "nothing of yours is at this address".to_owned(),
            Self::NoSuchMethod => "this address exists, but not for this method".to_owned(),
            Self::Malformed { problem, .. }
            | Self::Invalid { problem, .. }
            | Self::Conflict { problem, .. }
            | Self::Misfit { problem, .. }
            | Self::PlanLimit(problem)
            | Self::Unproven(problem) => problem.clone(),
            Self::TooLarge { limit } => format!("at most {limit} bytes are taken"),
            Self::PluginRejected(rejected) => rejected.to_string(),
            Self::Busy => "try again in a second; with an Idempotency-Key no event is stored twice".to_owned(),
            Self::Unwritable => "the server's database cannot be reached or takes no writes, which its log tells; try \
                again in some seconds; with an Idempotency-Key no event is stored twice"
                .to_owned(),
            Self::OneAtATime(what) => format!("{what} of yours is going on; try again when it has ended"),
            Self::Preparing(plugin) => {
                format!("`{plugin}` is being prepared, which happens once after an update; try again in a few seconds")
            }
            Self::TimedOut => "send the whole request within a minute; what was begun may still be done".to_owned(),
            Self::Limited(refused) => {
                format!("{refused}; nothing of this was stored, try again in {} s", whole_seconds(refused.wait()))
            }
            Self::TwoEnds => "send Content-Length or Transfer-Encoding, not both".to_owned(),
            Self::TooSlow => TooSlow.to_string(),
            Self::Crashed | Self::Internal(_) => "the operator's log has the cause".to_owned(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid { field, .. } | Self::Misfit { field, .. } => Some(field),
            Self::Malformed { field, .. } | Self::Conflict { field, .. } => field.as_deref(),
            _ => None,
        }
    }

    fn pointer(&self) -> Option<&str> {
        match self {
            Self::Misfit { pointer, .. } => Some(pointer),
            _ => None,
        }
    }
}

/// Rounded up: not too early, and not at once.
fn whole_seconds(wait: Duration) -> u64 {
    (wait + Duration::from_nanos(999_999_999)).as_secs().max(1)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(error = %Chain(cause), "a call failed");
        }
        let (status, word, title) = self.class();
        let kind = format!("urn:hookyard:problem:{word}");
        let (field, pointer) = (self.field(), self.pointer());
        let problem = Problem { kind, title, status: status.as_u16(), detail: self.detail(), field, pointer };
        let body = serde_json::to_vec(&problem).expect("a problem is text and numbers");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthenticated | Self::KeyUnknown | Self::KeyExpired(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Preparing(_) | Self::Unwritable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::Limited(refused) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(refused.wait())));
            }
            Self::Busy | Self::OneAtATime(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What is left of the body would be read as the next request.
            Self::TooLarge { .. } | Self::TwoEnds | Self::TooSlow | Self::TimedOut => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken => {
                Self::Conflict { field: Some("name".to_owned()), problem: "the name is taken".to_owned() }
            }
            StoreError::NotFound => Self::NotFound,
            StoreError::Changed => Self::Conflict {
                field: None,
                problem: "somebody else changed it meanwhile; look at it again and repeat".to_owned(),
            },
            StoreError::InUse => Self::Conflict {
                field: Some("name".to_owned()),
                problem: "a step uses it; move or remove the step first".to_owned(),
            },
            StoreError::LastAdmin => Self::Conflict {
                field: None,
                problem: "no valid admin key would be left; make another with the role admin first".to_owned(),
            },
            StoreError::Gone => Self::Conflict {
                field: None,
                problem: "its content is not kept any more, as the server's or the tenant's `retention` says; have it \
                          sent again"
                    .to_owned(),
            },
            StoreError::Full | StoreError::Closed => Self::Busy,
            StoreError::Unwritable(_) => Self::Unwritable,
            other => Self::Internal(other),
        }
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Unavailable => Self::Busy,
            other => Self::PluginRejected(other),
        }
    }
}

impl From<IntakeError> for ApiError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::KeyReused => Self::Conflict {
                field: Some("Idempotency-Key".to_owned()),
                problem: "the key was used for another request within the last 24 hours; use a new one".to_owned(),
            },
            IntakeError::Misfit(misfit) => Self::Misfit {
                field: "data".to_owned(),
                pointer: format!("/data{}", misfit.pointer),
                problem: misfit.to_string(),
            },
            IntakeError::Busy => Self::Busy,
            IntakeError::Limited(refused) => Self::Limited(refused),
            IntakeError::Store(error) => error.into(),
        }
    }
}

/// `viewer, member or admin`: the least first.
pub(super) fn enough_for(needs: Role) -> String {
    let mut roles: Vec<&str> =
        Role::ALL.into_iter().rev().filter(|role| role.covers(needs)).map(Role::as_str).collect();
    let most = roles.pop().unwrap_or_default();
    if roles.is_empty() { most.to_owned() } else { format!("{} or {most}", roles.join(", ")) }
}

pub(super) async fn no_such_route() -> ApiError {
    ApiError::NotFound
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}
