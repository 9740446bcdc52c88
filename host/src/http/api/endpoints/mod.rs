//! Endpoints: outbound webhooks, set up and looked after. What is done to one
//! that exists is in [`actions`].

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::form::{Change, Form};
use self::signing::SigningView;
use self::view::{Created, View};
use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params, Patch};
use super::super::page::{Page, Paging};
use super::{steps, tenants};
use crate::clock::{mint, random};
use crate::domain::audit::{self, Action};
use crate::domain::dialect::{Advice, Dialect};
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::health::Health;
use crate::domain::id::EndpointId;
use crate::domain::pace::{Order, Pace, RateLimit};
use crate::domain::pipeline::Place;
use crate::domain::subscription::Subscription;
use crate::store::StoreError;

mod access;
mod access_view;
mod actions;
mod form;
pub(super) use form::RateForm;
mod shadow;
mod signing;
mod view;

/// Deliveries that leave their lines in one transaction, once the endpoint is not
/// ordered any more.
const LET_OUT_AT_ONCE: u32 = 500;

const NOT_ASKED: &str = "the receiver has not been asked yet";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(show, change, delete))
        .routes(routes!(shadow::shadow))
        .merge(actions::routes())
}

/// Makes an endpoint: a URL that is sent events.
///
/// The answer has its `secret`, which is shown nowhere else. Where the dialect has a handshake, the
/// receiver is asked first.
#[utoipa::path(
    post,
    path = "/endpoints",
    operation_id = "create_endpoint",
    tag = "endpoints",
    request_body(content = Form, example = json!({
        "name": "billing",
        "url": "https://example.com/hooks",
        "event_types": ["order.*"],
        "steps": [{"plugin": "tag-filter", "config": {"expression": "paid and not test"}}],
        "rate_limit": {"limit": 600, "per": "minute"}
    })),
    responses((status = 201, body = Created), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let name = form.dialect.as_deref().unwrap_or(&caller.picture().tenant.dialect);
    let dialect = tenants::dialect(&app, name)?;
    let wanted = signing::wanted(&dialect, form.signature.as_deref())?;
    let secret = dialect.secret(wanted, form.secret.as_deref(), random()).map_err(signing::refused)?;
    let (headers, access) = access::given(&app, &dialect, (form.headers, form.auth, form.tls))?;
    let endpoint = Endpoint {
        id: mint(now),
        tenant: caller.id(),
        name: input::name(form.name)?,
        url: form::url(&app, &form.url)?,
        subscription: Subscription {
            event_types: form::patterns(form.event_types)?,
            accounts: form::labels("accounts", form.accounts)?,
            tags: form::labels("tags", form.tags)?,
        },
        headers,
        access,
        pipeline: steps::pipeline(&app, &caller, Place::Endpoint, form.steps).await?,
        retry: form.retry.map(form::schedule).transpose()?,
        pace: form::pace(Pace {
            rate_limit: form.rate_limit.map(RateLimit::from),
            max_in_flight: form.max_in_flight,
            timeout_seconds: form.timeout_seconds,
            ordered: form.ordered,
        })?,
        dialect: dialect.name.clone(),
        status: first_status(&dialect, form.active.unwrap_or(true)),
        revision: 0,
        created_at: now,
    };
    let warnings = warnings(&caller, &dialect, &endpoint);
    let max_urls = caller.picture().limiting_plan(&app.dialects).and_then(|(_, plan)| plan.endpoints);
    let entry = caller.entry(&app, Action::EndpointCreated, endpoint.id, audit::created(&endpoint));
    match app.catalog.noting(entry).create_endpoint(&endpoint, secret.as_ref(), max_urls).await {
        Err(StoreError::OverLimit) => return Err(over_limit(&app, &caller)),
        created => created?,
    }
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    let endpoint = if endpoint.status.holds() { verified(&app, &caller, endpoint).await } else { endpoint };
    let created = Created {
        endpoint: view(&app, &endpoint),
        secret: secret.as_ref().and_then(|secret| signing::shown(&dialect, secret, form.secret.is_some())),
        warnings,
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

fn first_status(dialect: &Dialect, active: bool) -> Status {
    match dialect.handshake {
        _ if !active => form::switched_off(),
        Some(_) => Status::Unverified { reason: NOT_ASKED.to_owned() },
        None => Status::Active,
    }
}

/// The endpoint as it stands once its receiver was asked. A host that has no
/// room to ask now leaves it as it was.
async fn verified(app: &App, caller: &TenantCaller, endpoint: Endpoint) -> Endpoint {
    let (tenant, id) = (endpoint.tenant, endpoint.id);
    app.handoff.verify(endpoint.clone(), caller.author()).await;
    let part = app.picture.tenant(tenant);
    let current = part.and_then(|part| part.endpoints.get(&id).map(|sealed| sealed.endpoint.clone()));
    current.unwrap_or(endpoint)
}

fn over_limit(app: &App, caller: &TenantCaller) -> ApiError {
    let limiting = caller.picture().limiting_plan(&app.dialects);
    let problem = limiting.map(|(dialect, plan)| {
        let count = plan.endpoints.unwrap_or(0);
        let more = match dialect.larger_than(plan) {
            Some(larger) => match larger.endpoints {
                Some(count) => format!("; {} allows {count}", larger.name),
                None => format!("; {} allows any number", larger.name),
            },
            None => String::new(),
        };
        format!("the plan {} allows {count} webhook URL{}{more}", plan.name, if count == 1 { "" } else { "s" })
    });
    ApiError::PlanLimit(problem.unwrap_or_else(|| "the plan allows no more webhook URLs".to_owned()))
}

/// What is allowed and may not be meant.
fn warnings(caller: &TenantCaller, dialect: &Dialect, endpoint: &Endpoint) -> Vec<String> {
    let others = caller.picture().endpoints.values().map(|sealed| &sealed.endpoint);
    let twins = others.filter(|other| other.id != endpoint.id && other.url == endpoint.url);
    let mut warnings: Vec<String> = twins
        .map(|twin| {
            format!(
                "`{}` ({}) has the same URL: an event that both select arrives there more than once",
                twin.name, twin.id
            )
        })
        .collect();
    if dialect.url.https == Some(Advice::Advised) && endpoint.url.as_url().scheme() == "http" {
        warnings.push("the URL is http: whoever is on the way can read and change what is sent".to_owned());
    }
    warnings
}

/// Lists endpoints, newest first.
#[utoipa::path(
    get,
    path = "/endpoints",
    operation_id = "list_endpoints",
    tag = "endpoints",
    params(Paging),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(paging): Params<Paging>,
) -> Result<Response, ApiError> {
    let endpoints = caller.picture().endpoints.values().rev().map(|sealed| &sealed.endpoint);
    let page = Page::among(endpoints, &paging, |endpoint| endpoint.id, |endpoint| view(&app, endpoint))?;
    Ok(Json(page).into_response())
}

/// Shows an endpoint.
#[utoipa::path(
    get,
    path = "/endpoints/{id}",
    operation_id = "show_endpoint",
    tag = "endpoints",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    Ok(Json(view(&app, &find(&caller, id)?)).into_response())
}

