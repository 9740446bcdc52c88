//! What has to be done now and then, whoever calls or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::domain::usage::day;
use crate::sandbox::Sandbox;
use crate::shutdown::stopped;
use crate::store::{Catalog, Ledger, StoreError};
use crate::telemetry::Chain;

const EVERY: Duration = Duration::from_secs(10);
/// Few enough rows that a purge delays nobody's write.
const PURGED_AT_ONCE: u32 = 500;

/// What upkeep works with.
pub struct Upkeep {
    pub catalog: Arc<dyn Catalog>,
    pub ledger: Arc<dyn Ledger>,
    pub sandbox: Sandbox,
    pub clock: Arc<dyn Clock>,
}

/// Purges what deleted tenants leave behind and writes down what plugins used,
/// until `stop` says true.
pub async fn run(upkeep: Upkeep, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        if let Err(error) = purge(&*upkeep.catalog, &*upkeep.ledger, &stop).await {
            tracing::error!(error = %Chain(&error), "purging a deleted tenant failed; it is tried again");
        }
        count(&upkeep).await;
    }
}

/// Writes down what plugins used. A crash loses the count of some seconds.
pub async fn count(upkeep: &Upkeep) {
    let used = upkeep.sandbox.take_use();
    if used.is_empty() {
        return;
    }
    if let Err(error) = upkeep.ledger.add_plugin_use(day(upkeep.clock.now()), used.clone()).await {
        tracing::error!(error = %Chain(&error), "what plugins used was not written down; it is tried again");
        upkeep.sandbox.put_back_use(used);
    }
}

async fn purge(catalog: &dyn Catalog, ledger: &dyn Ledger, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    for tenant in catalog.deleted_tenants().await? {
        while !*stop.borrow() && ledger.purge(tenant, PURGED_AT_ONCE).await? {}
    }
    Ok(())
}
