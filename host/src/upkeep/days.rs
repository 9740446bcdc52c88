//! Days, on an engine that keeps what happened by days: they are made before they
//! come, and one that is old for everybody goes at once. A task of its own: a sweep
//! may take longer than a day.

use std::time::Duration;

use tokio::sync::watch;

use super::{Upkeep, sweep};
use crate::domain::retention::{Keep, Retention};
use crate::domain::time::Timestamp;
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::store::keeping::{DroppedDays, Old};
use crate::telemetry::Chain;

/// How often it is looked whether something is to be done.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks whether the days ahead are there.
const MAKES: Duration = Duration::from_secs(10 * 60);
/// Between two looks for days that are old.
const DROPS: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of a day that was to be dropped go one by one, once it has had the time for
/// that: a day after the first of them was old the last one is, and then two looks.
pub(super) const ROWS_WAIT: Duration = DAY.saturating_add(DROPS).saturating_add(DROPS);

/// Makes and drops days until `stop` says true.
pub(super) async fn run(upkeep: &Upkeep, mut stop: watch::Receiver<bool>) {
    if !upkeep.ledger.has_days() {
        return;
    }
    let mut tick = tokio::time::interval(LOOK);
    let (mut makes, mut drops) = (upkeep.clock.now(), upkeep.clock.now());
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let now = upkeep.clock.now();
        if now >= makes {
            makes = now + MAKES;
            if let Err(error) = upkeep.ledger.make_days(now).await {
                tracing::error!(error = %Chain(&error), "days were not made ahead; it is tried again");
            }
        }
        if now >= drops && upkeep.goes_on(&stop) {
            drops = now + DROPS;
            match drop_old(upkeep, now).await {
                Ok(DroppedDays { dropped: 0, stay: 0 }) => {}
                Ok(DroppedDays { dropped, stay }) => tracing::info!(dropped, stay, "days are over their time"),
                Err(error) => tracing::error!(error = %Chain(&error), "days were not dropped; it is tried again"),
            }
        }
    }
}

async fn drop_old(upkeep: &Upkeep, now: Timestamp) -> Result<DroppedDays, StoreError> {
    upkeep.ledger.drop_days(old(&upkeep.retention, now)).await
}

/// What is old for everybody: no tenant keeps anything for longer than the server.
fn old(server: &Retention, now: Timestamp) -> Old {
    let before = |keep: Keep| sweep::over(keep, Duration::ZERO, now);
    Old { requests: before(server.requests), events: before(server.events), attempts: before(server.attempts) }
}
