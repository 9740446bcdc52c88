//! `GET /v1/stats`: what the tenant brought in, what its plugins used, and
//! what they may.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::Params;
use crate::domain::budget::FUEL_TABLE;
use crate::domain::limits::Limits;
use crate::domain::plugin::PluginName;
use crate::domain::retention::Retention;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Counted, Day, Usage, day};
use crate::gate::Brought;

/// Days that are counted together unless told otherwise, and at most.
const USUALLY: u32 = 30;
const AT_MOST: u32 = 366;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatsParams {
    /// How many days are counted together: 30 unless you say, 366 at most.
    days: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct Stats {
    /// Since when, at midnight UTC.
    since: Timestamp,
    /// The version of the table that says what a unit of fuel is (`host/docs/pipelines.md`).
    fuel_table: &'static str,
    /// The tenant's, where the operator gave it one.
    plan: Option<String>,
    dialect: String,
    limits: Limits,
    /// How long what happened is kept.
    #[schema(value_type = crate::domain::retention::OwnRetention)]
    retention: Retention,
    /// Published and received, by UTC's days and months.
    events: EventStats,
    plugins: Vec<PluginStats>,
}

#[derive(Serialize, ToSchema)]
struct EventStats {
    today: Counted,
    month: Counted,
}

#[derive(Serialize, ToSchema)]
struct PluginStats {
    plugin: PluginName,
    version: u32,
    #[serde(flatten)]
    usage: Usage,
    days: Vec<DayStats>,
}

#[derive(Serialize, ToSchema)]
struct DayStats {
    day: Timestamp,
    #[serde(flatten)]
    usage: Usage,
}

/// Shows what you brought in, what your plugins used, and what they may.
#[utoipa::path(
    get,
    path = "/stats",
    operation_id = "show_stats",
    tag = "stats",
    params(StatsParams),
    responses((status = 200, body = Stats)),
)]
async fn show(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<StatsParams>,
) -> Result<Json<Stats>, ApiError> {
    let days = params.days.unwrap_or(USUALLY);
    if !(1..=AT_MOST).contains(&days) {
        return Err(ApiError::invalid("days", format!("give 1 to {AT_MOST}")));
    }
    let now = app.clock.now();
    let today = day(now);
    let from = today - Day::from(days) + 1;
    let mut used = app.ledger.plugin_use(caller.id(), from).await?;
    used.extend(app.sandbox.used_by(caller.id()).into_iter().map(|used| (today, used)));
    let mut plugins: BTreeMap<(PluginName, u32), BTreeMap<Day, Usage>> = BTreeMap::new();
    for (day, used) in used {
        plugins.entry((used.plugin, used.version)).or_default().entry(day).or_default().add(&used.usage);
    }
    let plugins = plugins.into_iter().map(|((plugin, version), days)| {
        let mut usage = Usage::default();
        days.values().for_each(|day| usage.add(day));
        let days = days.into_iter().map(|(day, usage)| DayStats { day: midnight(day), usage }).collect();
        PluginStats { plugin, version, usage, days }
    });
    let tenant = &caller.picture().tenant;
    let Brought { today, month } = app.intake.gate.brought(caller.id(), now);
    let events = EventStats { today, month };
    Ok(Json(Stats {
        since: midnight(from),
        fuel_table: FUEL_TABLE,
        plan: tenant.plan.clone(),
        dialect: tenant.dialect.clone(),
        limits: tenant.limits,
        retention: tenant.retention.on(&app.retention),
        events,
        plugins: plugins.collect(),
    }))
}

fn midnight(day: Day) -> Timestamp {
    Timestamp::from_millis(day * 24 * 60 * 60 * 1000)
}
