//! Receivers that do everything wrong. Whatever they do, an attempt ends by its
//! deadline as a failure that says what happened, and costs a bounded amount.

use std::collections::BTreeMap;
use std::time::Duration;

use hookyard_tests::faulty::{Faulty, RETRY_AFTER, SHORT_ANSWER};
use hookyard_tests::{Api, Host, HostProcess, TempDir, eventually, list, text};
use serde_json::{Value, json};

/// Of an answer, the host reads 64 KiB. What the system's buffers take besides
/// is not up to it.
const READ: u64 = 64 * 1024;
const BUFFERS: u64 = 6 * 1024 * 1024;
const KEPT: usize = 16 * 1024;

/// Each of these ways once: what it comes to, with which status, and a word that
/// explains it.
const WAYS: &[(&str, &str, Option<u64>, &str)] = &[
    ("silent", "timeout", None, "no complete answer within 1 s"),
    ("drip/status", "timeout", None, "within 1 s"),
    ("drip/headers", "timeout", None, "within 1 s"),
    ("drip/body", "timeout", None, "within 1 s"),
    ("promises/nothing", "timeout", None, "within 1 s"),
    ("endless-1xx", "timeout", None, "within 1 s"),
    ("endless-extension", "broken", None, "chunk"),
    ("headers/10000", "broken", None, "too large"),
    ("endless-headers", "broken", None, "too large"),
    ("header-line/1048576", "broken", None, "too large"),
    ("bad-chunks/words", "broken", None, "chunk"),
    ("bad-chunks/overflow", "broken", None, "chunk"),
    ("bad-chunks/negative", "broken", None, "chunk"),
    ("bad-chunks/longer", "broken", None, "chunk"),
    ("bad-chunks/no-end", "broken", None, "eof"),
    ("status/42", "broken", None, "status"),
    ("status/1000", "broken", None, "status"),
    ("status/abc", "broken", None, "status"),
    ("status/999", "refused", Some(999), ""),
    ("status/600", "refused", Some(600), ""),
    ("http09", "broken", None, "version"),
    ("garbage", "broken", None, "version"),
    ("nul/status", "broken", None, "status"),
    ("nul/header", "broken", None, "header"),
    ("nul/body", "refused", Some(400), ""),
    ("escape/reason", "broken", None, "status"),
    ("escape/header", "broken", None, "header"),
    ("escape/body", "refused", Some(400), ""),
    ("two-lengths", "broken", None, "content-length"),
    ("bad-length", "broken", None, "content-length"),
    ("upgrade", "refused", Some(101), ""),
    ("early", "refused", Some(413), ""),
    ("endless-body", "accepted", Some(200), ""),
    ("endless-chunks", "accepted", Some(200), ""),
    ("promises/kept", "accepted", Some(200), ""),
    ("bomb/gzip", "accepted", Some(200), ""),
    ("bomb/br", "accepted", Some(200), ""),
    ("bomb/zstd", "accepted", Some(200), ""),
    ("trailers", "accepted", Some(200), ""),
    ("extra", "accepted", Some(200), ""),
];

/// One endpoint for each of `modes`, tried once, and all of them sent the same
/// event; answers their deliveries once each has ended.
async fn tried_once(tenant: &Api, faulty: &Faulty, modes: &[String], event: Value) -> BTreeMap<String, Value> {
    let mut endpoints = BTreeMap::new();
    for mode in modes {
        let form = json!({"name": mode, "retry": {"schedule": []}, "timeout_seconds": 1});
        let endpoint = tenant.endpoint(&faulty.url(mode), form).await;
        endpoints.insert(text(&endpoint["id"]).to_owned(), mode.clone());
    }
    let event = tenant.publish(event).await;
    ended(tenant, &event, endpoints).await
}

async fn ended(tenant: &Api, event: &str, endpoints: BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let mut ended = BTreeMap::new();
    for (endpoint, mode) in endpoints {
        let path = format!("/v1/deliveries?event={event}&endpoint={endpoint}");
        let delivery = eventually(&format!("the end of {mode}"), async || {
            let found = tenant.get(&path).await.expect(200)["items"][0].clone();
            (found["state"] != "pending").then_some(found)
        })
        .await;
        let delivery = tenant.get(&format!("/v1/deliveries/{}", text(&delivery["id"]))).await.expect(200);
        ended.insert(mode, delivery);
    }
    ended
}

