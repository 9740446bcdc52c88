//! What has to be done now and then, whoever calls or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::shutdown::stopped;
use crate::store::{Catalog, Ledger, StoreError};
use crate::telemetry::Chain;

const EVERY: Duration = Duration::from_secs(10);
/// Few enough rows that a purge delays nobody's write.
const PURGED_AT_ONCE: u32 = 500;

/// Purges what deleted tenants leave behind, until `stop` says true.
pub async fn run(catalog: Arc<dyn Catalog>, ledger: Arc<dyn Ledger>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        if let Err(error) = purge(&*catalog, &*ledger, &stop).await {
            tracing::error!(error = %Chain(&error), "purging a deleted tenant failed; it is tried again");
        }
    }
}

async fn purge(catalog: &dyn Catalog, ledger: &dyn Ledger, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    for tenant in catalog.deleted_tenants().await? {
        while !*stop.borrow() && ledger.purge(tenant, PURGED_AT_ONCE).await? {}
    }
    Ok(())
}
