//! Sends: takes claimed deliveries, from intake in memory or from the store,
//! and carries each to its next resting place. [`attempt`] is the whole journey
//! on one page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::activity::Activity;
use crate::clock::Clock;
use crate::compose::Composer;
use crate::domain::claim::{Claim, LONGEST_DEADLINE};
use crate::domain::dialect::Dialects;
use crate::domain::id::EndpointId;
use crate::domain::pace::{Pace, USUAL_IN_FLIGHT};
use crate::domain::retry::RetryPolicy;
use crate::handoff::lanes::Lanes;
use crate::handoff::{Arrivals, Handoff, Held};
use crate::notices::Notices;
use crate::shutdown::stopped;
use crate::store::{Catalog, Ledger, Picture};
use crate::telemetry::otlp::Tracer;

pub mod attempt;
mod background;
mod claiming;
mod handshake;
mod login;
mod prepare;
mod send;
mod share;
mod spans;

pub use send::Sender;

use background::Background;

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

/// Attempts deliveries until `stop` says true, then waits for those in flight.
pub async fn run(dispatch: Arc<Dispatch>, handoff: Handoff, arrivals: Arrivals, mut stop: watch::Receiver<bool>) {
    let Arrivals { mut receiver, mut errands, nudge } = arrivals;
    let claiming = tokio::spawn(claiming::run(dispatch.clone(), handoff, nudge, stop.clone()));
    let background = Background::start();
    let mut attempts = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(held) = receiver.recv() => {
                let waited = held.has_waited();
                let carried = carry(dispatch.clone(), held, stop.clone());
                match waited {
                    true => attempts.spawn_on(carried, &background.handle()),
                    false => attempts.spawn(carried),
                };
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

async fn carry(dispatch: Arc<Dispatch>, held: Held, stop: watch::Receiver<bool>) {
    let (claim, _slot) = held.into_parts();
    let part = dispatch.picture.tenant(claim.tenant);
    let pace = part.as_ref().and_then(|part| part.endpoints.get(&claim.endpoint)).map(|sealed| &sealed.endpoint.pace);
    let in_flight = dispatch.in_flight.of(claim.endpoint, pace.map_or(USUAL_IN_FLIGHT, Pace::in_flight));
    drop(part);
    let Ok(_permit) = in_flight.acquire().await else { return };
    // A host that stops begins nothing; the next start takes this over.
    if *stop.borrow() || !has_time(&claim, dispatch.clock.as_ref()) {
        return;
    }
    if let Err(error) = attempt::attempt(&dispatch, &claim, &stop).await {
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
    clock.now() + LONGEST_DEADLINE < claim.until
}
