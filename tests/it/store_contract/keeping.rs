//! What is old goes when it may, a few rows at a time; what is erased is gone
//! and stays so.

use std::sync::Arc;

use bytes::Bytes;
use hookyard::domain::claim::ClaimToken;
use hookyard::domain::delivery::{Cause, Next, Outcome, State};
use hookyard::domain::erasure::{Erased, Stage};
use hookyard::domain::event::Event;
use hookyard::domain::id::{DeliveryId, EventId, RequestId, TenantId, TypedId};
use hookyard::domain::place::PlaceId;
use hookyard::domain::request::Fate;
use hookyard::domain::state::StepRef;
use hookyard::domain::time::Timestamp;
use hookyard::store::StoreError;
use hookyard::store::keeping::{Sought, Sweep};
use hookyard::store::ledger::{
    DeliveryQuery, EventQuery, FreshDelivery, Received, Recorded, Recording, RequestQuery, RerunQuery, Start,
    StoredRequest,
};

use super::Store;
use super::given::{
    MINUTE, NOW, SECOND, a_tenant, attempt, claimed, claims, endpoint, event, fresh, id, message, received, recording,
    settlement,
};

/// What is from before is old.
const OLD: Timestamp = Timestamp::from_millis(NOW.as_millis() + 60_000);
/// When that is found out.
const LATER: Timestamp = Timestamp::from_millis(NOW.as_millis() + 120_000);

fn at<T: TypedId>(time: Timestamp) -> T {
    T::new(time, [7; 10])
}

/// Sweeps to the end, so many rows at a time. Answers how many went in each
/// step, and where the next sweep would begin.
async fn sweep_all(
    store: &Store,
    tenant: TenantId,
    sought: Sought,
    limit: u32,
) -> Result<(Vec<u64>, String), StoreError> {
    let (mut begin, mut steps) = (store.ledger.sweep_begin(tenant, sought).await?, Vec::new());
    let mut stays_at = None;
    loop {
        let sweep = Sweep { sought, begin, before: OLD, limit, now: LATER };
        let swept = store.ledger.sweep(tenant, sweep).await?;
        steps.push(swept.gone);
        stays_at = stays_at.or(swept.stays_at);
        begin = swept.reached;
        if !swept.is_more {
            return Ok((steps, stays_at.unwrap_or(begin)));
        }
    }
}

async fn sweep(store: &Store, tenant: TenantId, sought: Sought) -> Result<u64, StoreError> {
    Ok(sweep_all(store, tenant, sought, 500).await?.0.iter().sum())
}

/// An event with deliveries, the first of which is settled with all that a
/// settlement can bring.
async fn settled(
    store: &Store,
    tenant: TenantId,
    subject: &str,
    next: Next,
) -> Result<(Arc<Event>, DeliveryId), StoreError> {
    let event = Arc::new(Event { subject: Some(subject.to_owned()), request_id: None, ..event(tenant) });
    let delivery = fresh(&event, id(), claimed(1));
    let delivery_id = delivery.id;
    store.ledger.record(recording(tenant, &event, vec![delivery])).await?;
    assert!(store.ledger.settle(settlement(tenant, delivery_id, 1, next)).await?);
    Ok((event, delivery_id))
}

async fn is_there(store: &Store, tenant: TenantId, event: EventId) -> Result<bool, StoreError> {
    Ok(store.ledger.event(tenant, event).await?.is_some())
}

/// A request that became `events`, in one recording.
async fn request_of(
    store: &Store,
    tenant: TenantId,
    fate: Fate,
    events: Vec<Arc<Event>>,
) -> Result<RequestId, StoreError> {
    let received = received(tenant, fate);
    let id = received.request.id;
    let recording = Recording {
        tenant,
        received: Some(received),
        events,
        deliveries: Vec::new(),
        idempotency: None,
        portion: None,
    };
    assert_eq!(store.ledger.record(recording).await?, Recorded::Stored);
    Ok(id)
}

fn dead() -> Next {
    Next::Dead(Cause::BadMessage("it was nothing".to_owned()))
}

