//! `POST /v1/try`: what production would do. The same compiled code, limits and
//! path; nothing is stored or sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input;
use super::deliveries::MessageView;
use super::events::EventForm;
use super::requests::Bytes;
use super::steps::{self, StepForm};
use super::tenants;
use crate::clock::mint;
use crate::domain::access::{AUTHORIZATION, Auth};
use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::header::Header;
use crate::domain::key::SourceToken;
use crate::domain::message::Message;
use crate::domain::pipeline::{Pipeline, Place, StepReport};
use crate::domain::place::PlaceId;
use crate::domain::request::Request;
use crate::domain::role::Role;
use crate::domain::signed_request::SignedRequest;
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::sandbox::{EndpointResult, SourceResult};
use crate::store::StoreError;
use crate::store::picture::SealedEndpoint;

/// What stands where a secret header's value is.
const HIDDEN: &str = "(hidden)";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(attempt))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTrial)]
struct Form {
    /// Absent: those of the endpoint or the source, if one is named.
    steps: Option<Vec<StepForm>>,
    event: Option<EventForm>,
    /// An event that is stored.
    event_id: Option<String>,
    /// Whose dialect, secret, headers and URL are used.
    endpoint: Option<String>,
    /// The envelope's; the endpoint's or the tenant's own, when absent.
    dialect: Option<String>,
    request: Option<RequestForm>,
    /// A request that is stored.
    request_id: Option<String>,
    /// The source that it is for; that of the stored request, when absent.
    source: Option<String>,
    /// Whether steps that are granted hosts may send to them.
    #[serde(default)]
    http: bool,
}

/// `{body, headers?, query?, event_type?}`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TriedRequest)]
struct RequestForm {
    /// Text is taken as it is; any other JSON is the body itself.
    #[schema(value_type = serde_json::Value)]
    body: Box<serde_json::value::RawValue>,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    query: String,
    event_type: Option<String>,
}

/// An object, or a list of names and values as plugins' examples have it.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TriedHeaders)]
enum Headers {
    Object(BTreeMap<String, String>),
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
#[derive(Serialize, ToSchema)]
struct Trial {
    /// `send`, `events`, `drop`, `ignore` or `fail`.
    outcome: &'static str,
    reason: Option<String>,
    steps: Vec<StepTrial>,
    message: Option<MessageView>,
    /// What would go over the wire; an endpoint has to be named for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<SignedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Event>>,
}

/// A step's report, and the message as it stood after it.
#[derive(Serialize, ToSchema)]
struct StepTrial {
    #[serde(flatten)]
    report: StepReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignedRequest)]
struct SignedView {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    /// The login that goes with it and is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<&'static str>,
    #[serde(flatten)]
    body: Bytes,
}

impl Trial {
    fn fail(reason: String, steps: Vec<StepTrial>) -> Self {
        Self { outcome: "fail", reason: Some(reason), steps, message: None, signed: None, events: None }
    }
}

