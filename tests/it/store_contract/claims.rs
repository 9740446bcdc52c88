//! A delivery is held by one claim at a time; who is held, released, taken over
//! or retried by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use hookyard::domain::claim::ClaimToken;
use hookyard::domain::delivery::{Cause, Next, State};
use hookyard::domain::health::Health;
use hookyard::domain::id::{DeliveryId, EndpointId, TenantId};
use hookyard::domain::time::Timestamp;
use hookyard::store::StoreError;
use hookyard::store::ledger::{Delivery, Settlement, Share, Start, Unbegun, Which};

use super::Store;
use super::given::{
    MINUTE, NOW, SECOND, a_delivery, a_delivery_to, a_tenant, claimed, claims, endpoint, id, message, settlement,
};

/// What is claimed at `now`.
async fn claim(store: &Store, now: Timestamp) -> Result<BTreeSet<DeliveryId>, StoreError> {
    Ok(claims(store, now, 100).await?.iter().map(|claim| claim.delivery).collect())
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

        let claims = claims(store, NOW, 1).await?;
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
        let endpoint = id();
        for _ in 0..20 {
            deliveries.insert(a_delivery_to(store, tenant, endpoint, Start::Due(NOW)).await?);
        }
        let ask = || store.ledger.claim(NOW, NOW + MINUTE, vec![Share { tenant, endpoint, limit: 8 }]);
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        let (a, b, c, d) = (a?, b?, c?, d?);
        assert_eq!(a.len() + b.len() + c.len() + d.len(), 20);
        let claimed: BTreeSet<_> = [&a, &b, &c, &d].into_iter().flatten().map(|claim| claim.delivery).collect();
        assert_eq!(claimed, deliveries);
        // Each has its own, but for whom nothing was left.
        let hands = [&a, &b, &c, &d].into_iter().filter(|claims| !claims.is_empty()).count();
        let tokens: BTreeSet<i64> = [&a, &b, &c, &d].into_iter().flatten().map(|claim| claim.token.0).collect();
        assert_eq!(tokens.len(), hands);

        let just_before = NOW + (MINUTE - Duration::from_millis(1));
        assert!(claim(store, just_before).await?.is_empty());
        assert_eq!(claim(store, NOW + MINUTE).await?.len(), 20);
        Ok(())
    }

    async fn what_its_holder_gives_back_is_due_at_once(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let fresh = a_delivery(store, tenant, claimed(1)).await?;
        let waited = a_delivery(store, tenant, Start::Due(NOW)).await?;
        let held = claims(store, NOW, 100).await?;
        let [from_store] = held.as_slice() else { panic!("one is due, not {held:?}") };
        let settled = a_delivery(store, tenant, claimed(2)).await?;
        assert!(store.ledger.settle(settlement(tenant, settled, 2, Next::RetryAt(NOW + MINUTE))).await?);
        let of = |delivery, token| Unbegun { tenant, delivery, token: ClaimToken(token) };
        let elsewhere = Unbegun { tenant: a_tenant(store, "other").await?, ..of(fresh, 1) };

        // Another's claim, another tenant's, none any more.
        let not_held = vec![of(fresh, 9), elsewhere, of(settled, 2), of(id(), 1)];
        assert_eq!(store.ledger.release(not_held, NOW).await?, 0);
        assert!(claim(store, NOW).await?.is_empty());
        let later = NOW + SECOND;
        assert_eq!(store.ledger.release(vec![of(fresh, 1), of(settled, 2), from_store.into()], later).await?, 2);
        assert_eq!(stored(store, tenant, fresh).await?.next_attempt_at, Some(later));
        assert_eq!((stored(store, tenant, waited).await?.attempts, claim(store, NOW).await?.len()), (0, 0));
        assert_eq!(claim(store, later).await?, BTreeSet::from([fresh, waited]));
        assert!(!store.ledger.settle(settlement(tenant, fresh, 1, Next::Delivered)).await?, "it is another's now");
        assert_eq!(store.ledger.release(Vec::new(), later).await?, 0);
        Ok(())
    }

    async fn each_endpoint_has_its_share_the_longest_due_first(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (busy, quiet, idle) = (id(), id(), id());
        let newest = a_delivery_to(store, acme, busy, Start::Due(NOW)).await?;
        let oldest = a_delivery_to(store, acme, busy, Start::Due(Timestamp::from_millis(1))).await?;
        let middle = a_delivery_to(store, acme, busy, Start::Due(Timestamp::from_millis(2))).await?;
        let only = a_delivery_to(store, other, quiet, Start::Due(NOW)).await?;
        a_delivery_to(store, acme, idle, Start::Due(NOW + SECOND)).await?;
        let done = a_delivery_to(store, acme, id(), claimed(1)).await?;
        assert!(store.ledger.settle(settlement(acme, done, 1, Next::Delivered)).await?);

        let due: BTreeSet<_> = store.ledger.due(NOW).await?.into_iter().collect();
        assert_eq!(due, BTreeSet::from([(acme, busy), (other, quiet)]));
        let shares = vec![
            Share { tenant: acme, endpoint: busy, limit: 2 },
            Share { tenant: acme, endpoint: quiet, limit: 2 },
            Share { tenant: other, endpoint: quiet, limit: 2 },
            Share { tenant: acme, endpoint: idle, limit: 2 },
        ];
        let first = store.ledger.claim(NOW, NOW + MINUTE, shares).await?;
        assert_eq!(first.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [oldest, middle, only]);
        assert_eq!(claim(store, NOW).await?, BTreeSet::from([newest]));
        assert!(store.ledger.due(NOW).await?.is_empty());
        Ok(())
    }

    async fn what_is_known_of_a_receiver_comes_with_a_settlement(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let endpoint = endpoint(tenant, "crm");
        store.catalog.create_endpoint(&endpoint, None, None).await?;
        let ill =
            Health { failing_since: Some(NOW), weight: 12, trips: 2, not_before: Some(NOW + MINUTE), warnings: 1 };
        let say = async |health: Health, of: EndpointId, token: i64| {
            let delivery = a_delivery_to(store, tenant, of, claimed(1)).await?;
            let settlement = settlement(tenant, delivery, token, Next::Delivered);
            store.ledger.settle(Settlement { health: Some((of, health)), ..settlement }).await
        };
        assert!(say(ill, endpoint.id, 1).await?);
        assert_eq!(store.ledger.healths().await?, [(endpoint.id, ill)]);
        // Of one that is not there, and from whoever lost its claim, nothing is kept.
        assert!(say(ill, id(), 1).await?);
        assert!(!say(Health { weight: 1, ..ill }, endpoint.id, 2).await?);
        assert_eq!(store.ledger.healths().await?, [(endpoint.id, ill)]);
        assert!(say(Health::default(), endpoint.id, 1).await?);
        assert!(store.ledger.healths().await?.is_empty());

        assert!(say(ill, endpoint.id, 1).await?);
        let other = a_tenant(store, "other").await?;
        store.ledger.remember_health(other, endpoint.id, Health::default()).await?;
        assert_eq!(store.ledger.healths().await?.len(), 1);
        store.ledger.remember_health(tenant, endpoint.id, Health::default()).await?;
        assert!(store.ledger.healths().await?.is_empty());
        // And without one.
        store.ledger.remember_health(other, endpoint.id, ill).await?;
        assert!(store.ledger.healths().await?.is_empty(), "it is not the other's");
        store.ledger.remember_health(tenant, endpoint.id, ill).await?;
        assert_eq!(store.ledger.healths().await?, [(endpoint.id, ill)]);
        // Who knows less takes nothing back.
        let less = Health { failing_since: Some(NOW + MINUTE), weight: 3, not_before: None, ..Health::default() };
        store.ledger.remember_health(tenant, endpoint.id, less).await?;
        assert_eq!(store.ledger.healths().await?, [(endpoint.id, ill.and(less))]);
        assert!(say(ill, endpoint.id, 1).await?);
        store.catalog.delete_endpoint(tenant, endpoint.id).await?;
        assert!(store.ledger.healths().await?.is_empty());
        Ok(())
    }

    async fn what_is_cancelled_is_not_claimed(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let waiting = a_delivery(store, acme, Start::Due(NOW)).await?;
        let taken = a_delivery(store, acme, claimed(1)).await?;
        let event = stored(store, acme, waiting).await?.event;
        assert_eq!(store.ledger.cancel(other, Which::One(waiting), NOW).await?, 0);
        assert_eq!(store.ledger.cancel(other, Which::Of(event), NOW).await?, 0);
        assert_eq!(store.ledger.cancel(acme, Which::One(taken), NOW).await?, 0);
        assert_eq!(store.ledger.cancel(acme, Which::Of(event), NOW + SECOND).await?, 1);
        assert_eq!(store.ledger.cancel(acme, Which::One(waiting), NOW + SECOND).await?, 0);
        let cancelled = stored(store, acme, waiting).await?;
        assert_eq!((cancelled.state, cancelled.next_attempt_at), (State::Cancelled, None));
        assert_eq!((cancelled.reason.as_deref(), cancelled.updated_at), (Some("cancelled by its owner"), NOW + SECOND));
        assert!(claim(store, NOW + SECOND).await?.is_empty());
        assert!(store.ledger.settle(settlement(acme, taken, 1, Next::Delivered)).await?);
        Ok(())
    }

    async fn whoever_is_alone_takes_over_every_claim(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let claimed_one = a_delivery(store, tenant, claimed(1)).await?;
        let waiting = a_delivery(store, tenant, Start::Due(NOW + MINUTE)).await?;
        let done = a_delivery(store, tenant, claimed(2)).await?;
        assert!(store.ledger.settle(settlement(tenant, done, 2, Next::Delivered)).await?);

        assert_eq!(store.ledger.take_over(NOW).await?, 1);

        assert_eq!(stored(store, tenant, claimed_one).await?.next_attempt_at, Some(NOW));
        assert!(!store.ledger.settle(settlement(tenant, claimed_one, 1, Next::Delivered)).await?);
        assert_eq!(claim(store, NOW).await?, BTreeSet::from([claimed_one]));
        assert_eq!(stored(store, tenant, waiting).await?.next_attempt_at, Some(NOW + MINUTE));
        assert_eq!(stored(store, tenant, done).await?.state, State::Delivered);
        Ok(())
    }

    async fn a_retry_by_hand_makes_due_what_it_may(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let reason = || "because".to_owned();
        let table = [
            (Next::RetryAt(NOW + MINUTE), Ok(())),
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
                assert_eq!(claim(store, NOW + SECOND).await?, BTreeSet::from([delivery]), "{next:?}");
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
