//! Lines of ordered endpoints: only the first of each is due.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookyard::domain::claim::Claim;
use hookyard::domain::delivery::{Cause, Next, State};
use hookyard::domain::id::{DeliveryId, EndpointId, TenantId};
use hookyard::domain::time::Timestamp;
use hookyard::store::StoreError;
use hookyard::store::ledger::{FreshDelivery, InLine, Settlement, Start, Which};

use super::Store;
use super::given::{MINUTE, NOW, SECOND, a_tenant, claims, event, fresh, id, recording, settlement};

/// A delivery of a new event, `turn` seconds from now in a line.
async fn join(store: &Store, (tenant, endpoint): (TenantId, EndpointId), line: &str, turn: u32) -> DeliveryId {
    let event = Arc::new(event(tenant));
    let turn = NOW + turn * SECOND;
    let place = Some(InLine { line: line.to_owned(), place: turn.as_micros() });
    let delivery = FreshDelivery { place, ..fresh(&event, endpoint, Start::Due(turn)) };
    let id = delivery.id;
    store.ledger.record(recording(tenant, &event, vec![delivery])).await.expect("it is stored");
    id
}

async fn claim(store: &Store, now: Timestamp) -> Result<Vec<Claim>, StoreError> {
    claims(store, now, 100).await
}

async fn claimed(store: &Store, now: Timestamp) -> Result<Vec<DeliveryId>, StoreError> {
    Ok(claim(store, now).await?.iter().map(|claim| claim.delivery).collect())
}

async fn settle(store: &Store, claim: &Claim, next: Next) -> Result<(), StoreError> {
    let settled = Settlement {
        token: claim.token,
        has_line: claim.has_line,
        attempt: None,
        ..settlement(claim.tenant, claim.delivery, 0, next)
    };
    assert!(store.ledger.settle(settled).await?);
    Ok(())
}

