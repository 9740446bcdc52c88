//! Nothing secret is in a log, an answer, an error or a file.

use std::fmt::Debug;
use std::fs;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::{MASTER_KEY, OPERATOR_KEY};
use hookyard_tests::{Answer, Api, HostProcess, Receiver, TempDir, list, text};
use reqwest::Method;
use serde_json::{Value, json};

/// Whether `T` can be printed: the constant of its own goes before the trait's.
struct Printed<T>(PhantomData<T>);

impl<T: Debug> Printed<T> {
    const IS: bool = true;
}

trait Unprinted {
    const IS: bool = false;
}

impl<T> Unprinted for Printed<T> {}

#[test]
fn what_holds_a_secret_cannot_be_printed() {
    let told_apart = [Printed::<String>::IS, Printed::<hookyard::domain::endpoint::Endpoint>::IS];
    assert_eq!(told_apart, [true, true]);
    let printed = [
        Printed::<hookyard::config::MasterKey>::IS,
        Printed::<hookyard::config::Settings>::IS,
        Printed::<hookyard::domain::key::KeyText>::IS,
        Printed::<hookyard::domain::named_secret::NamedSecret>::IS,
        Printed::<hookyard::domain::secret::Secret>::IS,
        Printed::<hookyard::store::picture::SealedEndpoint>::IS,
        Printed::<hookyard::store::picture::TenantPicture>::IS,
        Printed::<hookyard::store::seal::Seal>::IS,
    ];
    assert_eq!(printed, [false; 8]);
}

/// Things that are secret, and where one may be seen all the same.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, text: &str) {
        self.0.push((what, text.to_owned()));
        // Keys with a prefix are not to be found without it, or in hex, either.
        if let Some((_, bytes)) = text.split_once('_').filter(|_| text.starts_with("whs")) {
            self.0.push((what, bytes.to_owned()));
            let hex: String =
                STANDARD.decode(bytes).expect("base64").iter().map(|byte| format!("{byte:02x}")).collect();
            self.0.push((what, hex));
        }
    }

    /// Those that are in `place`.
    fn in_bytes(&self, place: &[u8]) -> Vec<&'static str> {
        let is_in = |text: &str| place.windows(text.len()).any(|part| part == text.as_bytes());
        self.0.iter().filter(|(_, text)| is_in(text)).map(|(what, _)| *what).collect()
    }
}

/// Every answer that nothing secret may be in.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Answers {
    fn note(&mut self, answer: Answer) -> Value {
        self.0.extend_from_slice(format!("{} {:?} {}\n", answer.status, answer.headers, answer.body).as_bytes());
        answer.body
    }
}

