//! Named secrets: they sign, and nobody sees them.

use hookyard_tests::receiver::hmac_sha256;
use hookyard_tests::{Host, HostProcess, Receiver, TempDir, list};
use serde_json::{Value, json};

use super::{SECRET, put_secret, set_up, starts, step, tenant, tried};

fn signed(key: &str, data: &str) -> Value {
    json!(hmac_sha256(key.as_bytes(), data.as_bytes()).map(|byte| format!("{byte:02x}")).concat())
}

fn hmac(name: &str, data: &str) -> Value {
    json!({"hmac": {"name": name, "data": data}})
}

#[tokio::test]
async fn a_step_signs_with_what_it_is_granted_and_nothing_else() {
    let host = Host::start().await;
    let tenant = tenant(&host, "acme").await;
    put_secret(&tenant, "erp", "another secret").await.expect(200);

    let made =
        tried(&tenant, json!([hmac("crm", "data"), hmac("crm", ""), hmac("erp", "data"), hmac("no", "")]), &[]).await;
    assert_eq!(made, [signed(SECRET, "data"), signed(SECRET, ""), json!("Denied"), json!("Denied")]);

    // Another tenant's secret of the same name is another one.
    let other = super::tenant(&host, "other").await;
    put_secret(&other, "crm", "hers").await.expect(200);
    assert_eq!(tried(&other, json!([hmac("crm", "data")]), &[]).await, [signed("hers", "data")]);
    assert_eq!(tried(&tenant, json!([hmac("crm", "data")]), &[]).await, [signed(SECRET, "data")]);
}

#[tokio::test]
async fn a_new_value_counts_at_once_and_after_a_restart() {
    let host = Host::start().await;
    let tenant = tenant(&host, "acme").await;
    let before = tenant.get("/v1/secrets").await.expect(200);
    host.clock.advance(std::time::Duration::from_secs(1));
    let changed = put_secret(&tenant, "crm", "new").await.expect(200);
    assert_eq!(changed["created_at"], before["items"][0]["created_at"]);
    assert_ne!(changed["updated_at"], before["items"][0]["updated_at"]);
    assert_eq!(tried(&tenant, json!([hmac("crm", "x")]), &[]).await, [signed("new", "x")]);

    let host = host.restart().await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    assert_eq!(tenant.get("/v1/secrets").await.expect(200)["items"], json!([changed]));
    assert_eq!(tried(&tenant, json!([hmac("crm", "x")]), &[]).await, [signed("new", "x")]);
}

#[tokio::test]
async fn a_secret_that_a_step_is_granted_stays() {
    let host = Host::start().await;
    let tenant = tenant(&host, "acme").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"steps": [step(json!([]), &[])]})).await;
    let id = endpoint["id"].as_str().unwrap();
    let said = tenant.delete("/v1/secrets/crm").await.problem(409, "name");
    assert!(said.contains(id), "{said}");

    tenant.delete(&format!("/v1/endpoints/{id}")).await.expect(204);
    tenant.delete("/v1/secrets/crm").await.expect(204);
    tenant.delete("/v1/secrets/crm").await.problem(404, "");
    assert_eq!(tenant.get("/v1/secrets").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_secret_has_a_plain_name_and_a_value() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    put_secret(&tenant, "a%20b", "x").await.problem(422, "name");
    put_secret(&tenant, "a", "").await.problem(422, "value");
    put_secret(&tenant, "a", &"x".repeat(4097)).await.problem(422, "value");
    put_secret(&tenant, "a", &"x".repeat(4096)).await.expect(200);
    assert_eq!(list(&tenant.get("/v1/secrets").await.expect(200)["items"]).len(), 1);
}

#[tokio::test]
async fn a_secret_is_in_no_answer_and_in_no_log() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "info,hookyard=trace").await;
    let tenant = host.tenant("acme").await;
    set_up(&tenant).await;
    let mut receiver = Receiver::start().await;
    let deeds = json!([hmac("crm", "data"), {"put": {"key": "k", "value": "v"}}, hmac("erp", "data")]);
    let endpoint = tenant.endpoint(&receiver.url(), json!({"steps": [step(deeds.clone(), &[])]})).await;
    let event = tenant.publish(json!({"type": "a.b", "data": {}})).await;
    let delivered = receiver.next().await.json();
    assert_eq!(delivered[0], signed(SECRET, "data"));
    starts(&delivered[2], "Denied");

    let mut answers = vec![
        endpoint,
        delivered,
        put_secret(&tenant, "crm", SECRET).await.expect(200),
        put_secret(&tenant, "a b", SECRET).await.body,
        tenant.delivery_in(&event, "delivered").await,
        json!(tried(&tenant, deeds, &[]).await),
    ];
    for path in ["/v1/secrets", "/v1/endpoints", "/v1/plugins", "/v1/deliveries"] {
        answers.push(tenant.get(path).await.expect(200));
    }
    for answer in &answers {
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
    // In order: what is killed may not have written its last lines.
    let (_, log) = host.terminate().await;
    assert!(log.iter().any(|line| line.to_string().contains(&event)), "its log was read: {log:?}");
    for line in log {
        assert!(!line.to_string().contains(SECRET), "{line}");
    }
}
