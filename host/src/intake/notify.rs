//! Notices: events that tell a tenant what happened in here.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{Intake, Routed};
use crate::clock::mint;
use crate::domain::id::EventId;
use crate::domain::notice::Notice;
use crate::shutdown::stopped;

/// Publishes notices until `stop` says true, and those that were told by then.
pub async fn run(intake: Arc<Intake>, mut notices: mpsc::Receiver<Notice>, mut stop: watch::Receiver<bool>) {
    loop {
        let notice = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(notice) = notices.recv() => notice,
        };
        intake.notify(&notice).await;
    }
    while let Ok(notice) = notices.try_recv() {
        intake.notify(&notice).await;
    }
}

impl Intake {
    /// Stores the notice, with a delivery for each endpoint that asked for its
    /// type by name: `*` means the tenant's own events.
    async fn notify(&self, notice: &Notice) {
        let Some(tenant) = self.picture.tenant(notice.tenant()) else { return };
        let now = self.clock.now();
        let event = Arc::new(notice.draft().into_event(mint(now), notice.tenant(), now, None));
        let mut routed = Routed::at(now);
        for sealed in tenant.endpoints.values() {
            if sealed.endpoint.subscription.asks_for(event.event_type.as_str()) {
                self.deliver(sealed, &event, &mut routed);
            }
        }
        let id = event.id;
        match self.record(notice.tenant(), None, vec![event], routed, None).await {
            Ok(_stored) => report(notice, id),
            Err(error) => tracing::error!(%error, "a notice was not stored"),
        }
    }
}

fn report(notice: &Notice, id: EventId) {
    let tenant = notice.tenant();
    match notice {
        Notice::Faulting(faulting) => tracing::warn!(
            event.id = %id, tenant.id = %tenant, plugin.name = %faulting.report.plugin,
            plugin.version = faulting.report.version, failures = faulting.failures,
            "plugin {} keeps failing", faulting.report.plugin,
        ),
        Notice::Failing(failing) => tracing::warn!(
            event.id = %id, tenant.id = %tenant, endpoint.id = %failing.endpoint.id, since = %failing.failing_since,
            "endpoint {} only fails", failing.endpoint.id,
        ),
        Notice::Disabled(disabled) => tracing::warn!(
            event.id = %id, tenant.id = %tenant, endpoint.id = %disabled.endpoint.id, reason = disabled.reason,
            "endpoint {} was disabled", disabled.endpoint.id,
        ),
    }
}
