//! Settlements read back whole, and a late one changes nothing.

use hookyard::domain::delivery::{Cause, Next, Outcome, State, Unreachable};
use hookyard::domain::id::{DeliveryId, TenantId};
use hookyard::store::StoreError;
use hookyard::store::ledger::{Prepared, Settlement, Start};

use super::Store;
use super::given::{MINUTE, NOW, SECOND, a_delivery, a_tenant, attempt, claimed, claims, message, settlement, steps};

/// All that is known of a delivery, as text.
async fn all_of(store: &Store, tenant: TenantId, delivery: DeliveryId) -> Result<String, StoreError> {
    let itself = store.ledger.delivery(tenant, delivery).await?;
    let prepared = store.ledger.prepared(tenant, delivery).await?;
    Ok(format!("{itself:?} {prepared:?} {:?}", store.ledger.attempts(tenant, delivery).await?))
}

contract! {
    async fn a_settlement_reads_back_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let delivery = a_delivery(store, tenant, claimed(1)).await?;
        let sent = settlement(tenant, delivery, 1, Next::Delivered);
        let expected = sent.attempt.clone().expect("it has one");
        assert!(store.ledger.settle(sent).await?);

        let stored = store.ledger.delivery(tenant, delivery).await?.expect("it is there");
        assert_eq!((stored.state, stored.attempts, stored.reason), (State::Delivered, 1, None));
        assert_eq!((stored.next_attempt_at, stored.updated_at), (None, NOW + SECOND));
        let prepared = store.ledger.prepared(tenant, delivery).await?.expect("the pipeline has run");
        assert_eq!(prepared.message, Some(message("what was sent")));
        assert_eq!(format!("{:?}", prepared.steps), format!("{:?}", steps("a delivery's step")));
        let attempts = store.ledger.attempts(tenant, delivery).await?;
        let [stored] = attempts.as_slice() else { panic!("one attempt, not {attempts:?}") };
        assert_eq!((stored.id, stored.number, stored.started_at), (expected.id, 1, expected.started_at));
        assert_eq!((stored.duration, &stored.url), (expected.duration, &expected.url));
        assert_eq!((&stored.signed_headers, &stored.answer), (&expected.signed_headers, &expected.answer));
        assert_eq!((stored.outcome.as_str(), stored.status, &stored.error), ("refused", Some(500), &None));
        Ok(())
    }

    async fn each_resting_place_reads_back(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let reason = || "because".to_owned();
        let later = NOW + MINUTE;
        let table = [
            (Next::Delivered, State::Delivered, None, None),
            (Next::RetryAt(later), State::Pending, None, Some(later)),
            (Next::Dropped { reason: reason() }, State::Dropped, Some("because"), None),
            (Next::Dead(Cause::Host(reason())), State::Dead, Some("because"), None),
            (Next::Cancelled { reason: reason() }, State::Cancelled, Some("because"), None),
        ];
        for (next, state, reason, due) in table {
            let delivery = a_delivery(store, tenant, claimed(1)).await?;
            let bare = Settlement { prepared: None, attempt: None, ..settlement(tenant, delivery, 1, next) };
            assert!(store.ledger.settle(bare).await?);
            let stored = store.ledger.delivery(tenant, delivery).await?.expect("it is there");
            assert_eq!((stored.state, stored.reason.as_deref(), stored.next_attempt_at), (state, reason, due));
            assert_eq!(stored.attempts, 0);
            assert!(store.ledger.attempts(tenant, delivery).await?.is_empty());
            assert!(store.ledger.prepared(tenant, delivery).await?.is_none());
        }
        Ok(())
    }

    async fn attempts_read_back_in_order_with_what_went_wrong(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let delivery = a_delivery(store, tenant, claimed(1)).await?;
        let retry = settlement(tenant, delivery, 1, Next::RetryAt(NOW));
        let no_message = Some(Prepared { steps: steps("it refused"), message: None });
        assert!(store.ledger.settle(Settlement { prepared: no_message, ..retry }).await?);
        let prepared = store.ledger.prepared(tenant, delivery).await?.expect("the pipeline has run");
        assert_eq!(prepared.message, None);

        let [claim] = &claims(store, NOW, 1).await?[..] else { panic!("it is due") };
        assert_eq!((claim.attempts, &claim.message), (1, &None));
        let mut second = settlement(tenant, delivery, claim.token.0, Next::Delivered);
        let mut unanswered = attempt(2, Outcome::Unreachable(Unreachable::Connect("refused".to_owned())));
        unanswered.answer = None;
        second.attempt = Some(unanswered);
        assert!(store.ledger.settle(second).await?);

        let attempts = store.ledger.attempts(tenant, delivery).await?;
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((attempts[1].outcome.as_str(), attempts[1].status), ("connect", None));
        assert_eq!(attempts[1].error.as_deref(), Some("could not connect: refused"));
        assert_eq!(attempts[1].answer, None);
        // The pipeline ran again, as it had made nothing the first time.
        let prepared = store.ledger.prepared(tenant, delivery).await?.expect("the pipeline has run");
        assert_eq!(prepared.message, Some(message("what was sent")));
        assert_eq!(store.ledger.delivery(tenant, delivery).await?.map(|stored| stored.attempts), Some(2));
        Ok(())
    }

    async fn a_late_settlement_changes_nothing(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let delivery = a_delivery(store, tenant, claimed(1)).await?;
        let later = NOW + 2 * MINUTE;
        let [current] = &claims(store, later, 1).await?[..] else { panic!("it is due") };
        let before = all_of(store, tenant, delivery).await?;

        assert!(!store.ledger.settle(settlement(tenant, delivery, 1, Next::Delivered)).await?);
        assert_eq!(all_of(store, tenant, delivery).await?, before);

        assert!(store.ledger.settle(settlement(tenant, delivery, current.token.0, Next::Delivered)).await?);
        let before = all_of(store, tenant, delivery).await?;
        let again = settlement(tenant, delivery, current.token.0, Next::Dead(Cause::Gone));
        assert!(!store.ledger.settle(again).await?);
        assert_eq!(all_of(store, tenant, delivery).await?, before);
        Ok(())
    }

    async fn a_late_settlement_costs_its_neighbours_nothing(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let mut deliveries = Vec::new();
        for _ in 0..3 {
            deliveries.push(a_delivery(store, tenant, claimed(1)).await?);
        }
        let settle = |at: usize, token| store.ledger.settle(settlement(tenant, deliveries[at], token, Next::Delivered));
        let late = all_of(store, tenant, deliveries[1]).await?;

        let (first, second, third, twice) = tokio::join!(settle(0, 1), settle(1, 2), settle(2, 1), settle(2, 1));

        assert_eq!((first?, second?, third?, twice?), (true, false, true, false));
        assert_eq!(all_of(store, tenant, deliveries[1]).await?, late);
        for at in [0, 2] {
            let stored = store.ledger.delivery(tenant, deliveries[at]).await?.expect("it is there");
            assert_eq!(stored.state, State::Delivered);
            assert_eq!(store.ledger.attempts(tenant, deliveries[at]).await?.len(), 1);
        }
        Ok(())
    }

    /// As of a host that slept over its claim and has made it anew since.
    async fn of_two_settlements_of_one_delivery_the_later_costs_nothing(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (twice, other) = (a_delivery(store, tenant, claimed(2)).await?, a_delivery(store, tenant, claimed(2)).await?);
        let unsent = |delivery, token| {
            store.ledger.settle(Settlement { attempt: None, ..settlement(tenant, delivery, token, Next::Delivered) })
        };
        // The first is under way when the others come, so that they are together.
        let first = a_delivery(store, tenant, claimed(2)).await?;

        let (first, early, late, beside) =
            tokio::join!(unsent(first, 2), unsent(twice, 1), unsent(twice, 2), unsent(other, 2));

        assert_eq!((first?, early?, late?, beside?), (true, false, true, true));
        Ok(())
    }

    async fn a_settlement_in_another_tenants_name_changes_nothing(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let delivery = a_delivery(store, acme, claimed(1)).await?;
        let before = all_of(store, acme, delivery).await?;
        assert!(!store.ledger.settle(settlement(other, delivery, 1, Next::Delivered)).await?);
        assert_eq!(all_of(store, acme, delivery).await?, before);
        // One that nobody holds cannot be settled with any token.
        let due = a_delivery(store, acme, Start::Due(NOW)).await?;
        assert!(!store.ledger.settle(settlement(acme, due, 0, Next::Delivered)).await?);
        Ok(())
    }
}
