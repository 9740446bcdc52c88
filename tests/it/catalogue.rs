//! The event catalogue: a dialect's types, a tenant's own, and schemas that
//! events are held to.

use hookyard_tests::{Answer, Api, Host, Receiver, list, text};
use reqwest::Method;
use serde_json::{Value, json};

async fn put(tenant: &Api, event_type: &str, form: Value) -> Answer {
    let path = format!("/v1/event-types/{event_type}");
    tenant.send(tenant.request(Method::PUT, &path).body(form.to_string())).await
}

async fn types(tenant: &Api) -> Vec<Value> {
    list(&tenant.get("/v1/event-types").await.expect(200)["items"]).clone()
}

fn order() -> Value {
    json!({
        "type": "object", "required": ["customer"],
        "properties": {
            "customer": {"type": "object", "properties": {"phone": {"type": "string"}}},
            "total": {"type": "number", "minimum": 0},
        },
    })
}

#[tokio::test]
async fn a_tenant_describes_types_of_its_own_beside_the_dialects() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmhub").await;
    assert_eq!(types(&tenant).await.len(), 4);
    let form = json!({"description": "Somebody has paid.", "schema": order(), "example": {"customer": {}}});
    let made = put(&tenant, "order.paid", form).await.expect(200);
    assert_eq!(
        (&made["type"], &made["origin"], &made["check"]),
        (&json!("order.paid"), &json!("tenant"), &json!(true))
    );
    let listed = types(&tenant).await;
    assert_eq!(listed.len(), 5);
    let own = listed.iter().find(|kind| kind["type"] == "order.paid").unwrap();
    assert_eq!((&own["schema"], &own["description"]), (&order(), &json!("Somebody has paid.")));

    // A dialect's type can be described anew, and is the dialect's again after that.
    let made = put(&tenant, "message.sent", json!({"check": true})).await.expect(200);
    assert!(made["schema"].is_object() && made["name"] != "", "{made}");
    assert_eq!(types(&tenant).await.len(), 5);
    tenant.delete("/v1/event-types/message.sent").await.expect(204);
    let sent = types(&tenant).await.into_iter().find(|kind| kind["type"] == "message.sent").unwrap();
    assert_eq!((&sent["origin"], &sent["check"]), (&json!("dialect"), &json!(false)));
    tenant.delete("/v1/event-types/order.paid").await.expect(204);
    tenant.delete("/v1/event-types/order.paid").await.problem(404, "");
    // Another tenant has nothing of it.
    let other = host.tenant("other").await;
    assert_eq!(types(&other).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_refused_with_the_pointer() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    put(&tenant, "order.paid", json!({"schema": order()})).await.expect(200);
    let publish = async |data: Value| tenant.post("/v1/events", json!({"type": "order.paid", "data": data})).await;
    publish(json!({"customer": {"phone": "+1"}, "total": 0})).await.expect(202);
    for (data, pointer, detail) in [
        (json!({"customer": {"phone": 7}}), "/data/customer/phone", "string"),
        (json!({"customer": {}, "total": -1}), "/data/total", "minimum"),
        (json!({"total": 1}), "/data", "customer"),
        (json!([]), "/data", "object"),
    ] {
        let refused = publish(data.clone()).await;
        assert_eq!(refused.body["pointer"], pointer, "{}", refused.body);
        let said = refused.problem(422, "data");
        assert!(said.contains(detail) && said.contains("order.paid"), "{data}: {said}");
    }
    // One of many that does not fit, and none is taken.
    let fits = json!({"type": "order.paid", "data": {"customer": {}}});
    let many = json!([fits, {"type": "order.paid", "data": {"customer": {"phone": 7}}}]);
    let refused = tenant.post("/v1/events", many).await;
    assert_eq!(refused.body["pointer"], "/1/data/customer/phone");
    refused.problem(422, "[1].data");
    assert_eq!(list(&tenant.get("/v1/events").await.expect(200)["items"]).len(), 1);
    // Other types are nobody's business, and so is this one once it is turned off.
    tenant.publish(json!({"type": "order.lost", "data": 7})).await;
    put(&tenant, "order.paid", json!({"schema": order(), "check": false})).await.expect(200);
    publish(json!([])).await.expect(202);
}

