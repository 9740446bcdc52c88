//! Requests of plugins: to what was granted, through the guard, within limits,
//! and without keeping anybody waiting.

use axum::http::Response;
use hookyard::domain::url::UrlPolicy;
use hookyard_tests::{Host, Receiver};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{results, starts, step, tenant, tried};

fn send(url: &str) -> Value {
    json!({"send": {"url": url}})
}

fn answer(status: u16, body: String) -> Response<String> {
    Response::builder().status(status).header("location", "/elsewhere").body(body).expect("a response")
}

#[tokio::test]
async fn a_granted_host_is_reached_and_no_other() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let (mut granted, mut other) = (Receiver::start().await, Receiver::start().await);
    granted.answer_with(answer(418, "a teapot".to_owned()));
    let deed = json!({"send": {"method": "POST", "url": granted.url(), "headers": [["X-A", "1"], ["x-b", "ü"]],
        "bytes": 3}});
    let name = granted.address().to_string();
    let made = tried(&acme, json!([deed, send(&other.url())]), &[&name]).await;
    assert_eq!(made[0], json!([418, "a teapot"]));
    starts(&made[1], &format!("Denied(\"the step is not granted `{}`", other.address()));
    let arrived = granted.next().await;
    assert_eq!((arrived.method.as_str(), &arrived.body[..], arrived.header("x-a")), ("POST", &b"xxx"[..], "1"));
    assert!(arrived.header("user-agent").starts_with("Hookyard/"));

    // The host without its port, its other names, and credentials before it.
    let port = granted.address().port();
    for url in [
        format!("http://127.0.0.1:{}/", other.address().port()),
        format!("http://127.0.0.1/{port}"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1:{port}@{}/", other.address()),
        format!("http://{}/?@127.0.0.1:{port}", other.address()),
    ] {
        starts(&tried(&acme, json!([send(&url)]), &[&name]).await[0], "Denied");
    }
    for url in [format!("http:\\\\127.0.0.1:{port}/"), format!("//127.0.0.1:{port}/"), String::new()] {
        starts(&tried(&acme, json!([send(&url)]), &[&name]).await[0], "Failed(\"the URL");
    }
    let odd = |more: Value| {
        let mut deed = send(&granted.url());
        deed["send"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([deed])
    };
    for (more, words) in [
        (json!({"method": "CONNECT"}), "Failed(\"a method"),
        (json!({"headers": [["Host", "evil"]]}), "Failed(\"header `host`"),
        (json!({"headers": [["a", "b\r\nc: d"]]}), "Failed(\"the value of header"),
        (json!({"headers": vec![["a", "b"]; 65]}), "TooLarge(\"65 headers"),
        (json!({"bytes": 256 * 1024 + 1}), "TooLarge(\"a body of 262145 bytes"),
    ] {
        starts(&tried(&acme, odd(more), &[&name]).await[0], words);
    }
    assert!(granted.so_far().is_empty() && other.so_far().is_empty());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_answers_have_an_end() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let mut receiver = Receiver::start().await;
    let name = receiver.address().to_string();
    receiver.answer_with(answer(307, "over there".to_owned()));
    assert_eq!(tried(&acme, json!([send(&receiver.url())]), &[&name]).await, [json!([307, "over there"])]);
    assert_eq!(receiver.next().await.uri, "/hooks");
    assert!(receiver.so_far().is_empty());

    let fetch = json!({"fetch": {"url": receiver.url()}});
    receiver.answer_with(answer(200, "x".repeat(1024 * 1024)));
    receiver.answer_with(answer(200, "x".repeat(1024 * 1024 + 1)));
    let mut many = Response::builder();
    for number in 0..70 {
        many = many.header(format!("x-{number}"), "1");
    }
    receiver.answer_with(many.body(String::new()).expect("a response"));
    let made = tried(&acme, json!([fetch, fetch, fetch, send(&receiver.url()), fetch]), &[&name]).await;
    assert_eq!(made[0], 1024 * 1024);
    starts(&made[1], "TooLarge(\"over 1048576 bytes");
    starts(&made[2], "TooLarge(\"7");
    assert_eq!(made[3], json!([204, ""]));
    starts(&made[4], "Denied(\"a call makes at most 4 requests");
    assert_eq!(receiver.so_far().len(), 4);
}

#[tokio::test]
async fn what_may_not_be_dialled_is_not() {
    let mut receiver = Receiver::start().await;
    let port = receiver.address().port();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux has a host name");
    let own = format!("{}:{port}", name.trim().to_lowercase());
    let (v4, v6, local) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"), format!("localhost:{port}"));
    let hosts = ["169.254.169.254", &v4, &v6, &local, &own];
    let strict = Host::start_with(UrlPolicy { allow_http: true, ..UrlPolicy::default() }).await;
    let acme = tenant(&strict, "acme").await;
    for host in hosts {
        let made = tried(&acme, json!([send(&format!("http://{host}/latest/meta-data/"))]), &hosts).await;
        starts(&made[0], "Denied(\"not dialled: ");
    }
    // Other ways to write the same addresses are other hosts than those granted,
    // or the same ones.
    for host in ["0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]", "169.254.169.254.", "①69.254.169.254"] {
        let made = tried(&acme, json!([send(&format!("http://{host}/"))]), &hosts).await;
        starts(&made[0], "Denied(");
    }
    let https = Host::start_with(UrlPolicy { allow_http: false, ..hookyard_tests::host::local() }).await;
    let acme = tenant(&https, "acme").await;
    let made = tried(&acme, json!([send(&receiver.url())]), &[&v4]).await;
    starts(&made[0], "Denied(\"not dialled: must begin with https");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_preview_reaches_no_host_unless_it_is_asked_to() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let mut receiver = Receiver::start().await;
    let name = receiver.address().to_string();
    let form = |http: Value| {
        json!({"steps": [step(json!([send(&receiver.url())]), &[&name])], "event": {"type": "a.b", "data": 1},
            "http": http})
    };
    let trial = acme.post("/v1/try", form(json!(false))).await.expect(200);
    starts(&results(&trial)[0], "Denied(\"not in a preview");
    let trial = acme.post("/v1/try", form(json!(true))).await.expect(200);
    assert_eq!(results(&trial), [json!([204, ""])]);
    assert_eq!(receiver.next().await.method, "GET");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn hosts_that_hang_keep_nobody_else_waiting_and_end() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let victim = host.tenant("victim").await;
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let name = silent.local_addr().expect("it is bound").to_string();
    let four = vec![send(&format!("http://{name}/")); 4];
    let mut receiver = Receiver::start().await;
    acme.endpoint(&receiver.url(), json!({"steps": [step(json!(four), &[&name])]})).await;
    let events: Vec<Value> = (0..4).map(|n| json!({"type": "a.b", "data": n})).collect();
    acme.post("/v1/events", json!(events)).await.expect(202);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(silent.accept().await.expect("a connection"));
    }

    // Each of the four hangs for 15 s in all. As many calls as there are threads,
    // of another tenant and of this one, are done before that.
    for tenant in [&victim, &acme] {
        for _ in 0..8 {
            let steps = json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "n", "const": 1}]}}]);
            let form = json!({"steps": steps, "event": {"type": "a.b", "data": 1}});
            assert_eq!(tenant.post("/v1/try", form).await.expect(200)["outcome"], "send");
        }
    }
    let waiting = acme.get("/v1/deliveries?state=pending").await.expect(200);
    assert_eq!(hookyard_tests::list(&waiting["items"]).len(), 4, "they hang still");

    let delivered = receiver.next().await.json();
    assert_eq!(delivered, json!(["Timeout", "Timeout", "Timeout", "Timeout"]));
}
