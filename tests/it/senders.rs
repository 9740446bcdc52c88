//! The world's senders: their own SDKs sign, a source takes it, and nothing that
//! is wrong, stale or replayed gets through.

use std::time::Duration;

use hookyard_tests::{Answer, Api, Host, list, oracle, text};
use reqwest::Method;
use serde_json::{Map, Value, json};

/// A source that verifies as `verification` says.
async fn source(tenant: &Api, verification: Value) -> Value {
    let name = format!(
        "from {} {}",
        text(&verification["scheme"]),
        list(&tenant.get("/v1/sources").await.expect(200)["items"]).len()
    );
    let form = json!({"name": name, "event_type": "it.came", "verification": verification});
    tenant.post("/v1/sources", form).await.expect(201)
}

async fn post(tenant: &Api, url: &str, headers: &Map<String, Value>, body: &str) -> Answer {
    let mut request = tenant.with_key(None).request(Method::POST, url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(name, value.as_str().expect("a header is text"));
    }
    tenant.send(request).await
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// 401, kept where the tenant sees why, and no event of it.
async fn is_refused(tenant: &Api, answer: Answer, reason: &str) -> Value {
    assert_eq!(answer.body["type"], "urn:hookyard:problem:unproven", "{}", answer.body);
    let said = answer.problem(401, "");
    assert!(said.contains(reason), "{said}");
    let newest = tenant.get("/v1/requests?state=refused&limit=1").await.expect(200)["items"][0].clone();
    assert!(text(&newest["reason"]).contains(reason), "{newest}");
    let whole = tenant.get(&format!("/v1/requests/{}", text(&newest["id"]))).await.expect(200);
    assert_eq!(whole["event_ids"], json!([]));
    let path = format!("/v1/requests/{}/rerun", text(&newest["id"]));
    tenant.post(&path, json!({})).await.problem(409, "");
    whole
}

struct Case {
    scheme: &'static str,
    secret: &'static str,
    other: &'static str,
    /// What holds a body to its signature.
    body_is_signed: bool,
    /// How many seconds a signature may be old, where it has a time.
    tolerance: Option<u64>,
}

#[tokio::test]
async fn what_an_sdk_signs_is_taken_once_and_nothing_else() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let standard = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let other_standard = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let plain = Case { scheme: "", secret: "hush-hush", other: "another", body_is_signed: true, tolerance: None };
    for Case { scheme, secret, other, body_is_signed, tolerance } in [
        Case { scheme: "standard-webhooks", secret: standard, other: other_standard, tolerance: Some(300), ..plain },
        Case { scheme: "svix", secret: standard, other: other_standard, tolerance: Some(300), ..plain },
        Case { scheme: "stripe", tolerance: Some(300), ..plain },
        Case { scheme: "slack", tolerance: Some(300), ..plain },
        Case { scheme: "mailgun", body_is_signed: false, tolerance: Some(32_400), ..plain },
        Case { scheme: "github", ..plain },
        Case { scheme: "meta", ..plain },
        Case { scheme: "shopify", ..plain },
    ] {
        let source = source(&tenant, json!({"scheme": scheme, "secret": secret})).await;
        assert_eq!(source["verification"], json!({"scheme": scheme, "has_secret": true}));
        let url = text(&source["url"]);
        let sign = async |secret: &str, at: i64| {
            let library = if scheme == "standard-webhooks" { "standardwebhooks" } else { scheme };
            let question = json!({
                "do": "sign", "library": library, "secret": secret, "timestamp": at, "id": format!("msg_{at}"),
                "body": r#"{"id":"evt_1","amount":7}"#,
            });
            let signed = oracle::python(question).await;
            let body = signed["body"].as_str().unwrap_or(r#"{"id":"evt_1","amount":7}"#).to_owned();
            (signed["headers"].as_object().expect("headers").clone(), body)
        };
        let (headers, body) = sign(secret, now()).await;
        let receipt = post(&tenant, url, &headers, &body).await.expect(202);
        let event = tenant.get(&format!("/v1/events/{}", text(&receipt["event_ids"][0]))).await.expect(200);
        assert_eq!(event["data"], serde_json::from_str::<Value>(&body).unwrap(), "{scheme}");

        if let Some(tolerance) = tolerance {
            // Replayed.
            is_refused(&tenant, post(&tenant, url, &headers, &body).await, "it came before").await;
            // Stale, by our clock or theirs.
            for at in [now() - tolerance as i64 - 5, now() + tolerance as i64 + 60] {
                let (headers, body) = sign(secret, at).await;
                is_refused(&tenant, post(&tenant, url, &headers, &body).await, "it was signed").await;
            }
        }
        let (headers, _) = sign(secret, now() - 1).await;
        if body_is_signed {
            let changed = body.replace('7', "8");
            is_refused(&tenant, post(&tenant, url, &headers, &changed).await, "does not match").await;
        }
        let (headers, body) = sign(other, now()).await;
        is_refused(&tenant, post(&tenant, url, &headers, &body).await, "does not match").await;
        is_refused(&tenant, post(&tenant, url, &Map::new(), "{}").await, "is missing").await;
    }
}

#[tokio::test]
async fn two_copies_of_a_request_at_once_are_one() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let source = source(&tenant, json!({"scheme": "standard-webhooks", "secret": secret})).await;
    let question = json!({
        "do": "sign", "library": "standardwebhooks", "secret": secret, "timestamp": now(), "id": "msg_1", "body": "{}",
    });
    let headers = oracle::python(question).await["headers"].as_object().unwrap().clone();
    let url = text(&source["url"]);
    let copies = (0..8).map(|_| {
        let (tenant, url, headers) = (tenant.clone(), url.to_owned(), headers.clone());
        tokio::spawn(async move { post(&tenant, &url, &headers, "{}").await.status.as_u16() })
    });
    let mut taken = 0;
    for copy in copies.collect::<Vec<_>>() {
        match copy.await.unwrap() {
            202 => taken += 1,
            status => assert_eq!(status, 401),
        }
    }
    assert_eq!(taken, 1);
    assert_eq!(list(&tenant.get("/v1/events").await.expect(200)["items"]).len(), 1);
    // Nor does it come through after a restart.
    let host = host.restart().await;
    let path = url.split_once("/in/").unwrap().1;
    let tenant = tenant_at(&host, &tenant);
    let again = post(&tenant, &format!("/in/{path}"), &headers, "{}").await;
    is_refused(&tenant, again, "it came before").await;
}

