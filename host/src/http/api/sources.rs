//! Sources: inbound webhooks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::inbound::url_of;
use super::super::input::{self, Id, Params, Patch};
use super::super::page::{Page, Paging};
use super::endpoints::RateForm;
use super::steps::{self, StepForm, StepView};
use crate::clock::{mint, random};
use crate::domain::audit::{self, Action};
use crate::domain::event::EventType;
use crate::domain::id::SourceId;
use crate::domain::key::SourceToken;
use crate::domain::pace::RateLimit;
use crate::domain::pipeline::Place;
use crate::domain::role::Role;
use crate::domain::secret::Secret;
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Options, Verification, basic_secret};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, change, delete))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSource)]
struct Form {
    #[schema(min_length = 1, max_length = 256)]
    name: String,
    #[schema(value_type = Option<EventType>)]
    event_type: Option<String>,
    verification: Option<VerificationForm>,
    rate_limit: Option<RateForm>,
    #[serde(default)]
    steps: Vec<StepForm>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SourceChange)]
struct Change {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<EventType>)]
    event_type: Patch<String>,
    verification: Option<VerificationForm>,
    #[serde(default)]
    #[schema(value_type = Option<RateForm>)]
    rate_limit: Patch<RateForm>,
    steps: Option<Vec<StepForm>>,
}

/// How requests prove themselves, as tenants write it.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewVerification)]
struct VerificationForm {
    scheme: String,
    secret: Option<String>,
    /// Of `basic`: another word for the secret.
    password: Option<String>,
    verify_token: Option<String>,
    #[serde(flatten)]
    #[schema(value_type = Options)]
    options: serde_json::Map<String, serde_json::Value>,
}

/// How requests prove themselves, without secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
struct VerificationView<'a> {
    scheme: &'a str,
    #[serde(flatten)]
    options: &'a Options,
    /// Without one, requests that need it are refused.
    has_secret: bool,
}

impl VerificationForm {
    /// What is left out of a change stays, as long as the scheme does.
    fn parse(self, app: &App, current: Option<&Verification>) -> Result<Verification, ApiError> {
        let options: Options =
            serde_path_to_error::deserialize(serde_json::Value::Object(self.options)).map_err(|error| {
                let path = error.path().to_string();
                let problem = error.into_inner().to_string();
                // serde names a field that is too much in its message only.
                let name = problem.split('`').nth(1).filter(|_| path == "." || path == "?");
                ApiError::invalid(format!("verification.{}", name.unwrap_or(&path)), problem)
            })?;
        let given = self.secret.or(self.password);
        let kept = current.filter(|current| current.scheme == self.scheme);
        let text = |secret: &Option<Arc<Secret>>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let secret = match (self.scheme.as_str(), &options.username, given) {
            ("basic", None, _) => return Err(ApiError::invalid("verification.username", "is needed for this scheme")),
            ("basic", Some(username), Some(password)) => Some(basic_secret(username, &password)),
            (_, _, Some(given)) => Some(given),
            (_, username, None) => {
                kept.filter(|kept| kept.options.username == *username).and_then(|kept| text(&kept.secret))
            }
        };
        let verify_token = self.verify_token.or_else(|| kept.and_then(|kept| text(&kept.verify_token)));
        Verification::new(&self.scheme, options, secret, verify_token, &app.senders)
            .map_err(|wrong| ApiError::invalid(format!("verification.{}", wrong.field), wrong.problem))
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
struct View<'a> {
    id: SourceId,
    name: &'a str,
    /// Null for whoever only reads: who has it may send.
    url: Option<String>,
    event_type: Option<&'a EventType>,
    verification: VerificationView<'a>,
    rate_limit: Option<RateLimit>,
    steps: Vec<StepView<'a>>,
    created_at: Timestamp,
}

impl<'a> View<'a> {
    fn of(app: &App, caller: &TenantCaller, source: &'a Source) -> Self {
        let url = caller.require(Role::Member).is_ok().then(|| url_of(app, &source.token));
        Self {
            id: source.id,
            name: &source.name,
            url,
            event_type: source.event_type.as_ref(),
            verification: VerificationView {
                scheme: &source.verification.scheme,
                options: &source.verification.options,
                has_secret: source.verification.secret.is_some(),
            },
            rate_limit: source.rate_limit,
            steps: steps::views(&source.pipeline),
            created_at: source.created_at,
        }
    }
}

fn rate(form: RateForm) -> Result<RateLimit, ApiError> {
    RateLimit::from(form).check().map_err(|bad| ApiError::invalid(bad.field, bad.problem))
}

/// Makes a source: a URL that receives webhooks.
///
/// The answer has the `url`. Without a mapper among its steps a JSON body is one event.
#[utoipa::path(
    post,
    path = "/sources",
    operation_id = "create_source",
    tag = "sources",
    request_body(content = Form, example = json!({
        "name": "orders",
        "event_type": "order.created",
        "verification": {"scheme": "hmac", "header": "x-signature", "secret": "a-shared-secret"}
    })),
    responses((status = 201, body = View), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<Response, ApiError> {
    let verification = form.verification.map(|form| form.parse(&app, None)).transpose()?;
    let now = app.clock.now();
    let source = Source {
        id: mint(now),
        tenant: caller.id(),
        name: input::name(form.name)?,
        token: SourceToken::new(random()),
        event_type: form.event_type.map(|text| input::field("event_type", &text)).transpose()?,
        verification: verification.unwrap_or_else(Verification::none),
        rate_limit: form.rate_limit.map(rate).transpose()?,
        pipeline: steps::pipeline(&app, &caller, Place::Source, form.steps).await?,
        revision: 0,
        created_at: now,
    };
    let entry = caller.entry(&app, Action::SourceCreated, source.id, audit::created(&source));
    app.catalog.noting(entry).create_source(&source).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok((StatusCode::CREATED, Json(View::of(&app, &caller, &source))).into_response())
}

/// Lists sources, newest first.
#[utoipa::path(
    get,
    path = "/sources",
    operation_id = "list_sources",
    tag = "sources",
    params(Paging),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(paging): Params<Paging>,
) -> Result<Response, ApiError> {
    let sources = caller.picture().sources.values().rev();
    let page = Page::among(sources, &paging, |source| source.id, |source| View::of(&app, &caller, source))?;
    Ok(Json(page).into_response())
}

/// Shows a source.
///
/// Its `url` is shown to members and admins: who has it may send.
#[utoipa::path(
    get,
    path = "/sources/{id}",
    operation_id = "show_source",
    tag = "sources",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<SourceId>) -> Result<Response, ApiError> {
    let source = caller.picture().sources.get(&id).ok_or(ApiError::NotFound)?;
    Ok(Json(View::of(&app, &caller, source)).into_response())
}

