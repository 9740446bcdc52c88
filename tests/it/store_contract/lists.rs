//! Lists: newest first, in pages, narrowed by each filter.

use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::delivery::{Next, State};
use hookyard::domain::event::Event;
use hookyard::domain::id::{DeliveryId, EventId, RequestId, SourceId, TenantId, TypedId};
use hookyard::domain::request::Fate;
use hookyard::store::StoreError;
use hookyard::store::ledger::{DeliveryQuery, EventQuery, Recording, RequestQuery, RerunQuery, Start};

use super::Store;
use super::given::{
    MINUTE, NOW, SECOND, a_delivery_to, a_tenant, claimed, event, fresh, id, received, recording, settlement,
};

const ALL: u32 = 100;

async fn events(store: &Store, tenant: TenantId, query: EventQuery) -> Result<Vec<EventId>, StoreError> {
    Ok(store.ledger.events(tenant, query).await?.items.iter().map(|event| event.id).collect())
}

async fn deliveries(store: &Store, tenant: TenantId, query: DeliveryQuery) -> Result<Vec<DeliveryId>, StoreError> {
    let found: Vec<_> = store.ledger.deliveries(tenant, query.clone()).await?.iter().map(|found| found.id).collect();
    // Counting and listing agree.
    assert_eq!(store.ledger.count_deliveries(tenant, query).await?, found.len() as u64);
    Ok(found)
}

