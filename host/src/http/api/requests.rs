//! Requests: what sources received, and running one again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{Id, Params};
use super::super::page::{self, SearchedPage};
use crate::domain::audit::Action;
use crate::domain::header::Header;
use crate::domain::id::{EventId, RequestId, SourceId};
use crate::domain::pipeline::StepReport;
use crate::domain::request::Fate;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{LoggedRequest, RequestQuery};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(rerun))
}

/// A request in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Request)]
struct Summary {
    id: RequestId,
    source_id: SourceId,
    received_at: Timestamp,
    method: String,
    #[serde(flatten)]
    fate: Fate,
    /// Of the body; null once that is not kept any more.
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_gone_at: Option<Timestamp>,
}

/// A request with all that is known of it.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestDetails)]
struct Whole {
    #[serde(flatten)]
    summary: Summary,
    query: String,
    headers: Vec<Header>,
    #[serde(flatten)]
    body: Bytes,
    steps: Vec<StepReport>,
    event_ids: Vec<EventId>,
}

/// Bytes in JSON: `body` where they are text, `body_base64` where they are not.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Bytes {
    Text { body: String },
    Binary { body_base64: String },
}

impl Bytes {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text { body: text.to_owned() },
            Err(_) => Self::Binary { body_base64: STANDARD.encode(bytes) },
        }
    }
}

impl Summary {
    fn of(logged: LoggedRequest) -> Self {
        Self {
            id: logged.id,
            source_id: logged.source,
            received_at: logged.received_at,
            method: logged.method,
            bytes: logged.body_gone_at.is_none().then_some(logged.bytes),
            body_gone_at: logged.body_gone_at,
            fate: logged.fate,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// A source's id.
    source: Option<String>,
    /// `accepted`, `ignored`, `quarantined`, `answered` or `refused`.
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists what sources received, newest first.
///
/// A state of one source is looked for in 20,000 of its requests at a time: `searched` says so, and `next` goes on from
/// there.
#[utoipa::path(
    get,
    path = "/requests",
    operation_id = "list_requests",
    tag = "requests",
    params(ListParams),
    responses((status = 200, body = SearchedPage<Summary>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<SearchedPage<Summary>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let wrong = |_| ApiError::invalid("source", "give the id of a source");
    let query = RequestQuery {
        source: params.source.map(|text| text.parse().map_err(wrong)).transpose()?,
        state: params.state.map(known_state).transpose()?,
        older_than: page::cursor(params.cursor.as_deref())?,
        limit,
    };
    let found = app.ledger.requests(caller.id(), query).await?;
    Ok(Json(SearchedPage::of(found, Summary::of)))
}

fn known_state(state: String) -> Result<String, ApiError> {
    match state.as_str() {
        "accepted" | "ignored" | "quarantined" | "answered" | "refused" => Ok(state),
        _ => Err(ApiError::invalid("state", "give accepted, ignored, quarantined, answered or refused")),
    }
}

/// Shows a request as it was received, and what became of it.
#[utoipa::path(
    get,
    path = "/requests/{id}",
    operation_id = "show_request",
    tag = "requests",
    responses((status = 200, body = Whole)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<RequestId>) -> Result<Json<Whole>, ApiError> {
    let stored = app.ledger.request(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    let event_ids = app.ledger.events_of(caller.id(), id).await?;
    Ok(Json(Whole {
        query: stored.request.query.clone(),
        headers: stored.request.headers.clone(),
        body: Bytes::of(&stored.request.body),
        steps: stored.steps.clone(),
        event_ids,
        summary: Summary::of(stored.logged()),
    }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = RerunReceipt)]
struct Rerun {
    request_id: RequestId,
    event_ids: Vec<EventId>,
}

/// Runs a request again, through its source's pipeline as it is now.
///
/// Only one that led to nothing, and that proved who sent it.
#[utoipa::path(
    post,
    path = "/requests/{id}/rerun",
    operation_id = "rerun_request",
    tag = "requests",
    responses((status = 202, body = Rerun), (status = 409), (status = 429)),
)]
async fn rerun(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<RequestId>,
) -> Result<(StatusCode, Json<Rerun>), ApiError> {
    let stored = app.ledger.request(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    if stored.fate == Fate::Accepted {
        let problem = "the request became events already; replay their deliveries instead".to_owned();
        return Err(ApiError::Conflict { field: None, problem });
    }
    let unproven = match stored.fate {
        Fate::Refused { .. } => Some("the request did not prove who sent it, so nothing is made of it"),
        Fate::Answered => Some("the request was its sender's handshake and is no event"),
        Fate::Accepted | Fate::Ignored { .. } | Fate::Quarantined { .. } => None,
    };
    if stored.body_gone_at.is_some() {
        return Err(StoreError::Gone.into());
    }
    if let Some(problem) = unproven {
        return Err(ApiError::Conflict { field: None, problem: format!("{problem}; have it sent again") });
    }
    let source = caller.picture().sources.get(&stored.request.source).ok_or_else(|| ApiError::Conflict {
        field: None,
        problem: "the source was deleted, so there is no pipeline to run it through".to_owned(),
    })?;
    app.catalog.noting(caller.entry(&app, Action::RequestRerun, id, Vec::new())).note().await?;
    let receipt = app.intake.rerun(caller.picture(), source, stored).await?;
    let rerun = Rerun { request_id: receipt.request_id, event_ids: receipt.event_ids };
    Ok((StatusCode::ACCEPTED, Json(rerun)))
}
