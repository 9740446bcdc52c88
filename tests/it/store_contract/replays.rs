//! Replays: what is kept of them, and that a portion is stored with how far they
//! have come.

use std::sync::Arc;

use hookyard::domain::delivery::State;
use hookyard::domain::id::{EndpointId, ReplayId, TenantId};
use hookyard::domain::replay::{Progress, Replay, Selection, Through};
use hookyard::store::StoreError;
use hookyard::store::ledger::{DeliveryQuery, Portion, Recording, ReplayQuery, Start};

use super::given::{MINUTE, NOW, SECOND, a_tenant, event, fresh, id, recording};

fn a_replay(tenant: TenantId, endpoint: EndpointId) -> Replay {
    Replay {
        id: id(),
        tenant,
        selection: Selection {
            endpoint,
            states: vec![State::Dead, State::Cancelled],
            event_types: vec!["order.*".parse().expect("a pattern")],
            account: Some("berlin".to_owned()),
            since: Some(NOW),
            until: NOW + MINUTE,
        },
        through: Through::AsSent,
        found: 5,
        made: 0,
        after: None,
        progress: Progress::Running,
        updated_at: NOW,
    }
}

contract! {
    async fn a_replay_reads_back_and_ends_once(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (one, mut two) = (a_replay(acme, id()), a_replay(acme, id()));
        two.selection.account = None;
        store.ledger.create_replay(&one, 2).await?;
        store.ledger.create_replay(&two, 2).await?;
        assert!(matches!(store.ledger.create_replay(&a_replay(acme, id()), 2).await, Err(StoreError::OverLimit)));
        let theirs = a_replay(other, id());
        store.ledger.create_replay(&theirs, 2).await?;
        assert_eq!(store.ledger.replay(acme, one.id).await?, Some(one.clone()));
        assert_eq!(store.ledger.replay(other, one.id).await?, None);
        assert_eq!(store.ledger.running_replays().await?.len(), 3);

        assert!(!store.ledger.end_replay(other, one.id, Progress::Cancelled, NOW).await?);
        assert!(store.ledger.end_replay(acme, one.id, Progress::Cancelled, NOW + SECOND).await?);
        assert!(!store.ledger.end_replay(acme, one.id, Progress::Done, NOW).await?);
        let ended = Replay { progress: Progress::Cancelled, updated_at: NOW + SECOND, ..one.clone() };
        let mut all = vec![ended.clone(), two.clone()];
        all.sort_by_key(|replay| std::cmp::Reverse(replay.id));
        let query = ReplayQuery { limit: 10, ..ReplayQuery::default() };
        assert_eq!(store.ledger.replays(acme, query.clone()).await?, all);
        let older = ReplayQuery { older_than: Some(all[0].id), ..query.clone() };
        assert_eq!(store.ledger.replays(acme, older).await?, all[1..]);
        let of_endpoint = ReplayQuery { endpoint: Some(one.selection.endpoint), ..query.clone() };
        let of_account = ReplayQuery { account: Some("berlin".to_owned()), ..query };
        for narrowed in [of_endpoint, of_account] {
            assert_eq!(store.ledger.replays(acme, narrowed).await?, std::slice::from_ref(&ended));
        }
        Ok(())
    }

    async fn a_portion_is_stored_while_its_replay_runs(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let endpoint = id();
        let replay = a_replay(tenant, endpoint);
        store.ledger.create_replay(&replay, 1).await?;
        let portion = |of: ReplayId, from, is_last| {
            let event = Arc::new(event(tenant));
            let delivery = fresh(&event, endpoint, Start::Due(NOW));
            let portion = Portion { replay: of, from, after: delivery.id, made: 3, is_last, now: NOW + SECOND };
            Recording { portion: Some(portion), ..recording(tenant, &event, vec![delivery]) }
        };
        let first = portion(replay.id, None, false);
        let after = first.portion.as_ref().map(|portion| portion.after);
        store.ledger.record(first).await?;
        let expected = Replay { made: 3, after, updated_at: NOW + SECOND, ..replay.clone() };
        assert_eq!(store.ledger.replay(tenant, replay.id).await?, Some(expected));
        // Another that began where this one did.
        let twice = store.ledger.record(portion(replay.id, None, false)).await;
        assert!(matches!(twice, Err(StoreError::Changed)), "{twice:?}");
        let last = portion(replay.id, after, true);
        let end = last.portion.as_ref().map(|portion| portion.after);
        store.ledger.record(last).await?;
        let done = store.ledger.replay(tenant, replay.id).await?.expect("it is there");
        assert_eq!((done.made, done.progress), (6, Progress::Done));

        let before = store.ledger.count_deliveries(tenant, DeliveryQuery::default()).await?;
        assert!(matches!(store.ledger.record(portion(replay.id, end, false)).await, Err(StoreError::Changed)));
        assert_eq!(store.ledger.count_deliveries(tenant, DeliveryQuery::default()).await?, before);
        Ok(())
    }

    async fn deliveries_are_found_by_the_types_of_their_events(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        for event_type in ["order.paid", "order.sent", "user.new"] {
            let mut event = event(tenant);
            event.event_type = event_type.parse().expect("a type");
            let event = Arc::new(event);
            store.ledger.record(recording(tenant, &event, vec![fresh(&event, id(), Start::Due(NOW))])).await?;
        }
        for (patterns, expected) in
            [(vec![], 3), (vec!["order.*"], 2), (vec!["*.new", "order.paid"], 2), (vec!["*"], 3), (vec!["order"], 0)]
        {
            let event_types = patterns.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
            let query = DeliveryQuery { event_types, limit: 10, ..DeliveryQuery::default() };
            assert_eq!(store.ledger.count_deliveries(tenant, query.clone()).await?, expected, "{patterns:?}");
            assert_eq!(store.ledger.deliveries(tenant, query).await?.len() as u64, expected, "{patterns:?}");
        }
        Ok(())
    }
}
