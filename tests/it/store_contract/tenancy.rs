//! Nothing crosses from one tenant to another, and a deleted tenant leaves
//! nothing behind.

use std::sync::Arc;

use hookyard::domain::delivery::Next;
use hookyard::domain::id::{DeliveryId, EndpointId, EventId, RequestId, SourceId, TenantId};
use hookyard::domain::request::Fate;
use hookyard::domain::secret::Secret;
use hookyard::domain::usage::{Counted, PluginUse, Usage};
use hookyard::store::StoreError;
use hookyard::store::ledger::{DeliveryQuery, EventQuery, RequestQuery, Which};

use super::Store;
use super::given::{MINUTE, NOW, a_tenant, claimed, endpoint, event, fresh, received, recording, settlement, source};

/// One of each thing, all of one tenant.
struct Things {
    source: SourceId,
    endpoint: EndpointId,
    request: RequestId,
    event: EventId,
    delivery: DeliveryId,
}

async fn things_of(store: &Store, tenant: TenantId) -> Result<Things, StoreError> {
    let source = source(tenant, "shop");
    store.catalog.create_source(&source).await?;
    let endpoint = endpoint(tenant, "crm");
    store.catalog.create_endpoint(&endpoint, Some(&Secret::standard([1; 24])), None).await?;
    let event = Arc::new(event(tenant));
    let delivery = fresh(&event, endpoint.id, claimed(1));
    let id = delivery.id;
    let received = received(tenant, Fate::Accepted);
    let request = received.request.id;
    let mut recording = recording(tenant, &event, vec![delivery]);
    recording.received = Some(received);
    store.ledger.record(recording).await?;
    store.ledger.settle(settlement(tenant, id, 1, Next::RetryAt(NOW))).await?;
    Ok(Things { source: source.id, endpoint: endpoint.id, request, event: event.id, delivery: id })
}

/// How much `tenant` sees of `things` by each way of reading. Twelve ways.
async fn seen(store: &Store, tenant: TenantId, things: &Things) -> Result<Vec<usize>, StoreError> {
    let ledger = &store.ledger;
    let picture = store.catalog.picture(tenant).await?;
    let limit = 100;
    let mine = DeliveryQuery { event: Some(things.event), limit, ..DeliveryQuery::default() };
    let counted = ledger.count_deliveries(tenant, mine.clone()).await?;
    let listed = |found: bool| usize::from(found);
    Ok(vec![
        picture.as_ref().map_or(0, |picture| listed(picture.sources.contains_key(&things.source))),
        picture.as_ref().map_or(0, |picture| listed(picture.endpoints.contains_key(&things.endpoint))),
        listed(ledger.request(tenant, things.request).await?.is_some()),
        ledger
            .requests(tenant, RequestQuery { limit, ..RequestQuery::default() })
            .await?
            .items
            .iter()
            .filter(|request| request.id == things.request)
            .count(),
        ledger.events_of(tenant, things.request).await?.len(),
        listed(ledger.event(tenant, things.event).await?.is_some()),
        ledger
            .events(tenant, EventQuery { limit, ..EventQuery::default() })
            .await?
            .items
            .iter()
            .filter(|event| event.id == things.event)
            .count(),
        listed(ledger.delivery(tenant, things.delivery).await?.is_some()),
        ledger.deliveries(tenant, mine).await?.len(),
        usize::try_from(counted).expect("a small number"),
        listed(ledger.prepared(tenant, things.delivery).await?.is_some()),
        ledger.attempts(tenant, things.delivery).await?.len(),
    ])
}