/// Changes what is given of an endpoint.
///
/// Its secret parts stay where they are left out, unless the URL leads elsewhere: then they have to
/// be given again.
#[utoipa::path(
    patch,
    path = "/endpoints/{id}",
    operation_id = "change_endpoint",
    tag = "endpoints",
    request_body(content = Change, example = json!({"event_types": ["order.*", "invoice.paid"], "timeout_seconds": 10})),
    responses((status = 200, body = View), (status = 409)),
)]
async fn change(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(change): input::Json<Change>,
) -> Result<Response, ApiError> {
    if change.signature.is_some() {
        let problem = "a signature changes with its key: POST .../rotate-secret {\"signature\": ...}, which lets both \
                       sign for a while";
        return Err(ApiError::invalid("signature", problem));
    }
    let before = find(&caller, id)?;
    let mut endpoint = before.clone();
    if let Some(name) = change.name {
        endpoint.name = input::name(name)?;
    }
    if let Some(text) = change.url {
        endpoint.url = form::url(&app, &text)?;
    }
    if let Some(types) = change.event_types {
        endpoint.subscription.event_types = form::patterns(types)?;
    }
    if let Some(accounts) = change.accounts {
        endpoint.subscription.accounts = form::labels("accounts", accounts)?;
    }
    if let Some(tags) = change.tags {
        endpoint.subscription.tags = form::labels("tags", tags)?;
    }
    if let Some(name) = change.dialect {
        endpoint.dialect = speaking(&app, &caller, id, &name)?;
    }
    if let Some(forms) = change.steps {
        endpoint.pipeline = steps::pipeline(&app, &caller, Place::Endpoint, forms).await?;
    }
    match change.retry {
        Patch::Keep => {}
        Patch::Clear => endpoint.retry = None,
        Patch::Set(policy) => endpoint.retry = Some(form::schedule(policy)?),
    }
    endpoint.pace = form::pace(Pace {
        rate_limit: change.rate_limit.over(endpoint.pace.rate_limit, RateLimit::from),
        max_in_flight: change.max_in_flight.over(endpoint.pace.max_in_flight, |most| most),
        timeout_seconds: change.timeout_seconds.over(endpoint.pace.timeout_seconds, |seconds| seconds),
        ordered: change.ordered.unwrap_or(endpoint.pace.ordered),
    })?;
    let dialect = tenants::dialect(&app, &endpoint.dialect)?;
    let proofs = (change.headers, change.auth, change.tls);
    (endpoint.headers, endpoint.access) = access::changed(&app, &before, (&endpoint.url, &dialect), proofs)?;
    if endpoint.url != before.url {
        let count = urls_with(&caller, &endpoint);
        let limit = caller.picture().limiting_plan(&app.dialects).and_then(|(_, plan)| plan.endpoints);
        if limit.is_some_and(|limit| count > limit as usize && count > urls_with(&caller, &before)) {
            return Err(over_limit(&app, &caller));
        }
    }
    let moved = endpoint.url != before.url || endpoint.dialect != before.dialect;
    endpoint.status = match (change.active, &before.status) {
        (Some(false), _) => form::switched_off(),
        (Some(true), Status::Disabled { .. }) => first_status(&dialect, true),
        (_, Status::Unverified { .. }) if moved && dialect.handshake.is_none() => Status::Active,
        (_, status) => status.clone(),
    };
    let on = !matches!(endpoint.status, Status::Disabled { .. });
    if moved && on && dialect.handshake.is_some() && !matches!(before.status, Status::Disabled { .. }) {
        // Another receiver is asked before anything goes there. Until it has
        // answered, the old one gets what there is.
        return moved_to(&app, &caller, endpoint).await;
    }
    save(&app, &caller, Action::EndpointUpdated, (endpoint, &before)).await
}