/// Changes what is given of a source.
#[utoipa::path(
    patch,
    path = "/sources/{id}",
    operation_id = "change_source",
    tag = "sources",
    request_body(content = Change, example = json!({"name": "orders (old)", "rate_limit": {"limit": 100, "per": "second"}})),
    responses((status = 200, body = View), (status = 409)),
)]
async fn change(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<SourceId>,
    input::Json(change): input::Json<Change>,
) -> Result<Response, ApiError> {
    let before = caller.picture().sources.get(&id).ok_or(ApiError::NotFound)?;
    let mut source = before.clone();
    if let Some(name) = change.name {
        source.name = input::name(name)?;
    }
    match change.event_type {
        Patch::Keep => {}
        Patch::Clear => source.event_type = None,
        Patch::Set(text) => source.event_type = Some(input::field("event_type", &text)?),
    }
    if let Some(form) = change.verification {
        source.verification = form.parse(&app, Some(&source.verification))?;
    }
    match change.rate_limit {
        Patch::Keep => {}
        Patch::Clear => source.rate_limit = None,
        Patch::Set(form) => source.rate_limit = Some(rate(form)?),
    }
    if let Some(forms) = change.steps {
        source.pipeline = steps::pipeline(&app, &caller, Place::Source, forms).await?;
    }
    let entry = caller.entry(&app, Action::SourceUpdated, id, audit::updated(before, &source));
    app.catalog.noting(entry).update_source(&source, before).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(Json(View::of(&app, &caller, &source)).into_response())
}

/// Deletes a source. Its URL ends at once; its requests stay.
#[utoipa::path(
    delete,
    path = "/sources/{id}",
    operation_id = "delete_source",
    tag = "sources",
    responses((status = 204)),
)]
async fn delete(State(app): State<App>, caller: TenantCaller, Id(id): Id<SourceId>) -> Result<StatusCode, ApiError> {
    let source = caller.picture().sources.get(&id).ok_or(ApiError::NotFound)?;
    let entry = caller.entry(&app, Action::SourceDeleted, id, audit::deleted(source));
    app.catalog.noting(entry).delete_source(caller.id(), id).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}
