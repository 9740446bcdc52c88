//! What is done to an endpoint that exists.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::super::App;
use super::super::super::auth::TenantCaller;
use super::super::super::error::ApiError;
use super::super::super::input::{self, Id};
use super::super::tenants;
use super::signing::{self, SigningView};
use super::view::View;
use super::{find, save};
use crate::clock::random;
use crate::domain::audit::{Action, Change};
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::event::{Draft, EventType};
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::time::Timestamp;

/// How long an old secret goes on signing, unless told otherwise: a day.
const DEFAULT_OVERLAP: u64 = 24 * 60 * 60;
/// And at most: seven days.
const MAX_OVERLAP: u64 = 7 * DEFAULT_OVERLAP;
/// What a test event is called when nothing says otherwise.
const TEST_TYPE: &str = "hookyard.test";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(verify))
        .routes(routes!(test))
        .routes(routes!(rotate_secret))
}

fn conflict(problem: String) -> ApiError {
    ApiError::Conflict { field: None, problem }
}

/// Pauses an endpoint: deliveries are made and held.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/pause",
    operation_id = "pause_endpoint",
    tag = "endpoints",
    responses((status = 200, body = View), (status = 409)),
)]
async fn pause(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    let before = find(&caller, id)?;
    let mut endpoint = before.clone();
    match &endpoint.status {
        Status::Disabled { reason } => {
            return Err(conflict(format!("the endpoint is disabled: {reason}; set `active` to true first")));
        }
        Status::Unverified { reason } => return Err(unverified(reason)),
        Status::Active | Status::Paused => {}
    }
    endpoint.status = Status::Paused;
    save(&app, &caller, Action::EndpointPaused, (endpoint, &before)).await
}

/// Resumes an endpoint: what was held goes out.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/resume",
    operation_id = "resume_endpoint",
    tag = "endpoints",
    responses((status = 200, body = View), (status = 409)),
)]
async fn resume(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    let before = find(&caller, id)?;
    let mut endpoint = before.clone();
    endpoint.status = match &endpoint.status {
        Status::Unverified { reason } => return Err(unverified(reason)),
        Status::Disabled { .. } => super::first_status(&*tenants::dialect(&app, &endpoint.dialect)?, true),
        Status::Active | Status::Paused => Status::Active,
    };
    save(&app, &caller, Action::EndpointResumed, (endpoint, &before)).await
}

fn unverified(reason: &str) -> ApiError {
    conflict(format!("the endpoint is not verified: {reason}; `POST .../verify` asks the receiver again"))
}

/// Asks the receiver again whether it takes the endpoint's deliveries.
///
/// Only where the dialect has a handshake.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/verify",
    operation_id = "verify_endpoint",
    tag = "endpoints",
    responses((status = 200, body = View), (status = 409)),
)]
async fn verify(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    let endpoint = find(&caller, id)?;
    let dialect = tenants::dialect(&app, &endpoint.dialect)?;
    if dialect.handshake.is_none() {
        return Err(conflict(format!("{} has no handshake: there is nothing to verify", dialect.title)));
    }
    if let Status::Disabled { reason } = &endpoint.status {
        return Err(conflict(format!("the endpoint is disabled: {reason}; set `active` to true instead")));
    }
    if !app.handoff.verify(endpoint, caller.author()).await {
        return Err(ApiError::Busy);
    }
    let part = app.picture.tenant(caller.id()).ok_or(ApiError::NotFound)?;
    let sealed = part.endpoints.get(&id).ok_or(ApiError::NotFound)?;
    Ok(Json(super::view(&app, &sealed.endpoint)).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTest)]
struct TestForm {
    #[serde(rename = "type")]
    #[schema(value_type = Option<EventType>)]
    event_type: Option<String>,
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    subject: Option<String>,
    account: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Test)]
struct Tested {
    event_id: EventId,
    delivery_id: DeliveryId,
    #[serde(rename = "type")]
    event_type: EventType,
}

/// Sends a test event to this endpoint alone.
///
/// On the way that every event takes. Without `data` it is the catalogue's example of the type.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/test",
    operation_id = "test_endpoint",
    tag = "endpoints",
    request_body(content = TestForm, example = json!({"type": "order.paid", "data": {"id": 7}})),
    responses((status = 202, body = Tested), (status = 409), (status = 429)),
)]
async fn test(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(form): input::Json<TestForm>,
) -> Result<(StatusCode, Json<Tested>), ApiError> {
    let sealed = caller.picture().endpoints.get(&id).ok_or(ApiError::NotFound)?;
    match &sealed.endpoint.status {
        Status::Active => {}
        Status::Unverified { reason } => return Err(unverified(reason)),
        Status::Paused => return Err(conflict("the endpoint is paused; resume it first".to_owned())),
        Status::Disabled { reason } => {
            return Err(conflict(format!("the endpoint is disabled: {reason}; set `active` to true first")));
        }
    }
    let dialect = tenants::dialect(&app, &sealed.endpoint.dialect)?;
    let event_type = match &form.event_type {
        Some(text) => input::field("type", text)?,
        None => usual_type(&caller, &dialect, &sealed.endpoint),
    };
    let data = match form.data {
        Some(data) => data,
        None => example(&caller, &dialect, &event_type),
    };
    let draft = Draft {
        event_type: event_type.clone(),
        occurred_at: None,
        deliver_at: None,
        subject: form.subject,
        account: form.account,
        tags: form.tags,
        data: data.into(),
    };
    let draft = draft.check().map_err(|error| ApiError::invalid(error.field, error.problem))?;
    // Whoever tests wants to know now.
    app.handoff.lanes.probe(id);
    let sent = app.intake.send_test(caller.picture(), sealed, draft).await?;
    let (event_id, delivery_id) = sent.ok_or(ApiError::NotFound)?;
    Ok((StatusCode::ACCEPTED, Json(Tested { event_id, delivery_id, event_type })))
}

