//! Sources: inbound webhooks.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::inbound::url_of;
use super::super::input::{self, Id, Params, Patch};
use super::super::page::{self, Page};
use super::steps::{self, StepForm, StepView};
use crate::clock::{mint, random};
use crate::domain::event::EventType;
use crate::domain::id::SourceId;
use crate::domain::key::SourceToken;
use crate::domain::pipeline::Place;
use crate::domain::source::Source;
use crate::domain::time::Timestamp;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sources", post(create).get(list))
        .route("/sources/{id}", get(show).patch(change).delete(delete))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    name: String,
    event_type: Option<String>,
    #[serde(default)]
    verification: Verification,
    #[serde(default)]
    steps: Vec<StepForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    #[serde(default)]
    event_type: Patch<String>,
    verification: Option<Verification>,
    steps: Option<Vec<StepForm>>,
}

/// How requests prove themselves. `none`: by knowing the URL.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verification {
    scheme: Scheme,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    #[default]
    None,
}

#[derive(Serialize)]
struct View<'a> {
    id: SourceId,
    name: &'a str,
    url: String,
    event_type: Option<&'a EventType>,
    verification: Verification,
    steps: Vec<StepView<'a>>,
    created_at: Timestamp,
}

impl<'a> View<'a> {
    fn of(app: &App, source: &'a Source) -> Self {
        Self {
            id: source.id,
            name: &source.name,
            url: url_of(app, &source.token),
            event_type: source.event_type.as_ref(),
            verification: Verification::default(),
            steps: steps::views(&source.pipeline),
            created_at: source.created_at,
        }
    }
}

/// `POST /v1/sources`
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<Response, ApiError> {
    // There is nothing to keep of the one scheme there is.
    let Verification { scheme: Scheme::None } = form.verification;
    let now = app.clock.now();
    let source = Source {
        id: mint(now),
        tenant: caller.id(),
        name: input::name(form.name)?,
        token: SourceToken::new(random()),
        event_type: form.event_type.map(|text| input::field("event_type", &text)).transpose()?,
        pipeline: steps::pipeline(&app, &caller, Place::Source, form.steps).await?,
        created_at: now,
    };
    app.catalog.create_source(&source).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok((StatusCode::CREATED, Json(View::of(&app, &source))).into_response())
}

#[derive(Deserialize)]
struct ListParams {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/sources`
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let limit = page::limit(params.limit)?;
    let before: Option<SourceId> = page::cursor(params.cursor.as_deref())?;
    let sources = caller.picture().sources.values().rev();
    let found = sources.filter(|source| before.is_none_or(|before| source.id < before)).take(limit as usize + 1);
    let page = Page::of(found.collect(), limit, |source| source.id, |source| View::of(&app, source));
    Ok(Json(page).into_response())
}

/// `GET /v1/sources/{id}`
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<SourceId>) -> Result<Response, ApiError> {
    let source = caller.picture().sources.get(&id).ok_or(ApiError::NotFound)?;
    Ok(Json(View::of(&app, source)).into_response())
}

/// `PATCH /v1/sources/{id}`
async fn change(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<SourceId>,
    input::Json(change): input::Json<Change>,
) -> Result<Response, ApiError> {
    let mut source = caller.picture().sources.get(&id).ok_or(ApiError::NotFound)?.clone();
    if let Some(name) = change.name {
        source.name = input::name(name)?;
    }
    match change.event_type {
        Patch::Keep => {}
        Patch::Clear => source.event_type = None,
        Patch::Set(text) => source.event_type = Some(input::field("event_type", &text)?),
    }
    let Verification { scheme: Scheme::None } = change.verification.unwrap_or_default();
    if let Some(forms) = change.steps {
        source.pipeline = steps::pipeline(&app, &caller, Place::Source, forms).await?;
    }
    app.catalog.update_source(&source).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(Json(View::of(&app, &source)).into_response())
}

/// `DELETE /v1/sources/{id}`: the URL ends at once; its requests stay.
async fn delete(State(app): State<App>, caller: TenantCaller, Id(id): Id<SourceId>) -> Result<StatusCode, ApiError> {
    app.catalog.delete_source(caller.id(), id).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}
