//! With other people's provider: who is let in, and who is not.

use std::time::Duration;

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, text};
use reqwest::Method;
use serde_json::json;

use super::real::Provider;
use super::visitor::{Visitor, link};
use super::{JANE, add, host, refused};

/// A provider that knows a host and is known by it.
async fn both(alg: &str, in_token: bool) -> (Provider, Host) {
    let mut provider = Provider::start().await;
    let host = host(&provider.issuer).await;
    provider.know(host.operator.base(), alg, in_token).await;
    (provider, host)
}

#[tokio::test]
async fn whoever_is_vouched_for_comes_to_the_page_that_they_wanted() {
    for (alg, in_token) in [("RS256", false), ("PS256", true), ("ES256", false), ("EdDSA", true)] {
        let (_provider, host) = both(alg, in_token).await;
        add(&host.tenant("acme").await, JANE).await;
        let mut jane = Visitor::at(&host);
        let page = jane.go("/endpoints?state=active").await;
        assert!(page.url.path() == "/sign-in" && page.body.contains("Sign in with Example ID"), "{}", page.body);
        let back = jane.vouched(&page, "Jane@Example.com").await;
        assert!(!jane.has_cookie("hookyard") && jane.has_cookie("hookyard-oidc"), "{alg}");
        let shown = jane.go(&back).await;
        assert_eq!(
            (shown.status.as_u16(), shown.url.path(), shown.url.query()),
            (200, "/endpoints", Some("state=active"))
        );
        assert!(jane.has_cookie("hookyard") && !jane.has_cookie("hookyard-oidc"), "{alg}");
        assert!(shown.body.contains("acme"), "{}", shown.body);
    }
}

#[tokio::test]
async fn nobody_is_made_a_user_by_it() {
    let (_provider, host) = both("RS256", false).await;
    let admin = host.tenant("acme").await;
    add(&admin, JANE).await;
    let mut john = Visitor::at(&host);
    let page = john.go("/sign-in").await;
    let back = john.vouched(&page, "john@example.com").await;
    let shown = john.go(&back).await;
    refused(&john, &shown, 403, "Nobody here has the address john@example.com");
    let users = admin.get("/v1/users").await.expect(200);
    assert_eq!(users["items"].as_array().map(Vec::len), Some(1), "{users}");
    // Once an admin has added them they are let in.
    add(&admin, "john@example.com").await;
    assert!(john.go(&link(&page)).await.status == 200 && john.is_in().await);
}

#[tokio::test]
async fn an_address_that_the_provider_does_not_stand_for_is_nobodys() {
    for in_token in [false, true] {
        let (_provider, host) = both("RS256", in_token).await;
        add(&host.tenant("acme").await, JANE).await;
        for (login, why) in [("unverified:jane@example.com", "has not verified"), ("nameless", "did not say")] {
            let mut somebody = Visitor::at(&host);
            let page = somebody.go("/sign-in").await;
            let back = somebody.vouched(&page, login).await;
            let shown = somebody.go(&back).await;
            refused(&somebody, &shown, 403, why);
        }
    }
}

