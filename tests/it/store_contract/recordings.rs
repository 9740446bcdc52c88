//! Recordings are stored whole or not at all, and once per key.

use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::delivery::State;
use hookyard::domain::event::Event;
use hookyard::domain::id::{DeliveryId, RequestId, SourceId, TenantId};
use hookyard::domain::request::Fate;
use hookyard::store::StoreError;
use hookyard::store::ledger::{IDEMPOTENCY_WINDOW, Idempotency, Received, Recorded, Recording, Start, UNPROVEN_KEPT};

use super::given::{
    MINUTE, NOW, SECOND, a_tenant, claimed, claims, event, fresh, id, message, received, recording, steps,
};

fn keyed(tenant: TenantId, key: &str, fingerprint: u8, after: Duration) -> (Arc<Event>, Recording) {
    let event = Arc::new(event(tenant));
    let mut recording = recording(tenant, &event, vec![fresh(&event, id(), Start::Due(NOW + MINUTE))]);
    recording.idempotency = Some(Idempotency { key: key.to_owned(), fingerprint: [fingerprint; 32], now: NOW + after });
    (event, recording)
}

fn quarantined() -> Fate {
    Fate::Quarantined { reason: "no mapper".to_owned() }
}

contract! {
    async fn a_recording_reads_back_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let received_one = received(tenant, Fate::Accepted);
        let request = received_one.request.clone();
        let mut bare = event(tenant);
        (bare.subject, bare.account, bare.request_id, bare.deliver_at) = (None, None, None, None);
        bare.tags.clear();
        let events = [Arc::new(event(tenant)), Arc::new(bare)];
        let deliveries = [
            (fresh(&events[0], id(), claimed(9)), None),
            (fresh(&events[1], id(), Start::Due(NOW + MINUTE)), Some(NOW + MINUTE)),
        ];
        let expected: Vec<_> =
            deliveries.iter().map(|(fresh, due)| (fresh.id, fresh.event, fresh.endpoint, *due)).collect();
        let recorded = store.ledger.record(Recording {
            tenant,
            received: Some(received_one),
            events: events.to_vec(),
            deliveries: deliveries.into_iter().map(|(fresh, ..)| fresh).collect(),
            idempotency: None,
            portion: None,
        });
        assert_eq!(recorded.await?, Recorded::Stored);

        let stored = store.ledger.request(tenant, request.id).await?.expect("the request is stored");
        assert_eq!(format!("{:?}", stored.request), format!("{request:?}"));
        assert_eq!(stored.fate, Fate::Accepted);
        assert_eq!(format!("{:?}", stored.steps), format!("{:?}", steps("a request's step")));
        assert_eq!(store.ledger.events_of(tenant, request.id).await?, events.each_ref().map(|event| event.id));
        for event in &events {
            let stored = store.ledger.event(tenant, event.id).await?.expect("the event is stored");
            assert_eq!(format!("{stored:?}"), format!("{event:?}"));
        }
        for (id, event, endpoint, due) in expected {
            let stored = store.ledger.delivery(tenant, id).await?.expect("the delivery is stored");
            assert_eq!((stored.id, stored.event, stored.endpoint), (id, event, endpoint));
            assert_eq!((stored.state, stored.attempts, stored.replay_of), (State::Pending, 0, None));
            assert_eq!((stored.next_attempt_at, stored.reason.as_deref()), (due, None));
            assert_eq!((stored.created_at, stored.updated_at), (id.minted_at(), id.minted_at()));
            assert!(store.ledger.prepared(tenant, id).await?.is_none());
            assert!(store.ledger.attempts(tenant, id).await?.is_empty());
        }
        Ok(())
    }

    async fn a_replay_as_sent_brings_its_message(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let event = Arc::new(event(tenant));
        store.ledger.record(recording(tenant, &event, Vec::new())).await?;
        let mut replay = fresh(&event, id(), Start::Due(NOW));
        let (replayed, of): (DeliveryId, DeliveryId) = (replay.id, id());
        (replay.message, replay.replay_of) = (Some(message("sent before")), Some(of));
        let again = Recording { events: Vec::new(), ..recording(tenant, &event, vec![replay]) };
        store.ledger.record(again).await?;

        let stored = store.ledger.delivery(tenant, replayed).await?.expect("the replay is stored");
        assert_eq!((stored.event, stored.replay_of), (event.id, Some(of)));
        let prepared = store.ledger.prepared(tenant, replayed).await?.expect("it has its message");
        assert_eq!(prepared.message, Some(message("sent before")));
        assert!(prepared.steps.is_empty());
        let claims = claims(store, NOW, 10).await?;
        assert_eq!(claims[0].message, Some(message("sent before")));
        Ok(())
    }

    async fn a_rerun_changes_a_requests_fate_and_adds_its_events(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let first = received(tenant, quarantined());
        let request = first.request.clone();
        let nothing = Recording {
            tenant, received: Some(first), events: Vec::new(), deliveries: Vec::new(), idempotency: None, portion: None,
        };
        store.ledger.record(nothing).await?;
        assert!(store.ledger.events_of(tenant, request.id).await?.is_empty());

        let rerun = |request, before, fate| {
            let mut again = received(tenant, fate);
            (again.request, again.steps, again.rerun_of) = (request, steps("again"), Some(before));
            again
        };
        let events = [Arc::new(event(tenant)), Arc::new(event(tenant))];
        for (event, before) in events.iter().zip([quarantined(), Fate::Accepted]) {
            let mut again = recording(tenant, event, Vec::new());
            again.received = Some(rerun(request.clone(), before, Fate::Accepted));
            store.ledger.record(again).await?;
        }
        let stored = store.ledger.request(tenant, request.id).await?.expect("it is still there");
        assert_eq!(stored.fate, Fate::Accepted);
        assert_eq!(format!("{:?}", stored.steps), format!("{:?}", steps("again")));
        assert_eq!(store.ledger.events_of(tenant, request.id).await?, events.map(|event| event.id));

        let lost = Arc::new(event(tenant));
        let mut unknown = recording(tenant, &lost, Vec::new());
        unknown.received = Some(rerun(received(tenant, Fate::Accepted).request, quarantined(), Fate::Accepted));
        assert!(matches!(store.ledger.record(unknown).await, Err(StoreError::Changed)));
        assert!(store.ledger.event(tenant, lost.id).await?.is_none());
        Ok(())
    }

    /// Whether they come together or one after the other.
    async fn of_reruns_of_one_state_the_first_is_stored(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let first = received(tenant, quarantined());
        let request = first.request.clone();
        let kept = Recording {
            tenant, received: Some(first), events: Vec::new(), deliveries: Vec::new(), idempotency: None, portion: None,
        };
        store.ledger.record(kept).await?;
        let rerun = || {
            let event = Arc::new(event(tenant));
            let delivery = fresh(&event, id(), Start::Due(NOW + MINUTE));
            let ids = (event.id, delivery.id);
            let mut again = recording(tenant, &event, vec![delivery]);
            again.received =
                Some(Received { request: request.clone(), rerun_of: Some(quarantined()), ..received(tenant, Fate::Accepted) });
            (ids, again)
        };
        let bystander = Arc::new(event(tenant));
        let ((first, one), (second, other), (third, late)) = (rerun(), rerun(), rerun());

        let (one, other, unconcerned) = tokio::join!(
            store.ledger.record(one),
            store.ledger.record(other),
            store.ledger.record(recording(tenant, &bystander, Vec::new())),
        );
        let late = store.ledger.record(late).await;

        assert_eq!((one?, unconcerned?), (Recorded::Stored, Recorded::Stored));
        for (changed, (event, delivery)) in [(other, second), (late, third)] {
            assert!(matches!(changed, Err(StoreError::Changed)), "{changed:?}");
            assert!(store.ledger.event(tenant, event).await?.is_none());
            assert!(store.ledger.delivery(tenant, delivery).await?.is_none());
        }
        assert_eq!(store.ledger.events_of(tenant, request.id).await?, [first.0]);
        assert!(store.ledger.delivery(tenant, first.1).await?.is_some());
        Ok(())
    }

    /// The second delivery of the second recording has an id that is taken:
    /// neither its event nor its first delivery stays, and those who shared its
    /// transaction notice nothing.
    async fn a_recording_is_stored_whole_or_not_at_all(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let events: Vec<_> = (0..3).map(|_| Arc::new(event(tenant))).collect();
        let taken = fresh(&events[0], id(), Start::Due(NOW + MINUTE));
        let (taken_id, good) = (taken.id, fresh(&events[1], id(), Start::Due(NOW + MINUTE)));
        let good_id = good.id;
        let mut bad = fresh(&events[1], id(), Start::Due(NOW + MINUTE));
        bad.id = taken_id;

        let (first, second, third) = tokio::join!(
            store.ledger.record(recording(tenant, &events[0], vec![taken])),
            store.ledger.record(recording(tenant, &events[1], vec![good, bad])),
            store.ledger.record(recording(tenant, &events[2], vec![fresh(&events[2], id(), Start::Due(NOW + MINUTE))])),
        );

        assert_eq!((first?, third?), (Recorded::Stored, Recorded::Stored));
        assert!(second.is_err());
        assert!(store.ledger.event(tenant, events[1].id).await?.is_none());
        assert!(store.ledger.delivery(tenant, good_id).await?.is_none());
        let kept = store.ledger.delivery(tenant, taken_id).await?.expect("the first one's");
        assert_eq!(kept.event, events[0].id);
        assert!(store.ledger.event(tenant, events[2].id).await?.is_some());
        Ok(())
    }

    async fn a_large_recording_is_stored_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        // Sizes around those that share a statement.
        for count in [1, 7, 8, 9, 63, 64, 65, 127, 200] {
            let event = Arc::new(event(tenant));
            let deliveries: Vec<_> = (0..count).map(|_| fresh(&event, id(), Start::Due(NOW + MINUTE))).collect();
            let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
            store.ledger.record(recording(tenant, &event, deliveries)).await?;
            for id in ids {
                assert!(store.ledger.delivery(tenant, id).await?.is_some(), "{count}");
            }
        }
        Ok(())
    }

    async fn of_what_proved_nothing_each_source_keeps_the_newest(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (flooded, quiet): (SourceId, SourceId) = (id(), id());
        let keep = async |source: SourceId, fate: Fate| -> Result<RequestId, StoreError> {
            let mut received = received(tenant, fate);
            received.request.source = source;
            let id = received.request.id;
            let received = Some(received);
            let recording = Recording { tenant, received, events: Vec::new(), deliveries: Vec::new(), idempotency: None, portion: None };
            store.ledger.record(recording).await?;
            Ok(id)
        };
        let refused = || Fate::Refused { reason: "wrong".to_owned() };
        let others = keep(quiet, refused()).await?;
        let proven = keep(flooded, Fate::Accepted).await?;
        let first = keep(flooded, refused()).await?;
        let second = keep(flooded, Fate::Answered).await?;
        for _ in 0..UNPROVEN_KEPT - 1 {
            keep(flooded, refused()).await?;
        }
        assert!(store.ledger.request(tenant, first).await?.is_none(), "one too many");
        for kept in [second, proven, others] {
            assert!(store.ledger.request(tenant, kept).await?.is_some());
        }
        Ok(())
    }

    async fn two_recordings_with_one_key_are_one(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (event, first) = keyed(acme, "k", 1, Duration::ZERO);
        assert_eq!(store.ledger.record(first).await?, Recorded::Stored);

        let (lost, again) = keyed(acme, "k", 1, SECOND);
        assert_eq!(store.ledger.record(again).await?, Recorded::Repeated(vec![event.id]));
        assert!(store.ledger.event(acme, lost.id).await?.is_none());
        let (lost, reused) = keyed(acme, "k", 2, SECOND);
        assert_eq!(store.ledger.record(reused).await?, Recorded::KeyReused);
        assert!(store.ledger.event(acme, lost.id).await?.is_none());

        assert_eq!(store.ledger.record(keyed(acme, "K", 1, SECOND).1).await?, Recorded::Stored);
        assert_eq!(store.ledger.record(keyed(other, "k", 1, SECOND).1).await?, Recorded::Stored);

        // The window has a first and a last moment.
        let last = IDEMPOTENCY_WINDOW - Duration::from_millis(1);
        assert_eq!(store.ledger.record(keyed(acme, "k", 1, last).1).await?, Recorded::Repeated(vec![event.id]));
        let (newer, late) = keyed(acme, "k", 2, IDEMPOTENCY_WINDOW);
        assert_eq!(store.ledger.record(late).await?, Recorded::Stored);
        let again = keyed(acme, "k", 2, IDEMPOTENCY_WINDOW).1;
        assert_eq!(store.ledger.record(again).await?, Recorded::Repeated(vec![newer.id]));
        Ok(())
    }

    async fn a_key_counts_among_those_that_arrive_together(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let ((event, first), (_, same)) = (keyed(tenant, "k", 1, SECOND), keyed(tenant, "k", 1, SECOND));
        let (_, reused) = keyed(tenant, "k", 2, SECOND);
        let ledger = &store.ledger;
        let (first, same, reused) = tokio::join!(ledger.record(first), ledger.record(same), ledger.record(reused));
        assert_eq!(first?, Recorded::Stored);
        assert_eq!(same?, Recorded::Repeated(vec![event.id]));
        assert_eq!(reused?, Recorded::KeyReused);
        Ok(())
    }

    async fn nothing_is_stored_of_a_tenant_that_is_gone(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (his, hers) = (Arc::new(event(acme)), Arc::new(event(other)));
        store.catalog.delete_tenant(acme, NOW).await?;
        let (late, well) = tokio::join!(
            store.ledger.record(recording(acme, &his, Vec::new())),
            store.ledger.record(recording(other, &hers, Vec::new())),
        );
        assert!(matches!(late, Err(StoreError::NotFound)), "{late:?}");
        assert_eq!(well?, Recorded::Stored, "others of the same batch are stored");
        assert!(store.ledger.event(acme, his.id).await?.is_none());
        Ok(())
    }
}
