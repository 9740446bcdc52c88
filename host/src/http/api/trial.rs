//! `POST /v1/try`: what production would do. The same compiled code, limits and
//! path; nothing is stored or sent.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input;
use super::deliveries::MessageView;
use super::events::EventForm;
use super::steps::{self, StepForm};
use super::tenants;
use crate::clock::mint;
use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::header::Header;
use crate::domain::id::SourceId;
use crate::domain::key::SourceToken;
use crate::domain::pipeline::{Place, StepReport};
use crate::domain::request::Request;
use crate::domain::source::Source;
use crate::domain::verification::Verification;
use crate::sandbox::{EndpointJob, EndpointResult, SourceResult};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/try", post(attempt))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    steps: Vec<StepForm>,
    event: Option<EventForm>,
    /// The envelope's; the tenant's own, when absent.
    dialect: Option<String>,
    request: Option<RequestForm>,
}

/// `{body, headers?, query?, event_type?}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestForm {
    /// Text is taken as it is; any other JSON is the body itself.
    body: Box<serde_json::value::RawValue>,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    query: String,
    event_type: Option<String>,
}

/// An object, or a list of names and values as plugins' examples have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    Object(std::collections::BTreeMap<String, String>),
    List(Vec<Header>),
}

impl Default for Headers {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Headers {
    fn into_list(self) -> Vec<Header> {
        let list: Vec<Header> = match self {
            Self::Object(object) => object.into_iter().map(|(name, value)| Header { name, value }).collect(),
            Self::List(list) => list,
        };
        list.into_iter().map(|header| Header { name: header.name.to_ascii_lowercase(), ..header }).collect()
    }
}

/// What production would do.
#[derive(Serialize)]
struct Trial {
    /// `send`, `events`, `drop`, `ignore` or `fail`.
    outcome: &'static str,
    reason: Option<String>,
    steps: Vec<StepReport>,
    message: Option<MessageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Event>>,
}

/// `POST /v1/try`
async fn attempt(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<Json<Trial>, ApiError> {
    match (form.event, form.request) {
        (Some(event), None) => {
            let name = form.dialect.as_deref().unwrap_or(&caller.picture().tenant.dialect);
            let dialect = tenants::dialect(&app, name)?;
            on_event(&app, &caller, &dialect, form.steps, event).await.map(Json)
        }
        (None, Some(request)) => on_request(&app, &caller, form.steps, request).await.map(Json),
        _ => Err(ApiError::invalid("event", "give either `event` or `request`")),
    }
}

async fn on_event(
    app: &App,
    caller: &TenantCaller,
    dialect: &Dialect,
    forms: Vec<StepForm>,
    event: EventForm,
) -> Result<Trial, ApiError> {
    let now = app.clock.now();
    let event = event.parse("event.")?.into_event(mint(now), caller.id(), now, None);
    let pipeline = steps::pipeline(app, caller, Place::Endpoint, forms).await?;
    let message = dialect.envelope(&event);
    let (past, _room) = app.recall.past(caller.picture(), &pipeline, &event).await?;
    let job = EndpointJob {
        tenant: caller.id(),
        pipeline,
        event: Arc::new(event),
        message,
        past,
        ceilings: caller.picture().tenant.limits,
    };
    let run = app.sandbox.run_endpoint(job).await;
    let (outcome, reason, message) = match run.result {
        EndpointResult::Send(message) => ("send", None, Some(MessageView::of(&dialect.finish(message)))),
        EndpointResult::Dropped { reason } => ("drop", Some(reason), None),
        EndpointResult::Failed { number, plugin, message } => {
            ("fail", Some(format!("step {number} ({plugin}): {message}")), None)
        }
        EndpointResult::Unavailable => return Err(ApiError::Busy),
    };
    Ok(Trial { outcome, reason, steps: run.steps, message, events: None })
}

async fn on_request(
    app: &App,
    caller: &TenantCaller,
    forms: Vec<StepForm>,
    form: RequestForm,
) -> Result<Trial, ApiError> {
    let now = app.clock.now();
    let source = Source {
        id: mint(now),
        tenant: caller.id(),
        name: "try".to_owned(),
        token: SourceToken::given(""),
        event_type: form.event_type.map(|text| input::field("request.event_type", &text)).transpose()?,
        verification: Verification::none(),
        pipeline: steps::pipeline(app, caller, Place::Source, forms).await?,
        created_at: now,
    };
    let request = Request {
        id: mint(now),
        tenant: caller.id(),
        source: mint::<SourceId>(now),
        received_at: now,
        method: "POST".to_owned(),
        query: form.query,
        headers: form.headers.into_list(),
        body: body(&form.body),
    };
    let run = app.intake.interpret(caller.picture(), &source, Arc::new(request), now).await;
    let (outcome, reason, events) = match run.result {
        SourceResult::Events(events) => ("events", None, events),
        SourceResult::Ignored { reason } => ("ignore", Some(reason), Vec::new()),
        SourceResult::Unreadable { reason } => ("fail", Some(reason), Vec::new()),
        SourceResult::Failed { number, plugin, message } => {
            ("fail", Some(format!("step {number} ({plugin}): {message}")), Vec::new())
        }
        SourceResult::Unavailable => return Err(ApiError::Busy),
    };
    Ok(Trial { outcome, reason, steps: run.steps, message: None, events: Some(events) })
}

/// A body given as JSON text is that text; any other JSON is the body.
fn body(given: &serde_json::value::RawValue) -> bytes::Bytes {
    match serde_json::from_str::<String>(given.get()) {
        Ok(text) => text.into(),
        Err(_) => given.get().to_owned().into(),
    }
}