/// The first type of the catalogue that the endpoint selects; or the first that
/// it names itself.
fn usual_type(caller: &TenantCaller, dialect: &Dialect, endpoint: &Endpoint) -> EventType {
    let own = caller.picture().event_types.values().map(|own| &own.kind);
    let known = dialect.events.iter().chain(own).map(|kind| &kind.event_type);
    let selected = known.filter(|event_type| !dialect.is_handshakes(event_type.as_str())).find(|event_type| {
        let (name, wire_name) = (event_type.as_str(), dialect.wire_name(event_type.as_str()));
        endpoint.subscription.fits_type(name) || endpoint.subscription.fits_type(&wire_name)
    });
    let named = || endpoint.subscription.first_named().and_then(|name| name.parse().ok());
    selected.cloned().or_else(named).unwrap_or_else(|| TEST_TYPE.parse().expect("it is an event type"))
}

/// The catalogue's example of the type.
fn example(caller: &TenantCaller, dialect: &Dialect, event_type: &EventType) -> Box<RawValue> {
    let own = caller.picture().event_types.get(event_type).and_then(|own| own.kind.example.as_ref());
    let of_dialect = || dialect.kinds().find(|kind| kind.event_type == *event_type)?.example.as_ref();
    let otherwise = serde_json::json!({"message": "This is a test event."});
    let example = own.or_else(of_dialect).unwrap_or(&otherwise);
    serde_json::value::to_raw_value(example).expect("an example is JSON")
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRotation)]
struct RotateForm {
    #[schema(maximum = 604800)]
    overlap_seconds: Option<u64>,
    secret: Option<String>,
    /// The one that it has, when absent.
    signature: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Rotation)]
struct Rotated<'a> {
    /// Shown once; null where it is a key pair that was made here.
    secret: Option<&'a str>,
    #[serde(flatten)]
    signing: SigningView,
    /// Until then messages carry a signature of each secret; where there is room
    /// for one only, it is the old secret's.
    overlap_until: Timestamp,
}

/// Gives an endpoint another secret; for a while both sign.
///
/// The new one is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/rotate-secret",
    operation_id = "rotate_secret",
    tag = "endpoints",
    request_body(content = RotateForm, example = json!({"overlap_seconds": 3600})),
    responses((status = 200, body = Rotated), (status = 409)),
)]
async fn rotate_secret(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(form): input::Json<RotateForm>,
) -> Result<Response, ApiError> {
    let sealed = caller.picture().endpoints.get(&id).ok_or(ApiError::NotFound)?;
    let dialect = tenants::dialect(&app, &sealed.endpoint.dialect)?;
    let usual = if dialect.signs_with_several() { DEFAULT_OVERLAP } else { 0 };
    let overlap = form.overlap_seconds.unwrap_or(usual);
    if overlap > MAX_OVERLAP {
        return Err(ApiError::invalid("overlap_seconds", format!("give 0 to {MAX_OVERLAP}")));
    }
    let current = sealed.secrets.first().filter(|_| form.secret.is_none() && !dialect.secret.optional);
    let wanted = match form.signature.as_deref() {
        None => current.and_then(|overlap| dialect.scheme_for(&overlap.secret)),
        name => signing::wanted(&dialect, name)?,
    };
    let secret = dialect.secret(wanted, form.secret.as_deref(), random()).map_err(signing::refused)?;
    let secret = secret.ok_or_else(|| {
        ApiError::invalid("secret", format!("{} makes none; give the one that it is to sign with", dialect.title))
    })?;
    let now = app.clock.now();
    let overlap_until = now + Duration::from_secs(overlap);
    let until = Change::new("overlap_until", Value::Null, json!(overlap_until));
    let entry = caller.entry(&app, Action::EndpointSecretRotated, id, vec![Change::secret("secret"), until]);
    app.catalog.noting(entry).rotate_secret(caller.id(), id, &secret, now, overlap_until).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    let shown = signing::shown(&dialect, &secret, form.secret.is_some());
    let signing = SigningView::of_secret(&app, &sealed.endpoint, &dialect, &secret);
    Ok(Json(Rotated { secret: shown, signing, overlap_until }).into_response())
}