/// The tenant's API at a host that was started again, on another port.
fn tenant_at(host: &Host, tenant: &Api) -> Api {
    host.operator.with_key(Some(tenant.key()))
}

#[tokio::test]
async fn twilio_signs_the_url_and_the_form_or_the_hash_of_the_body() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = source(&tenant, json!({"scheme": "twilio", "secret": "auth-token"})).await;
    let url = text(&source["url"]);
    let form = json!({"From": "+12025551234", "Body": "Grüße & mehr", "To": "+4930", "Empty": ""});
    let signed =
        oracle::python(json!({"do": "sign", "library": "twilio", "secret": "auth-token", "url": url, "form": form}))
            .await;
    let (headers, body) = (signed["headers"].as_object().unwrap().clone(), text(&signed["body"]));
    let receipt = post(&tenant, url, &headers, body).await.expect(202);
    let event = tenant.get(&format!("/v1/events/{}", text(&receipt["event_ids"][0]))).await.expect(200);
    assert_eq!(event["data"], form, "a form is an object of texts");
    is_refused(&tenant, post(&tenant, url, &headers, &body.replace("4930", "4931")).await, "does not match").await;
    is_refused(&tenant, post(&tenant, &format!("{url}?x=1"), &headers, body).await, "does not match").await;

    let signed = oracle::python(
        json!({"do": "sign", "library": "twilio", "secret": "auth-token", "url": url, "body": r#"{"a":1}"#}),
    )
    .await;
    let mut headers = signed["headers"].as_object().unwrap().clone();
    headers.insert("content-type".to_owned(), json!("application/json"));
    let url = text(&signed["url"]);
    assert!(url.contains("bodySHA256="), "{url}");
    post(&tenant, url, &headers, r#"{"a":1}"#).await.expect(202);
    is_refused(&tenant, post(&tenant, url, &headers, r#"{"a":2}"#).await, "not the one that was signed").await;
}

#[tokio::test]
async fn sendgrid_and_asymmetric_standard_webhooks_are_verified_with_public_keys() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (keys, scheme, library) in
        [("sendgrid-keys", "sendgrid", "sendgrid"), ("ed25519-keys", "standard-webhooks", "standardwebhooks-v1a")]
    {
        let keys = oracle::python(json!({"do": keys})).await;
        let source = source(&tenant, json!({"scheme": scheme, "secret": keys["public"]})).await;
        let url = text(&source["url"]);
        let question = json!({
            "do": "sign", "library": library, "secret": keys["private"], "timestamp": now(), "id": "msg_1", "body": "[1]",
        });
        let headers = oracle::python(question).await["headers"].as_object().unwrap().clone();
        is_refused(&tenant, post(&tenant, url, &headers, "[2]").await, "does not match").await;
        post(&tenant, url, &headers, "[1]").await.expect(202);
        is_refused(&tenant, post(&tenant, url, &headers, "[1]").await, "it came before").await;
    }
}

#[tokio::test]
async fn the_platforms_are_listened_to_as_well() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    // What one host sends in a platform's dialect, a source takes.
    for (dialect, header) in [
        ("dmhub", "x-dmhub-signature"),
        ("dmtolead", "x-dmtolead-signature"),
        ("docssmith", "x-docssmith-demo2-signature"),
        ("connectgain", "x-webhook-signature"),
    ] {
        let source = source(&tenant, json!({"scheme": dialect, "secret": "the-key"})).await;
        let url = text(&source["url"]);
        let signature =
            oracle::python(json!({"do": "sign", "library": "github", "secret": "the-key", "body": "{}"})).await;
        let hex = signature["headers"]["X-Hub-Signature-256"].as_str().unwrap().trim_start_matches("sha256=");
        let headers = json!({ header: hex }).as_object().unwrap().clone();
        post(&tenant, url, &headers, "{}").await.expect(202);
        is_refused(&tenant, post(&tenant, url, &headers, "[]").await, "does not match").await;
    }
    // The page of DM Champ has no signature.
    let unsigned = source(&tenant, json!({"scheme": "dmchamp"})).await;
    post(&tenant, text(&unsigned["url"]), &Map::new(), "{}").await.expect(202);
}

#[tokio::test]
async fn a_source_without_its_secret_yet_refuses_everything_but_the_handshake() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = source(&tenant, json!({"scheme": "dmtolead"})).await;
    assert_eq!(source["verification"]["has_secret"], false);
    let url = text(&source["url"]);
    let verify = r#"{"event":"webhook.verify","verifyToken":"abc123","timestamp":"2026-05-13T19:24:00.000Z"}"#;
    let answer = post(&tenant, url, &Map::new(), verify).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.expect(200), json!({"verifyToken": "abc123"}));
    let kept = tenant.get("/v1/requests?state=answered").await.expect(200)["items"][0].clone();
    // It proved nothing, so nothing can be made of it.
    tenant.post(&format!("/v1/requests/{}/rerun", text(&kept["id"])), json!({})).await.problem(409, "");
    let headers = json!({"x-dmtolead-signature": "00"}).as_object().unwrap().clone();
    is_refused(&tenant, post(&tenant, url, &headers, "{}").await, "no secret yet").await;
    // The key is shown after the handshake, and set then.
    let path = format!("/v1/sources/{}", text(&source["id"]));
    let changed =
        tenant.patch(&path, json!({"verification": {"scheme": "dmtolead", "secret": "the-key"}})).await.expect(200);
    assert_eq!(changed["verification"]["has_secret"], true);
    // What a later change leaves out stays.
    let changed = tenant.patch(&path, json!({"verification": {"scheme": "dmtolead"}})).await.expect(200);
    assert_eq!(changed["verification"]["has_secret"], true);
    let changed = tenant.patch(&path, json!({"verification": {"scheme": "github"}})).await.expect(200);
    assert_eq!(changed["verification"]["has_secret"], false, "another scheme's secret is another");
    let form = json!({"verification": {"scheme": "dmtolead", "secret": "the-key"}});
    tenant.patch(&path, form).await.expect(200);
    is_refused(&tenant, post(&tenant, url, &headers, "{}").await, "does not match").await;
}

