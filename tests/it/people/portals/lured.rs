//! Somebody who is led to a portal's link while they are somebody already.

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, text};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::{Tab, user};
use super::{link, portal};

/// The names of the sources that a tab sees, or none where it sees none.
async fn sources(tab: &mut Tab) -> Option<String> {
    let (status, page) = tab.ask("GET /v1/sources", Value::Null).await;
    (status == 200).then(|| text(&page["items"][0]["name"]).to_owned())
}

#[tokio::test]
async fn a_portals_link_does_not_take_a_persons_place() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    acme.post("/v1/sources", json!({"name": "hers", "event_type": "a.b"})).await.expect(201);
    for origins in [json!([]), json!(["https://app.example.com"])] {
        let email = format!("jane{}@example.com", origins.to_string().len());
        let (_, mut jane) = user(&host, &acme, &email, "admin").await;
        let own = jane.cookie.clone();
        let url =
            link(&other, json!({"account": "berlin", "capabilities": ["endpoints"], "embed_origins": origins})).await;
        let asked = jane.get(&url).await;
        assert_eq!((asked.status.as_u16(), asked.set_cookie.len()), (200, 0), "{}", asked.body);
        for said in ["other", "berlin", "jane", "acme"] {
            assert!(asked.body.contains(said), "{said} is not in {}", asked.body);
        }
        assert!(asked.policy.contains("frame-ancestors 'none'"), "{}", asked.policy);
        assert_eq!(sources(&mut jane).await.as_deref(), Some("hers"));

        // Another site cannot answer for her.
        let foreign = jane.request(Method::POST, &url).header("sec-fetch-site", "cross-site");
        assert_eq!(jane.send(foreign).await.status, 403);
        assert_eq!(jane.cookie, own);
        assert_eq!(jane.get(&url).await.status, 200);
        // She does: she is in the portal, and her session is over.
        assert_eq!(jane.post(&url, &[]).await.location, "/");
        assert!(jane.is_in().await);
        assert_eq!(sources(&mut jane).await, None);
        jane.cookie = own;
        assert!(!jane.is_in().await);
    }
    assert_eq!(Tab::at(&host).post("/portal/no-such-portal", &[]).await.status, 410);
}

#[tokio::test]
async fn a_person_goes_before_a_portal_that_came_later() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    acme.post("/v1/sources", json!({"name": "hers", "event_type": "a.b"})).await.expect(201);
    let (_, mut jane) = user(&host, &acme, "jane@example.com", "admin").await;
    // As a browser does that does not keep the cookies of frames apart.
    let framed = portal(&host, &other, json!({"embed_origins": ["https://app.example.com"]})).await;
    let (own, portals) = (jane.cookie.clone().expect("a cookie"), framed.cookie.expect("a cookie"));
    let name = |cookie: &str| cookie.split_once('=').map(|(name, _)| name.to_owned());
    assert_ne!(name(&own), name(&portals), "one would be in the place of the other");
    for both in [format!("{own}; {portals}"), format!("{portals}; {own}")] {
        jane.cookie = Some(both);
        assert_eq!(sources(&mut jane).await.as_deref(), Some("hers"));
    }
    // The control: without her own it is the portal.
    jane.cookie = Some(portals);
    assert!(jane.is_in().await);
    assert_eq!(sources(&mut jane).await, None);
}

#[tokio::test]
async fn the_operator_and_another_tenants_visitor_are_asked_too() {
    let host = Host::start_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    let mut operator = Tab::at(&host);
    operator.post(host.first_link.as_deref().expect("a link"), &[("skip", "1")]).await;
    let foreign = link(&other, json!({"account": "berlin"})).await;
    assert_eq!(operator.get(&foreign).await.status, 200);
    assert_eq!(operator.ask("GET /v1/tenants", Value::Null).await.0, 200);

    let mut visitor = portal(&host, &acme, json!({"account": "berlin"})).await;
    assert_eq!(visitor.get(&foreign).await.status, 200);
    // Another link of the same tenant is what they came for; and in a frame the page
    // around it says which.
    assert_eq!(visitor.get(&link(&acme, json!({"account": "paris"})).await).await.status, 303);
    let framed = visitor.request(Method::GET, &foreign).header("sec-fetch-dest", "iframe");
    assert_eq!(visitor.send(framed).await.status, 303);
}
