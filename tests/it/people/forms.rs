//! Forms that no page has: whoever has a cookie may send them.

use hookyard_tests::{Host, text};
use reqwest::StatusCode;
use serde_json::json;

use super::{Tab, user};

#[tokio::test]
async fn a_form_takes_nobody_down() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let portal = admin.post("/v1/portal-sessions", json!({"account": "berlin"})).await.expect(201);
    let mut visitor = Tab::at(&host);
    visitor.get(text(&portal["url"])).await;
    assert!(visitor.is_in().await);
    let long = "x".repeat(1000);
    for (call, field, value) in [
        // As deep as a form is long.
        ("GET /v1/endpoints", vec!["a"; 500_000].join("."), "1"),
        // A call that is a thousand times what was typed.
        (&*format!("GET /v1/{}", "{_a}".repeat(1000)), "_a".to_owned(), &*long),
    ] {
        let shown = visitor.post("/endpoints", &[("_call", call), (&*field, value)]).await;
        assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(visitor.is_in().await, "the server is there still");
}

#[tokio::test]
async fn where_a_form_leads_is_not_longer_than_an_address() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (_, mut jane) = user(&host, &admin, "jane@example.com", "member").await;
    for (letter, holes, to) in [("x", 2, format!("/{}", "x".repeat(200))), ("y", 300, "/endpoints".to_owned())] {
        let name = letter.repeat(100);
        let then = format!("/{}", "{name}".repeat(holes));
        let fields = [("_call", "POST /v1/sources"), ("_then", &*then), ("name", &*name), ("event_type", "a.b")];
        let shown = jane.post("/endpoints", &fields).await;
        assert_eq!((shown.status, shown.location), (StatusCode::SEE_OTHER, to));
    }
}
