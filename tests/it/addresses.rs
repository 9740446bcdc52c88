//! What must never be dialled is not: every URL of the vectors, and a receiver
//! on loopback that would notice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hookyard::dial::{Found, Names};
use hookyard::domain::url::UrlPolicy;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, Receiver};
use serde_json::json;

pub(crate) const URLS: &str = include_str!("../vectors/ssrf-urls.txt");

/// `\t`, `\n` and `\uXXXX` as the file writes them.
pub(crate) fn unescaped(line: &str) -> String {
    let json = line.replace('\\', "\\\\").replace('"', "\\\"");
    let json = json.replace("\\\\t", "\\t").replace("\\\\n", "\\n").replace("\\\\u", "\\u");
    serde_json::from_str(&format!("\"{json}\"")).unwrap_or_else(|_| line.to_owned())
}

/// The last two lines of the file are harmless: the control.
fn is_harmless(url: &str) -> bool {
    url.starts_with("https://example.com/")
}

#[tokio::test]
async fn no_forbidden_url_is_delivered_to() {
    let policy = UrlPolicy { allow_http: true, ..UrlPolicy::default() };
    let host = Host::start_with(policy).await;
    let tenant = host.tenant("acme").await;
    let mut refused = 0;
    for (at, line) in URLS.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let url = unescaped(line);
        if is_harmless(&url) {
            continue;
        }
        let form = json!({"name": format!("e{at}"), "url": url, "event_types": ["*"], "retry": {"schedule": []}});
        let answer = tenant.post("/v1/endpoints", form).await;
        match answer.status.as_u16() {
            422 => refused += 1,
            // A name: it is judged by what it resolves to, when it is dialled.
            201 => {}
            _ => panic!("{line}: {}", answer.body),
        }
    }
    assert!(refused > 60, "only {refused} were refused when they were given");

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let path = format!("/v1/deliveries?event={event}&limit=250");
    let deliveries = hookyard_tests::eventually("an end of every delivery", async || {
        let found = tenant.get(&path).await.expect(200)["items"].as_array().unwrap().clone();
        found.iter().all(|one| one["state"] != "pending").then_some(found)
    });
    let deliveries = deliveries.await;
    assert!(!deliveries.is_empty(), "the names of the list were taken");
    for delivery in deliveries {
        assert_eq!(delivery["state"], "dead", "{delivery}");
        let reason = delivery["reason"].as_str().unwrap();
        let unsent = ["not dialled", "did not resolve"].iter().any(|words| reason.contains(words));
        assert!(unsent, "{delivery}");
    }
}

#[tokio::test]
async fn what_is_loopback_by_its_name_is_refused_when_it_is_given() {
    let strict = Host::start_with(UrlPolicy { allow_http: true, ..UrlPolicy::default() }).await;
    let tenant = strict.tenant("acme").await;
    for host in ["localhost", "127.0.0.1", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"] {
        let form = json!({"name": host, "url": format!("http://{host}:4/"), "event_types": ["*"]});
        let said = tenant.post("/v1/endpoints", form).await.problem(422, "url");
        assert!(said.contains("loopback"), "{said}");
    }
}