#[tokio::test]
async fn slack_gets_its_challenge_back_when_it_is_slack() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = source(&tenant, json!({"scheme": "slack", "secret": "signing"})).await;
    let url = text(&source["url"]);
    let body = r#"{"token":"x","challenge":"3eZbrw1aB","type":"url_verification"}"#;
    let sign = async |secret: &str| {
        let question = json!({"do": "sign", "library": "slack", "secret": secret, "timestamp": now(), "body": body});
        oracle::python(question).await["headers"].as_object().unwrap().clone()
    };
    let answer = post(&tenant, url, &sign("signing").await, body).await;
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.expect(200), "3eZbrw1aB");
    is_refused(&tenant, post(&tenant, url, &sign("another").await, body).await, "does not match").await;
    assert_eq!(tenant.get("/v1/events").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn meta_gets_its_challenge_back_when_it_knows_the_token() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let verification = json!({"scheme": "meta", "secret": "app_secret", "verify_token": "my-token"});
    let source = source(&tenant, verification).await;
    let url = text(&source["url"]);
    let get =
        async |query: &str| tenant.send(tenant.with_key(None).request(Method::GET, &format!("{url}?{query}"))).await;
    let answer = get("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=my-token").await;
    // A number in JSON's eyes, and text in Meta's. A browser does not look whether
    // it could be a page.
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.expect(200), 1_158_201_444);
    let kept = tenant.get("/v1/requests?state=answered").await.expect(200)["items"][0].clone();
    let kept = tenant.get(&format!("/v1/requests/{}", text(&kept["id"]))).await.expect(200);
    assert!(text(&kept["query"]).contains("1158201444") && !kept.to_string().contains("my-token"), "{kept}");
    let wrong = get("hub.mode=subscribe&hub.challenge=1&hub.verify_token=guess").await;
    is_refused(&tenant, wrong, "is not the source's verify_token").await;
    is_refused(&tenant, get("").await, "is missing").await;
    // Another sender's source is not asked by GET at all.
    let plain = tenant.post("/v1/sources", json!({"name": "plain"})).await.expect(201);
    tenant.send(tenant.request(Method::GET, text(&plain["url"]))).await.problem(405, "");
}

