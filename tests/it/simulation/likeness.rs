//! The model is like an engine: the same calls, drawn, have the same answers and
//! leave the same rows behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::attempt::Attempt;
use hookyard::domain::claim::{Claim, ClaimToken};
use hookyard::domain::database::Durability;
use hookyard::domain::delivery::{Cause, Next, Outcome, State};
use hookyard::domain::event::Event;
use hookyard::domain::id::{DeliveryId, EndpointId, KeyId, TenantId, TypedId};
use hookyard::domain::key::{Key, KeyHash};
use hookyard::domain::limits::Limits;
use hookyard::domain::retention::OwnRetention;
use hookyard::domain::tenant::{DEFAULT_DIALECT, Tenant};
use hookyard::domain::time::Timestamp;
use hookyard::store::catalog::NewKey;
use hookyard::store::ledger::{FreshDelivery, InLine, Recording, Settlement, Share, Start, Unbegun, Which};
use hookyard::store::postgres::PostgresStore;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard::store::{Engine, Ledger};
use hookyard_tests::{TempDir, postgres};

use super::chance::Chance;
use super::clock::{SECOND, START};
use super::model::{Keeps, Model, Row};

const ENDPOINTS: usize = 3;
const LEASE: Duration = Duration::from_secs(60);

/// An engine and the model, to which the same is done.
struct Both {
    engine: Arc<dyn Ledger>,
    model: Model,
    tenant: TenantId,
    chance: Chance,
    now: Timestamp,
    counter: u64,
}

impl Both {
    fn id<Id: TypedId>(&mut self) -> Id {
        self.counter += 1;
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.counter.to_be_bytes());
        Id::new(self.now, low)
    }

    fn one(&mut self) -> Option<(DeliveryId, Row)> {
        let at = self.chance.below(self.model.rows.len().max(1));
        self.model.rows.iter().nth(at).map(|(id, row)| (*id, row.clone()))
    }

    /// The token that a delivery is held by, or now and then another.
    fn token(&mut self, row: &Row) -> ClaimToken {
        let other = ClaimToken(self.chance.between(1, 1000));
        if self.chance.one_in(4) { other } else { row.claim.unwrap_or(other) }
    }

    fn recording(&mut self) -> Recording {
        let now = self.now;
        let event = Arc::new(Event {
            id: self.id(),
            tenant: self.tenant,
            event_type: "order.paid".parse().expect("an event type"),
            occurred_at: now,
            received_at: now,
            deliver_at: None,
            subject: None,
            account: None,
            tags: Vec::new(),
            data: serde_json::value::RawValue::from_string("null".to_owned()).expect("JSON").into(),
            request_id: None,
            traceparent: None,
            data_gone_at: None,
        });
        let deliveries = (0..ENDPOINTS).map(|at| self.fresh(&event, at)).collect();
        Recording {
            tenant: self.tenant,
            received: None,
            events: vec![event],
            deliveries,
            idempotency: None,
            portion: None,
        }
    }

    /// The first endpoint is not ordered.
    fn fresh(&mut self, event: &Event, at: usize) -> FreshDelivery {
        let later = Duration::from_secs(self.chance.between(0, 20).unsigned_abs());
        let place = (self.now + later).as_micros();
        let line = ["a", "b"][self.chance.below(2)].to_owned();
        let token = ClaimToken(self.chance.between(1, 1000));
        let start = match at == 0 && self.chance.one_in(2) {
            true => Start::Claimed { token, until: self.now + LEASE },
            false => Start::Due(self.now + later),
        };
        FreshDelivery {
            id: self.id(),
            event: event.id,
            endpoint: endpoint(at),
            start,
            place: (at > 0).then_some(InLine { line, place }),
            message: None,
            replay_of: None,
        }
    }

    fn next(&mut self) -> Next {
        let wait = Duration::from_secs(self.chance.between(0, 90).unsigned_abs());
        let reason = || "because".to_owned();
        match self.chance.below(7) {
            0 => Next::Dead(Cause::Gone),
            1 => Next::Dropped { reason: reason() },
            2 => Next::Cancelled { reason: reason() },
            3 => Next::Delivered,
            _ => Next::RetryAt(self.now + wait),
        }
    }

    fn settlement(&mut self, delivery: DeliveryId, row: &Row) -> Settlement {
        let attempt = Attempt {
            id: self.id(),
            number: row.attempts + 1,
            started_at: self.now,
            duration: Duration::ZERO,
            url: String::new(),
            signed_headers: Vec::new(),
            outcome: Outcome::Refused { status: 500, retry_after: None, word: None },
            answer: None,
        };
        Settlement {
            tenant: self.tenant,
            delivery,
            token: self.token(row),
            has_line: row.line.is_some(),
            prepared: None,
            attempt: (!self.chance.one_in(3)).then_some(attempt),
            next: self.next(),
            health: None,
            now: self.now,
        }
    }

    /// Claims all that is due.
    async fn claim(&mut self) {
        let (now, until) = (self.now, self.now + LEASE);
        let due = self.engine.due(now).await.expect("the engine works");
        let endpoints: BTreeSet<EndpointId> = due.iter().map(|(_, endpoint)| *endpoint).collect();
        assert_eq!(endpoints, self.model.due(now).into_iter().collect());
        let shares: Vec<Share> =
            due.into_iter().map(|(tenant, endpoint)| Share { tenant, endpoint, limit: 1000 }).collect();
        let theirs = self.engine.claim(now, until, shares.clone()).await.expect("the engine works");
        let token = theirs.first().map_or(ClaimToken(0), |claim| claim.token);
        let ours = self.model.claim(now, (until, token), &shares);
        let said = |claims: &[Claim]| -> BTreeSet<_> {
            claims.iter().map(|one| (one.delivery, one.endpoint, one.token.0, one.until, one.attempts)).collect()
        };
        assert_eq!(said(&theirs), said(&ours));
    }

    async fn step(&mut self) {
        self.now = self.now + Duration::from_millis(self.chance.between(0, 15 * SECOND).unsigned_abs());
        let now = self.now;
        let drawn = self.chance.below(13);
        if drawn < 3 {
            let recording = self.recording();
            let ours = self.model.record(&recording, now);
            assert_eq!(self.engine.record(recording).await.expect("the engine works"), ours);
            return;
        }
        let Some((id, row)) = self.one() else { return };
        match drawn {
            3 | 4 => self.claim().await,
            5 => {
                let ours = self.model.retry(id, now);
                assert_eq!(self.engine.retry(self.tenant, id, now).await.expect("the engine works"), ours);
            }
            6 => {
                let ours = u64::from(self.model.cancel(id, now));
                let theirs = self.engine.cancel(self.tenant, Which::One(id), now).await;
                assert_eq!(theirs.expect("the engine works"), ours);
            }
            7 => {
                let token = self.token(&row);
                let ours = self.model.release(&[(id, token)], now).len() as u64;
                let unbegun = Unbegun { tenant: self.tenant, delivery: id, token };
                assert_eq!(self.engine.release(vec![unbegun], now).await.expect("the engine works"), ours);
            }
            12 => self.come_before(&row).await,
            8 if self.chance.one_in(5) => {
                let ours = self.model.take_over(now).len() as u64;
                assert_eq!(self.engine.take_over(now).await.expect("the engine works"), ours);
            }
            _ => {
                let settlement = self.settlement(id, &row);
                let ours = self.model.settle(&settlement);
                assert_eq!(self.engine.settle(settlement).await.expect("the engine works"), ours);
            }
        }
    }

    /// Something joins a line just before one that is in it, and may be being sent.
    async fn come_before(&mut self, row: &Row) {
        let Some(InLine { line, place }) = row.line.clone() else { return };
        let mut recording = self.recording();
        recording.deliveries.retain(|delivery| delivery.endpoint == row.endpoint);
        for delivery in &mut recording.deliveries {
            delivery.place = Some(InLine { line: line.clone(), place: place - 1 });
            delivery.start = Start::Due(self.now);
        }
        let ours = self.model.record(&recording, self.now);
        assert_eq!(self.engine.record(recording).await.expect("the engine works"), ours);
    }

    /// Every row is the same, as far as anybody can see.
    async fn compare(&self) {
        for (id, row) in &self.model.rows {
            let stored = self.engine.delivery(self.tenant, *id).await.expect("the engine works").expect("it is there");
            let attempts = self.engine.attempts(self.tenant, *id).await.expect("the engine works");
            let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
            let is_in_line = row.state == State::Pending && row.due_at.is_none();
            let theirs = (stored.state, stored.reason, stored.attempts, stored.next_attempt_at, stored.is_in_line);
            let next_attempt_at = row.due_at.filter(|_| row.claim.is_none());
            assert_eq!(theirs, (row.state, row.reason.clone(), row.attempts, next_attempt_at, is_in_line), "{id}");
            assert_eq!((numbers, stored.updated_at), (row.numbers.clone(), row.updated_at), "{id}");
        }
    }
}

