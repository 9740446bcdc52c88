//! Hosts on one database: who lives and who does what for all is judged by its clock,
//! whatever a host's own says. An SQLite database has one host, for which there is
//! nothing to judge.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hookyard::clock::{Clock as _, SystemClock, mint};
use hookyard::domain::database::Durability;
use hookyard::domain::host::{Duty, Part};
use hookyard::domain::id::HostId;
use hookyard::store::engine::Failure;
use hookyard::store::offline::Resealed;
use hookyard::store::postgres::{Offline, PostgresStore};
use hookyard::store::seal::Seal;
use hookyard::store::{Engine as _, Hosts as _, StoreError};
use hookyard_tests::{TempDir, TestClock, eventually};

use super::given::MINUTE;
use super::{Kept, MASTER_KEY, Store};
use crate::hosts::Running;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// What races is tried so often.
const TIMES: usize = 20;

fn a_host() -> HostId {
    mint(SystemClock.now())
}

/// One that believes that it is three hours later.
fn a_host_ahead() -> HostId {
    mint(SystemClock.now() + 3 * HOUR)
}

contract! {
    async fn a_host_that_is_alone_has_all(store: &Store) -> Kept {
        let host = a_host();
        for duties in [&Duty::ALL[..], &Duty::ALL[1..], &[]] {
            let (before, beat) = (SystemClock.now(), store.hosts.beat(host, MINUTE, duties).await?);
            assert_eq!((beat.part, beat.held), (Part::WHOLE, duties.to_vec()));
            // Both are this machine's.
            let after = SystemClock.now();
            assert!(beat.clock.since(after) < MINUTE && before.since(beat.clock) < MINUTE, "{:?}", beat.clock);
        }
        store.hosts.leave(host).await?;
        assert_eq!(store.hosts.living().await?, []);
        Ok(())
    }
}

#[tokio::test]
async fn a_host_lives_for_as_long_as_it_last_said() -> Kept {
    let (store, [first, second]) = (Store::postgres().await, [a_host_ahead(), a_host()]);
    // By the clock of whoever is asked, the first is older: it was there before.
    assert_eq!(store.hosts.beat(first, HOUR, &[]).await?.part, Part::WHOLE);
    assert_eq!(store.hosts.beat(second, HOUR, &[]).await?.part, Part { rank: 1, of: 2 });
    assert_eq!(store.hosts.beat(first, HOUR, &[]).await?.part, Part { rank: 0, of: 2 });
    assert_eq!(store.hosts.living().await?, [first, second]);
    // What was said before is of no account.
    assert_eq!(store.hosts.beat(first, Duration::ZERO, &[]).await?.part, Part { rank: 0, of: 2 });
    assert_eq!(store.hosts.living().await?, [second]);
    assert_eq!(store.hosts.beat(second, HOUR, &[]).await?.part, Part::WHOLE);
    store.hosts.beat(first, Duration::from_millis(1), &[]).await?;
    eventually("the end of its life", async || (store.hosts.living().await.ok()? == [second]).then_some(())).await;
    store.hosts.leave(second).await?;
    assert_eq!(store.hosts.living().await?, []);
    Ok(())
}