#[tokio::test]
async fn tokens_in_headers_are_compared_and_not_kept() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let basic = "Basic b3BlcmF0b3I6aHVzaC1odXNo"; // operator:hush-hush
    for (verification, name, right, wrong) in [
        (json!({"scheme": "gitlab", "secret": "hush-hush"}), "x-gitlab-token", "hush-hush", "hush"),
        (json!({"scheme": "bearer", "secret": "hush-hush"}), "authorization", "Bearer hush-hush", "Bearer hush-hush2"),
        (
            json!({"scheme": "basic", "username": "operator", "secret": "hush-hush"}),
            "authorization",
            basic,
            "Basic AAAA",
        ),
        (json!({"scheme": "api-key", "header": "X-Key", "secret": "hush-hush"}), "x-key", "hush-hush", "HUSH-HUSH"),
        (json!({"scheme": "api-key", "secret": "hush-hush"}), "x-api-key", "hush-hush", ""),
    ] {
        let source = source(&tenant, verification.clone()).await;
        let url = text(&source["url"]);
        let with = |value: &str| json!({ name: value }).as_object().unwrap().clone();
        let receipt = post(&tenant, url, &with(right), "{}").await.expect(202);
        let kept = tenant.get(&format!("/v1/requests/{}", text(&receipt["request_id"]))).await.expect(200);
        assert!(!kept.to_string().contains("hush") && !kept.to_string().contains("aHVzaC"), "{kept}");
        let refused = post(&tenant, url, &with(wrong), "{}").await;
        let kept = is_refused(&tenant, refused, "").await;
        assert!(!kept.to_string().contains("HUSH"), "{kept}");
        is_refused(&tenant, post(&tenant, url, &Map::new(), "{}").await, "is missing").await;
    }
}

#[tokio::test]
async fn a_generic_hmac_is_what_its_tenant_says() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let verification =
        json!({"scheme": "hmac", "secret": "hush", "header": "X-Hub-Signature-256", "prefix": "sha256="});
    let source = source(&tenant, verification).await;
    assert_eq!(source["verification"]["header"], "X-Hub-Signature-256");
    let url = text(&source["url"]);
    let question = json!({"do": "sign", "library": "github", "secret": "hush", "body": "{}"});
    let headers = oracle::python(question).await["headers"].as_object().unwrap().clone();
    post(&tenant, url, &headers, "{}").await.expect(202);
    is_refused(&tenant, post(&tenant, url, &headers, "{} ").await, "does not match").await;

    // With a time, as Slack signs, written by hand.
    let verification = json!({
        "scheme": "hmac", "secret": "signing", "header": "x-slack-signature", "prefix": "v0=",
        "signed": "v0:{timestamp}:{body}", "timestamp_header": "x-slack-request-timestamp", "tolerance_seconds": 60,
    });
    let source = self::source(&tenant, verification).await;
    let url = text(&source["url"]);
    let sign = async |at: i64| {
        let question = json!({"do": "sign", "library": "slack", "secret": "signing", "timestamp": at, "body": "{}"});
        oracle::python(question).await["headers"].as_object().unwrap().clone()
    };
    let headers = sign(now()).await;
    post(&tenant, url, &headers, "{}").await.expect(202);
    is_refused(&tenant, post(&tenant, url, &headers, "{}").await, "it came before").await;
    is_refused(&tenant, post(&tenant, url, &sign(now() - 70).await, "{}").await, "60 s are tolerated").await;
}

