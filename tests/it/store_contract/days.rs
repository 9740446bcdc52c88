//! What happened on a day that is old for everybody goes at once, where an engine
//! keeps days; no other day does, and none that somebody needs.

use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::claim::ClaimToken;
use hookyard::domain::delivery::Next;
use hookyard::domain::event::Event;
use hookyard::domain::id::{DeliveryId, EndpointId, EventId, RequestId, TenantId, TypedId};
use hookyard::domain::replay::{Progress, Replay, Selection, Through};
use hookyard::domain::request::Fate;
use hookyard::domain::time::Timestamp;
use hookyard::store::StoreError;
use hookyard::store::keeping::{DroppedDays, Old};
use hookyard::store::ledger::{FreshDelivery, Recorded, Recording, Start};

use super::Store;
use super::given::{NOW, a_tenant, event, fresh, id, received, recording, settlement};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Noon, long before whatever day the test is run on.
const OLD_DAY: Timestamp = Timestamp::from_millis(1_700_049_600_000);

fn at<T: TypedId>(time: Timestamp) -> T {
    T::new(time, hookyard::clock::random())
}

/// All that is of before.
fn before(time: Timestamp) -> Old {
    Old { requests: Some(time), events: Some(time), attempts: Some(time) }
}

/// Everything that one event comes to, and whose.
struct Happened {
    tenant: TenantId,
    request: RequestId,
    event: EventId,
    delivery: DeliveryId,
}

impl Happened {
    /// A request, an event of it, and its delivery, claimed.
    async fn at(store: &Store, tenant: TenantId, time: Timestamp) -> Result<Self, StoreError> {
        let event = Arc::new(Event { id: at(time), received_at: time, ..event(tenant) });
        let mut received = received(tenant, Fate::Accepted);
        (received.request.id, received.request.received_at) = (at(time), time);
        let happened = Self { tenant, request: received.request.id, event: event.id, delivery: at(time) };
        let delivery = FreshDelivery { id: happened.delivery, ..fresh(&event, id(), claimed()) };
        let stored = Recording { received: Some(received), ..recording(tenant, &event, vec![delivery]) };
        assert_eq!(store.ledger.record(stored).await?, Recorded::Stored);
        Ok(happened)
    }

    /// Has come to rest, with a message and an attempt.
    async fn delivered(self, store: &Store) -> Result<Self, StoreError> {
        assert!(store.ledger.settle(settlement(self.tenant, self.delivery, 1, Next::Delivered)).await?);
        Ok(self)
    }

    /// Which of it is there: the request, the event, the delivery, its message, its
    /// attempts.
    async fn is_there(&self, store: &Store) -> Result<[bool; 5], StoreError> {
        let (ledger, tenant) = (&store.ledger, self.tenant);
        Ok([
            ledger.request(tenant, self.request).await?.is_some(),
            ledger.event(tenant, self.event).await?.is_some(),
            ledger.delivery(tenant, self.delivery).await?.is_some(),
            ledger.prepared(tenant, self.delivery).await?.is_some(),
            !ledger.attempts(tenant, self.delivery).await?.is_empty(),
        ])
    }
}

fn claimed() -> Start {
    Start::Claimed { token: ClaimToken(1), until: NOW + HOUR }
}

/// What is there of something whose day was dropped.
fn gone(store: &Store) -> [bool; 5] {
    [!store.ledger.has_days(); 5]
}

/// As many days as were dropped, where there are any.
fn dropped(store: &Store, days: u32) -> DroppedDays {
    DroppedDays { dropped: if store.ledger.has_days() { days } else { 0 }, stay: 0 }
}

/// One that stays, whoever would drop it.
fn stays(store: &Store) -> u32 {
    u32::from(store.ledger.has_days())
}

fn a_replay(tenant: TenantId, endpoint: EndpointId, since: Timestamp, after: Option<DeliveryId>) -> Replay {
    let selection = Selection {
        endpoint,
        states: Vec::new(),
        event_types: Vec::new(),
        account: None,
        since: Some(since),
        until: NOW,
    };
    let (through, progress) = (Through::AsSent, Progress::Running);
    Replay { id: id(), tenant, selection, through, found: 5, made: 0, after, progress, updated_at: NOW }
}

