//! Events from the API.

use std::sync::Arc;

use super::{Intake, IntakeError};
use crate::clock::mint;
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
        let now = self.clock.now();
        let id = tenant.tenant.id;
        let events: Vec<Arc<Event>> =
            drafts.into_iter().map(|draft| Arc::new(draft.into_event(mint(now), id, now, None))).collect();
        let routed = self.route(tenant, &events, now);
        let deliveries = routed.deliveries.len();
        let idempotency = idempotency.map(|(key, fingerprint)| Idempotency { key, fingerprint, now });
        let lines = events.clone();
        let ids = self.record(id, None, events, routed, idempotency).await?;
        // A repeated call is answered with the events of then and makes none.
        for event in lines.iter().filter(|event| ids.contains(&event.id)) {
            tracing::info!(
                event.id = %event.id, "event.type" = %event.event_type, tenant.id = %id,
                bytes = event.data.get().len(), deliveries, "event {}", event.id,
            );
        }
        Ok(ids)
    }
}
