//! Many hosts on one PostgreSQL: the same program, the same promises.

mod followed;
mod holding;
mod journey;
mod killed;
mod leaving;
mod limits;
mod lines;
mod seen;
mod stale;

use std::sync::Arc;

use hookyard_tests::host::{Extra, local};
use hookyard_tests::postgres::{self, Database};
use hookyard_tests::{Api, Host, Receiver, eventually, list, text};
use serde_json::{Value, json};

pub(crate) use followed::Followed;
pub(crate) use holding::{Held, Holding};

pub(crate) async fn database() -> Arc<Database> {
    Arc::new(postgres::database().await)
}

/// A host in this process, whose clock can be turned.
pub(crate) async fn host_on(database: &Arc<Database>) -> Host {
    Host::start_as(local(), Extra { database: Some(database.clone()), ..Extra::default() }).await
}

/// The same tenant at another host.
pub(crate) fn at(operator: &Api, tenant: &Api) -> Api {
    operator.with_key(Some(tenant.key()))
}

/// What is claimed at this moment was claimed so long ago that anybody may take it
/// over. Claims are held against the clock of whoever looks, and those of other processes cannot be
/// turned.
pub(crate) async fn claims_run_out(database: &Database) {
    // Row by row, and not those that somebody settles at this moment: they are moved.
    let ends = "UPDATE deliveries_pending SET due_at = due_at - 61000 WHERE ctid IN (
        SELECT ctid FROM deliveries_pending WHERE claim IS NOT NULL FOR UPDATE SKIP LOCKED)";
    database.psql(ends).await;
}

/// Waits until the host has its part of what is divided, and the others know.
pub(crate) async fn takes_part(operator: &Api) {
    eventually("a host that takes part", async || {
        (operator.with_key(None).get("/readyz").await.status == 200).then_some(())
    })
    .await;
}

/// Waits until a host routes the tenant's events as the others do: a new endpoint
/// is given one of them.
pub(crate) async fn routes_to(tenant: &Api, endpoint: &Value) {
    let path = format!("/v1/deliveries?endpoint={}", text(&endpoint["id"]));
    eventually("a host that knows the endpoint", async || {
        let answer = tenant.post("/v1/events", json!({"type": "warm.up", "data": 1})).await;
        let event = answer.body["id"].as_str()?.to_owned();
        let found = tenant.get(&format!("{path}&event={event}")).await.expect(200);
        list(&found["items"]).first().map(drop)
    })
    .await;
}

/// Nothing waits any more, and nothing is in a state that it cannot leave.
pub(crate) async fn drained(tenant: &Api) {
    eventually("an end of every delivery", async || {
        let pending = tenant.get("/v1/deliveries?state=pending").await;
        (pending.status == 200 && list(&pending.body["items"]).is_empty()).then_some(())
    })
    .await;
}

/// Shows that a host's dispatcher has looked for work since: what it was not to send
/// was not sent.
pub(crate) async fn has_looked(tenant: &Api) {
    let mut bystander = Receiver::start().await;
    let form = json!({"name": "bystander", "event_types": ["look.here"]});
    let endpoint = tenant.endpoint(&bystander.url(), form).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    // Two, one after the other, through the store: between them lies a whole look.
    for _ in 0..2 {
        tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
        let event = tenant.publish(json!({"type": "look.here", "data": 1})).await;
        tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
        bystander.next().await;
        tenant.delivery_to(&event, text(&endpoint["id"]), "delivered").await;
    }
    tenant.delete(&path).await.expect(204);
}
