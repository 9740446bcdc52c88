//! On PostgreSQL what happened is kept by days, which are made before they come; one
//! that is old for everybody goes at once.

use std::sync::Arc;
use std::time::Duration;

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, Receiver, eventually, postgres};
use serde_json::json;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_day_that_is_old_for_everybody_is_dropped() {
    let database = Arc::new(postgres::database().await);
    let host = Host::start_as(local(), Extra { database: Some(database.clone()), ..Extra::default() }).await;
    let receiver = Receiver::start().await;
    let short = json!({"name": "short", "retention": {"events": "7d"}});
    let (tenant, short) = (host.tenant("acme").await, host.tenant_with(short).await);
    let mut events = Vec::new();
    for api in [&tenant, &short] {
        api.endpoint(&receiver.url(), json!({})).await;
        let event = api.publish(json!({"type": "a.b", "data": 1})).await;
        api.delivery_in(&event, "delivered").await;
        events.push(event);
    }
    let path = |event: usize| format!("/v1/events/{}", events[event]);
    let is_there =
        async |table: &str| database.psql(&format!("SELECT to_regclass('{table}') IS NOT NULL")).await == "t";

    let kept_in = "SELECT DISTINCT tableoid::regclass FROM events";
    let day = database.psql(kept_in).await;
    assert!(day.starts_with("events_2") && is_there(&day).await, "{day}");
    let now = "SELECT 'attempts_' || to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY_MM_DD')";
    for ahead in 0..4 {
        let seconds = (host.now() + ahead * DAY).as_millis() / 1000;
        let table = database.psql(&now.replace("{}", &seconds.to_string())).await;
        eventually(&table, async || is_there(&table).await.then_some(())).await;
    }

    // Whose own time is over loses it row by row.
    host.clock.advance(8 * DAY);
    eventually("the end of its own time", async || (short.get(&path(1)).await.status == 404).then_some(())).await;
    tenant.get(&path(0)).await.expect(200);
    assert!(is_there(&day).await);

    // Not yet the time at which rows are swept that stay behind: the day itself is gone.
    host.clock.advance(23 * DAY + HOUR);
    eventually("the end of the day", async || (!is_there(&day).await).then_some(())).await;
    tenant.get(&path(0)).await.problem(404, "");
    let seconds = host.now().as_millis() / 1000;
    let today = database.psql(&now.replace("{}", &seconds.to_string())).await;
    eventually(&today, async || is_there(&today).await.then_some(())).await;
}
