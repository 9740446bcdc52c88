//! Erasures: all that is kept of one subject, made to be gone.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::page::{self, Page};
use crate::clock::mint;
use crate::domain::audit::Action;
use crate::domain::erasure::Erasure;
use crate::domain::event::check_label;
use crate::domain::id::ErasureId;
use crate::store::StoreError;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ask, list)).routes(routes!(show))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewErasure)]
struct Form {
    #[schema(min_length = 1, max_length = 256)]
    subject: String,
}

/// Has all that is kept of a subject erased.
///
/// 202 means that it will be done, whatever happens to the server.
#[utoipa::path(
    post,
    path = "/erasures",
    operation_id = "erase_subject",
    tag = "erasures",
    request_body(content = Form, example = json!({"subject": "customer-7"})),
    responses((status = 202, body = Erasure), (status = 409)),
)]
async fn ask(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Erasure>), ApiError> {
    check_label(&form.subject).map_err(|problem| ApiError::invalid("subject", problem))?;
    let now = app.clock.now();
    let id: ErasureId = mint(now);
    // Without the subject, which is to be forgotten.
    app.catalog.noting(caller.entry(&app, Action::ErasureAsked, id, Vec::new())).note().await?;
    app.ledger.ask_erasure(caller.id(), id, form.subject, now).await.map_err(|error| match error {
        StoreError::OverLimit => ApiError::Conflict {
            field: None,
            problem: "100 erasures are not done yet; wait for some of them and ask again".to_owned(),
        },
        other => other.into(),
    })?;
    let erasure = app.ledger.erasure(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    Ok((StatusCode::ACCEPTED, Json(erasure)))
}

/// Shows how far an erasure has come.
#[utoipa::path(
    get,
    path = "/erasures/{id}",
    operation_id = "show_erasure",
    tag = "erasures",
    responses((status = 200, body = Erasure)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<ErasureId>) -> Result<Json<Erasure>, ApiError> {
    app.ledger.erasure(caller.id(), id).await?.map(Json).ok_or(ApiError::NotFound)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists erasures, newest first.
#[utoipa::path(
    get,
    path = "/erasures",
    operation_id = "list_erasures",
    tag = "erasures",
    params(ListParams),
    responses((status = 200, body = Page<Erasure>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Erasure>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let older_than = page::cursor(params.cursor.as_deref())?;
    let found = app.ledger.erasures(caller.id(), older_than, limit + 1).await?;
    Ok(Json(Page::of(found, limit, |erasure| erasure.id, |erasure| erasure)))
}