contract! {
    async fn an_event_goes_with_all_that_hangs_on_it_once_that_is_at_rest(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (delivered, of_delivered) = settled(store, acme, "a", Next::Delivered).await?;
        let (retried, of_retried) = settled(store, acme, "a", Next::RetryAt(NOW)).await?;
        let (held, _) = settled(store, acme, "a", Next::RetryAt(LATER + MINUTE)).await?;
        let (theirs, _) = settled(store, other, "a", Next::Delivered).await?;
        // At rest, and made again a moment ago.
        let (replayed, _) = settled(store, acme, "a", Next::Delivered).await?;
        let again = FreshDelivery { id: at(LATER), ..fresh(&replayed, id(), Start::Claimed { token: ClaimToken(5), until: LATER + MINUTE }) };
        let again_id = again.id;
        store.ledger.record(Recording { events: Vec::new(), ..recording(acme, &replayed, vec![again]) }).await?;
        assert!(store.ledger.settle(settlement(acme, again_id, 5, Next::Delivered)).await?);
        let young = Arc::new(Event { id: at(LATER), ..event(acme) });
        store.ledger.record(recording(acme, &young, Vec::new())).await?;

        // The event, its delivery, message and attempt.
        assert_eq!(sweep(store, acme, Sought::Events).await?, 4);
        assert!(!is_there(store, acme, delivered.id).await?);
        assert!(store.ledger.delivery(acme, of_delivered).await?.is_none());
        assert!(store.ledger.prepared(acme, of_delivered).await?.is_none());
        assert!(store.ledger.attempts(acme, of_delivered).await?.is_empty());
        for stays in [&retried, &held, &replayed, &young] {
            assert!(is_there(store, acme, stays.id).await?);
        }
        assert!(is_there(store, other, theirs.id).await?);
        let all = EventQuery { limit: 100, ..EventQuery::default() };
        assert_eq!(store.ledger.events(acme, all).await?.items.len(), 4);

        // What it waited for has come to rest.
        let [claim] = &claims(store, LATER, 1).await?[..] else { panic!("one is due") };
        assert_eq!(claim.delivery, of_retried);
        let mut last = settlement(acme, of_retried, claim.token.0, Next::Delivered);
        last.attempt = Some(attempt(2, Outcome::Accepted { status: 200 }));
        assert!(store.ledger.settle(last).await?);
        assert_eq!(sweep(store, acme, Sought::Events).await?, 5);
        assert!(!is_there(store, acme, retried.id).await?);
        Ok(())
    }

    async fn a_sweep_writes_no_more_rows_than_it_may(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let event = Arc::new(event(tenant));
        let deliveries: Vec<FreshDelivery> = (0..25).map(|_| fresh(&event, id(), claimed(1))).collect();
        let ids: Vec<DeliveryId> = deliveries.iter().map(|delivery| delivery.id).collect();
        store.ledger.record(recording(tenant, &event, deliveries)).await?;
        for id in ids {
            assert!(store.ledger.settle(settlement(tenant, id, 1, Next::Delivered)).await?);
        }
        for (sought, rows) in [
            (Sought::Answers, 25),
            // The messages and the event.
            (Sought::EventBodies, 26),
            (Sought::Attempts, 25),
            // The deliveries, the messages and the event.
            (Sought::Events, 51),
        ] {
            let (steps, _) = sweep_all(store, tenant, sought, 10).await?;
            assert!(steps.iter().all(|gone| *gone <= 10), "{sought:?}: {steps:?}");
            assert_eq!(steps.iter().sum::<u64>(), rows, "{sought:?}: {steps:?}");
            assert_eq!(sweep(store, tenant, sought).await?, 0, "{sought:?}");
        }
        Ok(())
    }

    async fn without_its_data_an_event_still_tells_what_happened_and_is_not_sent_again(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (event, delivery) = settled(store, tenant, "a", dead()).await?;
        let (_, pending) = settled(store, tenant, "a", Next::RetryAt(LATER)).await?;
        let before = store.ledger.delivery(tenant, delivery).await?;
        assert_eq!(sweep(store, tenant, Sought::EventBodies).await?, 2);

        let stored = store.ledger.event(tenant, event.id).await?.expect("the row stays");
        let expected = Event { data: serde_json::value::RawValue::NULL.to_owned().into(), data_gone_at: Some(LATER), ..(*event).clone() };
        assert_eq!(format!("{stored:?}"), format!("{expected:?}"));
        let prepared = store.ledger.prepared(tenant, delivery).await?.expect("the steps stay");
        assert!(prepared.message.is_none() && !prepared.steps.is_empty());
        assert_eq!(format!("{:?}", store.ledger.delivery(tenant, delivery).await?), format!("{before:?}"));
        assert_eq!(store.ledger.attempts(tenant, delivery).await?.len(), 1);
        let is_whole = store.ledger.prepared(tenant, pending).await?.expect("it is there").message.is_some();
        assert!(is_whole, "what is under way is kept");

        assert!(matches!(store.ledger.retry(tenant, delivery, LATER).await, Err(StoreError::Gone)));
        let replay = fresh(&event, id(), Start::Due(LATER));
        let replay = Recording { events: Vec::new(), ..recording(tenant, &event, vec![replay]) };
        assert!(matches!(store.ledger.record(replay).await, Err(StoreError::Gone)));
        let whole = DeliveryQuery { with_data: true, limit: 10, ..DeliveryQuery::default() };
        let found = store.ledger.deliveries(tenant, whole.clone()).await?;
        assert_eq!(found.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [pending]);
        assert_eq!(store.ledger.count_deliveries(tenant, whole).await?, 1);
        let with_data = EventQuery { with_data: true, limit: 10, ..EventQuery::default() };
        assert_eq!(store.ledger.events(tenant, with_data).await?.items.len(), 1);
        Ok(())
    }

    async fn attempts_and_answers_go_from_deliveries_at_rest(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (_, delivered) = settled(store, tenant, "a", Next::Delivered).await?;
        let (_, pending) = settled(store, tenant, "a", Next::RetryAt(LATER)).await?;
        assert_eq!(sweep(store, tenant, Sought::Answers).await?, 1);
        let attempts = store.ledger.attempts(tenant, delivered).await?;
        assert!(attempts[0].answer.is_none() && attempts[0].status == Some(500));
        assert!(store.ledger.attempts(tenant, pending).await?[0].answer.is_some());

        assert_eq!(sweep(store, tenant, Sought::Attempts).await?, 1);
        assert!(store.ledger.attempts(tenant, delivered).await?.is_empty());
        assert_eq!(store.ledger.attempts(tenant, pending).await?.len(), 1);
        let delivery = store.ledger.delivery(tenant, delivered).await?.expect("it stays");
        assert_eq!((delivery.state, delivery.attempts), (State::Delivered, 1));
        Ok(())
    }

    async fn a_request_goes_and_before_it_its_body(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let fate = || Fate::Quarantined { reason: "no mapper".to_owned() };
        let old = request_of(store, tenant, fate(), Vec::new()).await?;
        let mut young = received(tenant, fate());
        (young.request.id, young.request.received_at) = (at(LATER), LATER);
        let (young_id, source) = (young.request.id, young.request.source);
        store.ledger.record(Recording { tenant, received: Some(young), events: Vec::new(), deliveries: Vec::new(), idempotency: None, portion: None }).await?;

        assert_eq!(sweep(store, tenant, Sought::RequestBodies).await?, 1);
        let stored = store.ledger.request(tenant, old).await?.expect("the row stays");
        assert_eq!((stored.request.body.clone(), stored.body_gone_at), (Bytes::new(), Some(LATER)));
        assert_eq!((stored.fate.clone(), stored.steps.is_empty()), (fate(), false));
        // It cannot be run again.
        let rerun = |stored: &StoredRequest| Recording {
            tenant,
            received: Some(Received { request: stored.request.clone(), fate: Fate::Accepted, steps: Vec::new(), rerun_of: Some(fate()) }),
            events: Vec::new(),
            deliveries: Vec::new(),
            idempotency: None,
            portion: None,
        };
        assert!(matches!(store.ledger.record(rerun(&stored)).await, Err(StoreError::Changed)));
        let query = RerunQuery { source: stored.request.source, states: vec!["quarantined".to_owned()], since: None, until: None, after: None, limit: 10 };
        assert!(store.ledger.requests_to_rerun(tenant, query.clone()).await?.is_empty());
        assert_eq!(store.ledger.requests_to_rerun(tenant, RerunQuery { source, ..query }).await?, [young_id]);

        assert_eq!(sweep(store, tenant, Sought::Requests).await?, 1);
        let all = RequestQuery { limit: 10, ..RequestQuery::default() };
        let left: Vec<_> = store.ledger.requests(tenant, all).await?.items.iter().map(|request| request.id).collect();
        assert_eq!(left, [young_id]);
        Ok(())
    }

    async fn the_next_sweep_begins_at_what_had_to_stay(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        settled(store, acme, "a", Next::Delivered).await?;
        let (held, _) = settled(store, acme, "a", Next::RetryAt(LATER + MINUTE)).await?;
        settled(store, acme, "a", Next::Delivered).await?;
        let (steps, stays_at) = sweep_all(store, acme, Sought::EventBodies, 500).await?;
        assert_eq!((steps, stays_at.clone()), (vec![4], held.id.to_string()));
        store.ledger.set_sweep_begin(acme, Sought::EventBodies, stays_at.clone()).await?;
        assert_eq!(store.ledger.sweep_begin(acme, Sought::EventBodies).await?, stays_at);
        assert_eq!(store.ledger.sweep_begin(acme, Sought::Answers).await?, "");
        assert_eq!(store.ledger.sweep_begin(other, Sought::EventBodies).await?, "");
        // Of a tenant that is not there nothing is written down.
        let nobody = id();
        store.ledger.set_sweep_begin(nobody, Sought::EventBodies, stays_at).await?;
        assert_eq!(store.ledger.sweep_begin(nobody, Sought::EventBodies).await?, "");
        Ok(())
    }

    async fn an_erased_subject_is_gone_and_no_settlement_brings_it_back(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (_, done) = settled(store, acme, "jane", Next::Delivered).await?;
        let (_, waiting) = settled(store, acme, "jane", Next::RetryAt(LATER)).await?;
        let (joes, _) = settled(store, acme, "joe", Next::Delivered).await?;
        let (theirs, _) = settled(store, other, "jane", Next::Delivered).await?;
        let subject = |name: &str| Arc::new(Event { id: id(), subject: Some(name.to_owned()), ..event(acme) });
        // In somebody's hands at this moment.
        let flying = subject("jane");
        let in_hand = fresh(&flying, id(), claimed(9));
        let in_hand_id = in_hand.id;
        store.ledger.record(recording(acme, &flying, vec![in_hand])).await?;
        // One request became hers alone, another one his as well.
        let request = received(acme, Fate::Accepted);
        let own = request.request.id;
        let hers = Arc::new(Event { request_id: Some(own), ..(*subject("jane")).clone() });
        store.ledger.record(Recording { tenant: acme, received: Some(request), events: vec![hers], deliveries: Vec::new(), idempotency: None, portion: None }).await?;
        let request = received(acme, Fate::Accepted);
        let shared = request.request.id;
        let both = ["jane", "joe"].map(|name| Arc::new(Event { request_id: Some(shared), ..(*subject(name)).clone() }));
        let his = both[1].id;
        store.ledger.record(Recording { tenant: acme, received: Some(request), events: both.to_vec(), deliveries: Vec::new(), idempotency: None, portion: None }).await?;
        // A later one is another matter.
        let later = Arc::new(Event { id: at(LATER), subject: Some("jane".to_owned()), ..event(acme) });
        store.ledger.record(recording(acme, &later, Vec::new())).await?;
        let endpoint = endpoint(acme, "crm");
        store.catalog.create_endpoint(&endpoint, None, None).await?;
        let place = PlaceId::Endpoint(endpoint.id);
        let step = StepRef { plugin: "mine".parse().expect("a plugin name"), ordinal: 0 };
        for key in ["jane", "joe"] {
            let kept = store.ledger.put_step_entry(acme, place, &step, key, b"seen".to_vec(), None).await?;
            kept.expect("nothing stands against it");
        }

        let asked = id();
        store.ledger.ask_erasure(acme, asked, "jane".to_owned(), NOW + SECOND).await?;
        assert_eq!(store.ledger.open_erasures().await?[0].1.subject.as_deref(), Some("jane"));
        let mut steps = 0;
        while store.ledger.erase(acme, asked, 2, LATER).await? {
            steps += 1;
        }
        assert!(steps > 4, "a few rows at a time: {steps}");
        let erasure = store.ledger.erasure(acme, asked).await?.expect("it is counted");
        assert_eq!((erasure.stage, erasure.subject.clone()), (Stage::Wiping, None));
        assert_eq!(erasure.erased, Erased { events: 5, deliveries: 3, attempts: 2, requests: 2, state_values: 1 });
        assert!(!store.ledger.erase(acme, asked, 2, LATER).await?);

        for delivery in [done, waiting, in_hand_id] {
            assert!(store.ledger.delivery(acme, delivery).await?.is_none());
        }
        assert!(!store.ledger.settle(settlement(acme, in_hand_id, 9, Next::Delivered)).await?);
        assert!(store.ledger.delivery(acme, in_hand_id).await?.is_none());
        assert!(store.ledger.prepared(acme, in_hand_id).await?.is_none());
        assert!(store.ledger.attempts(acme, in_hand_id).await?.is_empty());
        // Nor does a replay that had read it before.
        let replay = FreshDelivery { message: Some(message("hers")), ..fresh(&flying, id(), Start::Due(LATER)) };
        let replay = Recording { events: Vec::new(), ..recording(acme, &flying, vec![replay]) };
        assert!(matches!(store.ledger.record(replay).await, Err(StoreError::Gone)));

        assert!(store.ledger.request(acme, own).await?.is_none());
        let emptied = store.ledger.request(acme, shared).await?.expect("it is his too");
        assert!(emptied.request.body.is_empty() && emptied.request.headers.is_empty() && emptied.steps.is_empty());
        assert_eq!((emptied.request.query.as_str(), emptied.body_gone_at), ("", Some(LATER)));
        for (tenant, stays) in [(acme, joes.id), (acme, his), (acme, later.id), (other, theirs.id)] {
            assert!(is_there(store, tenant, stays).await?);
        }
        let entries = store.ledger.step_entries(acme, place, &step).await?;
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["joe"]);

        store.ledger.end_erasure(acme, asked, LATER).await?;
        let erasure = store.ledger.erasure(acme, asked).await?.expect("it is remembered");
        assert_eq!((erasure.stage, erasure.created_at, erasure.finished_at), (Stage::Done, NOW + SECOND, Some(LATER)));
        assert!(store.ledger.open_erasures().await?.is_empty());
        assert_eq!(store.ledger.erasures(acme, None, 10).await?, [erasure]);
        assert!(store.ledger.erasure(other, asked).await?.is_none() && store.ledger.erasures(other, None, 10).await?.is_empty());
        Ok(())
    }

    async fn a_tenant_has_so_many_erasures_waiting(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        for _ in 0..100 {
            store.ledger.ask_erasure(tenant, id(), "jane".to_owned(), NOW).await?;
        }
        let refused = store.ledger.ask_erasure(tenant, id(), "jane".to_owned(), NOW).await;
        assert!(matches!(refused, Err(StoreError::OverLimit)));
        store.catalog.delete_tenant(tenant, NOW).await?;
        let refused = store.ledger.ask_erasure(tenant, id(), "jane".to_owned(), NOW).await;
        assert!(matches!(refused, Err(StoreError::OverLimit | StoreError::NotFound)));
        while store.ledger.purge(tenant, 50).await? {}
        assert!(store.ledger.open_erasures().await?.is_empty());
        Ok(())
    }
}