/// The endpoint at its new receiver, which was asked and whose answer is written
/// down with the change; or why nothing was changed.
async fn moved_to(app: &App, caller: &TenantCaller, asked: Endpoint) -> Result<Response, ApiError> {
    if !app.handoff.verify(asked.clone(), caller.author()).await {
        return Err(ApiError::Busy);
    }
    let part = app.picture.tenant(asked.tenant).ok_or(ApiError::NotFound)?;
    let current = &part.endpoints.get(&asked.id).ok_or(ApiError::NotFound)?.endpoint;
    if (&current.name, &current.url, &current.dialect) != (&asked.name, &asked.url, &asked.dialect) {
        let problem = "nothing was changed: the name is taken, or the endpoint was changed while its new receiver was \
                       asked; look at it and try again";
        return Err(ApiError::Conflict { field: None, problem: problem.to_owned() });
    }
    Ok(Json(view(app, current)).into_response())
}

/// How many different URLs the tenant has with `endpoint` as it is given.
fn urls_with(caller: &TenantCaller, endpoint: &Endpoint) -> usize {
    let others = caller.picture().endpoints.values().map(|sealed| &sealed.endpoint);
    let others = others.filter(|other| other.id != endpoint.id);
    let urls: std::collections::BTreeSet<&str> =
        others.chain([endpoint]).map(|endpoint| endpoint.url.as_str()).collect();
    urls.len()
}

