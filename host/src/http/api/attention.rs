//! `GET /v1/attention`: what somebody should look after. Each count is bounded, so
//! that asking costs the same however bad it is.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::health::Circuit;
use crate::domain::id::EndpointId;
use crate::domain::plugin::PluginName;
use crate::domain::time::Timestamp;

/// Deliveries that died before are old news.
const LATELY_MS: i64 = 24 * 60 * 60 * 1000;
/// At most this many are counted.
const COUNTED: u32 = 1_000;
/// And at most this many of a kind are named.
const NAMED: usize = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct Attention {
    dead: DeadLately,
    /// At most 100, as of the others.
    disabled_endpoints: Vec<DisabledEndpoint>,
    /// Active endpoints whose last attempt failed, with or without an open circuit.
    failing_endpoints: Vec<FailingEndpoint>,
    open_circuits: Vec<OpenCircuit>,
    quarantined_requests: QuarantinedCount,
    /// That have failed five times or more in a row since the server started. It counts in memory only: after a
    /// restart one is named once it has failed five times again; what was told before is in your
    /// `plugin.faulting` events.
    faulting_plugins: Vec<FaultingPlugin>,
}

/// Deliveries that were given up lately, and not retried since.
#[derive(Serialize, ToSchema)]
struct DeadLately {
    /// At most 1,000 are counted.
    count: u32,
    since: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct DisabledEndpoint {
    id: EndpointId,
    name: String,
    reason: String,
}

#[derive(Serialize, ToSchema)]
struct FailingEndpoint {
    id: EndpointId,
    name: String,
    /// The first failure since its receiver last took something.
    failing_since: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct OpenCircuit {
    id: EndpointId,
    name: String,
    /// Nothing is sent there before.
    until: Timestamp,
    failing_since: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
struct QuarantinedCount {
    /// At most 1,000 are counted.
    count: u32,
}

#[derive(Serialize, ToSchema)]
struct FaultingPlugin {
    name: PluginName,
    version: u32,
    /// In a row.
    failures: u32,
    last_error: String,
}

/// Shows what somebody should look after.
#[utoipa::path(
    get,
    path = "/attention",
    operation_id = "show_attention",
    tag = "stats",
    responses((status = 200, body = Attention)),
)]
async fn show(State(app): State<App>, caller: TenantCaller) -> Result<Json<Attention>, ApiError> {
    let now = app.clock.now();
    let since = Timestamp::from_millis(now.as_millis().saturating_sub(LATELY_MS));
    let dead = DeadLately { count: app.ledger.count_dead(caller.id(), since, COUNTED).await?, since };
    let quarantined_requests = QuarantinedCount { count: app.ledger.count_quarantined(caller.id(), COUNTED).await? };
    let failing = app.intake.notices.failing(caller.id(), now);
    let faulting_plugins = failing.into_iter().take(NAMED).map(|failing| FaultingPlugin {
        name: failing.name,
        version: failing.version,
        failures: failing.failures,
        last_error: failing.last_error,
    });
    Ok(Json(Attention {
        dead,
        disabled_endpoints: disabled(&caller),
        failing_endpoints: failing_endpoints(&app, &caller),
        open_circuits: open_circuits(&app, &caller, now),
        quarantined_requests,
        faulting_plugins: faulting_plugins.collect(),
    }))
}

fn disabled(caller: &TenantCaller) -> Vec<DisabledEndpoint> {
    let endpoints = caller.picture().endpoints.values().map(|sealed| &sealed.endpoint);
    let disabled = endpoints.filter_map(|endpoint| match &endpoint.status {
        Status::Disabled { reason } => {
            Some(DisabledEndpoint { id: endpoint.id, name: endpoint.name.clone(), reason: reason.clone() })
        }
        Status::Active | Status::Paused | Status::Unverified { .. } => None,
    });
    disabled.take(NAMED).collect()
}

/// Those that would be sent to.
fn active(caller: &TenantCaller) -> impl Iterator<Item = &Endpoint> {
    let endpoints = caller.picture().endpoints.values().map(|sealed| &sealed.endpoint);
    endpoints.filter(|endpoint| endpoint.status == Status::Active)
}

fn failing_endpoints(app: &App, caller: &TenantCaller) -> Vec<FailingEndpoint> {
    let failing = active(caller).filter_map(|endpoint| {
        let failing_since = app.handoff.lanes.health(endpoint.id).failing_since?;
        Some(FailingEndpoint { id: endpoint.id, name: endpoint.name.clone(), failing_since })
    });
    failing.take(NAMED).collect()
}

fn open_circuits(app: &App, caller: &TenantCaller, now: Timestamp) -> Vec<OpenCircuit> {
    let open = active(caller).filter_map(|endpoint| {
        let health = app.handoff.lanes.health(endpoint.id);
        match health.circuit(now) {
            Circuit::Open { until } => Some(OpenCircuit {
                id: endpoint.id,
                name: endpoint.name.clone(),
                until,
                failing_since: health.failing_since,
            }),
            Circuit::HalfOpen | Circuit::Closed => None,
        }
    });
    open.take(NAMED).collect()
}