#[tokio::test]
async fn a_request_whose_events_do_not_fit_is_kept_and_run_again() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    put(&tenant, "order.paid", json!({"schema": order()})).await.expect(200);
    let source = tenant.post("/v1/sources", json!({"name": "s", "event_type": "order.paid"})).await.expect(201);
    let receipt = tenant.post(text(&source["url"]), json!({"customer": {"phone": 7}})).await.expect(202);
    assert_eq!(receipt["event_ids"], json!([]));
    let path = format!("/v1/requests/{}", text(&receipt["request_id"]));
    let kept = tenant.get(&path).await.expect(200);
    assert_eq!(kept["state"], "quarantined");
    assert!(text(&kept["reason"]).contains("/customer/phone"), "{kept}");

    tenant.delete("/v1/event-types/order.paid").await.expect(204);
    tenant.post(&format!("{path}/rerun"), json!({})).await.expect(202);
    assert_eq!(receiver.next().await.json()["data"], json!({"customer": {"phone": 7}}));
}

#[tokio::test]
async fn what_is_null_is_gone_and_what_is_left_out_is_the_dialects() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmhub").await;
    let made = put(&tenant, "message.sent", json!({})).await.expect(200);
    assert!(made["schema"].is_object() && !made["example"].is_null(), "{made}");
    let none = json!({"schema": null, "example": null});
    put(&tenant, "message.sent", json!({"schema": null, "check": true})).await.problem(422, "schema");
    let made = put(&tenant, "message.sent", none.clone()).await.expect(200);
    assert_eq!((&made["schema"], &made["example"], &made["check"]), (&Value::Null, &Value::Null, &json!(false)));
    let listed = types(&tenant).await.into_iter().find(|kind| kind["type"] == "message.sent").unwrap();
    assert_eq!((&listed["schema"], &listed["example"]), (&Value::Null, &Value::Null));
    tenant.publish(json!({"type": "message.sent", "data": 7})).await;
    // Of a type of its own there is nothing to come back.
    put(&tenant, "order.paid", json!({"schema": order(), "example": {}})).await.expect(200);
    let made = put(&tenant, "order.paid", none).await.expect(200);
    assert_eq!((&made["schema"], &made["example"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused_when_it_is_given() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (form, field) in [
        (json!({"schema": {"type": "strng"}}), "schema"),
        (json!({"schema": {"$ref": "https://example.com/schema.json"}}), "schema"),
        (json!({"schema": {"$ref": "file:///etc/passwd"}}), "schema"),
        (json!({"check": true}), "schema"),
        (json!({"schema": {"description": "x".repeat(70_000)}}), "schema"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let refused = put(&tenant, "order.paid", form.clone()).await;
        assert_eq!(refused.status, 422, "{form}: {}", refused.body);
        assert!(text(&refused.body["field"]).starts_with(field), "{form}: {}", refused.body);
    }
    put(&tenant, "no%20spaces", json!({})).await.problem(422, "type");
    assert_eq!(types(&tenant).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_schema_that_never_ends_costs_its_tenant_and_nobody_else() {
    let host = Host::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    // Doubles 60 times.
    let mut definitions = serde_json::Map::new();
    for at in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
        definitions.insert(format!("d{at}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d60".to_owned(), json!(true));
    let endless = json!({"$ref": "#"});
    for schema in [json!({"$defs": definitions, "$ref": "#/$defs/d0"}), endless] {
        // Refused when it is given or when an event meets it, or understood after all:
        // never hung, and never the end of the server.
        let put = put(&tenant, "order.paid", json!({"schema": schema})).await;
        assert!([200, 422].contains(&put.status.as_u16()), "{}", put.body);
        if put.status == 200 {
            let published = tenant.post("/v1/events", json!({"type": "order.paid", "data": {}})).await;
            assert!([202, 422].contains(&published.status.as_u16()), "{}", published.body);
        }
        other.publish(json!({"type": "a.b", "data": {}})).await;
    }
}