contract! {
    async fn events_are_listed_by_each_filter(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let all: Vec<Event> = (0..4).map(|_| event(tenant)).collect();
        let [mut a, mut b, mut c, mut d] = <[Event; 4]>::try_from(all).expect("four");
        a.event_type = "order.made".parse().expect("an event type");
        a.account = None;
        b.tags = vec!["new".to_owned(), "paid%".to_owned()];
        c.subject = None;
        c.account = Some("paris".to_owned());
        d.received_at = NOW + MINUTE;
        d.id = TypedId::new(d.received_at, [0; 10]);
        for event in [&a, &b, &c, &d] {
            store.ledger.record(recording(tenant, &Arc::new(event.clone()), Vec::new())).await?;
        }
        let (a, b, c, d) = (a.id, b.id, c.id, d.id);
        let all = EventQuery { limit: ALL, ..EventQuery::default() };
        let some = |text: &str| Some(text.to_owned());
        let table = [
            (all.clone(), vec![d, c, b, a]),
            (EventQuery { limit: 2, ..all.clone() }, vec![d, c]),
            (EventQuery { limit: 2, older_than: Some(c), ..all.clone() }, vec![b, a]),
            (EventQuery { event_type: "order.made".parse().ok(), ..all.clone() }, vec![a]),
            (EventQuery { event_type: "order.*".parse().ok(), ..all.clone() }, vec![d, c, b, a]),
            (EventQuery { event_type: "*.made".parse().ok(), ..all.clone() }, vec![a]),
            (EventQuery { tag: some("paid"), ..all.clone() }, vec![d, c, a]),
            (EventQuery { tag: some("paid%"), ..all.clone() }, vec![b]),
            (EventQuery { subject: some("customer-7"), ..all.clone() }, vec![d, b, a]),
            (EventQuery { account: some("paris"), ..all.clone() }, vec![c]),
            (EventQuery { without_account: true, ..all.clone() }, vec![a]),
            (EventQuery { without_account: true, subject: some("customer-7"), ..all.clone() }, vec![a]),
            (EventQuery { after: Some(NOW + SECOND), ..all.clone() }, vec![d]),
            (EventQuery { after: Some(NOW), before: Some(NOW + MINUTE), ..all.clone() }, vec![c, b, a]),
            (EventQuery { tag: some("paid"), account: some("paris"), ..all.clone() }, vec![c]),
            (EventQuery { subject: some("' OR 1=1 --"), ..all.clone() }, vec![]),
            (EventQuery { max_data: Some(1000), ..all.clone() }, vec![d, c, b, a]),
            (EventQuery { max_data: Some(10), ..all.clone() }, vec![]),
        ];
        for (query, expected) in table {
            assert_eq!(events(store, tenant, query.clone()).await?, expected, "{query:?}");
        }
        Ok(())
    }

    /// Whoever looks for what is far away, or nowhere, is told how far it was looked
    /// for, and comes to the end by going on.
    async fn a_search_ends_after_so_many_and_goes_on_from_there(store: &Store) -> Kept {
        const EVENTS: usize = 25_000;
        let tenant = a_tenant(store, "acme").await?;
        let mut rare = event(tenant);
        rare.account = Some("rare".to_owned());
        store.ledger.record(recording(tenant, &Arc::new(rare.clone()), Vec::new())).await?;
        for _ in 0..EVENTS / 500 {
            let events = (0..500).map(|_| Arc::new(event(tenant))).collect();
            let many = Recording {
                tenant, received: None, events, deliveries: Vec::new(), idempotency: None, portion: None,
            };
            store.ledger.record(many).await?;
        }
        let mut wanted = EventQuery { account: rare.account.clone(), limit: 10, ..EventQuery::default() };
        let (mut pages, mut found) = (0, Vec::new());
        loop {
            let page = store.ledger.events(tenant, wanted.clone()).await?;
            pages += 1;
            found.extend(page.items.iter().map(|event| event.id));
            let searched = page.searched.expect("no index finds it") as usize;
            assert!(searched < EVENTS && pages <= EVENTS / searched + 1, "page {pages} of {searched} each");
            match page.next {
                Some(next) => wanted.older_than = Some(next),
                None => break,
            }
        }
        assert!(pages > 1);
        assert_eq!(found, [rare.id]);
        Ok(())
    }

    async fn requests_to_rerun_are_the_oldest_first(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (shop, elsewhere): (SourceId, SourceId) = (id(), id());
        let keep = async |tenant: TenantId, source: SourceId, fate: Fate, at: Duration| -> Result<RequestId, StoreError> {
            let mut received = received(tenant, fate);
            (received.request.source, received.request.id) = (source, RequestId::new(NOW + at, [1; 10]));
            let id = received.request.id;
            let received = Some(received);
            let recording = Recording { tenant, received, events: Vec::new(), deliveries: Vec::new(), idempotency: None, portion: None };
            store.ledger.record(recording).await?;
            Ok(id)
        };
        let quarantined = || Fate::Quarantined { reason: "wrong".to_owned() };
        let third = keep(acme, shop, quarantined(), 3 * SECOND).await?;
        let first = keep(acme, shop, quarantined(), SECOND).await?;
        let second = keep(acme, shop, Fate::Ignored { reason: "no".to_owned() }, 2 * SECOND).await?;
        keep(acme, shop, Fate::Accepted, 4 * SECOND).await?;
        keep(acme, elsewhere, quarantined(), 5 * SECOND).await?;
        keep(other, shop, quarantined(), 6 * SECOND).await?;

        let states = |states: &[&str]| states.iter().map(|state| (*state).to_owned()).collect::<Vec<_>>();
        let all = RerunQuery {
            source: shop, states: states(&["ignored", "quarantined"]), since: None, until: None, after: None, limit: ALL,
        };
        let table = [
            (all.clone(), vec![first, second, third]),
            (RerunQuery { states: states(&["quarantined", "quarantined"]), ..all.clone() }, vec![first, third]),
            (RerunQuery { states: Vec::new(), ..all.clone() }, vec![]),
            (RerunQuery { limit: 2, ..all.clone() }, vec![first, second]),
            (RerunQuery { after: Some(second), ..all.clone() }, vec![third]),
            (RerunQuery { since: Some(NOW + 2 * SECOND), ..all.clone() }, vec![second, third]),
            (RerunQuery { until: Some(NOW + 2 * SECOND), ..all.clone() }, vec![first]),
        ];
        for (query, expected) in table {
            assert_eq!(store.ledger.requests_to_rerun(acme, query.clone()).await?, expected, "{query:?}");
        }
        Ok(())
    }

    async fn deliveries_are_listed_by_each_filter(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (one, two) = (id(), id());
        let a = a_delivery_to(store, tenant, one, claimed(1)).await?;
        let b = a_delivery_to(store, tenant, two, claimed(1)).await?;
        let event = Arc::new(Event { account: Some("paris".to_owned()), ..event(tenant) });
        let mut later = fresh(&event, one, Start::Due(NOW + MINUTE));
        later.id = DeliveryId::new(NOW + MINUTE, [1; 10]);
        let c = later.id;
        store.ledger.record(recording(tenant, &event, vec![later])).await?;
        store.ledger.settle(settlement(tenant, a, 1, Next::Delivered)).await?;

        let all = DeliveryQuery { limit: ALL, ..DeliveryQuery::default() };
        let table = [
            (all.clone(), vec![c, b, a]),
            (DeliveryQuery { older_than: Some(c), ..all.clone() }, vec![b, a]),
            (DeliveryQuery { event: Some(event.id), ..all.clone() }, vec![c]),
            (DeliveryQuery { endpoint: Some(one), ..all.clone() }, vec![c, a]),
            (DeliveryQuery { account: Some("berlin".to_owned()), ..all.clone() }, vec![b, a]),
            (DeliveryQuery { account: Some("paris".to_owned()), endpoint: Some(two), ..all.clone() }, vec![]),
            (DeliveryQuery { states: vec![State::Delivered], ..all.clone() }, vec![a]),
            (DeliveryQuery { states: vec![State::Pending, State::Delivered], ..all.clone() }, vec![c, b, a]),
            (DeliveryQuery { states: vec![State::Dead], ..all.clone() }, vec![]),
            (DeliveryQuery { since: Some(NOW + MINUTE), ..all.clone() }, vec![c]),
            (DeliveryQuery { since: Some(NOW), until: Some(NOW + MINUTE), ..all.clone() }, vec![b, a]),
        ];
        for (query, expected) in table {
            assert_eq!(deliveries(store, tenant, query.clone()).await?, expected, "{query:?}");
        }
        let first = DeliveryQuery { limit: 1, ..all };
        assert_eq!(store.ledger.deliveries(tenant, first.clone()).await?[0].id, c);
        assert_eq!(store.ledger.count_deliveries(tenant, first).await?, 3);
        Ok(())
    }

    async fn requests_are_listed_by_each_filter(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let because = || "because".to_owned();
        let fates = [
            Fate::Accepted,
            Fate::Ignored { reason: because() },
            Fate::Quarantined { reason: because() },
            Fate::Answered,
            Fate::Refused { reason: because() },
        ];
        let mut ids = Vec::new();
        for fate in fates.clone() {
            let received = received(tenant, fate);
            ids.push((received.request.id, received.request.source));
            let alone = Recording {
                tenant, received: Some(received), events: Vec::new(), deliveries: Vec::new(), idempotency: None, portion: None,
            };
            store.ledger.record(alone).await?;
        }
        let [(a, _), (b, source), (c, _), (d, _), (e, _)] = ids[..] else { panic!("five") };
        let all = RequestQuery { limit: ALL, ..RequestQuery::default() };
        let table = [
            (all.clone(), vec![e, d, c, b, a]),
            (RequestQuery { limit: 1, ..all.clone() }, vec![e]),
            (RequestQuery { older_than: Some(c), ..all.clone() }, vec![b, a]),
            (RequestQuery { source: Some(source), ..all.clone() }, vec![b]),
            (RequestQuery { state: Some("quarantined".to_owned()), ..all.clone() }, vec![c]),
            (RequestQuery { state: Some("refused".to_owned()), ..all.clone() }, vec![e]),
        ];
        for (query, expected) in table {
            let found = store.ledger.requests(tenant, query.clone()).await?.items;
            let found: Vec<_> = found.iter().map(|request| request.id).collect();
            assert_eq!(found, expected, "{query:?}");
        }
        let found = store.ledger.requests(tenant, all).await?.items;
        assert!(found.iter().rev().map(|request| &request.fate).eq(&fates));
        Ok(())
    }
}
