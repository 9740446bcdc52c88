//! The API under `/v1`. One file a noun; each begins with its routes.

use axum::Router;
use utoipa::openapi::PathItem;
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
        .merge(below("/tenants/{tenant}", keys::routes()))
        .merge(users::routes())
        .merge(below("/tenants/{tenant}", users::routes()))
        .merge(below("/operator", users::routes()))
        .merge(portal_sessions::routes())
        .merge(audit::routes())
        .merge(below("/tenants/{tenant}", audit::routes()))
        .merge(below("/operator", audit::routes()))
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

/// The same routes once more, for the operator: below a tenant's path they are
/// about that tenant, below `/operator` about the operator's own. `Caretaker` tells
/// them apart for their handlers.
fn below(place: &'static str, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let (whose, article) = if place.contains('{') { ("tenant", "a") } else { ("operator", "the") };
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        let PathItem { get, put, post, patch, delete, .. } = item;
        for operation in [get, put, post, patch, delete].into_iter().flatten() {
            operation.operation_id = operation.operation_id.take().map(|id| format!("{id}_of_{whose}"));
            let summary = operation.summary.take().unwrap_or_default();
            operation.summary = Some(format!("{} (of {article} {whose})", summary.trim().trim_end_matches('.')));
        }
    }
    OpenApiRouter::new().nest(place, routes)
}
