//! What has to be done now and then, whoever calls or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::activity::Activity;
use crate::clock::Clock;
use crate::domain::activity::{BUCKET, KEPT, begin};
use crate::domain::host::{Duty, Membership};
use crate::domain::retention::Retention;
use crate::domain::time::Timestamp;
use crate::domain::usage::day;
use crate::gate::Gate;
use crate::sandbox::Sandbox;
use crate::shutdown::stopped;
use crate::store::{Catalog, Ledger, People, Picture, StoreError};
use crate::telemetry::Chain;

mod days;
mod erase;
mod purge;
mod sweep;

const EVERY: Duration = Duration::from_secs(10);
/// Few enough rows that a purge delays nobody's write.
const PURGED_AT_ONCE: u32 = 500;

/// What upkeep works with.
pub struct Upkeep {
    pub catalog: Arc<dyn Catalog>,
    pub ledger: Arc<dyn Ledger>,
    pub people: Arc<dyn People>,
    pub picture: Arc<Picture>,
    /// How long this server keeps what happened.
    pub retention: Retention,
    pub sandbox: Sandbox,
    pub gate: Gate,
    pub activity: Activity,
    /// Of several hosts one does this, but for what each has counted itself.
    pub membership: Membership,
    pub clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Whether the next portion is for this host to do. Each is a transaction that
    /// judges anew what may go, so that two hosts that do the same for a moment (one
    /// was held up and has not seen that its duty went to another) delete nothing
    /// that one alone would not.
    fn goes_on(&self, stop: &watch::Receiver<bool>) -> bool {
        !*stop.borrow() && self.membership.has(Duty::Upkeep, self.clock.now())
    }
}

/// Does what is to be done until `stop` says true: writes down what plugins used,
/// what came in and what happened, purges what deleted tenants leave behind, sweeps
/// out what is over its time and erases what somebody asked to be erased. A long
/// one of these keeps none of the others waiting.
pub async fn run(upkeep: Upkeep, stop: watch::Receiver<bool>) {
    tokio::join!(
        tidy(&upkeep, stop.clone()),
        purge::run(&upkeep, stop.clone()),
        days::run(&upkeep, stop.clone()),
        sweep::run(&upkeep, stop.clone()),
        erase::run(&upkeep, stop),
    );
}

async fn tidy(upkeep: &Upkeep, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    let mut swept = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        count(upkeep).await;
        if !upkeep.goes_on(&stop) {
            continue;
        }
        if let Err(error) = upkeep.people.end_lapsed(upkeep.clock.now(), PURGED_AT_ONCE).await {
            tracing::error!(error = %Chain(&error), "sessions that are over were not deleted; it is tried again");
        }
        // When a bucket begins, another one is over its time.
        let bucket = begin(upkeep.clock.now(), BUCKET);
        if swept != Some(bucket) {
            swept = Some(bucket);
            if let Err(error) = forget_activity(upkeep, &stop).await {
                tracing::error!(error = %Chain(&error), "old activity was not deleted; it is tried again");
            }
        }
    }
}

/// Writes down what plugins used, what came in and what happened. A crash loses
/// the count of some seconds.
pub async fn count(upkeep: &Upkeep) {
    count_events(upkeep).await;
    count_activity(upkeep).await;
    let used = upkeep.sandbox.take_use();
    if used.is_empty() {
        return;
    }
    if let Err(error) = upkeep.ledger.add_plugin_use(day(upkeep.clock.now()), used.clone()).await {
        tracing::error!(error = %Chain(&error), "what plugins used was not written down; it is tried again");
        upkeep.sandbox.put_back_use(used);
    }
}

async fn count_events(upkeep: &Upkeep) {
    let counts = upkeep.gate.take_counts(upkeep.clock.now());
    if !counts.is_empty()
        && let Err(error) = upkeep.ledger.add_event_counts(counts.clone()).await
    {
        tracing::error!(error = %Chain(&error), "how many events came in was not written down; it is tried again");
        upkeep.gate.put_back(counts);
    }
    if upkeep.gate.is_shared() {
        // What came in around midnight may have been written down after it.
        let yesterday = day(upkeep.clock.now()) - 1;
        match upkeep.ledger.event_counts(yesterday).await {
            Ok(counts) => upkeep.gate.hear(counts),
            Err(error) => tracing::error!(error = %Chain(&error), "what other hosts let in was not read"),
        }
    }
}

async fn count_activity(upkeep: &Upkeep) {
    let written = upkeep.activity.write_down(|happened| upkeep.ledger.add_activity(happened)).await;
    if let Err(error) = written {
        tracing::error!(error = %Chain(&error), "what happened was not written down; it is tried again");
    }
}

/// Charts go back as far as this.
async fn forget_activity(upkeep: &Upkeep, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::from_millis(upkeep.clock.now().as_millis().saturating_sub(kept));
    while upkeep.goes_on(stop) && upkeep.ledger.forget_activity(before, PURGED_AT_ONCE).await? {}
    Ok(())
}
