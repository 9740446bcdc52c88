//! Numbers about what is kept.

use std::sync::Arc;

use hookyard::domain::activity::{Bucket, Latencies};
use hookyard::domain::delivery::{Cause, Next};
use hookyard::domain::endpoint::Status;
use hookyard::domain::id::TenantId;
use hookyard::domain::request::Fate;
use hookyard::domain::time::Timestamp;
use hookyard::store::figures::Queue;
use hookyard::store::ledger::Start;

use super::Store;
use super::given::{
    MINUTE, NOW, SECOND, a_delivery, a_delivery_to, a_tenant, claimed, endpoint, event, received, recording, settlement,
};

/// Each number something else, so that a column that is not written is noticed.
fn bucket() -> Bucket {
    let counts = std::array::from_fn(|at| 100 + at as u64);
    Bucket { events: 1, delivered: 2, dead: 3, dropped: 4, attempts: 5, failed: 6, latencies: Latencies { counts } }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

async fn dies(store: &Store, tenant: TenantId) -> super::Kept {
    let delivery = a_delivery(store, tenant, claimed(1)).await?;
    store.ledger.settle(settlement(tenant, delivery, 1, Next::Dead(Cause::Gone))).await?;
    Ok(())
}

contract! {
    async fn what_happened_adds_up_until_the_tenant_is_deleted(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let ledger = &store.ledger;
        ledger.add_activity(vec![(acme, at(5), bucket()), (acme, at(10), bucket()), (other, at(5), bucket())]).await?;
        ledger.add_activity(vec![(acme, at(10), bucket())]).await?;
        let mut twice = bucket();
        twice.add(&bucket());
        assert_eq!(ledger.activity(acme, at(0), at(20)).await?, [(at(5), bucket()), (at(10), twice)]);
        assert_eq!(ledger.activity(acme, at(5), at(10)).await?, [(at(5), bucket())]);

        store.catalog.delete_tenant(acme, NOW).await?;
        ledger.add_activity(vec![(acme, at(15), bucket())]).await?;
        assert!(ledger.purge(acme, 1).await? && ledger.purge(acme, 1).await?, "there were two");
        assert!(!ledger.purge(acme, 1).await?);
        ledger.add_activity(vec![(acme, at(15), bucket())]).await?;
        assert_eq!(ledger.activity(acme, at(0), at(20)).await?, []);
        assert_eq!(ledger.activity(other, at(0), at(20)).await?, [(at(5), bucket())]);
        Ok(())
    }

    async fn old_activity_is_forgotten_in_portions(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let rows = [(acme, at(0)), (other, at(5)), (acme, at(10)), (acme, at(15))];
        store.ledger.add_activity(rows.map(|(tenant, at)| (tenant, at, bucket())).to_vec()).await?;
        assert!(store.ledger.forget_activity(at(15), 2).await?);
        assert_eq!(store.ledger.activity(acme, at(0), at(20)).await?.len(), 2);
        assert!(!store.ledger.forget_activity(at(15), 2).await?);
        assert_eq!(store.ledger.activity(acme, at(0), at(20)).await?, [(at(15), bucket())]);
        assert_eq!(store.ledger.activity(other, at(0), at(20)).await?, []);
        Ok(())
    }

    async fn what_wants_attention_is_counted_up_to_a_bound(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        for _ in 0..3 {
            dies(store, acme).await?;
            let fate = Fate::Quarantined { reason: "no JSON".to_owned() };
            let nothing = Arc::new(event(acme));
            let mut recording = recording(acme, &nothing, Vec::new());
            (recording.received, recording.events) = (Some(received(acme, fate)), Vec::new());
            store.ledger.record(recording).await?;
        }
        // Settlements are a second later than what they settle.
        let died = NOW + SECOND;
        assert_eq!(store.ledger.count_dead(acme, died, 10).await?, 3);
        assert_eq!(store.ledger.count_dead(acme, died, 2).await?, 2);
        assert_eq!(store.ledger.count_dead(acme, died + SECOND, 10).await?, 0);
        assert_eq!(store.ledger.count_dead(other, NOW, 10).await?, 0);
        assert_eq!(store.ledger.count_quarantined(acme, 10).await?, 3);
        assert_eq!(store.ledger.count_quarantined(acme, 2).await?, 2);
        assert_eq!(store.ledger.count_quarantined(other, 10).await?, 0);
        Ok(())
    }

    async fn what_waits_is_told_by_when_its_time_comes(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        assert_eq!(store.ledger.queue(NOW).await?, Queue::default());
        let mut ids = Vec::new();
        for (name, status) in [("crm", Status::Active), ("erp", Status::Active), ("off", Status::Paused)] {
            let mut endpoint = endpoint(acme, name);
            endpoint.status = status;
            store.catalog.create_endpoint(&endpoint, None, None).await?;
            ids.push(endpoint.id);
        }
        a_delivery_to(store, acme, ids[0], claimed(1)).await?;
        a_delivery_to(store, acme, ids[0], Start::Due(NOW + MINUTE)).await?;
        a_delivery_to(store, acme, ids[1], Start::Due(NOW)).await?;
        // Nobody sends it, and nothing is behind because of that.
        a_delivery_to(store, acme, ids[2], Start::Due(at(0))).await?;
        let queue = store.ledger.queue(NOW + SECOND).await?;
        assert_eq!(queue, Queue { due: 2, claimed: 1, later: 1, is_more: false, oldest_due: Some(NOW) });
        let before = store.ledger.queue(at(1)).await?;
        assert_eq!((before.due, before.oldest_due), (1, None));
        Ok(())
    }

    async fn an_engine_says_how_it_does(store: &Store) -> Kept {
        a_tenant(store, "acme").await?;
        let vitals = store.ledger.vitals();
        assert!(vitals.bytes > 0 && !vitals.version.is_empty() && vitals.waiting <= vitals.room, "{vitals:?}");
        // Of a server, its log and its disk are not seen from here.
        let is_file = vitals.kind == "sqlite";
        assert_eq!(vitals.log_bytes > 0, is_file, "{vitals:?}");
        assert_eq!(vitals.free_bytes.is_some_and(|free| free > 0), is_file, "{vitals:?}");
        assert!(!vitals.is_failing && vitals.written.is_some() && vitals.failures == 0, "{vitals:?}");
        assert!(vitals.commits.counts.iter().sum::<u64>() > 0 && vitals.batches.sum > 0.0, "{vitals:?}");
        Ok(())
    }
}