fn endpoint(at: usize) -> EndpointId {
    EndpointId::new(Timestamp::from_millis(START), [u8::try_from(at).expect("few"); 10])
}

async fn with(store: Arc<impl Engine + 'static>, tenant: TenantId) -> Arc<dyn Ledger> {
    let created_at = Timestamp::from_millis(START);
    let of = Tenant {
        id: tenant,
        name: "acme".to_owned(),
        plan: None,
        dialect: DEFAULT_DIALECT.to_owned(),
        limits: Limits::default(),
        retention: OwnRetention::default(),
        created_at,
    };
    let key = NewKey { hash: KeyHash([7; 32]), key: Key::admin(KeyId::floor(created_at), created_at) };
    store.create_tenant(&of, key).await.expect("there is none");
    store
}

/// The same is done to the engine and to the model.
async fn are_alike(seed: u64, waits: bool, engine: Arc<dyn Ledger>, tenant: TenantId) {
    let model = Model::new(tenant, Keeps { fence: true, lines: true, waits });
    let now = Timestamp::from_millis(START);
    let mut both = Both { engine, model, tenant, chance: Chance::new(seed), now, counter: 0 };
    for _ in 0..150 {
        both.step().await;
    }
    both.compare().await;
}

#[tokio::test]
async fn the_model_does_what_sqlite_does() {
    for seed in 0..4 {
        let (place, tenant) = (TempDir::new(), TenantId::floor(Timestamp::from_millis(START)));
        let opened = SqliteStore::open(&place.path().join("hookyard.db"), Seal::new([7; 32])).await;
        let store = Arc::new(opened.expect("an empty directory takes a database"));
        are_alike(seed, false, with(store, tenant).await, tenant).await;
    }
}

#[tokio::test]
async fn the_model_does_what_postgresql_does() {
    for seed in 0..4 {
        let (database, tenant) = (postgres::database().await, TenantId::floor(Timestamp::from_millis(START)));
        let url = database.url().parse().expect("a server's URL");
        let opened = PostgresStore::open(&url, Seal::new([7; 32]), Durability::Required).await;
        let store = Arc::new(opened.expect("an empty database takes the schema"));
        are_alike(seed, true, with(store, tenant).await, tenant).await;
    }
}
