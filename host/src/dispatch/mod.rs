//! Sends: takes claimed deliveries, from intake in memory or from the store,
//! and carries each to its next resting place. [`attempt`] is the whole journey
//! on one page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::compose::Composer;
use crate::domain::claim::{Claim, LEASE};
use crate::domain::dialect::Dialects;
use crate::domain::id::EndpointId;
use crate::domain::retry::RetryPolicy;
use crate::handoff::{Arrivals, Handoff, Held};
use crate::notices::Notices;
use crate::shutdown::stopped;
use crate::store::ledger::Except;
use crate::store::{Catalog, Ledger, Picture};

pub mod attempt;
mod handshake;
mod prepare;
mod send;

pub use send::Sender;

/// At most this many requests to one endpoint are in flight.
const IN_FLIGHT_PER_ENDPOINT: usize = 64;
/// How often the store is asked for what became due.
const POLL: Duration = Duration::from_millis(200);
/// At most this many deliveries are claimed at once.
const CLAIMED_AT_ONCE: usize = 256;
/// After a failure to claim or settle, the store is left alone for this long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Everything that dispatch works with.
pub struct Dispatch {
    pub ledger: Arc<dyn Ledger>,
    pub catalog: Arc<dyn Catalog>,
    pub picture: Arc<Picture>,
    pub sender: Sender,
    pub clock: Arc<dyn Clock>,
    pub lanes: Lanes,
    pub dialects: Arc<Dialects>,
    pub composer: Composer,
    pub notices: Notices,
    /// For endpoints without a schedule of their own, in dialects without one.
    pub default_retry: RetryPolicy,
    /// This server's host name, as receivers are told it.
    pub origin: String,
}

/// How many requests each endpoint may have in flight.
#[derive(Default)]
pub struct Lanes(Mutex<HashMap<EndpointId, Arc<Semaphore>>>);

impl Lanes {
    fn of(&self, endpoint: EndpointId) -> Arc<Semaphore> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Lanes that nobody stands in are of no use to anybody.
        if lanes.len() > 10_000 {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        lanes.entry(endpoint).or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT_PER_ENDPOINT))).clone()
    }
}

/// Attempts deliveries until `stop` says true, then waits for those in flight.
pub async fn run(dispatch: Arc<Dispatch>, handoff: Handoff, arrivals: Arrivals, mut stop: watch::Receiver<bool>) {
    let Arrivals { mut receiver, mut errands, nudge } = arrivals;
    let claiming = tokio::spawn(claim(dispatch.clone(), handoff, nudge, stop.clone()));
    let mut attempts = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(held) = receiver.recv() => {
                attempts.spawn(carry(dispatch.clone(), held, stop.clone()));
            }
            Some(errand) = errands.recv() => {
                let dispatch = dispatch.clone();
                attempts.spawn(async move { handshake::run(&dispatch, errand).await });
            }
            Some(_finished) = attempts.join_next() => {}
        }
    }
    // What was handed over and nobody has begun stays claimed; the next start
    // takes it over.
    while attempts.join_next().await.is_some() {}
    let _stopped_as_well = claiming.await;
}

/// Claims what is due whenever it may have become so, until `stop` says true.
async fn claim(dispatch: Arc<Dispatch>, handoff: Handoff, nudge: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = poll.tick() => {}
            () = nudge.notified() => {}
        }
        claim_due(&dispatch, &handoff).await;
    }
}

/// Claims what is due, as far as there is room, and hands it over.
async fn claim_due(dispatch: &Dispatch, handoff: &Handoff) {
    loop {
        let limit = handoff.free().min(CLAIMED_AT_ONCE);
        if limit == 0 {
            return;
        }
        let now = dispatch.clock.now();
        let (tenants, endpoints) = handoff.full();
        let full = Except { tenants, endpoints };
        let limit_rows = u32::try_from(limit).unwrap_or(u32::MAX);
        let claims = match dispatch.ledger.claim_due(now, now + LEASE, limit_rows, &full).await {
            Ok(claims) => claims,
            Err(error) => {
                tracing::error!(error = %crate::telemetry::Chain(&error), "claiming failed");
                tokio::time::sleep(AFTER_FAILURE).await;
                return;
            }
        };
        let count = claims.len();
        for claim in claims {
            let slot = handoff.admit(claim.tenant, claim.endpoint);
            handoff.send(claim, slot);
        }
        if count < limit {
            return;
        }
    }
}

async fn carry(dispatch: Arc<Dispatch>, held: Held, stop: watch::Receiver<bool>) {
    let (claim, _slot) = held.into_parts();
    let lane = dispatch.lanes.of(claim.endpoint);
    let Ok(_permit) = lane.acquire().await else { return };
    // A host that stops begins nothing; the next start takes this over.
    if *stop.borrow() || !has_time(&claim, dispatch.clock.as_ref()) {
        return;
    }
    if let Err(error) = attempt::attempt(&dispatch, &claim).await {
        // The claim runs out and the delivery is attempted again: at least once.
        tracing::error!(
            delivery.id = %claim.delivery, error = %crate::telemetry::Chain(&error), "an attempt was not written down",
        );
    }
}

/// Whether an attempt would end before the claim does. One that waited too long
/// for its turn is left to whoever claims it next: a receiver must not be sent
/// the same thing by two.
fn has_time(claim: &Claim, clock: &dyn Clock) -> bool {
    clock.now() + crate::domain::claim::ATTEMPT_DEADLINE < claim.until
}
