//! What the promises are tried with: things in which every field is set, each
//! to something else, so that a column that is not written is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookyard::domain::access::{Access, Auth, SecretHeader};
use hookyard::domain::attempt::{Answer, Attempt};
use hookyard::domain::budget::{Budget, Ceilings};
use hookyard::domain::claim::{Claim, ClaimToken};
use hookyard::domain::delivery::{Next, Outcome};
use hookyard::domain::endpoint::{Endpoint, Status};
use hookyard::domain::event::Event;
use hookyard::domain::event_type::{EventKind, OwnKind};
use hookyard::domain::header::Header;
use hookyard::domain::id::{DeliveryId, EndpointId, SourceId, TenantId, TypedId};
use hookyard::domain::key::{Key, KeyHash, SourceToken};
use hookyard::domain::limits::{Allowance, Limits};
use hookyard::domain::message::{Message, Method};
use hookyard::domain::oauth::{ClientAuth, OAuth};
use hookyard::domain::pace::{Order, Pace, Period, RateLimit};
use hookyard::domain::password::PasswordHash;
use hookyard::domain::pipeline::{LogLevel, LogLine, OnFailure, Pipeline, Step, StepOutcome, StepReport};
use hookyard::domain::plugin::{Digest, Job};
use hookyard::domain::request::{Fate, Request};
use hookyard::domain::retention::{Keep, OwnRetention};
use hookyard::domain::retry::RetryPolicy;
use hookyard::domain::role::Role;
use hookyard::domain::secret::Secret;
use hookyard::domain::source::Source;
use hookyard::domain::subscription::Subscription;
use hookyard::domain::tenant::Tenant;
use hookyard::domain::time::Timestamp;
use hookyard::domain::tls::{ClientCertificate, Tls};
use hookyard::domain::url::DeliveryUrl;
use hookyard::domain::user::{User, Whose};
use hookyard::domain::verification::{Options, Verification};
use hookyard::store::StoreError;
use hookyard::store::catalog::NewKey;
use hookyard::store::ledger::{FreshDelivery, Prepared, Received, Recorded, Recording, Settlement, Share, Start};

use super::Store;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_763_700_000_123);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// An id that no other has.
pub(super) fn id<T: TypedId>() -> T {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    T::new(NOW, random)
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant {
        id: id(),
        name: name.to_owned(),
        plan: Some("gold".to_owned()),
        dialect: "standard-webhooks".to_owned(),
        limits: Limits {
            ceilings: Ceilings { fuel: 7, memory: 8, output: 9, log: 10 },
            intake: Allowance { per_second: Some(11), per_day: Some(12), per_month: Some(13) },
        },
        retention: own_retention(),
        created_at: NOW,
    }
}

fn own_retention() -> OwnRetention {
    let hours = |hours: u64| Some(Keep::For(Duration::from_secs(hours * 60 * 60)));
    OwnRetention { requests: hours(1), events: hours(2), attempts: hours(3), bodies: hours(4), answers: hours(5) }
}

pub(super) fn key(hash: u8) -> NewKey {
    let key = Key {
        id: id(),
        name: Some("ci".to_owned()),
        role: Role::Viewer,
        expires_at: Some(NOW + MINUTE),
        created_at: NOW + SECOND,
    };
    NewKey { hash: KeyHash([hash; 32]), key }
}

/// A user in which every field is set.
pub(super) fn user(tenant: TenantId, email: &str) -> User {
    User {
        id: id(),
        whose: Whose::Tenant(tenant),
        email: email.parse().expect("an address"),
        name: "Jane Smith".to_owned(),
        role: Role::Viewer,
        password: Some(PasswordHash::stored("a-very-secret-password-hash".to_owned())),
        created_at: NOW + SECOND,
    }
}

/// A tenant that exists.
pub(super) async fn a_tenant(store: &Store, name: &str) -> Result<TenantId, StoreError> {
    let tenant = tenant(name);
    let mut hash = [0; 32];
    hash[..30].copy_from_slice(tenant.id.to_string().as_bytes());
    let key = NewKey { hash: KeyHash(hash), key: Key::admin(id(), NOW) };
    store.catalog.create_tenant(&tenant, key).await?;
    Ok(tenant.id)
}

pub(super) fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}

