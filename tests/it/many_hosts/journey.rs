//! All that the product does for one event, on PostgreSQL: taken in, mapped by a
//! tenant's plugin, delivered, replayed, erased, and swept away in the end.

use std::time::Duration;

use hookyard_tests::postgres::Database;
use hookyard_tests::{Receiver, build, eventually, list, text};
use serde_json::{Value, json};

use super::{database, host_on};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_all_its_way() {
    let database = database().await;
    let host = host_on(&database).await;
    let tenant = host.tenant_with(json!({"name": "acme", "retention": {"events": "2h", "requests": "1h"}})).await;
    let mut receiver = Receiver::start().await;
    tenant.post_bytes("/v1/plugins?name=mine", build::hostile()).await.expect(201);
    let steps = json!([{"plugin": "field-mapper", "config": {
        "type": {"from": "event"}, "subject": {"from": "who"}, "rules": [{"to": "said", "from": "said"}]}}]);
    let source = tenant.post("/v1/sources", json!({"name": "shop", "steps": steps})).await.expect(201);
    let steps = json!([{"plugin": "mine", "version": 1, "config": {"header": ["x-mine", "was here"]}}]);
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["order.*"], "steps": steps})).await;

    let take_in = async |who: &str| {
        let body = json!({"event": "order.placed", "who": who, "said": format!("{who} wants one")}).to_string();
        let received = tenant.with_key(None).post_bytes(text(&source["url"]), body).await.expect(202);
        (text(&received["event_ids"][0]).to_owned(), format!("/v1/requests/{}", text(&received["request_id"])))
    };
    let (jane, her_request) = take_in("jane@example.com").await;
    let arrived = receiver.next().await;
    assert_eq!((arrived.header("webhook-id"), arrived.header("x-mine")), (&*jane, "was here"));
    assert!(arrived.is_signed_with(text(&endpoint["secret"])));
    assert_eq!(arrived.json()["data"], json!({"said": "jane@example.com wants one"}));
    let delivery = tenant.delivery_in(&jane, "delivered").await;
    assert_eq!((&delivery["steps"][0]["plugin"], &delivery["attempts"][0]["status"]), (&json!("mine"), &json!(204)));
    let (joe, his_request) = take_in("joe@example.com").await;
    receiver.next().await;
    tenant.delivery_in(&joe, "delivered").await;

    // Again, as it was sent.
    host.clock.advance(Duration::from_secs(1));
    let path = format!("/v1/endpoints/{}/replay", text(&endpoint["id"]));
    let form = json!({"since": "2020-01-01T00:00:00Z", "states": ["delivered"], "pipeline": "as-sent"});
    assert_eq!(tenant.post(&path, form).await.expect(202)["deliveries"], 2);
    let mut again = [receiver.next().await, receiver.next().await].map(|one| one.header("webhook-id").to_owned());
    again.sort();
    assert_eq!(again, [jane.clone(), joe.clone()]);
    eventually("the end of the replay", async || {
        let all = tenant.get("/v1/deliveries?state=delivered").await.expect(200);
        (list(&all["items"]).len() == 4).then_some(())
    })
    .await;

    // One of them wants to be forgotten.
    let asked = tenant.post("/v1/erasures", json!({"subject": "jane@example.com"})).await.expect(202);
    let erasure = format!("/v1/erasures/{}", text(&asked["id"]));
    let erased = eventually("the end of the erasure", async || {
        let erasure = tenant.get(&erasure).await.expect(200);
        (erasure["state"] == "done").then_some(erasure)
    })
    .await;
    assert_eq!(
        (&erased["subject"], &erased["erased"]["events"], &erased["erased"]["deliveries"]),
        (&Value::Null, &json!(1), &json!(2))
    );
    for path in [format!("/v1/events/{jane}"), her_request] {
        tenant.get(&path).await.problem(404, "");
    }
    assert_eq!(tenant.get(&his_request).await.expect(200)["event_ids"], json!([joe]));
    assert_eq!(rows_with(&database, "jane@example").await, 0);
    // The control: what is there is found.
    assert!(rows_with(&database, "joe@example").await >= 3);

    // And the other is kept for as long as its tenant wants it to be.
    host.clock.advance(3 * HOUR);
    for path in [format!("/v1/events/{joe}"), his_request] {
        eventually("the end of what is old", async || (tenant.get(&path).await.status == 404).then_some(())).await;
    }
    assert_eq!(rows_with(&database, "joe@example").await, 0);
    // It goes on.
    let (event, _) = take_in("ann@example.com").await;
    assert_eq!(receiver.next().await.header("webhook-id"), event);
}

/// How many rows of any table say this, as text or as bytes.
async fn rows_with(database: &Database, words: &str) -> u64 {
    let hex: String = words.bytes().map(|byte| format!("{byte:02x}")).collect();
    let looks = "SELECT format('SELECT count(*) AS found FROM %I AS one WHERE one::text ~ %L', tablename, 'WORDS') \
                 FROM pg_tables WHERE schemaname = 'public'";
    let looks = database.psql(&looks.replace("WORDS", &format!("{words}|{hex}"))).await;
    let all = looks.lines().collect::<Vec<_>>().join(" UNION ALL ");
    database.psql(&format!("SELECT sum(found) FROM ({all}) AS looks")).await.parse().expect("a number")
}