contract! {
    async fn a_day_goes_with_all_that_happened_on_it_and_no_other_does(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        store.ledger.make_days(OLD_DAY).await?;
        // Once more changes nothing.
        store.ledger.make_days(OLD_DAY).await?;
        let old = Happened::at(store, tenant, OLD_DAY).await?.delivered(store).await?;
        let next = Happened::at(store, tenant, OLD_DAY + DAY).await?.delivered(store).await?;
        // Of a day that nobody made.
        let other = Happened::at(store, tenant, OLD_DAY + 10 * DAY).await?.delivered(store).await?;

        // The day is not over yet.
        assert_eq!(store.ledger.drop_days(before(OLD_DAY + 11 * HOUR)).await?, DroppedDays::default());
        assert_eq!(store.ledger.drop_days(Old::default()).await?, DroppedDays::default());
        assert_eq!(old.is_there(store).await?, [true; 5]);

        // Requests and what hangs on events are dropped apart.
        assert_eq!(store.ledger.drop_days(before(OLD_DAY + 13 * HOUR)).await?, dropped(store, 2));
        assert_eq!(old.is_there(store).await?, gone(store));
        assert_eq!(next.is_there(store).await?, [true; 5]);
        assert_eq!(store.ledger.drop_days(before(NOW)).await?, dropped(store, 6));
        assert_eq!(next.is_there(store).await?, gone(store));
        assert_eq!(other.is_there(store).await?, [true; 5]);
        Ok(())
    }

    async fn each_kind_of_past_goes_by_its_own_time(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        store.ledger.make_days(OLD_DAY).await?;
        let old = Happened::at(store, tenant, OLD_DAY).await?.delivered(store).await?;
        let next_day = Some(OLD_DAY + DAY);
        let stay = !store.ledger.has_days();
        store.ledger.drop_days(Old { attempts: next_day, ..Old::default() }).await?;
        assert_eq!(old.is_there(store).await?, [true, true, true, true, stay]);
        store.ledger.drop_days(Old { requests: next_day, ..Old::default() }).await?;
        assert_eq!(old.is_there(store).await?, [stay, true, true, true, stay]);
        store.ledger.drop_days(Old { events: next_day, ..Old::default() }).await?;
        assert_eq!(old.is_there(store).await?, gone(store));
        Ok(())
    }

    async fn a_day_is_made_although_something_came_on_it_already(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let early = Happened::at(store, tenant, OLD_DAY).await?.delivered(store).await?;
        store.ledger.make_days(OLD_DAY).await?;
        assert_eq!(early.is_there(store).await?, [true; 5]);
        store.ledger.drop_days(before(OLD_DAY + DAY)).await?;
        assert_eq!(early.is_there(store).await?, gone(store));
        Ok(())
    }

    async fn a_day_stays_while_a_delivery_of_it_is_pending(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        store.ledger.make_days(OLD_DAY).await?;
        let pending = Happened::at(store, tenant, OLD_DAY).await?;
        let only_events = Old { events: Some(OLD_DAY + DAY), ..Old::default() };
        assert_eq!(store.ledger.drop_days(only_events).await?, DroppedDays { dropped: 0, stay: stays(store) });
        let pending = pending.delivered(store).await?;
        assert_eq!(pending.is_there(store).await?, [true; 5]);
        assert_eq!(store.ledger.drop_days(only_events).await?, dropped(store, 1));
        assert_eq!(pending.is_there(store).await?[1..], gone(store)[1..]);
        Ok(())
    }

    /// An event's later delivery needs it, and does not outlive it.
    async fn a_day_stays_while_an_event_of_it_is_replayed(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        store.ledger.make_days(OLD_DAY).await?;
        let old = Happened::at(store, tenant, OLD_DAY).await?.delivered(store).await?;
        let whole = store.ledger.event(tenant, old.event).await?.expect("it is there");
        let again = FreshDelivery { id: at(OLD_DAY + 2 * DAY), ..fresh(&whole, id(), claimed()) };
        let again_id = again.id;
        let replayed = Recording { events: Vec::new(), ..recording(tenant, &Arc::new(whole), vec![again]) };
        store.ledger.record(replayed).await?;
        let next_day = Old { events: Some(OLD_DAY + DAY), ..Old::default() };
        assert_eq!(store.ledger.drop_days(next_day).await?, DroppedDays { dropped: 0, stay: stays(store) });
        assert!(store.ledger.settle(settlement(tenant, again_id, 1, Next::Delivered)).await?);
        assert_eq!(old.is_there(store).await?, [true; 5]);
        assert_eq!(store.ledger.drop_days(next_day).await?, dropped(store, 1));
        assert_eq!(old.is_there(store).await?[1..], gone(store)[1..]);
        let stay = !store.ledger.has_days();
        assert_eq!(store.ledger.delivery(tenant, again_id).await?.is_some(), stay);
        assert_eq!(!store.ledger.attempts(tenant, again_id).await?.is_empty(), stay);
        Ok(())
    }

    async fn a_replay_holds_the_days_that_it_has_not_come_past(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        store.ledger.make_days(OLD_DAY).await?;
        let replay = a_replay(tenant, id(), OLD_DAY, None);
        // Has come to the next day; begins the next day.
        let past = a_replay(tenant, id(), OLD_DAY, Some(at(OLD_DAY + DAY)));
        let later = a_replay(tenant, id(), OLD_DAY + DAY, None);
        for replay in [&replay, &past, &later] {
            store.ledger.create_replay(replay, 3).await?;
        }
        let next_day = Old { events: Some(OLD_DAY + DAY), ..Old::default() };
        assert_eq!(store.ledger.drop_days(next_day).await?, DroppedDays { dropped: 0, stay: stays(store) });
        assert!(store.ledger.end_replay(tenant, replay.id, Progress::Cancelled, NOW).await?);
        assert_eq!(store.ledger.drop_days(next_day).await?, dropped(store, 1));
        Ok(())
    }
}
