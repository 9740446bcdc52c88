//! Every path on which the product dials, with every URL that must not be.

use hookyard_tests::{Api, HostProcess, TempDir, build, eventually, list, text};
use reqwest::Method;
use serde_json::{Value, json};

use super::canaries::Canaries;
use super::names::TRAPS;
use crate::addresses::{URLS, unescaped};

/// What became of the URLs when they were given.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) taken: usize,
    pub(super) refused: usize,
}

/// Those of the vectors, and the traps.
fn urls() -> Vec<String> {
    let vectors = URLS.lines().filter(|line| !line.starts_with('#')).map(unescaped);
    let traps = TRAPS.iter().flat_map(|name| [format!("http://{name}/"), format!("http://{name}:8080/a?b=c")]);
    vectors.chain(traps).collect()
}

/// The host of a URL, as a step is granted it, where it has one that a grant
/// could name.
fn granted(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn form(name: &str, url: &str) -> Value {
    json!({"name": name, "url": url, "event_types": ["*"], "retry": {"schedule": []}})
}

fn step(urls: &[&String]) -> Value {
    let deeds: Vec<Value> = urls.iter().map(|url| json!({"send": {"url": url}})).collect();
    let hosts: Vec<String> = urls.iter().filter_map(|url| granted(url)).collect();
    json!({"plugin": "capable", "config": {"do": deeds},
        "grants": {"secrets": ["crm"], "state": true, "http": hosts}})
}

/// A host with these flags, whose tenant tries everything.
pub(super) async fn all(canaries: &Canaries, flags: &[&str]) -> Count {
    let data = TempDir::new();
    let host = HostProcess::start_flagged(data.path(), "hookyard::cli=info,error", flags).await;
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=capable", build::capable()).await.expect(201);
    let secret = tenant.request(Method::PUT, "/v1/secrets/crm").body(json!({"value": "x"}).to_string());
    tenant.send(secret).await.expect(200);

    let urls = urls();
    let count = given(&tenant, &urls).await;
    changed(&tenant, &urls).await;
    plugins(&tenant, &urls).await;
    for (name, url) in [("later", "http://later.test/"), ("redirected", "http://public.test/redirect")] {
        tenant.post("/v1/endpoints", form(name, url)).await.expect(201);
    }
    rest(&tenant).await;
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    rest(&tenant).await;
    assert!(canaries.names.was_asked("later.test"));
    canaries.names.turn();
    // Five failures open an endpoint's circuit, and nobody here waits for it to
    // close: these are the third to the fifth.
    retried(&tenant, &event).await;
    replayed(&tenant).await;
    count
}

/// Created and tested, and asked for a handshake.
async fn given(tenant: &Api, urls: &[String]) -> Count {
    let mut count = Count::default();
    for (at, url) in urls.iter().enumerate() {
        for (dialect, then) in [("standard-webhooks", "test"), ("dmtolead", "verify")] {
            let mut form = form(&format!("{dialect} {at}"), url);
            form["dialect"] = json!(dialect);
            let answer = tenant.post("/v1/endpoints", form).await;
            match answer.status.as_u16() {
                422 => {
                    count.refused += 1;
                    continue;
                }
                201 => count.taken += 1,
                _ => panic!("{url:?}: {}", answer.body),
            }
            let path = format!("/v1/endpoints/{}/{then}", text(&answer.body["id"]));
            let status = tenant.post(&path, json!({})).await.status.as_u16();
            assert!([200, 202].contains(&status), "{url:?}: {then} {status}");
        }
    }
    count
}

/// What was harmless becomes something else.
async fn changed(tenant: &Api, urls: &[String]) {
    for (at, url) in urls.iter().enumerate() {
        let form = form(&format!("changed {at}"), "http://public.test/");
        let endpoint = tenant.post("/v1/endpoints", form).await.expect(201);
        let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
        let status = tenant.patch(&path, json!({"url": url})).await.status.as_u16();
        assert!([200, 422].contains(&status), "{url:?}: {status}");
        tenant.post(&format!("{path}/test"), json!({})).await;
    }
}

/// Steps that are granted the host: in previews, of endpoints, of sources.
async fn plugins(tenant: &Api, urls: &[String]) {
    // Nobody can be granted what has no host.
    let urls: Vec<&String> = urls.iter().filter(|url| granted(url).is_some()).collect();
    for url in &urls {
        let trial = json!({"steps": [step(&[url])], "event": {"type": "a.b", "data": {}}, "http": true});
        let status = tenant.post("/v1/try", trial).await.status.as_u16();
        assert!([200, 422].contains(&status), "{url:?}: {status}");
    }
    for (at, four) in urls.chunks(4).enumerate() {
        let mut form = form(&format!("steps {at}"), "http://public.test/");
        form["steps"] = json!([step(four)]);
        let endpoint = tenant.post("/v1/endpoints", form).await.status.as_u16();
        let source = json!({"name": format!("steps {at}"), "steps": [step(four)]});
        let source = tenant.post("/v1/sources", source).await;
        assert!([201, 422].contains(&endpoint), "{four:?}: {endpoint}");
        if source.status == 201 {
            tenant.with_key(None).post(text(&source.body["url"]), json!({"event": "a.b"})).await.expect(202);
        }
    }
}

/// Until nothing is on its way.
async fn rest(tenant: &Api) {
    eventually("an end of every delivery", async || {
        let pending = tenant.get("/v1/deliveries?state=pending&limit=1").await.expect(200);
        list(&pending["items"]).is_empty().then_some(())
    })
    .await;
}

/// Every page of a list.
async fn every(tenant: &Api, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("{path}&limit=250{cursor}")).await.expect(200);
        all.extend(list(&page["items"]).iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn retried(tenant: &Api, event: &str) {
    for delivery in every(tenant, &format!("/v1/deliveries?event={event}&state=dead")).await {
        tenant.post(&format!("/v1/deliveries/{}/retry", text(&delivery["id"])), json!({})).await.expect(202);
    }
    rest(tenant).await;
}

async fn replayed(tenant: &Api) {
    for (at, endpoint) in every(tenant, "/v1/endpoints?").await.iter().enumerate() {
        let pipeline = if at % 2 == 0 { "as-sent" } else { "current" };
        let form = json!({"since": "2020-01-01T00:00:00Z", "pipeline": pipeline});
        tenant.post(&format!("/v1/endpoints/{}/replay", text(&endpoint["id"])), form).await;
    }
    rest(tenant).await;
}