/// The name of a dialect in which the endpoint's secret means something.
fn speaking(app: &App, caller: &TenantCaller, id: EndpointId, name: &str) -> Result<String, ApiError> {
    let dialect = tenants::dialect(app, name)?;
    let current = caller.picture().endpoints.get(&id).filter(|sealed| !sealed.secrets.is_empty());
    let fits = match current {
        Some(sealed) => {
            let before = app.dialects.get(&sealed.endpoint.dialect);
            !signing::unfit(&dialect, before.map(|before| &**before), sealed, app.clock.now())
        }
        None => dialect.signature.is_empty() || dialect.secret.optional,
    };
    if fits {
        return Ok(dialect.name.clone());
    }
    let problem = match current {
        Some(_) => {
            "cannot sign with the secrets that the endpoint has; rotate to one in its form first and let the old one run \
             out, or make another endpoint"
        }
        None => "signs, and the endpoint has no secret; make another endpoint",
    };
    Err(ApiError::invalid("dialect", format!("{} {problem}", dialect.title)))
}

/// Deletes an endpoint. What is pending is cancelled.
#[utoipa::path(
    delete,
    path = "/endpoints/{id}",
    operation_id = "delete_endpoint",
    tag = "endpoints",
    responses((status = 204)),
)]
async fn delete(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<StatusCode, ApiError> {
    let entry = caller.entry(&app, Action::EndpointDeleted, id, audit::deleted(&find(&caller, id)?));
    app.catalog.noting(entry).delete_endpoint(caller.id(), id).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    app.handoff.lanes.forget(id);
    app.handoff.nudge();
    Ok(StatusCode::NO_CONTENT)
}

/// As it stands now.
fn view<'a>(app: &App, endpoint: &'a Endpoint) -> View<'a> {
    View::of(endpoint, SigningView::of(app, endpoint), app.handoff.lanes.health(endpoint.id), app.clock.now())
}

fn find(caller: &TenantCaller, id: EndpointId) -> Result<Endpoint, ApiError> {
    caller.picture().endpoints.get(&id).map(|sealed| sealed.endpoint.clone()).ok_or(ApiError::NotFound)
}

async fn save(
    app: &App,
    caller: &TenantCaller,
    action: Action,
    (endpoint, before): (Endpoint, &Endpoint),
) -> Result<Response, ApiError> {
    let entry = caller.entry(app, action, endpoint.id, audit::updated(before, &endpoint));
    if let Err(error) = app.catalog.noting(entry).update_endpoint(&endpoint, before).await {
        // Whoever tries again is to begin with what there is.
        app.picture.refresh(&*app.catalog, endpoint.tenant).await?;
        return Err(error.into());
    }
    app.picture.refresh(&*app.catalog, endpoint.tenant).await?;
    if before.url != endpoint.url || before.status != endpoint.status {
        // What was known of the receiver is of the one before, or of before it
        // was mended.
        app.ledger.remember_health(endpoint.tenant, endpoint.id, Health::default()).await?;
        app.handoff.lanes.forget(endpoint.id);
    }
    if endpoint.pace.ordered == Order::None && before.pace.ordered != Order::None {
        while app.ledger.release_lines(endpoint.tenant, endpoint.id, LET_OUT_AT_ONCE).await? {}
    }
    if !endpoint.status.holds() {
        app.handoff.nudge();
    }
    let fresh = endpoint.status == Status::Unverified { reason: NOT_ASKED.to_owned() };
    let endpoint = if fresh { verified(app, caller, endpoint).await } else { endpoint };
    Ok(Json(view(app, &endpoint)).into_response())
}
