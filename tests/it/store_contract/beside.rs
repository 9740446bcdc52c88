//! What one does beside another on a server: what SQLite's one writer gives by itself.

use std::sync::Arc;

use hookyard::domain::delivery::Next;
use hookyard::domain::event::Event;
use hookyard::domain::id::DeliveryId;
use hookyard::store::ledger::{FreshDelivery, InLine, Recording, Settlement, Start};
use hookyard_tests::eventually;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use super::given::{
    MINUTE, NOW, SECOND, a_tenant, claimed, claims, event, fresh, id, key, recording, settlement, tenant,
};
use super::{Place, Store};

/// A lock that a test holds, for whatever the database is told to wait for.
struct Held(PgConnection);

impl Held {
    async fn of(store: &Store, lock: i64) -> Self {
        let Place::Server { database } = &store.place else { panic!("it is on a server") };
        let mut connection = PgConnection::connect(database.url()).await.expect("it takes connections");
        let take = sqlx::query("SELECT pg_advisory_lock($1)").bind(lock);
        take.execute(&mut connection).await.expect("nobody has it");
        Self(connection)
    }

    async fn run(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.0).await.expect("it is SQL");
    }

    /// How many wait for somebody's lock.
    async fn waiting(&mut self) -> i64 {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database()";
        sqlx::query_scalar(waiting).fetch_one(&mut self.0).await.expect("it answers")
    }

    async fn count(&mut self, of: &'static str, delivery: DeliveryId) -> i64 {
        sqlx::query_scalar(of).bind(delivery.to_string()).fetch_one(&mut self.0).await.expect("it answers")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_settlement_brings_back_what_is_being_erased() {
    let store = Store::postgres().await;
    let acme = a_tenant(&store, "acme").await.expect("there is none");
    let hers = Arc::new(Event { subject: Some("jane".to_owned()), ..event(acme) });
    let delivery = fresh(&hers, id(), claimed(1));
    let (delivery_id, asked) = (delivery.id, id());
    store.ledger.record(recording(acme, &hers, vec![delivery])).await.expect("it is stored");
    // It has a message, and is being sent for the second time.
    assert!(store.ledger.settle(settlement(acme, delivery_id, 1, Next::RetryAt(NOW))).await.expect("it is written"));
    let again = claims(&store, NOW + SECOND, 1).await.expect("it is due").remove(0);
    store.ledger.ask_erasure(acme, asked, "jane".to_owned(), NOW + MINUTE).await.expect("it is written");

    let mut held = Held::of(&store, 1).await;
    held.run(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END $$;
         CREATE TRIGGER waits BEFORE DELETE ON messages FOR EACH ROW EXECUTE FUNCTION wait();",
    )
    .await;
    let erasing = tokio::spawn({
        let ledger = store.ledger.clone();
        async move { ledger.erase(acme, asked, 100, NOW + MINUTE).await }
    });
    eventually("an erasure that is under way", async || (held.waiting().await == 1).then_some(())).await;
    let settling = tokio::spawn({
        let ledger = store.ledger.clone();
        let last = settlement(acme, delivery_id, 0, Next::Delivered);
        async move { ledger.settle(Settlement { token: again.token, ..last }).await }
    });
    eventually("a settlement that waits, or is over", async || {
        (settling.is_finished() || held.waiting().await == 2).then_some(())
    })
    .await;
    held.run("SELECT pg_advisory_unlock(1)").await;
    assert!(erasing.await.expect("no panic").is_ok());
    assert!(!settling.await.expect("no panic").expect("it is answered"), "its delivery is gone");
    for of in [
        "SELECT count(*) FROM messages WHERE delivery_id = $1",
        "SELECT count(*) FROM attempts WHERE delivery_id = $1",
        "SELECT count(*) FROM deliveries WHERE id = $1",
    ] {
        assert_eq!(held.count(of, delivery_id).await, 0, "{of}");
    }
}

/// The claim is the fence also for whoever found the row while it was still its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_settlement_counts_whose_claim_is_just_being_taken_over() {
    let store = Store::postgres().await;
    let acme = a_tenant(&store, "acme").await.expect("there is none");
    let due = Arc::new(event(acme));
    let delivery = fresh(&due, id(), claimed(1));
    let delivery_id = delivery.id;
    store.ledger.record(recording(acme, &due, vec![delivery])).await.expect("it is stored");
    // In a transaction, what others wait for is only read once.
    let (mut held, mut looking) = (Held::of(&store, 1).await, Held::of(&store, 2).await);
    held.run("BEGIN; UPDATE deliveries_pending SET claim = claim + 1").await;
    let settling = tokio::spawn({
        let ledger = store.ledger.clone();
        async move { ledger.settle(settlement(acme, delivery_id, 1, Next::Delivered)).await }
    });
    eventually("a settlement that waits", async || (looking.waiting().await == 1).then_some(())).await;
    held.run("COMMIT").await;
    assert!(!settling.await.expect("no panic").expect("it is answered"), "another has it");
    let pending = "SELECT count(*) FROM deliveries_pending WHERE id = $1";
    assert_eq!(held.count(pending, delivery_id).await, 1);
}