#[tokio::test]
async fn a_verification_that_is_wrong_is_refused_by_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (verification, field, detail) in [
        (json!({"scheme": "strype"}), "verification.scheme", "stripe"),
        (json!({"scheme": "stripe", "header": "x"}), "verification.header", "does not take it"),
        (json!({"scheme": "stripe", "colour": "x"}), "verification.colour", "unknown field"),
        (json!({"scheme": "svix", "secret": "hush"}), "verification.secret", "whsec_"),
        (json!({"scheme": "sendgrid", "secret": "hush"}), "verification.secret", "P-256"),
        (json!({"scheme": "bearer"}), "verification.secret", "is needed"),
        (json!({"scheme": "basic", "secret": "x"}), "verification.username", "is needed"),
        (json!({"scheme": "hmac", "secret": "x"}), "verification.header", "name the header"),
        (json!({"scheme": "hmac", "secret": "x", "header": "x", "hash": "md5"}), "verification.hash", "md5"),
        (
            json!({"scheme": "hmac", "secret": "x", "header": "x", "signed": "{timestamp}"}),
            "verification.timestamp_header",
            "name",
        ),
        (json!({"scheme": "github", "secret": "x", "verify_token": "y"}), "verification.verify_token", "has none"),
        (json!({"scheme": "stripe", "tolerance_seconds": 0}), "verification.tolerance_seconds", "43200"),
    ] {
        let said =
            tenant.post("/v1/sources", json!({"name": "a", "verification": verification})).await.problem(422, field);
        assert!(said.contains(detail), "{verification}: {said}");
    }
    assert_eq!(tenant.get("/v1/sources").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn little_is_kept_of_a_large_request_that_is_refused() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = source(&tenant, json!({"scheme": "github", "secret": "hush"})).await;
    let answer = post(&tenant, text(&source["url"]), &Map::new(), &"x".repeat(500_000)).await;
    let kept = is_refused(&tenant, answer, "is missing").await;
    assert_eq!(text(&kept["body"]).len(), 16 * 1024);
    assert!(text(&kept["reason"]).contains("500000 bytes"), "{}", kept["reason"]);
}

#[tokio::test]
async fn secrets_survive_a_restart() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = source(&tenant, json!({"scheme": "github", "secret": "hush"})).await;
    let path = format!("/in/{}", text(&source["url"]).rsplit('/').next().unwrap());
    let host = host.restart().await;
    let tenant = tenant_at(&host, &tenant);
    let question = json!({"do": "sign", "library": "github", "secret": "hush", "body": "{}"});
    let headers = oracle::python(question).await["headers"].as_object().unwrap().clone();
    post(&tenant, &path, &headers, "{}").await.expect(202);
    is_refused(&tenant, post(&tenant, &path, &headers, "[]").await, "does not match").await;
    host.clock.advance(Duration::from_secs(1));
}

#[tokio::test]
async fn headers_that_no_signature_covers_say_nothing_of_an_event() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let question = json!({"do": "sign", "library": "github", "secret": "hush", "body": r#"{"a":1}"#});
    let mut headers = oracle::python(question).await["headers"].as_object().expect("headers").clone();
    for (name, value) in [("specversion", "1.0"), ("id", "1"), ("source", "/x"), ("type", "order.refunded")] {
        headers.insert(format!("ce-{name}"), json!(value));
    }
    let type_at = async |source: &Value| {
        let receipt = post(&tenant, text(&source["url"]), &headers, r#"{"a":1}"#).await.expect(202);
        let event = tenant.get(&format!("/v1/events/{}", text(&receipt["event_ids"][0]))).await.expect(200);
        text(&event["type"]).to_owned()
    };
    let signed = source(&tenant, json!({"scheme": "github", "secret": "hush"})).await;
    assert_eq!(type_at(&signed).await, "it.came");
    let open = tenant.post("/v1/sources", json!({"name": "open", "event_type": "it.came"})).await.expect(201);
    assert_eq!(type_at(&open).await, "order.refunded");
}

#[tokio::test]
async fn every_sender_says_what_its_secret_is() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let listed = tenant.get("/v1/senders").await.expect(200);
    for sender in list(&listed["items"]) {
        let signs = sender["signature"].as_array().is_some_and(|schemes| !schemes.is_empty());
        assert_eq!(sender["secret"].is_string(), signs, "{sender}");
        // Each can be chosen, and waits for its secret.
        let form = json!({"name": sender["name"], "verification": {"scheme": sender["name"]}});
        tenant.post("/v1/sources", form).await.expect(201);
    }
    for name in ["stripe", "github", "gitlab", "shopify", "slack", "twilio", "meta", "svix", "sendgrid", "mailgun"] {
        assert!(list(&listed["items"]).iter().any(|sender| sender["name"] == name), "{name}");
    }
    tenant.with_key(None).get("/v1/senders").await.problem(401, "");
}