#[tokio::test]
async fn of_two_beats_one_sees_the_other() -> Kept {
    let store = Store::postgres().await;
    for _ in 0..TIMES {
        let [one, other] = [a_host(), a_host()];
        let (first, second) = tokio::join!(store.hosts.beat(one, MINUTE, &[]), store.hosts.beat(other, MINUTE, &[]));
        let [first, second] = [first?.part, second?.part];
        assert!(first.of == 2 || second.of == 2, "{first:?}, {second:?}");
        // One that is seen has the same place for both.
        assert!(first.of != second.of || first.rank != second.rank, "{first:?}, {second:?}");
        store.hosts.leave(one).await?;
        store.hosts.leave(other).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_duty_is_held_by_one_host() -> Kept {
    let (store, names) =
        (Store::postgres().await, |held: &[Duty]| -> BTreeSet<_> { held.iter().map(|duty| duty.as_str()).collect() });
    let all = names(&Duty::ALL);
    // At first they have no rows, then they have those of hosts that have gone.
    for _ in 0..TIMES {
        let [one, other] = [a_host(), a_host_ahead()];
        let (first, second) =
            tokio::join!(store.hosts.beat(one, MINUTE, &Duty::ALL), store.hosts.beat(other, MINUTE, &Duty::ALL));
        let [first, second] = [first?.held, second?.held];
        assert!(names(&first).is_disjoint(&names(&second)), "{first:?}, {second:?}");
        assert_eq!(names(&[&first[..], &second[..]].concat()), all);
        // Each keeps its own, and is given what the other does not have any more.
        assert_eq!(store.hosts.beat(one, MINUTE, &Duty::ALL).await?.held, first);
        assert_eq!(store.hosts.beat(other, MINUTE, &Duty::ALL).await?.held, second);
        store.hosts.leave(one).await?;
        assert_eq!(store.hosts.beat(other, MINUTE, &Duty::ALL).await?.held, Duty::ALL);
        store.hosts.leave(other).await?;
    }
    // One that does not ask lets them run out.
    let [one, other] = [a_host(), a_host()];
    assert_eq!(store.hosts.beat(one, Duration::ZERO, &Duty::ALL).await?.held, Duty::ALL);
    assert_eq!(store.hosts.beat(one, MINUTE, &[]).await?.held, []);
    assert_eq!(store.hosts.beat(other, MINUTE, &Duty::ALL[..1]).await?.held, Duty::ALL[..1]);
    assert_eq!(store.hosts.beat(one, MINUTE, &Duty::ALL).await?.held, Duty::ALL[1..]);
    Ok(())
}

/// It has said that it lives before it knows how wrong its clock is.
#[tokio::test]
async fn a_host_whose_clock_is_hours_ahead_buries_nobody_and_lives_no_longer() -> Kept {
    let (place, database) = (TempDir::new(), hookyard_tests::postgres::database().await);
    let url = database.url().parse().expect("a server's URL");
    let opened = PostgresStore::open(&url, Seal::new(MASTER_KEY), Durability::Required).await;
    let store = Arc::new(opened.expect("an empty database takes the schema"));
    let other = a_host();
    assert_eq!(store.beat(other, HOUR, &Duty::ALL).await?.held, Duty::ALL);

    let clock = Arc::new(TestClock::default());
    clock.advance(3 * HOUR);
    let host = Running::start_on(store.clone(), &store, clock.clone(), &place).await;
    let why_not = || host.membership.why_not(clock.now());
    eventually("a word on its clock", async || why_not().filter(|why| why.contains("5 s"))).await;
    assert_eq!(store.living().await?, [other, host.id]);
    let lives = format!(
        "SELECT lives_until <= extract(epoch FROM clock_timestamp()) * 1000 + 5000 FROM hosts WHERE id = '{}'",
        host.id
    );
    assert_eq!(database.psql(&lives).await.trim(), "t");
    assert!(Duty::ALL.into_iter().all(|duty| !host.membership.has(duty, clock.now())), "they are held");
    assert_eq!(store.beat(other, HOUR, &Duty::ALL).await?.held, Duty::ALL);
    host.stop().await;
    assert_eq!(store.living().await?, [other]);
    store.close().await;
    Ok(())
}

/// It opened the database before that, and has said nothing since.
#[tokio::test]
async fn a_host_that_has_the_old_master_key_does_not_come_to_life() -> Kept {
    let database = hookyard_tests::postgres::database().await;
    let url = database.url().parse().expect("a server's URL");
    let opened = PostgresStore::open(&url, Seal::new(MASTER_KEY), Durability::Required).await;
    let store = opened.expect("an empty database takes the schema");
    let host = a_host();
    store.beat(host, Duration::ZERO, &[]).await?;
    let mut offline = Offline::open(&url, Durability::Required).await.expect("it opens");
    let resealed = offline.reseal(&Seal::new(MASTER_KEY), &Seal::new([9; 32])).await.expect("nobody lives");
    assert!(matches!(resealed, Resealed::Now(_)));
    offline.close().await.expect("it closes");

    assert!(matches!(store.beat(host, MINUTE, &Duty::ALL).await, Err(StoreError::Corrupt(_))));
    assert_eq!(store.failed().await, Failure::MasterKey);
    assert_eq!(store.living().await?, []);
    store.close().await;
    Ok(())
}
