//! The API under `/v1`. One file a noun; each begins with its routes.

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use super::App;

mod activity;
mod attention;
mod audit;
mod deliveries;
mod dialects;
mod endpoints;
mod erasures;
mod event_types;
mod events;
mod explain;
mod keys;
mod operator;
mod plugins;
mod portal_sessions;
mod replays;
mod requests;
mod reruns;
mod schema;
mod secrets;
mod sources;
mod stats;
mod steps;
mod tenants;
mod trial;
mod upgrades;
mod users;

/// Every route, with what the document says of it.
pub(super) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(tenants::routes())
        .merge(keys::routes())
        .merge(users::routes())
        .merge(portal_sessions::routes())
        .merge(audit::routes())
        .merge(sources::routes())
        .merge(requests::routes())
        .merge(events::routes())
        .merge(explain::routes())
        .merge(event_types::routes())
        .merge(dialects::routes())
        .merge(endpoints::routes())
        .merge(deliveries::routes())
        .merge(replays::routes())
        .merge(erasures::routes())
        .merge(plugins::routes())
        .merge(secrets::routes())
        .merge(trial::routes())
        .merge(reruns::routes())
        .merge(stats::routes())
        .merge(activity::routes())
        .merge(attention::routes())
        .merge(operator::routes())
        .merge(upgrades::routes())
}

pub(super) fn routes() -> Router<App> {
    described().into()
}
