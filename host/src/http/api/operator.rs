//! `GET /v1/operator/status`: how the server does, for whoever runs it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::Operator;
use super::super::error::ApiError;
use crate::domain::id::HostId;
use crate::domain::time::Timestamp;
use crate::handoff::lanes::SLOTS;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct ServerStatus {
    version: &'static str,
    started_at: Timestamp,
    uptime_seconds: u64,
    database: DatabaseStatus,
    queue: QueueStatus,
    /// Deliveries in hand.
    slots: UsedShare,
    connections: UsedShare,
    /// Runs of plugins that wait for a thread, and that have one.
    sandbox: SandboxStatus,
    tenants: usize,
    /// Those that share the database, the oldest first.
    hosts: Vec<HostStatus>,
}

#[derive(Serialize, ToSchema)]
struct DatabaseStatus {
    kind: &'static str,
    /// The engine's.
    version: String,
    bytes: u64,
    /// Of the write-ahead log.
    log_bytes: u64,
    /// What the disk has left.
    free_bytes: Option<u64>,
    /// Writes that wait for the writer.
    waiting: usize,
    /// False while the disk takes no writes.
    takes_writes: bool,
}

/// Deliveries that are pending: of the first 10,000.
#[derive(Serialize, ToSchema)]
struct QueueStatus {
    /// Those of paused endpoints are among them.
    due: u32,
    claimed: u32,
    /// Whose time has not come.
    later: u32,
    /// There are more than were counted.
    is_more: bool,
    /// Of active endpoints: how far behind sending is.
    oldest_due_at: Option<Timestamp>,
    oldest_due_seconds: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct UsedShare {
    held: usize,
    most: usize,
}

#[derive(Serialize, ToSchema)]
struct SandboxStatus {
    waiting: usize,
    running: usize,
    loaded_plugins: usize,
}

#[derive(Serialize, ToSchema)]
struct HostStatus {
    /// Of this run of the program.
    id: HostId,
    started_at: Timestamp,
    /// Whether it is the one that answers.
    is_this: bool,
}

/// Shows how the server does.
#[utoipa::path(
    get,
    path = "/operator/status",
    operation_id = "show_status",
    tag = "server",
    responses((status = 200, body = ServerStatus)),
)]
async fn show(State(app): State<App>, _operator: Operator) -> Result<Json<ServerStatus>, ApiError> {
    let (now, started_at) = (app.clock.now(), app.started_at);
    let queue = app.ledger.queue(now).await?;
    let vitals = app.ledger.vitals();
    let sandbox = app.sandbox.vitals();
    let (fresh, stored) = app.handoff.lanes.held();
    let (open, most) = app.traffic.connections();
    let mut hosts = app.hosts.living().await?;
    if !hosts.contains(&app.id) {
        hosts.push(app.id);
        hosts.sort_unstable();
    }
    let host = |id: HostId| HostStatus { id, started_at: id.minted_at(), is_this: id == app.id };
    Ok(Json(ServerStatus {
        version: env!("CARGO_PKG_VERSION"),
        started_at,
        uptime_seconds: now.since(started_at).as_secs(),
        database: DatabaseStatus {
            kind: vitals.kind,
            version: vitals.version,
            bytes: vitals.bytes,
            log_bytes: vitals.log_bytes,
            free_bytes: vitals.free_bytes,
            waiting: vitals.waiting,
            takes_writes: !vitals.is_failing,
        },
        queue: QueueStatus {
            due: queue.due,
            claimed: queue.claimed,
            later: queue.later,
            is_more: queue.is_more,
            oldest_due_at: queue.oldest_due,
            oldest_due_seconds: queue.oldest_due.map(|at| now.since(at).as_secs()),
        },
        slots: UsedShare { held: fresh + stored, most: SLOTS },
        connections: UsedShare { held: open, most },
        sandbox: SandboxStatus { waiting: sandbox.waiting, running: sandbox.running, loaded_plugins: sandbox.loaded },
        tenants: app.picture.tenants().len(),
        hosts: hosts.into_iter().map(host).collect(),
    }))
}
