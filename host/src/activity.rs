//! Counts what happens: by tenant and five minutes for charts, and all together
//! since the start for those who watch the server. In memory, because it is asked
//! about each event and each attempt; upkeep writes the former down. A crash
//! forgets some seconds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::RwLock;

use crate::domain::activity::{BUCKET, Bucket, begin};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{Outcome, State};
use crate::domain::id::TenantId;
use crate::domain::meter::{Counter, Histogram};
use crate::domain::time::Timestamp;

/// The bounds of [`crate::domain::activity::WITHIN_MS`], in seconds.
const SECONDS: &[f64] = &[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// What happened in one tenant in the bucket that begins then.
pub type Happened = (TenantId, Timestamp, Bucket);

/// Clones count together.
#[derive(Clone, Default)]
pub struct Activity(Arc<Shared>);

#[derive(Default)]
struct Shared {
    buckets: Mutex<HashMap<(TenantId, Timestamp), Bucket>>,
    /// Held by whoever writes down what is in `buckets`, and by those who add up
    /// what is here and what is written: on the way it is in neither, or in both.
    moving: RwLock<()>,
    totals: Totals,
}

/// Since the start, of all tenants.
pub struct Totals {
    pub events: Counter,
    /// In the order of [`Outcome::NAMES`].
    pub attempts: [Counter; Outcome::NAMES.len()],
    pub seconds: Histogram,
    /// That came to rest, in the order of [`State::ALL`].
    pub deliveries: [Counter; State::ALL.len()],
    in_flight: AtomicUsize,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            events: Counter::default(),
            attempts: Default::default(),
            seconds: Histogram::new(SECONDS),
            deliveries: Default::default(),
            in_flight: AtomicUsize::new(0),
        }
    }
}

impl Totals {
    /// Attempts that have begun and not ended.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// What is counted of an attempt, after it was given away to be written down.
#[derive(Clone, Copy)]
pub struct Made {
    outcome: &'static str,
    is_accepted: bool,
    took: Duration,
}

impl Made {
    pub fn of(attempt: &Attempt) -> Self {
        let is_accepted = matches!(attempt.outcome, Outcome::Accepted { .. });
        Self { outcome: attempt.outcome.name(), is_accepted, took: attempt.duration }
    }
}

/// An attempt that is being made, until it is dropped.
pub struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.totals.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    pub fn totals(&self) -> &Totals {
        &self.0.totals
    }

    /// So many events were stored.
    pub fn stored(&self, tenant: TenantId, events: usize, now: Timestamp) {
        if events > 0 {
            self.0.totals.events.add(events as u64);
            self.at(tenant, now, |bucket| bucket.events += events as u64);
        }
    }