#[tokio::test]
async fn a_return_is_good_once_and_only_where_it_began() {
    let (_provider, host) = both("RS256", false).await;
    add(&host.tenant("acme").await, JANE).await;
    let (mut jane, mut victim) = (Visitor::at(&host), Visitor::at(&host));
    let page = jane.go("/sign-in").await;
    let back = jane.vouched(&page, JANE).await;
    // Somebody else who follows it: with no cookie, and on a way of their own.
    let over = "Begin again";
    let shown = victim.go(&back).await;
    refused(&victim, &shown, 400, over);
    victim.step("/sign-in/oidc").await;
    let shown = victim.go(&back).await;
    refused(&victim, &shown, 400, over);
    assert!(victim.has_cookie("hookyard-oidc"), "their own way goes on");
    // Another state, none, and none of the rest.
    let (path, query) = back.split_once('?').expect("a query");
    let state = query.split('&').find(|pair| pair.starts_with("state=")).expect("a state");
    for query in [query.replace(state, "state=x"), query.replace(state, ""), String::new()] {
        let shown = jane.go(&format!("{path}?{query}")).await;
        refused(&jane, &shown, 400, over);
    }
    // Nothing of that has ended it.
    assert!(jane.go(&back).await.status == 200 && jane.is_in().await);
    jane.forget("hookyard");
    let shown = jane.go(&back).await;
    refused(&jane, &shown, 400, over);
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_worth_nothing() {
    let (_provider, host) = both("RS256", false).await;
    let admin = host.tenant("acme").await;
    add(&admin, JANE).await;
    add(&admin, "mallory@example.com").await;
    let (mut jane, mut mallory) = (Visitor::at(&host), Visitor::at(&host));
    let page = jane.go("/sign-in").await;
    let (to, from) = (jane.vouched(&page, JANE).await, mallory.vouched(&page, "mallory@example.com").await);
    let pair = |url: &str, name: &str| {
        let pairs = url.split(['?', '&']).find(|pair| pair.starts_with(&format!("{name}=")));
        pairs.expect("it is there").to_owned()
    };
    let mixed = to.replace(&pair(&to, "code"), &pair(&from, "code"));
    let shown = jane.go(&mixed).await;
    refused(&jane, &shown, 502, "could not tell who you are");
}

#[tokio::test]
async fn it_does_not_wait_for_ever() {
    let (_provider, host) = both("RS256", false).await;
    add(&host.tenant("acme").await, JANE).await;
    let mut jane = Visitor::at(&host);
    let page = jane.go("/sign-in").await;
    let back = jane.vouched(&page, JANE).await;
    host.clock.advance(Duration::from_secs(10 * 60));
    let shown = jane.go(&back).await;
    refused(&jane, &shown, 400, "took too long");
}

#[tokio::test]
async fn a_person_of_several_places_says_which() {
    let mut provider = Provider::start().await;
    let extra = Extra { oidc: Some(super::settings(&provider.issuer)), first_link: true, ..Extra::default() };
    let host = Host::start_as(local(), extra).await;
    provider.know(host.operator.base(), "RS256", false).await;
    add(&host.tenant("acme").await, JANE).await;
    add(&host.tenant("other").await, JANE).await;
    let mut jane = Visitor::at(&host);
    let first = host.first_link.clone().expect("nobody is its operator yet");
    let page = jane.go(&first).await;
    jane.fill(&page, &[("email", JANE), ("name", "Jane"), ("password", "correct horse battery")]).await;
    jane.forget("hookyard");

    let page = jane.go("/sign-in?then=/events").await;
    let back = jane.vouched(&page, JANE).await;
    let asked = jane.step(&back).await;
    assert_eq!(asked.status, 409);
    for place in ["acme", "other", "The whole server"] {
        assert!(asked.body.contains(&format!("<option>{place}</option>")), "{}", asked.body);
    }
    assert!(!asked.body.contains("name=\"password\"") && !jane.has_cookie("hookyard"), "{}", asked.body);
    // Whoever has only the page has nothing.
    let mut mallory = Visitor::at(&host);
    let shown = mallory.fill(&asked, &[("tenant", "other")]).await;
    refused(&mallory, &shown, 400, "Begin again");
    let shown = jane.fill(&asked, &[("tenant", "other")]).await;
    assert_eq!(shown.location.as_ref().map(|url| url.path()), Some("/events"), "{}", shown.body);
    assert!(jane.is_in().await && jane.step("/endpoints").await.body.contains("other"));
    jane.forget("hookyard");
    let shown = jane.fill(&asked, &[("tenant", "acme")]).await;
    refused(&jane, &shown, 400, "Begin again");

    // And the operator. The provider knows who is at the browser by now.
    let page = jane.go("/sign-in").await;
    let asked = jane.go(&link(&page)).await;
    let shown = jane.fill(&asked, &[("tenant", "The whole server")]).await;
    assert!(shown.status == 303 && jane.step("/operator").await.status == 200, "{}", shown.body);
}

#[tokio::test]
async fn it_leads_nowhere_else() {
    let (_provider, host) = both("RS256", false).await;
    add(&host.tenant("acme").await, JANE).await;
    for then in ["//evil.example/", "https://evil.example/", "/\\evil.example"] {
        let mut jane = Visitor::at(&host);
        let then: String = url::form_urlencoded::byte_serialize(then.as_bytes()).collect();
        let page = jane.go(&format!("/sign-in?then={then}")).await;
        jane.vouched(&page, JANE).await;
        let shown = jane.go(&format!("/sign-in/oidc?then={then}")).await;
        assert!(shown.status == 200 && shown.url.as_str().starts_with(host.operator.base()), "{}", shown.url);
    }
}

#[tokio::test]
async fn a_password_works_beside_it() {
    let (_provider, host) = both("RS256", false).await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/users", json!({"email": JANE})).await.expect(201);
    let mut jane = Visitor::at(&host);
    let page = jane.go(text(&made["link"])).await;
    jane.fill(&page, &[("password", "correct horse battery")]).await;
    assert!(jane.is_in().await);
    jane.forget("hookyard");
    let page = jane.go("/sign-in").await;
    jane.fill(&page, &[("email", JANE), ("password", "correct horse battery")]).await;
    assert!(jane.is_in().await);
    jane.forget("hookyard");
    let back = jane.vouched(&page, JANE).await;
    assert!(jane.go(&back).await.status == 200 && jane.is_in().await);
    // Deleted, they are out like anybody.
    admin.send(admin.request(Method::DELETE, &format!("/v1/users/{}", text(&made["id"])))).await.expect(204);
    assert!(!jane.is_in().await);
}