pub(super) fn pipeline(config: &str) -> Pipeline {
    let step = Step {
        plugin: "field-mapper".parse().expect("a plugin name"),
        version: 3,
        digest: Digest::of(b"component"),
        job: Job::Transformer,
        config: config.to_owned(),
        on_failure: OnFailure::Drop,
        grants: serde_json::from_str(r#"{"history": true, "secrets": ["crm"], "http": ["a.example"]}"#)
            .expect("grants"),
        budget: Budget { fuel: Some(5), memory: Some(6), output: None, log: Some(7) },
    };
    Pipeline { steps: vec![step] }
}

pub(super) fn source(tenant: TenantId, name: &str) -> Source {
    let id: SourceId = id();
    Source {
        id,
        tenant,
        name: name.to_owned(),
        token: SourceToken::given(format!("wh_{id}")),
        event_type: Some("order.paid".parse().expect("an event type")),
        verification: Verification::stored(
            "hmac".to_owned(),
            Options { header: Some("x-signature".to_owned()), tolerance_seconds: Some(7), ..Options::default() },
            Some("a-source-secret".to_owned()),
            Some("a-verify-token".to_owned()),
        ),
        rate_limit: Some(RateLimit { limit: 14, per: Period::Minute }),
        pipeline: pipeline("{\"from\": 1}"),
        revision: 0,
        created_at: NOW,
    }
}

pub(super) fn endpoint(tenant: TenantId, name: &str) -> Endpoint {
    Endpoint {
        id: id(),
        tenant,
        name: name.to_owned(),
        url: DeliveryUrl::stored("https://example.com/hooks?a=1").expect("a URL"),
        subscription: Subscription {
            event_types: vec!["order.*".parse().expect("a pattern"), "*".parse().expect("a pattern")],
            accounts: vec!["berlin".to_owned()],
            tags: vec!["paid".to_owned(), "größe \"l\"".to_owned()],
        },
        headers: vec![header("x-api-key", "a-very-secret-header")],
        access: Arc::new(access(oauth())),
        pipeline: pipeline("{\"to\": 2}"),
        retry: Some(RetryPolicy { schedule: vec![5, 60], jitter: 0.1 }),
        pace: Pace {
            rate_limit: Some(RateLimit { limit: 7, per: Period::Minute }),
            max_in_flight: Some(8),
            timeout_seconds: Some(9),
            ordered: Order::Subject,
        },
        dialect: "svix".to_owned(),
        status: Status::Disabled { reason: "it only failed".to_owned() },
        revision: 0,
        created_at: NOW,
    }
}

/// An access with a login in which every field is set.
pub(super) fn access(auth: Auth) -> Access {
    let client = ClientCertificate { chain: "a chain".to_owned(), key: secret("a-very-secret-client-key") };
    Access {
        headers: vec![SecretHeader { name: "x-hidden".to_owned(), value: secret("a-very-secret-hidden-header") }],
        auth: Some(auth),
        tls: Some(Tls { client: Some(client), ca: Some("an authority".to_owned()) }),
    }
}

pub(super) fn oauth() -> Auth {
    Auth::OAuth(OAuth {
        token_url: DeliveryUrl::stored("https://id.example.com/token?a=1").expect("a URL"),
        client_id: "a client".to_owned(),
        client_secret: secret("a-very-secret-client-secret"),
        scope: Some("a b".to_owned()),
        audience: Some("an audience".to_owned()),
        client_auth: ClientAuth::Body,
    })
}

pub(super) fn secret(text: &str) -> Arc<Secret> {
    Arc::new(Secret::stored(text.to_owned()))
}

/// A type of event in which every field is set.
pub(super) fn event_type(name: &str) -> OwnKind {
    let kind = EventKind {
        event_type: name.parse().expect("an event type"),
        name: "Order paid".to_owned(),
        description: "Somebody has paid.".to_owned(),
        schema: Some(serde_json::json!({"type": "object"})),
        example: Some(serde_json::json!({"total": 1})),
    };
    OwnKind { kind, check: true }
}

/// An event in which every field is set.
pub(super) fn event(tenant: TenantId) -> Event {
    // Bytes that a parser would write differently.
    let data = r#"{ "total": 49.990, "id":18446744073709551616,"a":1,"a":2, "ä":"é" }"#;
    Event {
        id: id(),
        tenant,
        event_type: "order.paid".parse().expect("an event type"),
        occurred_at: Timestamp::from_millis(1_600_000_000_001),
        received_at: NOW,
        deliver_at: Some(NOW + MINUTE),
        subject: Some("customer-7".to_owned()),
        account: Some("berlin".to_owned()),
        tags: vec!["paid".to_owned(), "größe \"l\"".to_owned()],
        data: serde_json::from_str::<Box<serde_json::value::RawValue>>(data).expect("JSON").into(),
        request_id: Some(id()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a traceparent")),
        data_gone_at: None,
    }
}

pub(super) fn steps(text: &str) -> Vec<StepReport> {
    vec![StepReport {
        plugin: "tag-filter".parse().expect("a plugin name"),
        version: 2,
        job: Job::Filter,
        outcome: StepOutcome::Refused { code: "bad".to_owned(), message: text.to_owned() },
        on_failure: Some(OnFailure::Pass),
        log: vec![LogLine { level: LogLevel::Warn, text: "hm".to_owned() }],
        fuel: 12_345,
        duration_us: 678,
        memory: 65_536,
    }]
}

pub(super) fn received(tenant: TenantId, fate: Fate) -> Received {
    let request = Request {
        id: id(),
        tenant,
        source: id(),
        received_at: NOW,
        method: "PUT".to_owned(),
        query: "a=1&b=%20".to_owned(),
        headers: vec![header("content-type", "application/json"), header("x-a", "ü")],
        body: Bytes::from_static(b"\x00\xff not text"),
    };
    Received { request, fate, steps: steps("a request's step"), rerun_of: None }
}

pub(super) fn message(body: &str) -> Arc<Message> {
    Arc::new(Message {
        method: Method::Patch,
        target: Some("/contacts/7".to_owned()),
        headers: vec![header("content-type", "text/plain")],
        body: Bytes::from(body.to_owned()),
    })
}

pub(super) fn fresh(event: &Event, endpoint: EndpointId, start: Start) -> FreshDelivery {
    FreshDelivery { id: id(), event: event.id, endpoint, start, place: None, message: None, replay_of: None }
}

pub(super) fn recording(tenant: TenantId, event: &Arc<Event>, deliveries: Vec<FreshDelivery>) -> Recording {
    Recording { tenant, received: None, events: vec![event.clone()], deliveries, idempotency: None, portion: None }
}

/// One event with one delivery that begins as `start` says.
pub(super) async fn a_delivery(store: &Store, tenant: TenantId, start: Start) -> Result<DeliveryId, StoreError> {
    a_delivery_to(store, tenant, id(), start).await
}

pub(super) async fn a_delivery_to(
    store: &Store,
    tenant: TenantId,
    endpoint: EndpointId,
    start: Start,
) -> Result<DeliveryId, StoreError> {
    let event = Arc::new(event(tenant));
    let delivery = fresh(&event, endpoint, start);
    let id = delivery.id;
    assert_eq!(store.ledger.record(recording(tenant, &event, vec![delivery])).await?, Recorded::Stored);
    Ok(id)
}

pub(super) fn claimed(token: i64) -> Start {
    Start::Claimed { token: ClaimToken(token), until: NOW + MINUTE }
}

/// An attempt in which every field is set.
pub(super) fn attempt(number: u32, outcome: Outcome) -> Attempt {
    Attempt {
        id: id(),
        number,
        started_at: NOW,
        duration: Duration::from_micros(1_234_567),
        url: "https://example.com/hooks/7".to_owned(),
        signed_headers: vec![header("webhook-id", "evt_1"), header("webhook-signature", "v1,abc=")],
        outcome,
        answer: Some(Answer { headers: vec![header("server", "x")], body: b"\xffno".to_vec(), cut: true }),
    }
}

/// A settlement with all that one can bring.
pub(super) fn settlement(tenant: TenantId, delivery: DeliveryId, token: i64, next: Next) -> Settlement {
    Settlement {
        tenant,
        delivery,
        token: ClaimToken(token),
        has_line: false,
        prepared: Some(Prepared { steps: steps("a delivery's step"), message: Some(message("what was sent")) }),
        attempt: Some(attempt(1, Outcome::Refused { status: 500, retry_after: None, word: None })),
        next,
        health: None,
        now: NOW + SECOND,
    }
}

/// Claims at `now` up to `limit` of every endpoint's deliveries that are due.
pub(super) async fn claims(store: &Store, now: Timestamp, limit: u32) -> Result<Vec<Claim>, StoreError> {
    let due = store.ledger.due(now).await?;
    let shares = due.into_iter().map(|(tenant, endpoint)| Share { tenant, endpoint, limit }).collect();
    store.ledger.claim(now, now + MINUTE, shares).await
}