/// A plan is kept for as long as a connection is: what was best while nothing waited is
/// used when all of a tenant's does.
#[tokio::test]
async fn a_settlement_reads_what_it_is_about_whatever_else_waits() {
    /// After so many the server plans no more.
    const PLANNED: i64 = 10;
    const TOGETHER: i64 = 40;
    const BACKLOG: i64 = 20_000;
    let store = Store::postgres().await;
    let Place::Server { database } = &store.place else { panic!("it is on a server") };
    let acme = a_tenant(&store, "acme").await.expect("there is none");
    let fill = format!(
        "INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, state, attempts, due_at, updated_at)
         SELECT '{acme}', 'dlv_' || n, 'evt_' || n, 'ep_', 'pending', 0, 0, 0 FROM generate_series(1, {BACKLOG}) AS n"
    );
    // A queue that was long and is empty: the server knows its pages, and of no row.
    database.psql(&fill).await;
    database.psql("DELETE FROM deliveries").await;
    database.psql("VACUUM ANALYZE deliveries_pending").await;
    database.psql("SELECT pg_stat_reset()").await;
    let settle = |n: i64| {
        let ledger = store.ledger.clone();
        async move {
            let due = Arc::new(event(acme));
            let delivery = fresh(&due, id(), claimed(n));
            let delivery_id = delivery.id;
            ledger.record(recording(acme, &due, vec![delivery])).await.expect("it is stored");
            assert!(ledger.settle(settlement(acme, delivery_id, n, Next::Delivered)).await.expect("it is written"));
        }
    };
    // One by one, and many in one transaction.
    let settle_some = async || {
        for n in 0..PLANNED {
            settle(n).await;
        }
        (0..TOGETHER).map(&settle).collect::<JoinSet<()>>().join_all().await;
    };
    settle_some().await;
    database.psql(&fill).await;
    settle_some().await;
    // Connections that end tell what they have read.
    store.engine.close().await;
    let read =
        "SELECT (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = 'deliveries_pending')
        + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'deliveries_pending')";
    let read: i64 = database.psql(read).await.trim().parse().expect("a number");
    assert!(read > 0 && read < BACKLOG / 2, "{read} rows were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_claim_waits_behind_changes_that_wait() {
    /// More than have a connection.
    const CHANGES: u8 = 8;
    let store = Store::postgres().await;
    let acme = a_tenant(&store, "acme").await.expect("there is none");
    let due = std::sync::Arc::new(event(acme));
    let delivery = fresh(&due, id(), Start::Due(NOW));
    store.ledger.record(recording(acme, &due, vec![delivery])).await.expect("it is stored");
    // What every change takes until it is committed.
    let mut held = Held::of(&store, 7205759403792794).await;
    let changing: Vec<_> = (0..CHANGES)
        .map(|n| {
            let (catalog, tenant) = (store.catalog.clone(), tenant(&format!("tenant {n}")));
            tokio::spawn(async move { catalog.create_tenant(&tenant, key(n)).await })
        })
        .collect();
    eventually("changes that wait", async || (held.waiting().await >= 6).then_some(())).await;
    assert_eq!(claims(&store, NOW + SECOND, 1).await.expect("it is claimed").len(), 1);
    drop(held);
    for changed in changing {
        changed.await.expect("no panic").expect("it has its turn now");
    }
}

#[tokio::test]
async fn one_that_comes_before_another_that_is_being_sent_waits_for_it() {
    let store = Store::postgres().await;
    let (acme, endpoint) = (a_tenant(&store, "acme").await.expect("there is none"), id());
    let join = async |turn: u32| {
        let event = Arc::new(event(acme));
        let turn = NOW + turn * SECOND;
        let place = Some(InLine { line: String::new(), place: turn.as_micros() });
        let delivery = FreshDelivery { place, ..fresh(&event, endpoint, Start::Due(turn)) };
        let id = delivery.id;
        let stored: Recording = recording(acme, &event, vec![delivery]);
        store.ledger.record(stored).await.expect("it is stored");
        id
    };
    let then = NOW + MINUTE;
    let claimed = async || {
        let claims = claims(&store, then, 100).await.expect("the store answers");
        claims.iter().map(|claim| (claim.delivery, claim.token)).collect::<Vec<_>>()
    };
    let later = join(2).await;
    let sent = claimed().await;
    assert_eq!(sent.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [later]);
    let earlier = join(1).await;
    assert!(claimed().await.is_empty(), "nobody is sent beside it");
    let over = settlement(acme, later, 0, Next::Delivered);
    assert!(store.ledger.settle(Settlement { token: sent[0].1, ..over }).await.expect("it is written"));
    assert_eq!(claimed().await.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [earlier]);
}
