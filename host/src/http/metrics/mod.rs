//! `GET /metrics`: how the server does, as Prometheus reads it. `METRICS.md` has
//! the table of all of them.
//!
//! For the operator alone, with the operator's key. That somebody calls from this
//! machine proves nothing: behind a proxy on it everybody does. No label says of
//! which tenant or endpoint something is: there may be any number of them, and
//! tenants have `/v1/activity`.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::App;
use super::auth::Operator;
use super::error::ApiError;
use super::traffic::CLASSES;
use crate::domain::delivery::{Outcome, State as Rest};
use crate::handoff::lanes::SLOTS;
use crate::telemetry::exposition::{self, Exposition, Kind};

mod process;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/metrics", get(show))
}

/// Shows how the server does, as Prometheus reads it.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_metrics",
    tag = "server",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(super) async fn show(State(app): State<App>, _operator: Operator) -> Result<Response, ApiError> {
    let mut page = Exposition::default();
    page.metric("hookyard_build", Kind::Gauge, "The program that runs.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    process::write(&mut page, app.started_at);
    door(&mut page, &app);
    events(&mut page, &app);
    store(&mut page, &app);
    queue(&mut page, &app).await?;
    sandbox(&mut page, &app);
    catalogue(&mut page, &app);
    Ok(([(CONTENT_TYPE, exposition::CONTENT_TYPE)], page.into_text()).into_response())
}

fn door(page: &mut Exposition, app: &App) {
    let (open, most) = app.traffic.connections();
    page.gauge("hookyard_connections", "Connections that are open.", open as f64);
    page.gauge("hookyard_connections_allowed", "Connections that may be open at once.", most as f64);
    let refused = app.traffic.refused.get() as f64;
    page.counter("hookyard_connections_refused_total", "Connections that found no place.", refused);
    let mut answers = page.metric("hookyard_http_requests_total", Kind::Counter, "Calls that were answered.");
    for (route, classes) in app.traffic.answers() {
        for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| *count > 0) {
            answers.sample(&[("route", &route), ("status", class)], count as f64);
        }
    }
    let help = "Time until an answer's head was there.";
    page.histogram("hookyard_http_request_seconds", help, &app.traffic.seconds.read());
}

fn events(page: &mut Exposition, app: &App) {
    let totals = app.intake.activity.totals();
    page.counter("hookyard_events_total", "Events that were stored.", totals.events.get() as f64);
    let mut attempts = page.metric("hookyard_attempts_total", Kind::Counter, "Attempts that were written down.");
    for (outcome, count) in Outcome::NAMES.iter().zip(&totals.attempts) {
        attempts.sample(&[("outcome", outcome)], count.get() as f64);
    }
    page.histogram("hookyard_attempt_seconds", "Time that attempts took.", &totals.seconds.read());
    page.gauge("hookyard_attempts_in_flight", "Attempts under way.", totals.in_flight() as f64);
    let mut rested = page.metric("hookyard_deliveries_total", Kind::Counter, "Deliveries that came to rest.");
    for (state, count) in Rest::ALL.iter().zip(&totals.deliveries).filter(|(state, _)| **state != Rest::Pending) {
        rested.sample(&[("state", state.as_str())], count.get() as f64);
    }
    let (fresh, stored) = app.handoff.lanes.held();
    let mut slots = page.metric("hookyard_slots_held", Kind::Gauge, "Deliveries in hand.");
    slots.sample(&[("kind", "fresh")], fresh as f64);
    slots.sample(&[("kind", "stored")], stored as f64);
    page.gauge("hookyard_slots", "Deliveries that may be in hand at once.", SLOTS as f64);
    let spans = app.intake.tracer.meters();
    page.counter("hookyard_spans_exported_total", "Spans that the collector took.", spans.exported.get() as f64);
    page.counter("hookyard_spans_dropped_total", "Spans that it did not.", spans.dropped.get() as f64);
}

fn store(page: &mut Exposition, app: &App) {
    let vitals = app.ledger.vitals();
    page.histogram("hookyard_store_commit_seconds", "Time that a transaction took, with its sync.", &vitals.commits);
    page.histogram("hookyard_store_batch_operations", "Writes that shared a transaction.", &vitals.batches);
    page.counter("hookyard_store_failures_total", "Transactions that failed.", vitals.failures as f64);
    page.gauge("hookyard_store_waiting", "Writes that wait for the writer.", vitals.waiting as f64);
    page.gauge("hookyard_store_waiting_allowed", "Writes that may wait.", vitals.room as f64);
    page.gauge("hookyard_store_bytes", "Size of the database.", vitals.bytes as f64);
    page.gauge("hookyard_store_log_bytes", "Size of its write-ahead log.", vitals.log_bytes as f64);
    let mut free = page.metric("hookyard_store_free_bytes", Kind::Gauge, "What its disk has left.");
    vitals.free_bytes.into_iter().for_each(|bytes| free.sample(&[], bytes as f64));
}

async fn queue(page: &mut Exposition, app: &App) -> Result<(), ApiError> {
    let now = app.clock.now();
    let queue = app.ledger.queue(now).await?;
    let mut pending = page.metric("hookyard_pending_deliveries", Kind::Gauge, "Of the first 10,000 that are pending.");
    for (state, count) in [("due", queue.due), ("claimed", queue.claimed), ("later", queue.later)] {
        pending.sample(&[("state", state)], f64::from(count));
    }
    let oldest = queue.oldest_due.map_or(0.0, |at| now.since(at).as_secs_f64());
    page.gauge("hookyard_oldest_due_seconds", "How long a delivery has been due and not claimed.", oldest);
    Ok(())
}

fn sandbox(page: &mut Exposition, app: &App) {
    let vitals = app.sandbox.vitals();
    let used = vitals.used;
    page.counter("hookyard_sandbox_calls_total", "Calls of plugins.", used.calls as f64);
    page.counter("hookyard_sandbox_refusals_total", "Calls in which the plugin declined.", used.refused as f64);
    page.counter("hookyard_sandbox_faults_total", "Calls in which the plugin misbehaved.", used.faulted as f64);
    page.counter("hookyard_sandbox_fuel_total", "Fuel that calls used.", used.fuel as f64);
    page.counter("hookyard_sandbox_seconds_total", "Time that calls took.", used.duration_us as f64 / 1e6);
    page.gauge("hookyard_sandbox_waiting", "Runs that wait for a thread.", vitals.waiting as f64);
    page.gauge("hookyard_sandbox_running", "Runs that have one.", vitals.running as f64);
    page.gauge("hookyard_sandbox_loaded_plugins", "Plugins in memory.", vitals.loaded as f64);
}

fn catalogue(page: &mut Exposition, app: &App) {
    const STATES: [&str; 4] = ["active", "paused", "unverified", "disabled"];
    let tenants = app.picture.tenants();
    page.gauge("hookyard_tenants", "Tenants.", tenants.len() as f64);
    let mut by_state = [0_u64; STATES.len()];
    for sealed in tenants.iter().flat_map(|part| part.endpoints.values()) {
        let state = STATES.iter().position(|state| *state == sealed.endpoint.status.state());
        state.into_iter().for_each(|at| by_state[at] += 1);
    }
    let mut endpoints = page.metric("hookyard_endpoints", Kind::Gauge, "Endpoints of all tenants.");
    for (state, count) in STATES.iter().zip(by_state) {
        endpoints.sample(&[("state", state)], count as f64);
    }
}