contract! {
    async fn a_tenant_sees_all_of_its_own_and_nothing_of_anothers(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (hers, his) = (things_of(store, acme).await?, things_of(store, other).await?);
        assert_eq!(seen(store, acme, &hers).await?, [1; 12]);
        assert_eq!(seen(store, other, &his).await?, [1; 12]);
        assert_eq!(seen(store, acme, &his).await?, [0; 12]);
        assert_eq!(seen(store, other, &hers).await?, [0; 12]);
        Ok(())
    }

    async fn a_tenant_changes_nothing_of_anothers(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let his = things_of(store, other).await?;
        let before = format!("{:?}", store.ledger.delivery(other, his.delivery).await?);
        let secret = Secret::standard([2; 24]);
        let mut foreign_source = source(acme, "stolen");
        foreign_source.id = his.source;
        let mut foreign_endpoint = endpoint(acme, "stolen");
        foreign_endpoint.id = his.endpoint;

        let catalog = &store.catalog;
        for refused in [
            catalog.update_source(&foreign_source, &foreign_source).await,
            catalog.delete_source(acme, his.source).await,
            catalog.update_endpoint(&foreign_endpoint, &foreign_endpoint).await,
            catalog.rotate_secret(acme, his.endpoint, &secret, NOW, NOW + MINUTE).await,
            catalog.delete_endpoint(acme, his.endpoint).await,
            catalog.delete_key(acme, catalog.picture(other).await?.expect("it exists").keys[0].1.id, None).await,
            store.ledger.retry(acme, his.delivery, NOW).await.map(drop),
        ] {
            assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
        }
        assert_eq!(store.ledger.cancel(acme, Which::One(his.delivery), NOW).await?, 0);
        assert_eq!(format!("{:?}", store.ledger.delivery(other, his.delivery).await?), before);
        let picture = catalog.picture(other).await?.expect("it exists");
        assert_eq!(picture.keys.len(), 1);
        assert_eq!(picture.sources[&his.source].name, "shop");
        assert_eq!(picture.endpoints[&his.endpoint].endpoint.name, "crm");
        assert_eq!(picture.endpoints[&his.endpoint].secrets.len(), 1);
        Ok(())
    }

    async fn a_deleted_tenant_is_gone_at_once_and_purged_in_portions(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (hers, his) = (things_of(store, acme).await?, things_of(store, other).await?);
        assert!(matches!(store.ledger.purge(acme, 10).await, Err(StoreError::NotFound)), "it lives");

        store.catalog.delete_tenant(acme, NOW).await?;
        assert!(store.catalog.picture(acme).await?.is_none());
        assert_eq!(store.catalog.tenants().await?, [other]);
        assert_eq!(store.catalog.deleted_tenants().await?, [acme]);
        // Its name is free again.
        a_tenant(store, "acme").await?;

        // A request, an event, a delivery, a message and an attempt.
        for _ in 0..5 {
            assert!(store.ledger.purge(acme, 1).await?);
        }
        assert!(!store.ledger.purge(acme, 1).await?);
        assert_eq!(seen(store, acme, &hers).await?, [0; 12]);
        assert!(store.catalog.deleted_tenants().await?.is_empty());
        assert_eq!(seen(store, other, &his).await?, [1; 12]);
        Ok(())
    }

    async fn what_came_in_adds_up_until_the_tenant_is_deleted(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let counted = |taken, refused| Counted { taken, refused };
        store.ledger.add_event_counts(vec![(acme, 3, counted(1, 2)), (acme, 4, counted(3, 4))]).await?;
        store.ledger.add_event_counts(vec![(acme, 4, counted(5, 6)), (other, 4, counted(7, 8))]).await?;
        let found = store.ledger.event_counts(4).await?;
        assert_eq!(found, [(acme, 4, counted(8, 10)), (other, 4, counted(7, 8))]);
        assert_eq!(store.ledger.event_counts(3).await?.len(), 3);

        store.catalog.delete_tenant(acme, NOW).await?;
        store.ledger.add_event_counts(vec![(acme, 4, counted(9, 9))]).await?;
        assert_eq!(store.ledger.event_counts(0).await?, [(other, 4, counted(7, 8))]);
        Ok(())
    }

    async fn what_plugins_used_adds_up_until_the_tenant_is_deleted(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let usage = Usage { calls: 1, refused: 2, faulted: 3, fuel: 4, duration_us: 5, memory: 6 };
        let uses = || {
            let of = |tenant| PluginUse { tenant, plugin: "mine".parse().expect("a plugin name"), version: 7, usage };
            vec![of(acme), of(other)]
        };
        store.ledger.add_plugin_use(3, uses()).await?;
        store.ledger.add_plugin_use(3, uses()).await?;
        store.ledger.add_plugin_use(4, uses()).await?;
        let used = store.ledger.plugin_use(acme, 3).await?;
        let twice = Usage { calls: 2, refused: 4, faulted: 6, fuel: 8, duration_us: 10, memory: 6 };
        assert_eq!(used, [(3, PluginUse { usage: twice, ..uses().swap_remove(0) }), (4, uses().swap_remove(0))]);
        assert_eq!(store.ledger.plugin_use(acme, 4).await?, used[1..]);

        // Calls that ran when it was deleted are counted later, once before and
        // once after its past is purged.
        store.catalog.delete_tenant(acme, NOW).await?;
        store.ledger.add_plugin_use(4, uses()).await?;
        assert!(!store.ledger.purge(acme, 10).await?);
        store.ledger.add_plugin_use(4, uses()).await?;
        assert!(store.ledger.plugin_use(acme, 0).await?.is_empty());
        assert_eq!(store.ledger.plugin_use(other, 4).await?[0].1.usage.calls, 3);
        Ok(())
    }
}
