//! Fills a database: two deliveries that the host made are copied, row by row of
//! every table that has any of theirs, so that this knows no columns but ids and
//! times.

use std::path::Path;

use hookyard::clock::{Clock as _, SystemClock, mint};
use hookyard::domain::id::{AttemptId, DeliveryId, EventId};
use hookyard::domain::time::Timestamp;
use hookyard_tests::{Api, Receiver, text};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::endpoint_form;

const ENDPOINTS: u64 = 20;
const TYPES: u64 = 20;
/// Rows of one transaction.
const BATCH: u64 = 10_000;
/// Copies lie this far apart: a million of them in 28 hours.
const APART_MS: u64 = 100;
/// One in so many is dead.
const DEAD: u64 = 50;

/// What is copied.
pub(super) struct Models {
    endpoints: Vec<String>,
    delivered: Model,
    dead: Model,
}

struct Model {
    event: String,
    delivery: String,
}

impl Models {
    /// The path with real ids.
    pub(super) fn fill(&self, path: &str) -> String {
        path.replace("{endpoint}", &self.endpoints[3])
            .replace("{delivery}", &self.delivered.delivery)
            .replace("{event}", &self.delivered.event)
    }
}

/// Endpoints, and a delivery of each kind.
pub(super) async fn models(tenant: &Api, receiver: &Receiver) -> Models {
    receiver.answer_by(|arrived| {
        let refused = arrived.json()["data"]["refuse"] == true;
        let response = axum::http::Response::builder().status(if refused { 500 } else { 200 });
        Some(response.body("thank you".to_owned()).expect("an answer"))
    });
    let mut endpoints = Vec::new();
    for n in 0..ENDPOINTS {
        let types = if n == 0 { "model.*".to_owned() } else { format!("order.{n}") };
        let made = tenant.endpoint(&receiver.url(), endpoint_form(&format!("endpoint {n}"), &types)).await;
        endpoints.push(text(&made["id"]).to_owned());
    }
    tenant.post("/v1/sources", json!({"name": "orders"})).await.expect(201);
    let delivered = model(tenant, false, "delivered").await;
    let dead = model(tenant, true, "dead").await;
    Models { endpoints, delivered, dead }
}

async fn model(tenant: &Api, refuse: bool, state: &str) -> Model {
    let data = json!({"refuse": refuse, "padding": "x".repeat(400)});
    let event = tenant.publish(json!({"type": "model.made", "subject": "jane", "data": data})).await;
    let delivery = tenant.delivery_in(&event, state).await;
    Model { delivery: text(&delivery["id"]).to_owned(), event }
}

/// Copies the models until there are so many deliveries.
pub(super) async fn multiply(data: &Path, models: &Models, count: u64) {
    let options = SqliteConnectOptions::new().filename(data.join("hookyard.db")).pragma("synchronous", "OFF");
    let mut database = options.connect().await.expect("the host has ended");
    let columns = "event TEXT, delivery TEXT, attempt TEXT, endpoint TEXT, type TEXT, at BIGINT, old_event TEXT, old_delivery TEXT";
    run(&mut database, format!("CREATE TEMP TABLE fresh ({columns})")).await;
    let copies = copies(&mut database).await;
    let now = SystemClock.now().as_millis();
    for from in (0..count).step_by(usize::try_from(BATCH).expect("a small number")) {
        let rows: Vec<Value> = (from..count.min(from + BATCH)).map(|n| row(models, now, n, count)).collect();
        run(&mut database, "BEGIN".to_owned()).await;
        run(&mut database, "DELETE FROM fresh".to_owned()).await;
        let insert = "INSERT INTO fresh SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
            value ->> 5, value ->> 6, value ->> 7 FROM json_each(?)";
        let insert = sqlx::query(insert).bind(Value::Array(rows).to_string());
        insert.execute(&mut database).await.expect("the rows are taken");
        for copy in &copies {
            run(&mut database, copy.clone()).await;
        }
        run(&mut database, "COMMIT".to_owned()).await;
    }
    run(&mut database, "ANALYZE".to_owned()).await;
    database.close().await.expect("it closes");
}

fn row(models: &Models, now: i64, n: u64, count: u64) -> Value {
    let ago = i64::try_from((count - n) * APART_MS).expect("a short time");
    let at = Timestamp::from_millis(now - ago);
    let model = if n.is_multiple_of(DEAD) { &models.dead } else { &models.delivered };
    let endpoint = &models.endpoints[usize::try_from(n % ENDPOINTS).expect("a small number")];
    let (event, delivery, attempt) = (mint::<EventId>(at), mint::<DeliveryId>(at), mint::<AttemptId>(at));
    json!([
        event.to_string(),
        delivery.to_string(),
        attempt.to_string(),
        endpoint,
        format!("order.{}", n % TYPES),
        at.as_millis(),
        model.event,
        model.delivery,
    ])
}

/// The statements that copy what `fresh` asks for.
async fn copies(database: &mut SqliteConnection) -> Vec<String> {
    let event = "old.id = fresh.old_event";
    let times = [("occurred_at", "at"), ("received_at", "at"), ("updated_at", "at"), ("started_at", "at")];
    let of_event = [&times[..], &[("id", "event"), ("type", "type")]].concat();
    let of_delivery = [
        ("id", "delivery"),
        ("event_id", "event"),
        ("endpoint_id", "endpoint"),
        ("type", "type"),
        ("event_type", "type"),
    ];
    let of_delivery = [&times[..], &of_delivery].concat();
    let of_attempt = [&times[..], &[("id", "attempt"), ("delivery_id", "delivery")]].concat();
    vec![
        copy(database, "events", event, &of_event).await,
        copy(database, "deliveries", "old.id = fresh.old_delivery", &of_delivery).await,
        copy(database, "messages", "old.delivery_id = fresh.old_delivery", &[("delivery_id", "delivery")]).await,
        copy(database, "attempts", "old.delivery_id = fresh.old_delivery", &of_attempt).await,
    ]
}

/// Every column as the models have it, but for those that `fresh` has anew. The
/// models are put aside, so that looking them up costs as much at the end.
async fn copy(database: &mut SqliteConnection, table: &str, same: &str, anew: &[(&str, &str)]) -> String {
    run(database, format!("CREATE TEMP TABLE old_{table} AS SELECT * FROM {table}")).await;
    let select = format!("SELECT name FROM pragma_table_info('{table}')");
    let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(database).await.expect("columns");
    let values = columns.iter().map(|column| match anew.iter().find(|(name, _)| name == column) {
        Some((_, fresh)) => format!("fresh.{fresh}"),
        None => format!("old.{column}"),
    });
    let values: Vec<String> = values.collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM fresh CROSS JOIN old_{table} AS old ON {same}",
        columns.join(", "),
        values.join(", ")
    )
}

async fn run(database: &mut SqliteConnection, statement: String) {
    let ran = sqlx::query(AssertSqlSafe(statement.clone())).execute(database).await;
    ran.unwrap_or_else(|error| panic!("{statement}: {error}"));
}
