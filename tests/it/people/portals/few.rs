//! What a visitor takes of the server is bounded.

use hookyard_tests::{Host, text};
use reqwest::{Method, Response};
use serde_json::json;

use super::super::Tab;
use super::portal;

/// A page of this tab's that is open, with the first that it is told.
async fn looks(tab: &Tab) -> (Response, String) {
    let mut stream = tab.request(Method::GET, "/live?of=/v1/endpoints").send().await.expect("the server answers");
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let told = stream.chunk().await.expect("it can be read").expect("something is told");
    let told = String::from_utf8_lossy(&told).into_owned();
    (stream, told)
}

#[tokio::test]
async fn whoever_looks_often_is_not_in_the_way_of_others() {
    const LATER: &str = "retry: 10000\n\n";
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    let mut open = Vec::new();
    let mut seats = async |tab: &Tab, most: usize| {
        for at in 0..most {
            let (stream, told) = looks(tab).await;
            if told == LATER {
                return at;
            }
            assert!(told.contains("event: here"), "{told}");
            open.push(stream);
        }
        most
    };
    // One link, however many tabs it has; and the visitors of a tenant together.
    for expected in [8, 4, 0] {
        let visitor = portal(&host, &acme, json!({"account": "berlin"})).await;
        assert_eq!(seats(&visitor, 10).await, expected);
    }
    // The tenant's own people, by however many sessions.
    for expected in [8, 0] {
        let mut tab = Tab::at(&host);
        assert_eq!(tab.post("/sign-in", &[("key", acme.key())]).await.status, 303);
        assert_eq!(seats(&tab, 10).await, expected);
    }
    // Another tenant's.
    let mut tab = Tab::at(&host);
    assert_eq!(tab.post("/sign-in", &[("key", other.key())]).await.status, 303);
    assert_eq!(seats(&tab, 3).await, 3);
    // Whoever leaves makes room.
    drop(open);
    let mut tab = Tab::at(&host);
    assert_eq!(tab.post("/sign-in", &[("key", acme.key())]).await.status, 303);
    hookyard_tests::eventually("a free seat", async || (looks(&tab).await.1 != LATER).then_some(())).await;
}

#[tokio::test]
async fn a_portal_makes_so_many_endpoints_and_no_more() {
    let host = Host::start().await;
    let tenant = host.tenant("agency").await;
    let form =
        |number: usize| json!({"name": format!("number {number}"), "url": "http://127.0.0.1:4/", "event_types": ["*"]});
    let mut visitor = portal(&host, &tenant, json!({"account": "berlin", "capabilities": ["endpoints"]})).await;
    for number in 0..50 {
        let (status, made) = visitor.change("POST /v1/endpoints", form(number)).await;
        assert_eq!(status, 303, "{made}");
    }
    let (status, page) = visitor.change("POST /v1/endpoints", form(50)).await;
    assert!(status == 409 && page.contains("50 endpoints"), "{status} {page}");
    // Another account has its own, and the tenant makes what it wants.
    let mut paris = portal(&host, &tenant, json!({"account": "paris", "capabilities": ["endpoints"]})).await;
    assert_eq!(paris.change("POST /v1/endpoints", form(51)).await.0, 303);
    let made = tenant.endpoint("http://127.0.0.1:4/", json!({"name": "own", "accounts": ["berlin"]})).await;
    tenant.delete(&format!("/v1/endpoints/{}", text(&made["id"]))).await.expect(204);
    let (_, page) = visitor.ask("GET /v1/endpoints?limit=1", json!(null)).await;
    let last = format!("DELETE /v1/endpoints/{}", text(&page["items"][0]["id"]));
    assert_eq!(visitor.change(&last, json!(null)).await.0, 303);
    assert_eq!(visitor.change("POST /v1/endpoints", form(52)).await.0, 303);
}