/// The machine's own name, which its hosts file or its network gives an address
/// that no stranger may have dialled.
fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux has a host name");
    name.trim().to_owned()
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to_when_it_is_dialled() {
    use std::net::ToSocketAddrs as _;
    let mut receiver = Receiver::start().await;
    let port = receiver.address().port();
    let name = own_name();
    let resolved: Vec<_> = (name.as_str(), port).to_socket_addrs().expect("a machine knows itself").collect();
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"name": "itself", "url": format!("http://{name}:{port}/"), "event_types": ["*"], "retry": {"schedule": []}});
    tenant.post("/v1/endpoints", form).await.expect(201);
    // The control: where loopback is allowed, the name is dialled.
    if resolved.iter().all(|address| address.ip().is_loopback()) {
        tenant.publish(json!({"type": "a.b", "data": "control"})).await;
        assert_eq!(receiver.next().await.json()["data"], "control");
    }

    let host = host.restart_with(UrlPolicy { allow_http: true, ..UrlPolicy::default() }).await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let delivery = tenant.delivery_in(&event, "dead").await;
    assert!(delivery["reason"].as_str().unwrap().contains("not dialled"), "{resolved:?} {delivery}");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn plain_http_ends_when_the_operator_says_so() {
    let mut receiver = Receiver::start().await;
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": []}})).await;
    let host = host.restart_with(UrlPolicy { allow_http: false, ..local() }).await;
    let tenant = host.operator.with_key(Some(tenant.key()));

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    let delivery = tenant.delivery_in(&event, "dead").await;
    assert!(delivery["reason"].as_str().unwrap().contains("must begin with https"), "{delivery}");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_target_cannot_leave_its_origin() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let mut elsewhere = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let component = hookyard_tests::build::hostile();
    tenant.post_bytes("/v1/plugins?name=hostile", component).await.expect(201);
    let aim = |target: &str| json!([{"plugin": "hostile", "config": {"target": target}}]);
    let dead = json!({"name": "away", "steps": aim(&elsewhere.url()), "event_types": ["away"]});
    tenant.endpoint(&receiver.url(), dead).await;
    let fine = json!({"name": "near", "steps": aim("/other?x=1"), "event_types": ["near"]});
    tenant.endpoint(&receiver.url(), fine).await;

    let away = tenant.publish(json!({"type": "away", "data": 1})).await;
    tenant.publish(json!({"type": "near", "data": 1})).await;

    assert_eq!(receiver.next().await.uri, "/other?x=1");
    let delivery = tenant.delivery_in(&away, "dead").await;
    assert!(delivery["reason"].as_str().unwrap().contains("another scheme, host or port"), "{delivery}");
    assert!(elsewhere.so_far().is_empty());
}

/// A name that is looked up as the test says, one answer after the other.
struct Changing(Mutex<VecDeque<&'static str>>);

impl Names for Changing {
    fn addresses<'a>(&'a self, name: &'a str) -> Found<'a> {
        assert_eq!(name, "changing.example");
        let next = self.0.lock().expect("nobody panics").pop_front().expect("it is not asked more often");
        Box::pin(async move { Ok(next.split(' ').map(|text| text.parse().expect("an address")).collect()) })
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let mut receiver = Receiver::start().await;
    let closing = |status: u16| {
        let response = axum::http::Response::builder().status(status).header("connection", "close");
        response.body(String::new()).expect("a response")
    };
    receiver.answer_by(move |_| Some(closing(204)));
    let answers = ["127.0.0.1", "10.0.0.1", "127.0.0.1 10.0.0.1", "::ffff:10.0.0.1", "127.0.0.1"];
    let names: Arc<dyn Names> = Arc::new(Changing(Mutex::new(answers.into())));
    let host = Host::start_as(local(), Extra { names: Some(names), ..Extra::default() }).await;
    let tenant = host.tenant("acme").await;
    let url = format!("http://changing.example:{}/", receiver.address().port());
    tenant.endpoint(&url, json!({"retry": {"schedule": []}})).await;
    for answer in answers {
        let event = tenant.publish(json!({"type": "a.b", "data": answer})).await;
        if answer == "127.0.0.1" {
            tenant.delivery_in(&event, "delivered").await;
            assert_eq!(receiver.next().await.json()["data"], answer);
            continue;
        }
        let delivery = tenant.delivery_in(&event, "dead").await;
        let reason = delivery["reason"].as_str().unwrap();
        assert!(reason.contains("the name leads to a private address"), "{reason}");
        assert!(!reason.contains("10.0.0.1"), "what the name stands for in there is not told: {reason}");
    }
    assert!(receiver.so_far().is_empty());
}