/// What an attempt came to, in the words that the API has for it.
fn said(delivery: &Value) -> String {
    let attempt = &delivery["attempts"][0];
    format!("{} {} {}", attempt["error"].as_str().unwrap_or_default(), delivery["reason"], attempt["outcome"])
}

fn kept(attempt: &Value) -> usize {
    let response = &attempt["response"];
    let base64 = response["body_base64"].as_str().map_or(0, |text| text.len() / 4 * 3);
    response["body"].as_str().map_or(base64, str::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_answer_ends_as_what_it_is_at_a_bounded_cost() {
    let data = TempDir::new();
    let host = HostProcess::start(data.path()).await;
    let faulty = Faulty::start().await;
    let tenant = host.tenant("acme").await;
    let modes: Vec<String> = WAYS.iter().map(|(mode, ..)| (*mode).to_owned()).collect();

    let deliveries = tried_once(&tenant, &faulty, &modes, json!({"type": "a.b", "data": 1})).await;

    let mut otherwise = Vec::new();
    for (mode, outcome, status, words) in WAYS {
        let (delivery, seen) = (&deliveries[*mode], faulty.seen(mode));
        let attempts = list(&delivery["attempts"]);
        assert_eq!((attempts.len(), seen.requests), (1, 1), "{mode} was asked once: {delivery}");
        let attempt = &attempts[0];
        let came_to = (text(&attempt["outcome"]), attempt["status"].as_u64());
        let is_delivered = delivery["state"] == "delivered";
        let is_explained = said(delivery).to_lowercase().contains(words);
        if came_to != (*outcome, *status) || is_delivered != (*outcome == "accepted") || !is_explained {
            otherwise.push((mode, came_to, said(delivery)));
        }
        assert!(kept(attempt) <= KEPT, "{mode} left {} bytes", kept(attempt));
        // Of interim answers there is no end but the deadline: none of them is kept.
        let most = if *mode == "endless-1xx" { u64::MAX } else { READ + BUFFERS };
        assert!(seen.written <= most, "{mode} was read {} bytes of", seen.written);
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
    for coding in ["gzip", "br", "zstd"] {
        let delivery = &deliveries[&format!("bomb/{coding}")];
        assert_eq!((kept(&delivery["attempts"][0]) + 2) / 1000, 8, "the bytes are kept as they came");
    }
    // What receivers say is not in the log but where it is quoted, and `parsed`
    // has looked for control characters in every line.
    let log = host.kill().await;
    assert!(log.iter().all(|line| !line.to_string().contains("panicked")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_of_any_kind_to_any_place_is_not_followed() {
    let host = Host::start().await;
    let faulty = Faulty::start().await;
    let tenant = host.tenant("acme").await;
    let places = ["loop", "elsewhere", "file", "metadata"];
    let kinds = [301, 302, 303, 307, 308];
    let modes: Vec<String> =
        kinds.iter().flat_map(|kind| places.map(|place| format!("redirect/{kind}/{place}"))).collect();

    let deliveries = tried_once(&tenant, &faulty, &modes, json!({"type": "a.b", "data": 1})).await;

    for (mode, delivery) in deliveries {
        assert_eq!(delivery["attempts"][0]["outcome"], "refused", "{delivery}");
        assert!(said(&delivery).contains("redirects are not followed"), "{mode}: {delivery}");
        assert_eq!(faulty.seen(&mode).requests, 1, "{mode}");
    }
    assert_eq!(faulty.seen("elsewhere").requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_any_byte_is_a_failure_and_no_second_request() {
    let host = Host::start().await;
    let faulty = Faulty::start().await;
    let tenant = host.tenant("acme").await;
    let answers = (0..=SHORT_ANSWER.len()).flat_map(|n| [format!("reset/{n}"), format!("close/{n}")]);
    // Large enough not to fit into the buffers: the client is in the middle of it.
    let sizes = [0, 1, 100, 4096, 65_536, 262_144, 500_000];
    let modes: Vec<String> = answers.chain(sizes.map(|n| format!("reset-reading/{n}"))).collect();
    let event = json!({"type": "a.b", "data": {"padding": "x".repeat(900_000)}});

    let deliveries = tried_once(&tenant, &faulty, &modes, event).await;

    let whole = format!("/{}", SHORT_ANSWER.len());
    for (mode, delivery) in deliveries {
        let attempt = &delivery["attempts"][0];
        match text(&attempt["outcome"]) {
            // After a whole answer it is too late to break.
            "accepted" => assert!(mode.ends_with(&whole), "{mode}: {delivery}"),
            "broken" => assert!(mode != format!("close{whole}"), "{mode}: {delivery}"),
            other => panic!("{mode}: {other}"),
        }
        assert_eq!(faulty.seen(&mode).requests, 1, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_accepts_and_never_shakes_hands_is_given_up() {
    let host = Host::start().await;
    let faulty = Faulty::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"retry": {"schedule": []}, "timeout_seconds": 1});
    tenant.endpoint(&faulty.tls_url(), form).await;
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let delivery = tenant.delivery_in(&event, "dead").await;
    assert_eq!(delivery["attempts"][0]["outcome"], "timeout", "{delivery}");
}

/// A kept connection that is closed while it is used again: what may have been
/// taken is not sent a second time by the same attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_as_it_is_used_again_costs_no_second_request() {
    let host = Host::start().await;
    let faulty = Faulty::start().await;
    let tenant = host.tenant("acme").await;
    for race in ["race/on-use", "race/after-answer"] {
        let form = json!({"name": race, "event_types": ["a.b"], "max_in_flight": 1, "retry": {"schedule": []}});
        let endpoint = tenant.endpoint(&faulty.url(race), form).await;
        let (mut attempts, mut accepted) = (0, 0);
        for n in 0..30 {
            let event = tenant.publish(json!({"type": "a.b", "data": n})).await;
            let only = [(text(&endpoint["id"]).to_owned(), race.to_owned())].into();
            let delivery = &ended(&tenant, &event, only).await[race];
            let outcome = text(&delivery["attempts"][0]["outcome"]).to_owned();
            assert!(outcome == "accepted" || outcome == "broken", "{delivery}");
            attempts += list(&delivery["attempts"]).len() as u64;
            accepted += u64::from(outcome == "accepted");
        }
        let seen = faulty.seen(race).requests;
        assert!(seen <= attempts, "{seen} requests in {attempts} attempts");
        assert!(accepted >= 15, "every other goes over a fresh connection, and {accepted} went well");
        tenant.delete(&format!("/v1/endpoints/{}", text(&endpoint["id"]))).await.expect(204);
    }
}

/// However it is written, the wait is neither shorter than the schedule nor
/// longer than a day.
#[tokio::test(flavor = "multi_thread")]
async fn any_retry_after_is_between_the_schedule_and_a_day() {
    const MINUTE: i64 = 60;
    const DAY: i64 = 24 * 60 * MINUTE;
    let host = Host::start().await;
    let faulty = Faulty::start().await;
    let tenant = host.tenant("acme").await;
    let mut endpoints = BTreeMap::new();
    for n in 0..RETRY_AFTER.len() {
        let mode = format!("retry-after/{n}");
        let form = json!({"name": mode, "retry": {"schedule": [MINUTE]}});
        endpoints.insert(n, text(&tenant.endpoint(&faulty.url(&mode), form).await["id"]).to_owned());
    }
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    for (n, endpoint) in endpoints {
        let path = format!("/v1/deliveries?event={event}&endpoint={endpoint}");
        let due = eventually("a failed attempt", async || {
            let found = tenant.get(&path).await.expect(200)["items"][0].clone();
            let is_over = found["attempt_count"] == 1 && found["next_attempt_at"].is_string();
            is_over.then(|| text(&found["next_attempt_at"]).parse::<jiff::Timestamp>().expect("an instant"))
        })
        .await;
        let wait = Duration::from_secs(u64::try_from(due.as_second() - host.now().as_secs()).expect("not before now"));
        let value = RETRY_AFTER[n];
        let expected = match value.trim() {
            "7200" | "7200\r\nretry-after: 1" => 2 * 60 * MINUTE,
            long if long.len() > 14 && long.starts_with(|first: char| first.is_ascii_digit()) => DAY,
            "{8k}" | "Tue, 19 Jan 2038 03:14:08 GMT" | "Tue, 31 Dec 2199 23:59:59 GMT" => DAY,
            // Past the last instant that can be reckoned with, it says nothing.
            _ => MINUTE,
        };
        // A fifth of jitter on what is scheduled, and the time that this took.
        let from = if expected == MINUTE { 30 } else { expected - 60 };
        let range = from..=expected + 15;
        assert!(range.contains(&i64::try_from(wait.as_secs()).expect("short")), "`{value}`: {wait:?}");
    }
}