const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ROTATED: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_an_answer_or_a_file() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "debug").await;
    let mut receiver = Receiver::start().await;
    let mut secrets = Secrets(Vec::new());
    let mut answers = Answers::default();
    let tenant = host.tenant("a-name-to-be-found").await;
    let pair = format!("whsk_{}", STANDARD.encode([0xb7; 32]));
    secrets.add("the operator's key", OPERATOR_KEY);
    secrets.add("the master key", &STANDARD.encode(MASTER_KEY));
    secrets.add("a tenant's key", tenant.key());
    for (what, text) in [("a secret", SHARED), ("a rotated secret", ROTATED), ("a private key", &pair)] {
        secrets.add(what, text);
    }
    for (what, text) in [
        ("a source's secret", "a-sources-own-secret"),
        ("a verify token", "a-sources-verify-token"),
        ("a bearer token", "a-bearer-token-of-a-source"),
        ("a password", "a-password-of-a-source"),
        ("its Basic form", &STANDARD.encode("user:a-password-of-a-source")),
        ("a named secret", "a-named-secret-of-a-tenant"),
        ("a wrong key", "a-key-that-nobody-knows"),
        ("a bad secret", "whsk_that-is-none"),
    ] {
        secrets.0.push((what, text.to_owned()));
    }
    // Shown by the API to its owner, but in no log and no file.
    let header = "a-header-with-an-api-key";

    // One of everything. What shows a secret once is not noted.
    let mut endpoints = Vec::new();
    for (name, more) in [
        ("shared", json!({"secret": SHARED, "headers": {"x-api-key": header}})),
        ("given pair", json!({"secret": pair})),
        ("made pair", json!({"signature": "v1a"})),
        ("message", json!({"dialect": "http-message-signatures", "secret": SHARED})),
        ("text", json!({"dialect": "dmhub", "secret": "a-text-secret-of-dmhub"})),
    ] {
        let mut form = json!({"name": name});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        endpoints.push(tenant.endpoint(&receiver.url(), form).await);
    }
    secrets.0.push(("a text secret", "a-text-secret-of-dmhub".to_owned()));
    let made = answers.note(
        tenant
            .post(
                "/v1/endpoints",
                json!({"name": "pair", "url": receiver.url(), "event_types": ["x"], "signature": "v1a"}),
            )
            .await,
    );
    assert!(text(&made["public_key"]).starts_with("whpk_"));
    let mut sources = Vec::new();
    for (name, verification) in [
        ("stripe", json!({"scheme": "stripe", "secret": "a-sources-own-secret"})),
        ("meta", json!({"scheme": "meta", "secret": "a-sources-own-secret", "verify_token": "a-sources-verify-token"})),
        ("bearer", json!({"scheme": "bearer", "secret": "a-bearer-token-of-a-source"})),
        ("basic", json!({"scheme": "basic", "username": "user", "password": "a-password-of-a-source"})),
    ] {
        let form = json!({"name": name, "event_type": "a.b", "verification": verification});
        sources.push(answers.note(tenant.post("/v1/sources", form).await));
    }
    let named = tenant.request(Method::PUT, "/v1/secrets/crm").body(r#"{"value": "a-named-secret-of-a-tenant"}"#);
    answers.note(tenant.send(named).await);

    // Deliveries that succeed and fail, requests that are taken and refused,
    // rotations, and mistakes.
    receiver.answer(&[500, 204, 410]);
    let event = tenant.publish(json!({"type": "message.sent", "data": {"n": 1}})).await;
    for _ in &endpoints {
        receiver.next().await;
    }
    let rotate = format!("/v1/endpoints/{}/rotate-secret", text(&endpoints[0]["id"]));
    tenant.post(&rotate, json!({"secret": ROTATED})).await.expect(200);
    let rotate = format!("/v1/endpoints/{}/rotate-secret", text(&endpoints[2]["id"]));
    answers.note(tenant.post(&rotate, json!({})).await);
    let bearer = tenant.with_key(Some("a-bearer-token-of-a-source"));
    answers.note(bearer.post(text(&sources[2]["url"]), json!({})).await);
    let basic = Api::new("", None).request(Method::POST, text(&sources[3]["url"])).body("{}");
    answers.note(tenant.send(basic.basic_auth("user", Some("a-password-of-a-source"))).await);
    let asked = format!("{}?hub.mode=subscribe&hub.challenge=7&hub.verify_token=", text(&sources[1]["url"]));
    answers.note(Api::new("", None).get(&format!("{asked}a-sources-verify-token")).await);
    answers.note(Api::new("", None).get(&format!("{asked}another")).await);
    answers.note(Api::new("", None).post(text(&sources[0]["url"]), json!({})).await);
    answers.note(tenant.with_key(Some("a-key-that-nobody-knows")).get("/v1/endpoints").await);
    for wrong in [
        json!({"name": "w", "url": receiver.url(), "event_types": ["x"], "secret": "whsk_that-is-none", "signature": "v1a"}),
        json!({"name": "w", "url": receiver.url(), "event_types": ["x"], "secret": [SHARED]}),
        json!({"name": "shared", "url": receiver.url(), "event_types": ["x"], "secret": SHARED}),
    ] {
        answers.note(tenant.post("/v1/endpoints", wrong).await);
    }
    let wrong = json!({"name": "w", "verification": {"scheme": "github", "secret": "a-sources-own-secret", "hush": 1}});
    answers.note(tenant.post("/v1/sources", wrong).await);
    answers.note(tenant.post("/v1/try", json!({"event_id": event, "endpoint": endpoints[0]["id"]})).await);

    // Everything that can be read.
    let mut paths: Vec<String> =
        ["endpoints", "sources", "secrets", "events", "requests", "deliveries", "dialects", "senders", "stats"]
            .map(|noun| format!("/v1/{noun}"))
            .into();
    paths.extend(endpoints.iter().map(|one| format!("/v1/endpoints/{}", text(&one["id"]))));
    paths.push(text(&made["jwks_url"]).to_owned());
    paths.push(format!("/v1/events/{event}/explain"));
    for noun in ["requests", "deliveries"] {
        let all = tenant.get(&format!("/v1/{noun}")).await.expect(200);
        paths.extend(list(&all["items"]).iter().map(|one| format!("/v1/{noun}/{}", text(&one["id"]))));
    }
    for path in paths {
        answers.note(tenant.get(&path).await);
    }
    answers.note(host.operator.get("/v1/tenants").await);

    let (ended_well, log) = host.terminate().await;
    assert!(ended_well);
    let log: String = log.iter().map(|line| format!("{line}\n")).collect();
    let mut files = Vec::new();
    for file in fs::read_dir(data.path()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        files.extend(fs::read(file).unwrap());
    }

    // The search finds what is there.
    let mut found = Secrets(vec![("the tenant", "a-name-to-be-found".to_owned()), ("an event", event)]);
    assert_eq!(found.in_bytes(&files).len(), 2);
    assert_eq!(found.in_bytes(&answers.0).len(), 2);
    found.0.remove(0);
    assert_eq!(found.in_bytes(log.as_bytes()).len(), 1);
    assert!(log.contains(r#""level":"DEBUG""#), "it logs as much as it can");

    assert_eq!(secrets.in_bytes(&answers.0), [""; 0], "{}", String::from_utf8_lossy(&answers.0));
    secrets.0.push(("a header", header.to_owned()));
    // Whose text is nobody's to know.
    secrets.0.push(("a private key", "whsk_".to_owned()));
    assert_eq!(secrets.in_bytes(log.as_bytes()), [""; 0]);
    assert_eq!(secrets.in_bytes(&files), [""; 0]);
}
