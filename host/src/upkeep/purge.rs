//! What deleted tenants leave behind, and the wiping after it. All of a large one
//! takes its time.

use tokio::sync::watch;

use super::{EVERY, PURGED_AT_ONCE, Upkeep};
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::telemetry::Chain;

/// Purges until `stop` says true.
pub(super) async fn run(upkeep: &Upkeep, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    // What was purged is still in the log.
    let mut to_wipe = false;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        if !upkeep.goes_on(&stop) {
            continue;
        }
        match purge(upkeep, &stop).await {
            Ok(purged) => to_wipe |= purged,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "purging a deleted tenant failed; it is tried again");
            }
        }
        if to_wipe {
            to_wipe = !matches!(upkeep.ledger.wipe().await, Ok(true));
        }
    }
}

/// Answers whether there was anything to purge.
async fn purge(upkeep: &Upkeep, stop: &watch::Receiver<bool>) -> Result<bool, StoreError> {
    let deleted = upkeep.catalog.deleted_tenants().await?;
    let is_some = !deleted.is_empty();
    for tenant in deleted {
        while upkeep.goes_on(stop) {
            match upkeep.ledger.purge(tenant, PURGED_AT_ONCE).await {
                Ok(true) => {}
                // Or another host has just purged the last of it.
                Ok(false) | Err(StoreError::NotFound) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(is_some)
}
