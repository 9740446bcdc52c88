//! A delivery is held by one claim at a time; who is held, released, taken over
//! or retried by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use hookyard::domain::delivery::{Cause, Next, State};
use hookyard::domain::id::{DeliveryId, TenantId};
use hookyard::domain::time::Timestamp;
use hookyard::store::StoreError;
use hookyard::store::ledger::{Delivery, Except, Settlement, Start};

use super::Store;
use super::given::{MINUTE, NOW, SECOND, a_delivery, a_delivery_to, a_tenant, claimed, id, message, settlement};

/// What is claimed at `now`, in the order it is answered.
async fn claim(store: &Store, now: Timestamp) -> Result<Vec<DeliveryId>, StoreError> {
    let claims = store.ledger.claim_due(now, now + MINUTE, 100, &Except::default()).await?;
    Ok(claims.iter().map(|claim| claim.delivery).collect())
}

async fn stored(store: &Store, tenant: TenantId, delivery: DeliveryId) -> Result<Delivery, StoreError> {
    Ok(store.ledger.delivery(tenant, delivery).await?.expect("it is there"))
}

contract! {
    async fn a_claim_has_all_that_an_attempt_needs(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let endpoint = id();
        let delivery = a_delivery_to(store, tenant, endpoint, claimed(1)).await?;
        assert!(store.ledger.settle(settlement(tenant, delivery, 1, Next::RetryAt(NOW))).await?);

        let claims = store.ledger.claim_due(NOW, NOW + MINUTE, 1, &Except::default()).await?;
        let [claim] = claims.as_slice() else { panic!("one is due, not {claims:?}") };
        assert_eq!((claim.tenant, claim.delivery, claim.endpoint), (tenant, delivery, endpoint));
        assert_eq!((claim.attempts, claim.until, &claim.message), (1, NOW + MINUTE, &Some(message("what was sent"))));
        let event = store.ledger.event(tenant, claim.event.id).await?.expect("it is there");
        assert_eq!(format!("{:?}", claim.event), format!("{event:?}"));
        assert_eq!(stored(store, tenant, delivery).await?.next_attempt_at, None);
        Ok(())
    }

    async fn a_claim_is_exclusive_until_it_runs_out(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let mut deliveries = BTreeSet::new();
        for _ in 0..20 {
            deliveries.insert(a_delivery(store, tenant, Start::Due(NOW)).await?);
        }
        let nobody = Except::default();
        let ask = || store.ledger.claim_due(NOW, NOW + MINUTE, 8, &nobody);
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        let (a, b, c, d) = (a?, b?, c?, d?);
        assert_eq!(a.len() + b.len() + c.len() + d.len(), 20);
        let claimed: BTreeSet<_> = [&a, &b, &c, &d].into_iter().flatten().map(|claim| claim.delivery).collect();
        assert_eq!(claimed, deliveries);
        assert_ne!(a[0].token, b[0].token);

        let just_before = NOW + (MINUTE - Duration::from_millis(1));
        assert!(claim(store, just_before).await?.is_empty());
        assert_eq!(claim(store, NOW + MINUTE).await?.len(), 20);
        Ok(())
    }

    async fn the_longest_due_are_claimed_first(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let busy = id();
        let newest = a_delivery(store, tenant, Start::Due(NOW)).await?;
        let oldest = a_delivery(store, tenant, Start::Due(Timestamp::from_millis(1))).await?;
        let middle = a_delivery(store, tenant, Start::Due(Timestamp::from_millis(2))).await?;
        let passed = a_delivery_to(store, tenant, busy, Start::Due(Timestamp::from_millis(0))).await?;
        a_delivery(store, tenant, Start::Due(NOW + SECOND)).await?;
        a_delivery(store, tenant, Start::Held).await?;

        let first = store.ledger.claim_due(NOW, NOW + MINUTE, 2, &Except { tenants: Vec::new(), endpoints: vec![id(), busy] }).await?;
        assert_eq!(first.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [oldest, middle]);
        assert_eq!(claim(store, NOW).await?, [passed, newest]);
        Ok(())
    }

    async fn what_is_held_waits_for_its_release(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let endpoint = id();
        let held = a_delivery_to(store, acme, endpoint, Start::Held).await?;
        let waiting = a_delivery_to(store, acme, endpoint, Start::Due(NOW + MINUTE)).await?;
        a_delivery(store, acme, Start::Held).await?;
        a_delivery_to(store, other, endpoint, Start::Held).await?;
        assert!(claim(store, NOW).await?.is_empty());

        assert_eq!(store.ledger.release_held(acme, endpoint, NOW + SECOND).await?, 1);
        assert_eq!(store.ledger.release_held(acme, endpoint, NOW + SECOND).await?, 0);

        let released = stored(store, acme, held).await?;
        assert_eq!((released.reason, released.next_attempt_at), (None, Some(NOW + SECOND)));
        assert_eq!(released.updated_at, NOW + SECOND);
        assert_eq!(stored(store, acme, waiting).await?.next_attempt_at, Some(NOW + MINUTE));
        assert_eq!(claim(store, NOW + SECOND).await?, [held]);
        Ok(())
    }

    async fn whoever_is_alone_takes_over_every_claim(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let claimed_one = a_delivery(store, tenant, claimed(1)).await?;
        let waiting = a_delivery(store, tenant, Start::Due(NOW + MINUTE)).await?;
        let held = a_delivery(store, tenant, Start::Held).await?;
        let done = a_delivery(store, tenant, claimed(2)).await?;
        assert!(store.ledger.settle(settlement(tenant, done, 2, Next::Delivered)).await?);

        assert_eq!(store.ledger.take_over(NOW).await?, 1);

        assert_eq!(stored(store, tenant, claimed_one).await?.next_attempt_at, Some(NOW));
        assert!(!store.ledger.settle(settlement(tenant, claimed_one, 1, Next::Delivered)).await?);
        assert_eq!(claim(store, NOW).await?, [claimed_one]);
        assert_eq!(stored(store, tenant, waiting).await?.next_attempt_at, Some(NOW + MINUTE));
        assert_eq!(stored(store, tenant, held).await?.next_attempt_at, None);
        assert_eq!(stored(store, tenant, done).await?.state, State::Delivered);
        Ok(())
    }

    async fn a_retry_by_hand_makes_due_what_it_may(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let reason = || "because".to_owned();
        let table = [
            (Next::RetryAt(NOW + MINUTE), Ok(())),
            (Next::Held, Ok(())),
            (Next::Dead(Cause::Gone), Ok(())),
            (Next::Delivered, Err(State::Delivered)),
            (Next::Dropped { reason: reason() }, Err(State::Dropped)),
            (Next::Cancelled { reason: reason() }, Err(State::Cancelled)),
        ];
        for (next, expected) in table {
            let delivery = a_delivery(store, tenant, claimed(1)).await?;
            let settled = Settlement { attempt: None, ..settlement(tenant, delivery, 1, next.clone()) };
            assert!(store.ledger.settle(settled).await?);
            let before = stored(store, tenant, delivery).await?;
            assert_eq!(store.ledger.retry(tenant, delivery, NOW + SECOND).await?, expected, "{next:?}");
            let after = stored(store, tenant, delivery).await?;
            if expected.is_ok() {
                assert_eq!((after.state, after.reason), (State::Pending, None), "{next:?}");
                assert_eq!((after.next_attempt_at, after.updated_at), (Some(NOW + SECOND), NOW + SECOND));
                assert_eq!(claim(store, NOW + SECOND).await?, [delivery], "{next:?}");
            } else {
                assert_eq!(format!("{after:?}"), format!("{before:?}"));
            }
        }
        Ok(())
    }

    async fn a_retry_leaves_alone_what_is_being_tried(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let delivery = a_delivery(store, tenant, claimed(1)).await?;
        assert_eq!(store.ledger.retry(tenant, delivery, NOW).await?, Ok(()));
        assert!(claim(store, NOW).await?.is_empty());
        assert!(store.ledger.settle(settlement(tenant, delivery, 1, Next::Delivered)).await?);
        assert!(matches!(store.ledger.retry(tenant, id(), NOW).await, Err(StoreError::NotFound)));
        Ok(())
    }
}
