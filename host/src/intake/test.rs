//! Test events: one event for one endpoint, whatever it has subscribed to, on
//! the way that every event takes.

use std::sync::Arc;

use super::{Intake, IntakeError, Routed};
use crate::clock::mint;
use crate::domain::event::Draft;
use crate::domain::id::{DeliveryId, EventId};
use crate::store::picture::{SealedEndpoint, TenantPicture};

impl Intake {
    /// Stores the event with its one delivery and sends it on. Nothing when the
    /// endpoint gets no deliveries at all.
    pub async fn send_test(
        &self,
        tenant: &TenantPicture,
        sealed: &SealedEndpoint,
        draft: Draft,
    ) -> Result<Option<(EventId, DeliveryId)>, IntakeError> {
        let now = self.clock.now();
        let event = Arc::new(draft.into_event(mint(now), tenant.tenant.id, now, None));
        let mut routed = Routed::at(now);
        self.deliver(sealed, &event, &mut routed);
        let Some(delivery) = routed.deliveries.first().map(|delivery| delivery.id) else { return Ok(None) };
        let id = event.id;
        self.record(tenant.tenant.id, None, vec![event], routed, None).await?;
        tracing::info!(
            event.id = %id, tenant.id = %tenant.tenant.id, endpoint.id = %sealed.endpoint.id, "test event {id}",
        );
        Ok(Some((id, delivery)))
    }
}
