//! Passwords: what a right one opens, and what wrong ones tell whoever guesses.

use hookyard_tests::{Host, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{HOUR, PASSWORD, Tab, WRONG, at, user};

#[tokio::test]
async fn a_new_password_signs_out_everywhere_else() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (jane, mut first) = user(&host, &admin, "jane@example.com", "member").await;
    let link = admin.post(&format!("{}/link", at(&jane)), json!({})).await.expect(201);
    assert!(first.is_in().await, "a link by itself changes nothing");
    let mut second = Tab::at(&host);
    assert_eq!(second.post(text(&link["url"]), &[("password", WRONG)]).await.status, 303);
    assert!(second.is_in().await && !first.is_in().await);
    assert_eq!(first.sign_in("jane@example.com", PASSWORD).await.status, 401);
    assert_eq!(first.sign_in("jane@example.com", WRONG).await.status, 303);
}

#[tokio::test]
async fn whoever_fails_is_told_the_same_whatever_was_wrong() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    user(&host, &admin, "jane@example.com", "member").await;
    admin.post("/v1/users", json!({"email": "invited@example.com"})).await.expect(201);
    let mut tab = Tab::at(&host);
    let mut answers = Vec::new();
    for (email, password) in [
        ("jane@example.com", WRONG),
        ("jane@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("invited@example.com", ""),
    ] {
        let shown = tab.sign_in(email, password).await;
        answers.push((shown.status, shown.body.replace(email, "EMAIL")));
        assert!(shown.set_cookie.is_empty());
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // The control, and an address is found however it is typed.
    let shown = tab.sign_in(" JANE@example.com", PASSWORD).await;
    assert_eq!((shown.status, &*shown.location), (StatusCode::SEE_OTHER, "/"));
    assert!(tab.is_in().await);
}

#[tokio::test]
async fn guessing_becomes_slow_and_time_mends_it() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    user(&host, &admin, "jane@example.com", "member").await;
    let mut tab = Tab::at(&host);
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(tab.sign_in("jane@example.com", WRONG).await.status.as_u16());
    }
    assert!(statuses.iter().filter(|status| **status == 401).count() <= 21, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    // The right one is not looked at either: that would be an answer.
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 429);
    // For somebody else it is not in the way.
    assert_eq!(tab.sign_in("john@example.com", WRONG).await.status, 401);
    host.clock.advance(HOUR);
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn guessing_from_elsewhere_keeps_nobody_out() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    user(&host, &admin, "jane@example.com", "member").await;
    let mut tab = Tab::at(&host);
    for _ in 0..20 {
        assert_eq!(tab.sign_in_from("203.0.113.9", "jane@example.com", WRONG).await.status, 401);
    }
    assert_eq!(tab.sign_in_from("203.0.113.9", "jane@example.com", PASSWORD).await.status, 429);
    assert_eq!(tab.sign_in_from("198.51.100.7", "jane@example.com", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn ones_own_account_at_an_address_does_not_make_guesses_of_anothers_free() {
    const MALLORYS: &str = "my very own password";
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    user(&host, &acme, "jane@example.com", "member").await;
    let made = other.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let mut tab = Tab::at(&host);
    assert_eq!(tab.post(text(&made["link"]), &[("password", MALLORYS)]).await.status, 303);
    for _ in 0..19 {
        assert_eq!(tab.sign_in("jane@example.com", WRONG).await.status, 401);
    }
    assert_eq!(tab.sign_in("jane@example.com", MALLORYS).await.status, 303);
    assert_eq!(tab.sign_in("jane@example.com", WRONG).await.status, 401);
    assert_eq!(tab.sign_in("jane@example.com", WRONG).await.status, 429);
}

#[tokio::test]
async fn a_network_becomes_slow_whichever_of_its_addresses_tries() {
    let host = Host::start().await;
    let mut tab = Tab::at(&host);
    let mut from = async |address: String| {
        let request = tab.request(Method::POST, "/sign-in").header("sec-fetch-site", "same-origin");
        tab.send(request.header("x-forwarded-for", address).body("key=hk_nobodys")).await.status.as_u16()
    };
    for number in 0..400 {
        assert_eq!(from(format!("2001:db8:1:{number:x}::1")).await, 401, "{number}");
    }
    assert_eq!(from("2001:db8:1:ffff::1".to_owned()).await, 429);
    assert_eq!(from("2001:db8:2:ffff::1".to_owned()).await, 401);
}

#[tokio::test]
async fn a_person_of_two_tenants_says_which() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    user(&host, &acme, "jane@example.com", "member").await;
    user(&host, &other, "jane@example.com", "member").await;
    let mut tab = Tab::at(&host);
    let shown = tab.sign_in("jane@example.com", PASSWORD).await;
    assert_eq!(shown.status, 409);
    assert!(shown.body.contains("<option>acme</option>") && shown.body.contains("<option>other</option>"));
    assert!(!tab.is_in().await);
    // Whoever does not know the password learns nothing of where she is.
    let wrong = tab.sign_in("jane@example.com", WRONG).await;
    assert!(wrong.status == 401 && !wrong.body.contains("acme"), "{}", wrong.body);
    let fields = [("email", "jane@example.com"), ("password", PASSWORD), ("tenant", "other")];
    assert_eq!(tab.post("/sign-in", &fields).await.status, 303);
    let (status, keys) = tab.ask("GET /v1/endpoints", Value::Null).await;
    assert_eq!((status, &keys["items"]), (200, &json!([])));
}
