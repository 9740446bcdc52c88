//! Notices: events that tell a tenant what happened in here.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{Intake, Routed};
use crate::clock::mint;
use crate::domain::faulting::Faulting;
use crate::shutdown::stopped;

/// Publishes notices until `stop` says true.
pub async fn run(intake: Arc<Intake>, mut notices: mpsc::Receiver<Faulting>, mut stop: watch::Receiver<bool>) {
    loop {
        let notice = tokio::select! {
            () = stopped(&mut stop) => return,
            Some(notice) = notices.recv() => notice,
        };
        intake.notify(&notice).await;
    }
}

impl Intake {
    /// Stores the notice, with a delivery for each endpoint that asked for its
    /// type by name: `*` means the tenant's own events.
    async fn notify(&self, notice: &Faulting) {
        let Some(tenant) = self.picture.tenant(notice.tenant) else { return };
        let now = self.clock.now();
        let event = Arc::new(notice.draft().into_event(mint(now), notice.tenant, now, None));
        let mut routed = Routed { deliveries: Vec::new(), claims: Vec::new() };
        for sealed in tenant.endpoints.values() {
            if sealed.endpoint.subscription.asks_for(event.event_type.as_str()) {
                self.deliver(sealed, &event, now, &mut routed);
            }
        }
        let (id, plugin, failures) = (event.id, &notice.report.plugin, notice.failures);
        match self.record(notice.tenant, None, vec![event], routed, None).await {
            Ok(_stored) => tracing::warn!(
                event.id = %id, tenant.id = %notice.tenant, plugin.name = %plugin, plugin.version = notice.report.version,
                failures, "plugin {plugin} keeps failing",
            ),
            Err(error) => tracing::error!(%error, "a notice was not stored"),
        }
    }
}
