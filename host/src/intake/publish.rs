//! Events from the API.

use std::sync::Arc;

use super::{Intake, IntakeError, Stored};
use crate::clock::Ids;
use crate::domain::event::{Draft, Event};
use crate::domain::id::EventId;
use crate::store::ledger::Idempotency;
use crate::store::picture::TenantPicture;

impl Intake {
    /// Stores one event for each draft, with its deliveries. A key that was
    /// used for the same drafts before answers with the events of then.
    pub async fn publish(
        &self,
        tenant: &TenantPicture,
        drafts: Vec<Draft>,
        idempotency: Option<(String, [u8; 32])>,
    ) -> Result<Vec<EventId>, IntakeError> {
        let (allowance, count) = (&tenant.tenant.limits.intake, u32::try_from(drafts.len()).unwrap_or(u32::MAX));
        let passage = self.gate.admit(tenant.tenant.id, allowance, None, count, self.clock.now())?;
        for (at, draft) in drafts.iter().enumerate() {
            self.check(tenant, draft).await.map_err(|error| error.at(at))?;
        }
        let now = self.clock.now();
        let id = tenant.tenant.id;
        let mut ids = Ids::at(now);
        let events: Vec<Arc<Event>> =
            drafts.into_iter().map(|draft| Arc::new(draft.into_event(ids.mint(), id, now, None))).collect();
        let routed = self.route(tenant, &events, now);
        let deliveries = routed.deliveries.len();
        let idempotency = idempotency.map(|(key, fingerprint)| Idempotency { key, fingerprint, now });
        let lines = events.clone();
        match self.record(id, None, events, routed, idempotency).await? {
            Stored::Before(ids) => Ok(ids),
            Stored::Now(ids) => {
                passage.stored(count.into(), allowance, now);
                for event in lines {
                    tracing::info!(
                        event.id = %event.id, "event.type" = %event.event_type, tenant.id = %id,
                        bytes = event.data.get().len(), deliveries, "event {}", event.id,
                    );
                }
                Ok(ids)
            }
        }
    }
}
