//! Erasures that were asked for, and the wiping after them: also of what an
//! earlier run had begun.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Upkeep;
use crate::domain::erasure::Stage;
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::telemetry::Chain;

const EVERY: Duration = Duration::from_secs(1);
/// Rows that are written in one transaction.
const AT_ONCE: u32 = 500;

/// Erases until `stop` says true.
pub(super) async fn run(upkeep: &Upkeep, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        if !upkeep.goes_on(&stop) {
            continue;
        }
        if let Err(error) = look(upkeep, &stop).await {
            tracing::error!(error = %Chain(&error), "an erasure failed; it is tried again");
        }
    }
}

async fn look(upkeep: &Upkeep, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    let ledger = &upkeep.ledger;
    let open = ledger.open_erasures().await?;
    for (tenant, erasure) in open.iter().filter(|(_, erasure)| erasure.stage == Stage::Erasing) {
        loop {
            if !upkeep.goes_on(stop) {
                return Ok(());
            }
            let started = Instant::now();
            if !ledger.erase(*tenant, erasure.id, AT_ONCE, upkeep.clock.now()).await? {
                break;
            }
            tokio::time::sleep(started.elapsed()).await;
        }
    }
    // Not while somebody reads; the next look tries again.
    if open.is_empty() || !ledger.wipe().await? {
        return Ok(());
    }
    for (tenant, erasure) in open {
        ledger.end_erasure(tenant, erasure.id, upkeep.clock.now()).await?;
        tracing::info!(tenant.id = %tenant, erasure.id = %erasure.id, "erased a subject's data");
    }
    Ok(())
}