/// Shows what production would do with an event or a request.
///
/// The same compiled code, limits and path; nothing is stored or sent.
#[utoipa::path(
    post,
    path = "/try",
    operation_id = "try_steps",
    tag = "try",
    request_body(content = Form, example = json!({
        "steps": [{"plugin": "tag-filter", "config": {"expression": "paid and not test"}}],
        "event": {"type": "order.paid", "data": {"id": 7}, "tags": ["paid"]}
    })),
    responses((status = 200, body = Trial), (status = 409)),
)]
async fn attempt(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<Json<Trial>, ApiError> {
    let given = [form.event.is_some(), form.event_id.is_some(), form.request.is_some(), form.request_id.is_some()];
    if given.into_iter().filter(|given| *given).count() != 1 {
        return Err(ApiError::invalid("event", "give one of `event`, `event_id`, `request` and `request_id`"));
    }
    let on_event = given[0] || given[1];
    let stray = match on_event {
        true => form.source.is_some().then_some("source"),
        false => form.endpoint.as_ref().map(|_| "endpoint").or(form.dialect.as_ref().map(|_| "dialect")),
    };
    if let Some(field) = stray {
        return Err(ApiError::invalid(field, "an event has an endpoint and a dialect, a request has a source"));
    }
    if form.http {
        // What a step sends is not taken back.
        caller.require(Role::Member)?;
    }
    match on_event {
        true => try_event(&app, &caller, form).await.map(Json),
        false => try_request(&app, &caller, form).await.map(Json),
    }
}

async fn try_event(app: &App, caller: &TenantCaller, form: Form) -> Result<Trial, ApiError> {
    let now = app.clock.now();
    let event = match (form.event, form.event_id) {
        (Some(event), _) => event.parse("event.", now)?.into_event(mint(now), caller.id(), now, None),
        (None, id) => {
            let missing = || ApiError::invalid("event_id", "there is no such event");
            let id = id.and_then(|text| text.parse().ok()).ok_or_else(missing)?;
            let event = app.ledger.event(caller.id(), id).await?.ok_or_else(missing)?;
            if event.data_gone_at.is_some() {
                return Err(StoreError::Gone.into());
            }
            event
        }
    };
    let sealed = match form.endpoint {
        Some(text) => {
            let sealed = text.parse().ok().and_then(|id| caller.picture().endpoints.get(&id));
            Some(sealed.ok_or_else(|| ApiError::invalid("endpoint", "there is no such endpoint"))?)
        }
        None => None,
    };
    let own = sealed.map_or(&caller.picture().tenant.dialect, |sealed| &sealed.endpoint.dialect);
    let dialect = tenants::dialect(app, form.dialect.as_deref().unwrap_or(own))?;
    let pipeline = match (form.steps, sealed) {
        (None, Some(sealed)) => {
            steps::may_run(caller, &sealed.endpoint.pipeline)?;
            sealed.endpoint.pipeline.clone()
        }
        (steps, _) => steps::pipeline(app, caller, Place::Endpoint, steps.unwrap_or_default()).await?,
    };
    let event = Arc::new(event);
    let place = sealed.map(|sealed| PlaceId::Endpoint(sealed.endpoint.id));
    let preview = app.composer.preview(caller.picture(), &dialect, &pipeline, (place, form.http), event.clone());
    let run = preview.await?;
    let between = run.between.into_iter().chain(std::iter::repeat(None));
    let steps = run.steps.into_iter().zip(between);
    let steps = steps.map(|(report, made)| StepTrial { report, message: made.as_ref().map(MessageView::of) }).collect();
    let message = match run.result {
        EndpointResult::Send(message) => message,
        EndpointResult::Dropped { reason } => {
            let trial = Trial::fail(reason, steps);
            return Ok(Trial { outcome: "drop", ..trial });
        }
        EndpointResult::Failed { number, plugin, message } => {
            return Ok(Trial::fail(format!("step {number} ({plugin}): {message}"), steps));
        }
        EndpointResult::Unavailable => return Err(ApiError::Busy),
    };
    // Who may not send may not have a signature either.
    let signing = sealed.filter(|_| caller.require(Role::Member).is_ok());
    let signed = match signing.map(|sealed| signed(app, &dialect, sealed, &event, &message)).transpose() {
        Ok(signed) => signed,
        Err(reason) => return Ok(Trial::fail(reason, steps)),
    };
    let shown = Some(MessageView::of(&message));
    Ok(Trial { outcome: "send", reason: None, steps, message: shown, signed, events: None })
}

/// What dispatch would send now, or why it could not.
fn signed(
    app: &App,
    dialect: &Dialect,
    sealed: &SealedEndpoint,
    event: &Event,
    message: &Message,
) -> Result<SignedView, String> {
    let now = app.clock.now();
    let endpoint = &sealed.endpoint;
    let url = endpoint.url.join(message.target.as_deref()).map_err(|error| format!("its target {error}"))?;
    let occasion = (app.origin.as_str(), now);
    let request = SignedRequest::new(dialect, event, url, message, endpoint, sealed.signing(now), occasion)
        .ok_or_else(|| format!("{} cannot sign it with the endpoint's secret; rotate the secret", dialect.title))?;
    // What goes over what, as dispatch has it: the signature over all.
    let hidden = endpoint.access.headers.iter().map(|header| (header.name.clone(), HIDDEN.to_owned()));
    let is_login = |name: &str| endpoint.access.auth.is_some() && name == AUTHORIZATION;
    let is_hidden = |header: &&Header| {
        is_login(&header.name) || endpoint.access.headers.iter().any(|secret| secret.name == header.name)
    };
    let plain = message.headers.iter().chain(&endpoint.headers).filter(|header| !is_hidden(header));
    let shown = plain.chain(&request.signature).map(|header| (header.name.clone(), header.value.clone()));
    Ok(SignedView {
        method: message.method.as_str(),
        url: request.url.as_str().to_owned(),
        headers: hidden.chain(shown).collect(),
        auth: endpoint.access.auth.as_ref().map(Auth::word),
        body: Bytes::of(&message.body),
    })
}

async fn try_request(app: &App, caller: &TenantCaller, form: Form) -> Result<Trial, ApiError> {
    let now = app.clock.now();
    let stored = match form.request_id {
        Some(text) => {
            let missing = || ApiError::invalid("request_id", "there is no such request");
            let id = text.parse().map_err(|_| missing())?;
            let stored = app.ledger.request(caller.id(), id).await?.ok_or_else(missing)?;
            if stored.body_gone_at.is_some() {
                return Err(StoreError::Gone.into());
            }
            Some(stored.request)
        }
        None => None,
    };
    let known = match (&form.source, &stored) {
        (Some(text), _) => {
            let source = text.parse().ok().and_then(|id| caller.picture().sources.get(&id));
            Some(source.ok_or_else(|| ApiError::invalid("source", "there is no such source"))?)
        }
        (None, Some(request)) => caller.picture().sources.get(&request.source),
        (None, None) => None,
    };
    let mut source = known.cloned().unwrap_or_else(|| unnamed_source(caller, now));
    if known.is_none() || form.steps.is_some() {
        source.pipeline = steps::pipeline(app, caller, Place::Source, form.steps.unwrap_or_default()).await?;
    }
    steps::may_run(caller, &source.pipeline)?;
    let request = match (stored, form.request) {
        (Some(request), _) => request,
        (None, Some(given)) => {
            if let Some(text) = &given.event_type {
                source.event_type = Some(input::field("request.event_type", text)?);
            }
            given.into_request(&source, now)
        }
        (None, None) => return Err(ApiError::invalid("request", "give a request")),
    };
    let outside = app.composer.reach.preview(caller.id(), known.map(|source| PlaceId::Source(source.id)), form.http);
    let run = app.intake.interpret(caller.picture(), &source, Arc::new(request), now, outside).await;
    let steps = run.steps.into_iter().map(|report| StepTrial { report, message: None }).collect();
    let (outcome, reason, events) = match run.result {
        SourceResult::Events(events) => ("events", None, events),
        SourceResult::Ignored { reason } => ("ignore", Some(reason), Vec::new()),
        SourceResult::Unreadable { reason } => ("fail", Some(reason), Vec::new()),
        SourceResult::Failed { number, plugin, message } => {
            ("fail", Some(format!("step {number} ({plugin}): {message}")), Vec::new())
        }
        SourceResult::Unavailable => return Err(ApiError::Busy),
    };
    Ok(Trial { outcome, reason, steps, message: None, signed: None, events: Some(events) })
}

/// A source for steps that are not anybody's yet.
fn unnamed_source(caller: &TenantCaller, now: Timestamp) -> Source {
    Source {
        id: mint(now),
        tenant: caller.id(),
        name: "try".to_owned(),
        token: SourceToken::given(""),
        event_type: None,
        verification: Verification::none(),
        rate_limit: None,
        pipeline: Pipeline::default(),
        revision: 0,
        created_at: now,
    }
}

impl RequestForm {
    fn into_request(self, source: &Source, now: Timestamp) -> Request {
        Request {
            id: mint(now),
            tenant: source.tenant,
            source: source.id,
            received_at: now,
            method: "POST".to_owned(),
            query: self.query,
            headers: self.headers.into_list(),
            body: body(&self.body),
        }
    }
}

/// A body given as JSON text is that text; any other JSON is the body.
fn body(given: &serde_json::value::RawValue) -> bytes::Bytes {
    match serde_json::from_str::<String>(given.get()) {
        Ok(text) => text.into(),
        Err(_) => given.get().to_owned().into(),
    }
}
