//! A tenant that has one of everything, so that no page is empty, with texts of the
//! test's choice wherever a tenant, a sender, a plugin or a receiver has one.

use std::collections::BTreeMap;

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Api, Host, Receiver, eventually, text};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::hostile_set;

/// Some text for a place, such as "a subject".
type Texts = fn(&str) -> String;

pub(super) struct Everything {
    /// Stops with this.
    _host: Host,
    pub(super) tenant: Api,
    /// What `{id}`, `{name}` and `{type}` stand for, by the path before it.
    ids: BTreeMap<&'static str, String>,
    _receiver: Receiver,
}

impl Everything {
    pub(super) async fn with(say: Texts) -> Self {
        let host = Host::start_as(local(), Extra { complete: true, ..Extra::default() }).await;
        let made = host.operator.post("/v1/tenants", json!({"name": say("tenant")})).await.expect(201);
        let tenant = host.operator.with_key(made["key"].as_str());
        let receiver = Receiver::start().await;
        let answer = say("answer");
        receiver.answer_by(move |arrived| {
            let status = if String::from_utf8_lossy(&arrived.body).contains("refuse me") { 500 } else { 200 };
            let builder = axum::http::Response::builder().status(status).header("content-type", "text/html");
            Some(builder.header("x-answer", &answer).body(answer.clone()).expect("an answer"))
        });
        let operator = json!({"email": "root@example.com", "name": say("operator")});
        host.operator.post("/v1/operator/users", operator).await.expect(201);
        let mut ids = BTreeMap::from([("/operator/tenants/", text(&made["id"]).to_owned())]);
        catalogue(&tenant, say, &mut ids).await;
        endpoints(&tenant, &receiver, say, &mut ids).await;
        requests(&tenant, say, &mut ids).await;
        past(&tenant, say, &mut ids).await;
        Self { _host: host, tenant, ids, _receiver: receiver }
    }

    /// The path with what its names stand for.
    pub(super) fn fill(&self, path: &str) -> String {
        let Some((before, rest)) = path.split_once('{') else { return path.to_owned() };
        let id = self.ids.get(before).unwrap_or_else(|| panic!("say in `Everything` what is at {path}"));
        let (_, after) = rest.split_once('}').expect("a name ends");
        self.fill(&format!("{before}{id}{after}"))
    }
}

/// What is set up besides sources and endpoints.
async fn catalogue(tenant: &Api, say: Texts, ids: &mut BTreeMap<&'static str, String>) {
    let said = say("described");
    let schema =
        json!({"type": "object", "title": said, "properties": {"note": {"type": "string", "description": said}}});
    let kind = json!({"name": say("type"), "description": said, "schema": schema, "example": {"note": said}});
    let put = tenant.request(Method::PUT, "/v1/event-types/order.paid").body(kind.to_string());
    tenant.send(put).await.expect(200);
    let put = tenant.request(Method::PUT, "/v1/secrets/crm").body(json!({"value": "s3cret"}).to_string());
    assert!(tenant.send(put).await.status.is_success());
    tenant.post("/v1/keys", json!({"name": say("key"), "role": "viewer"})).await.expect(201);
    let user = json!({"email": "jane@example.com", "name": say("user"), "role": "member"});
    tenant.post("/v1/users", user).await.expect(201);
    let component = hostile_set::plugin_that_says(&say("summary"), &schema.to_string());
    tenant.post_bytes("/v1/plugins?name=theirs", component).await.expect(201);
    ids.insert("/plugins/", "theirs".to_owned());
    ids.insert("/plugins/theirs/versions/", "1".to_owned());
    ids.insert("/event-types/", "order.paid".to_owned());
}

/// One that takes everything, and one whose receiver refuses for good.
async fn endpoints(tenant: &Api, receiver: &Receiver, say: Texts, ids: &mut BTreeMap<&'static str, String>) {
    let source =
        format!("function transform(event, message) {{ console.log({}); return message; }}", json!(say("log")));
    let steps = json!([
        {"plugin": "theirs", "config": {"note": say("config")}},
        {"plugin": "javascript", "config": {"source": source}},
    ]);
    let more = json!({
        "name": say("endpoint"), "event_types": ["order.*"], "steps": steps,
        "headers": {"X-Note": say("header"), "X-Key": {"value": "hush", "secret": true}},
        "auth": {"type": "basic", "username": say("login"), "password": "hush"},
    });
    let endpoint = tenant.endpoint(&receiver.url(), more).await;
    ids.insert("/endpoints/", text(&endpoint["id"]).to_owned());
    let more = json!({
        "name": say("refused"), "event_types": ["invoice.*"], "retry": {"schedule": []},
        "accounts": [say("account")], "tags": [say("tag")],
    });
    tenant.endpoint(&receiver.url(), more).await;
}

/// A request that became an event, and one that was quarantined.
async fn requests(tenant: &Api, say: Texts, ids: &mut BTreeMap<&'static str, String>) {
    let form = json!({"name": say("source"), "event_type": "order.placed"});
    let source = tenant.post("/v1/sources", form).await.expect(201);
    ids.insert("/sources/", text(&source["id"]).to_owned());
    let body = json!({"note": say("body"), say("field"): 1}).to_string();
    let url = Url::parse_with_params(text(&source["url"]), [("q", say("query"))]).expect("a source has a URL");
    let request = tenant.request(Method::POST, url.as_str()).header("x-note", say("sent")).body(body.clone());
    let receipt = tenant.send(request).await.expect(202);
    tenant.delivery_in(text(&receipt["event_ids"][0]), "delivered").await;

    let source = format!("function map() {{ console.log({0}); throw new Error({0}); }}", json!(say("thrown")));
    let steps = json!([{"plugin": "javascript", "config": {"source": source}}]);
    let form = json!({"name": say("broken source"), "steps": steps});
    let source = tenant.post("/v1/sources", form).await.expect(201);
    let receipt = tenant.post_bytes(text(&source["url"]), body).await.expect(202);
    ids.insert("/requests/", text(&receipt["request_id"]).to_owned());
}

/// Events, one delivered and one whose delivery is dead, and its replay.
async fn past(tenant: &Api, say: Texts, ids: &mut BTreeMap<&'static str, String>) {
    let event = |kind: &str, note: &str| {
        json!({
            "type": kind, "subject": say("subject"), "account": say("account"), "tags": [say("tag")],
            "data": {"note": note, "said": say("data"), say("name in data"): [say("list")]},
        })
    };
    let delivered = tenant.publish(event("order.paid", "")).await;
    let delivery = tenant.delivery_in(&delivered, "delivered").await;
    ids.insert("/events/", delivered);
    ids.insert("/deliveries/", text(&delivery["id"]).to_owned());
    let refused = tenant.publish(event("invoice.paid", "refuse me")).await;
    let dead = tenant.delivery_in(&refused, "dead").await;
    let endpoint = text(&dead["endpoint_id"]);
    let form = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "as-sent"});
    let replay = tenant.post(&format!("/v1/endpoints/{endpoint}/replay"), form).await.expect(202);
    eventually("the replay", async || {
        let found: Value = tenant.get(&format!("/v1/replays/{}", text(&replay["id"]))).await.expect(200);
        (found["state"] == "done").then_some(())
    })
    .await;
}
