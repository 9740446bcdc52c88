//! With a provider that does one thing that it must not: nobody is let in.

use std::time::Duration;

use hookyard::clock::{Clock as _, SystemClock};
use hookyard_tests::Host;
use serde_json::{Value, json};

use super::faulty::{By, Fault, Faulty};
use super::visitor::{Shown, Visitor};
use super::{JANE, add, host, refused};

const BROKEN: &str = "could not tell who you are";

/// A host of which Jane is a user, and one who wants to be in.
async fn waiting(provider: &Faulty) -> (Host, Visitor) {
    let host = host(&provider.issuer).await;
    add(&host.tenant("acme").await, JANE).await;
    let visitor = Visitor::at(&host);
    (host, visitor)
}

async fn tries(visitor: &mut Visitor) -> Shown {
    visitor.go("/sign-in/oidc?then=/events").await
}

#[tokio::test]
async fn whoever_begins_without_end_keeps_nobody_from_the_other_ways_in() {
    let provider = Faulty::start().await;
    let (host, mut jane) = waiting(&provider).await;
    let mut last = jane.step("/sign-in/oidc").await;
    for _ in 0..110 {
        last = jane.step("/sign-in/oidc").await;
    }
    // The control: that is too often.
    refused(&jane, &last, 429, "Too many tries");
    let tenant = host.tenant("other").await;
    let form = jane.step("/sign-in").await;
    let shown = jane.fill(&form, &[("key", tenant.key())]).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
}

#[tokio::test]
async fn what_the_provider_must_not_say_lets_nobody_in() {
    let provider = Faulty::start().await;
    let (_host, mut jane) = waiting(&provider).await;
    let now = SystemClock.now().as_secs();
    let claim = |name, value: Value| Fault::Claim(name, value);
    let faults = [
        (claim("aud", json!("another")), 502, BROKEN),
        (claim("aud", json!(["hookyard", "another"])), 502, BROKEN),
        (claim("azp", json!("another")), 502, BROKEN),
        (claim("iss", json!("https://id.example")), 502, BROKEN),
        (claim("nonce", json!("of another")), 502, BROKEN),
        (claim("nonce", Value::Null), 502, BROKEN),
        (claim("exp", json!(now - 120)), 502, BROKEN),
        (claim("exp", Value::Null), 502, BROKEN),
        (claim("iat", json!(now + 600)), 502, BROKEN),
        (claim("sub", Value::Null), 502, BROKEN),
        (claim("email_verified", json!(false)), 403, "has not verified"),
        (claim("email", json!(["jane@example.com"])), 403, "did not say"),
        (claim("email", json!("john@example.com")), 403, "Nobody here has the address john@example.com"),
        (Fault::Signed(By::Another), 502, BROKEN),
        (Fault::Signed(By::Nobody), 502, BROKEN),
        (Fault::Signed(By::ClientSecret), 502, BROKEN),
        (Fault::Signed(By::Before), 502, BROKEN),
        (Fault::Userinfo("sub", json!("2")), 502, BROKEN),
        (Fault::Userinfo("email_verified", json!(false)), 403, "has not verified"),
        (Fault::Answer("iss", "https://id.example"), 502, BROKEN),
        (Fault::Answer("error", "access_denied"), 403, "did not let you in"),
        (Fault::Answer("error", "<script>"), 502, BROKEN),
        (Fault::Status("/token", 401), 502, BROKEN),
        (Fault::Status("/keys", 500), 502, BROKEN),
        (Fault::Moved("/token"), 502, BROKEN),
        (Fault::Moved("/keys"), 502, BROKEN),
        (Fault::Flood("/token"), 502, BROKEN),
        (Fault::Flood("/keys"), 502, BROKEN),
        (Fault::Silence("/token"), 502, BROKEN),
    ];
    for (fault, status, why) in faults {
        provider.does(fault.clone());
        let shown = tries(&mut jane).await;
        assert_eq!(shown.status, status, "{fault:?}: {}", shown.body);
        refused(&jane, &shown, status, why);
        assert!(!shown.body.contains("<script>") && !jane.has_cookie("hookyard-oidc"), "{fault:?}: {}", shown.body);
    }
    assert_eq!(provider.followed(), 0, "a redirect is not followed");
    // The controls.
    for fault in [Fault::Nothing, claim("azp", json!("hookyard")), Fault::Userinfo("more", json!(1))] {
        provider.does(fault.clone());
        let shown = tries(&mut jane).await;
        assert!(shown.status == 200 && shown.url.path() == "/events", "{fault:?}: {}", shown.body);
        jane.forget("hookyard");
    }
}

#[tokio::test]
async fn a_provider_that_is_another_or_away_is_not_gone_to() {
    let provider = Faulty::start().await;
    let at = "/.well-known/openid-configuration";
    for fault in [
        Fault::Discovery("issuer", json!(format!("{}/", provider.issuer))),
        Fault::Discovery("issuer", json!("https://id.example")),
        Fault::Discovery("token_endpoint", json!("http://192.0.2.1/token")),
        Fault::Discovery("authorization_endpoint", json!("javascript:alert(1)")),
        Fault::Discovery("token_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
        Fault::Status(at, 404),
        Fault::Moved(at),
        Fault::Flood(at),
        Fault::Silence(at),
    ] {
        // What it says of itself is kept for a while.
        let (_host, mut jane) = waiting(&provider).await;
        provider.does(fault.clone());
        let shown = tries(&mut jane).await;
        assert!(shown.status == 502 && shown.set_cookie.is_empty(), "{fault:?}: {}", shown.body);
        refused(&jane, &shown, 502, BROKEN);
        // Once it is itself again, so is this.
        provider.does(Fault::Nothing);
        assert_eq!(tries(&mut jane).await.url.path(), "/events", "{fault:?}");
    }
    assert_eq!(provider.followed(), 0, "a redirect is not followed");
}

#[tokio::test]
async fn an_answer_without_a_name_is_not_taken_from_a_provider_that_names_itself() {
    let provider = Faulty::start().await;
    let (_host, mut jane) = waiting(&provider).await;
    provider.does(Fault::Discovery("authorization_response_iss_parameter_supported", json!(true)));
    let shown = tries(&mut jane).await;
    refused(&jane, &shown, 502, BROKEN);
}

#[tokio::test]
async fn a_way_back_is_remembered_as_far_as_an_address_goes() {
    let provider = Faulty::start().await;
    let (_host, mut jane) = waiting(&provider).await;
    for (length, path) in [(1000, "/events"), (3000, "/")] {
        let shown = jane.go(&format!("/sign-in/oidc?then=/events?search={}", "x".repeat(length))).await;
        assert!(shown.status == 200 && shown.url.path() == path, "{}", shown.url);
        jane.forget("hookyard");
    }
}

#[tokio::test]
async fn beginning_without_end_becomes_slow() {
    let provider = Faulty::start().await;
    let (host, mut stranger) = waiting(&provider).await;
    let mut statuses = Vec::new();
    for _ in 0..110 {
        statuses.push(stranger.step("/sign-in/oidc").await.status.as_u16());
    }
    assert_eq!(statuses.last(), Some(&429));
    assert!(statuses.iter().filter(|status| **status == 303).count() <= 101, "{statuses:?}");
    host.clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(stranger.step("/sign-in/oidc").await.status, 303);
}