contract! {
    async fn of_a_line_only_the_first_is_claimed(store: &Store) -> Kept {
        let whose = (a_tenant(store, "acme").await?, id());
        let later = NOW + MINUTE;
        let (a, b) = (join(store, whose, "a", 2).await, join(store, whose, "b", 3).await);
        let (a2, a3) = (join(store, whose, "a", 4).await, join(store, whose, "a", 5).await);
        let waiting = store.ledger.delivery(whose.0, a2).await?.expect("it is there");
        assert_eq!((waiting.state, waiting.is_in_line, waiting.next_attempt_at), (State::Pending, true, None));
        let first = store.ledger.delivery(whose.0, a).await?.expect("it is there");
        assert_eq!((first.is_in_line, first.next_attempt_at), (false, Some(NOW + 2 * SECOND)));

        let heads = claim(store, later).await?;
        assert_eq!(heads.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [a, b]);
        // Whoever settles it takes its line's lock first.
        assert!(heads.iter().all(|claim| claim.has_line));
        // While it is being attempted, and after that when it waits for its retry.
        assert!(claimed(store, later).await?.is_empty());
        settle(store, &heads[0], Next::RetryAt(later + MINUTE)).await?;
        assert!(claimed(store, later).await?.is_empty());
        let again = claim(store, later + MINUTE).await?;
        assert_eq!(again.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [a, b]);
        settle(store, &again[0], Next::Delivered).await?;
        assert_eq!(claimed(store, later + MINUTE).await?, [a2]);
        // A claim that nobody settles lets nobody past.
        let set = |claimed: Vec<DeliveryId>| claimed.into_iter().collect::<BTreeSet<_>>();
        let heads = BTreeSet::from([b, a2]);
        assert_eq!(set(claimed(store, later + 3 * MINUTE).await?), heads);
        assert_eq!(store.ledger.take_over(later).await?, 2);
        assert_eq!(set(claimed(store, later).await?), heads);
        assert_eq!(store.ledger.cancel(whose.0, Which::One(a3), NOW).await?, 1);
        Ok(())
    }

    async fn whatever_takes_the_first_out_lets_the_next_come(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let reason = || "because".to_owned();
        for next in [
            Next::Delivered,
            Next::Dead(Cause::Gone),
            Next::Dropped { reason: reason() },
            Next::Cancelled { reason: reason() },
        ] {
            let whose = (tenant, id());
            let (first, second) = (join(store, whose, "", 1).await, join(store, whose, "", 2).await);
            let head = claim(store, NOW + MINUTE).await?;
            assert_eq!(head[0].delivery, first);
            settle(store, &head[0], next.clone()).await?;
            assert_eq!(claimed(store, NOW + MINUTE).await?, [second], "{next:?}");
        }
        let whose = (tenant, id());
        let (first, second) = (join(store, whose, "", 1).await, join(store, whose, "", 2).await);
        assert_eq!(store.ledger.cancel(tenant, Which::One(first), NOW).await?, 1);
        assert_eq!(claimed(store, NOW + MINUTE).await?, [second]);
        Ok(())
    }

    async fn one_that_comes_before_those_that_wait_is_the_first(store: &Store) -> Kept {
        let whose = (a_tenant(store, "acme").await?, id());
        // Its time is later than that of what comes after it.
        let tomorrow = join(store, whose, "", 86_400).await;
        let now = join(store, whose, "", 1).await;
        let head = claim(store, NOW + MINUTE).await?;
        assert_eq!(head.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [now]);
        settle(store, &head[0], Next::Dead(Cause::Gone)).await?;
        let next = store.ledger.delivery(whose.0, tomorrow).await?.expect("it is there");
        assert_eq!(next.next_attempt_at, Some(NOW + 86_400 * SECOND));

        // A dead one that is retried has its old place.
        let second = join(store, whose, "", 2).await;
        assert_eq!(store.ledger.retry(whose.0, now, NOW + MINUTE).await?, Ok(()));
        let head = claim(store, NOW + MINUTE).await?;
        assert_eq!(head.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [now]);
        // One that waits in line is not made due by asking for it.
        assert_eq!(store.ledger.retry(whose.0, second, NOW + MINUTE).await?, Ok(()));
        assert!(claimed(store, NOW + MINUTE).await?.is_empty());
        settle(store, &head[0], Next::Delivered).await?;
        assert_eq!(claimed(store, NOW + MINUTE).await?, [second]);
        Ok(())
    }

    async fn who_is_set_back_keeps_the_time_of_its_retry(store: &Store) -> Kept {
        let whose = (a_tenant(store, "acme").await?, id());
        let (first, second) = (join(store, whose, "", 1).await, join(store, whose, "", 2).await);
        for (delivery, next) in [(first, Next::Dead(Cause::Gone)), (second, Next::RetryAt(NOW + 60 * MINUTE))] {
            let head = claim(store, NOW + MINUTE).await?;
            assert_eq!(head.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [delivery]);
            settle(store, &head[0], next).await?;
        }
        assert_eq!(store.ledger.retry(whose.0, first, NOW + MINUTE).await?, Ok(()));
        let head = claim(store, NOW + MINUTE).await?;
        settle(store, &head[0], Next::Delivered).await?;
        assert!(claimed(store, NOW + 59 * MINUTE).await?.is_empty());
        assert_eq!(claimed(store, NOW + 60 * MINUTE).await?, [second]);
        Ok(())
    }

    async fn a_claim_that_ran_out_waits_for_an_earlier_one(store: &Store) -> Kept {
        let whose = (a_tenant(store, "acme").await?, id());
        let (first, second) = (join(store, whose, "", 1).await, join(store, whose, "", 2).await);
        let head = claim(store, NOW + MINUTE).await?;
        settle(store, &head[0], Next::Dead(Cause::Gone)).await?;
        assert_eq!(claimed(store, NOW + MINUTE).await?, [second]);
        assert_eq!(store.ledger.retry(whose.0, first, NOW + MINUTE).await?, Ok(()));
        assert_eq!(claimed(store, NOW + 2 * MINUTE).await?, [first]);
        Ok(())
    }

    async fn lines_are_let_out_in_portions(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let whose = (acme, id());
        let mut all = BTreeSet::new();
        for turn in 1..=5 {
            all.insert(join(store, whose, "", turn).await);
        }
        assert!(!store.ledger.release_lines(other, whose.1, 2).await?);
        assert!(store.ledger.release_lines(acme, whose.1, 2).await?);
        assert_eq!(claimed(store, NOW + MINUTE).await?.len(), 3, "the first and two that were let out");
        assert!(store.ledger.release_lines(acme, whose.1, 2).await?);
        assert!(!store.ledger.release_lines(acme, whose.1, 2).await?);
        let then = NOW + 3 * MINUTE;
        assert_eq!(claimed(store, then).await?.into_iter().collect::<BTreeSet<_>>(), all);
        Ok(())
    }

    async fn deliveries_of_one_event_have_an_order_too(store: &Store) -> Kept {
        let (tenant, endpoint) = (a_tenant(store, "acme").await?, id());
        let event = Arc::new(event(tenant));
        let place = || Some(InLine { line: String::new(), place: (NOW + SECOND).as_micros() });
        let both = [0, 1].map(|_| FreshDelivery { place: place(), ..fresh(&event, endpoint, Start::Due(NOW + SECOND)) });
        store.ledger.record(recording(tenant, &event, both.into_iter().collect())).await?;
        assert_eq!(claimed(store, NOW + MINUTE).await?.len(), 1);
        Ok(())
    }
}