    /// An attempt begins.
    pub fn begins(&self) -> InFlight {
        self.0.totals.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.0.clone())
    }

    /// A settlement is written down, with the attempt if one was made.
    pub fn settled(&self, tenant: TenantId, made: Option<Made>, state: State, now: Timestamp) {
        let totals = &self.0.totals;
        if let Some(made) = made {
            let outcome = Outcome::NAMES.iter().position(|name| *name == made.outcome);
            outcome.into_iter().for_each(|at| totals.attempts[at].add(1));
            totals.seconds.note(made.took.as_secs_f64());
        }
        if state != State::Pending {
            let state = State::ALL.iter().position(|one| *one == state);
            state.into_iter().for_each(|at| totals.deliveries[at].add(1));
        } else if made.is_none() {
            return;
        }
        self.at(tenant, now, |bucket| {
            if let Some(made) = made {
                bucket.attempted(made.is_accepted, made.took);
            }
            bucket.rested(state);
        });
    }

    /// Has what was counted since the last time written down. What could not be is
    /// there the next time.
    pub async fn write_down<E, F>(&self, write: impl FnOnce(Vec<Happened>) -> F) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
    {
        let _nobody_adds_up = self.0.moving.write().await;
        let happened = self.take();
        if happened.is_empty() {
            return Ok(());
        }
        write(happened.clone()).await.inspect_err(|_| self.put_back(happened))
    }

    /// One tenant's: what `written` finds, and what is not written down yet.
    pub async fn with_written<E>(
        &self,
        tenant: TenantId,
        written: impl Future<Output = Result<Vec<(Timestamp, Bucket)>, E>>,
    ) -> Result<Vec<(Timestamp, Bucket)>, E> {
        let _nothing_moves = self.0.moving.read().await;
        let mut found = written.await?;
        found.extend(self.of(tenant));
        Ok(found)
    }

    fn take(&self) -> Vec<Happened> {
        self.buckets().drain().map(|((tenant, at), bucket)| (tenant, at, bucket)).collect()
    }

    fn put_back(&self, happened: Vec<Happened>) {
        let mut buckets = self.buckets();
        for (tenant, at, bucket) in happened {
            buckets.entry((tenant, at)).or_default().add(&bucket);
        }
    }

    fn of(&self, tenant: TenantId) -> Vec<(Timestamp, Bucket)> {
        let buckets = self.buckets();
        let own = buckets.iter().filter(|((owner, _), _)| *owner == tenant);
        own.map(|((_, at), bucket)| (*at, *bucket)).collect()
    }

    fn at(&self, tenant: TenantId, now: Timestamp, count: impl FnOnce(&mut Bucket)) {
        count(self.buckets().entry((tenant, begin(now, BUCKET))).or_default());
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<(TenantId, Timestamp), Bucket>> {
        // Counting cannot panic half-way.
        self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::activity::WITHIN_MS;
    use crate::domain::delivery::Unreachable;
    use crate::domain::id::AttemptId;

    fn made(outcome: Outcome) -> Option<Made> {
        let now = Timestamp::from_millis(0);
        Some(Made::of(&Attempt {
            id: AttemptId::floor(now),
            number: 1,
            started_at: now,
            duration: Duration::from_millis(7),
            url: String::new(),
            signed_headers: Vec::new(),
            outcome,
            answer: None,
        }))
    }

    #[test]
    fn each_thing_is_counted_once_for_its_tenant_and_for_all() {
        let (activity, now) = (Activity::default(), Timestamp::from_millis(600_123));
        let (one, other) = (TenantId::floor(Timestamp::from_millis(1)), TenantId::floor(Timestamp::from_millis(2)));
        activity.stored(one, 3, now);
        activity.stored(other, 1, now);
        activity.settled(one, made(Outcome::Accepted { status: 204 }), State::Delivered, now);
        let refused = Outcome::Refused { status: 500, retry_after: None, word: None };
        activity.settled(one, made(refused), State::Pending, now);
        activity.settled(one, None, State::Dropped, now);
        // It waits for its turn, which is nothing that happened.
        activity.settled(one, None, State::Pending, now);

        let [(at, bucket)] = activity.of(one)[..] else { panic!("one bucket") };
        assert_eq!((at.as_millis(), bucket.events, bucket.attempts, bucket.failed), (600_000, 3, 2, 1));
        assert_eq!((bucket.delivered, bucket.dropped, bucket.dead), (1, 1, 0));
        let totals = activity.totals();
        assert_eq!((totals.events.get(), totals.attempts[0].get(), totals.attempts[1].get()), (4, 1, 1));
        assert_eq!(totals.seconds.read().counts.iter().sum::<u64>(), 2);

        let taken = activity.take();
        assert_eq!((taken.len(), activity.of(one)), (2, Vec::new()));
        activity.put_back(taken);
        assert_eq!(activity.of(one), [(at, bucket)]);
        assert_eq!(activity.totals().events.get(), 4, "what is put back is not counted again");
    }

    #[tokio::test]
    async fn whoever_asks_while_it_is_written_down_sees_it_once() {
        let (now, tenant) = (Timestamp::from_millis(600_000), TenantId::floor(Timestamp::from_millis(1)));
        let pass = async |turns: usize| {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        for (turns, fails) in (0..12).flat_map(|turns| [(turns, false), (turns, true)]) {
            let activity = Activity::default();
            activity.stored(tenant, 3, now);
            let store = Mutex::new(Vec::new());
            let writing = activity.write_down(async |happened: Vec<Happened>| {
                pass(3).await;
                if fails {
                    return Err("no");
                }
                store.lock().unwrap().extend(happened.into_iter().map(|(_, at, bucket)| (at, bucket)));
                pass(3).await;
                Ok(())
            });
            let asking = async {
                pass(turns).await;
                let written = async {
                    pass(2).await;
                    let found = store.lock().unwrap().clone();
                    pass(2).await;
                    Ok::<_, &str>(found)
                };
                activity.with_written(tenant, written).await.unwrap()
            };
            let (written, found) = tokio::join!(writing, asking);
            assert_eq!(written.is_err(), fails);
            assert_eq!(found.iter().map(|(_, bucket)| bucket.events).collect::<Vec<_>>(), [3], "after {turns} turns");
        }
    }

    /// The outcome behind this one: whoever adds one has to say where it stands.
    fn after(outcome: &Outcome) -> Option<Outcome> {
        use Unreachable::{Broken, Connect, Forbidden, NoToken, TimedOut, Tls, Unresolved};
        let why = String::new;
        let next = match outcome {
            Outcome::Accepted { .. } => return Some(Outcome::Refused { status: 500, retry_after: None, word: None }),
            Outcome::Refused { .. } => Unresolved(why()),
            Outcome::Unreachable(Unresolved(_)) => NoToken(why()),
            Outcome::Unreachable(NoToken(_)) => Forbidden(why()),
            Outcome::Unreachable(Forbidden(_)) => Connect(why()),
            Outcome::Unreachable(Connect(_)) => Tls(why()),
            Outcome::Unreachable(Tls(_)) => TimedOut(Duration::ZERO),
            Outcome::Unreachable(TimedOut(_)) => Broken(why()),
            Outcome::Unreachable(Broken(_)) => return None,
        };
        Some(Outcome::Unreachable(next))
    }

    #[test]
    fn every_outcome_has_its_counter() {
        let (activity, now) = (Activity::default(), Timestamp::from_millis(1));
        let every = std::iter::successors(Some(Outcome::Accepted { status: 204 }), after);
        for (at, outcome) in every.enumerate() {
            let name = outcome.name();
            activity.settled(TenantId::floor(now), made(outcome), State::Pending, now);
            let counts: Vec<u64> = activity.totals().attempts.iter().map(Counter::get).collect();
            assert_eq!(counts.get(at), Some(&1), "{name}: {counts:?}");
        }
        assert!(activity.totals().attempts.iter().all(|counter| counter.get() == 1), "a name that no outcome has");
    }

    #[test]
    fn both_histograms_have_the_same_bounds() {
        assert!(WITHIN_MS.iter().zip(SECONDS).all(|(ms, seconds)| f64::from(*ms) == seconds * 1000.0));
        assert_eq!(WITHIN_MS.len(), SECONDS.len());
    }

    #[test]
    fn attempts_are_in_flight_until_they_end() {
        let activity = Activity::default();
        let flying = [activity.begins(), activity.begins()];
        assert_eq!(activity.totals().in_flight(), 2);
        drop(flying);
        assert_eq!(activity.totals().in_flight(), 0);
    }
}
