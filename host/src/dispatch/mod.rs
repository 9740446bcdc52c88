//! Sends: takes claimed deliveries, from intake in memory or from the store,
//! and carries each to its next resting place. [`attempt`] is the whole journey
//! on one page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::activity::Activity;
use crate::clock::Clock;
use crate::compose::Composer;
use crate::domain::claim::Claim;
use crate::domain::dialect::Dialects;
use crate::domain::id::EndpointId;
use crate::domain::pace::Pace;
use crate::domain::retry::RetryPolicy;
use crate::handoff::lanes::Lanes;
use crate::handoff::{Arrivals, Handoff, Held};
use crate::notices::Notices;
use crate::shutdown::stopped;
use crate::store::{Catalog, Ledger, Picture};
use crate::telemetry::otlp::Tracer;

pub mod attempt;
mod attempts;
mod background;
mod claiming;
mod drain;
mod handshake;
mod login;
mod prepare;
mod send;
mod share;
mod spans;

pub use send::Sender;

use attempts::Attempts;
use background::Background;
use drain::{Remains, drain};

/// Everything that dispatch works with.
pub struct Dispatch {
    pub ledger: Arc<dyn Ledger>,
    pub catalog: Arc<dyn Catalog>,
    pub picture: Arc<Picture>,
    pub sender: Sender,
    pub clock: Arc<dyn Clock>,
    pub lanes: Lanes,
    pub in_flight: InFlight,
    pub dialects: Arc<Dialects>,
    pub composer: Composer,
    pub notices: Notices,
    /// For endpoints without a schedule of their own, in dialects without one.
    pub default_retry: RetryPolicy,
    /// This server's host name, as receivers are told it.
    pub origin: String,
    pub activity: Activity,
    pub tracer: Tracer,
}

/// How many requests each endpoint may have in flight.
#[derive(Default)]
pub struct InFlight(Mutex<HashMap<(EndpointId, u16), Arc<Semaphore>>>);

impl InFlight {
    /// An endpoint whose owner allows another number has another semaphore; what
    /// the old one let through ends.
    fn of(&self, endpoint: EndpointId, most: u16) -> Arc<Semaphore> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for are of no use to anybody.
        if known.len() > 10_000 {
            known.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        known.entry((endpoint, most)).or_insert_with(|| Arc::new(Semaphore::new(most.into()))).clone()
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It is settled, or what is left of it runs out.
    Over,
    /// The host stops; another may have it.
    NotBegun,
}

/// Attempts deliveries until `stop` says true, then begins no more and gives back
/// what it holds. Those in flight have `patience` to end once `over` says that
/// nothing is handed over any more.
pub async fn run(
    dispatch: Arc<Dispatch>,
    handoff: Handoff,
    arrivals: Arrivals,
    (mut stop, over): (watch::Receiver<bool>, watch::Receiver<bool>),
    patience: Duration,
) {
    let Arrivals { mut receiver, mut errands, nudge } = arrivals;
    let lanes = handoff.lanes.clone();
    let claiming = tokio::spawn(claiming::run(dispatch.clone(), handoff, nudge, stop.clone()));
    let background = Background::start();
    let mut attempts = Attempts::default();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(held) = receiver.recv() => attempts.begin(&dispatch, held, &stop, &background),
            Some(errand) = errands.recv() => attempts.run(&dispatch, errand),
            Some(_ended) = attempts.next() => {}
        }
    }
    lanes.close();
    // Whoever waits for one is told that nothing comes of it.
    drop(errands);
    drain(&dispatch, Remains { receiver, attempts, claiming }, over, patience).await;
}

async fn carry(dispatch: Arc<Dispatch>, held: Held, mut stop: watch::Receiver<bool>) -> Carried {
    let (claim, _slot) = held.into_parts();
    let part = dispatch.picture.tenant(claim.tenant);
    let pace = part.as_ref().and_then(|part| part.endpoints.get(&claim.endpoint)).map(|sealed| &sealed.endpoint.pace);
    let most = dispatch.lanes.in_flight(claim.endpoint, pace.unwrap_or(&Pace::default()), dispatch.clock.now());
    let in_flight = dispatch.in_flight.of(claim.endpoint, most);
    drop(part);
    let permit = tokio::select! {
        biased;
        () = stopped(&mut stop) => return Carried::NotBegun,
        Ok(permit) = in_flight.acquire() => permit,
    };
    if !dispatch.has_time(&claim) {
        return Carried::Over;
    }
    match attempt::attempt(&dispatch, &claim, permit, &stop).await {
        Ok(carried) => carried,
        Err(error) => {
            // The claim runs out and the delivery is attempted again: at least once.
            tracing::error!(
                delivery.id = %claim.delivery, error = %crate::telemetry::Chain(&error),
                "an attempt was not written down",
            );
            Carried::Over
        }
    }
}

impl Dispatch {
    fn has_time(&self, claim: &Claim) -> bool {
        claim.has_time(self.clock.now())
    }
}
