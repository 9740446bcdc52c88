//! Events from the API.

use std::sync::Arc;
use std::time::Instant;

use super::{Intake, IntakeError, Stored};
use crate::clock::Ids;
use crate::domain::event::{Draft, Event};
use crate::domain::id::{EventId, TenantId};
use crate::domain::trace::{Begun, Side, Span, SpanId, TraceParent};
use crate::store::ledger::{Idempotency, Recorded};
use crate::store::picture::TenantPicture;

impl Intake {
    /// Stores one event for each draft, with its deliveries. A key that was
    /// used for the same drafts before answers with the events of then. All are
    /// part of the trace that came along.
    pub async fn publish(
        &self,
        tenant: &TenantPicture,
        drafts: Vec<Draft>,
        idempotency: Option<(String, [u8; 32])>,
        came: Option<TraceParent>,
    ) -> Result<Vec<EventId>, IntakeError> {
        let began = Instant::now();
        let (allowance, count) = (&tenant.tenant.limits.intake, u32::try_from(drafts.len()).unwrap_or(u32::MAX));
        let (id, now) = (tenant.tenant.id, self.clock.now());
        let idempotency = idempotency.map(|(key, fingerprint)| Idempotency { key, fingerprint, now });
        let passage = match self.gate.admit(id, allowance, None, count, now) {
            Ok(passage) => passage,
            // What was taken in before is no event more.
            Err(refused) => return self.repeated(id, idempotency.as_ref()).await?.ok_or(refused.into()),
        };
        for (at, draft) in drafts.iter().enumerate() {
            self.check(tenant, draft).await.map_err(|error| error.at(at))?;
        }
        let mut ids = Ids::at(now);
        let mut events: Vec<Event> =
            drafts.into_iter().map(|draft| draft.into_event(ids.mint(), id, now, None)).collect();
        let begun = events.first().and_then(|first| {
            Begun::new(came, first.id.bytes(), SpanId::of("publish", first.id.bytes(), 0), self.tracer.is_on())
        });
        events.iter_mut().for_each(|event| event.traceparent = begun.map(|begun| begun.here));
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        let routed = self.route(tenant, &events, now);
        let deliveries = routed.deliveries.len();
        let lines = events.clone();
        match self.record(id, None, events, routed, idempotency).await? {
            Stored::Before(ids) => Ok(ids),
            Stored::Now(ids) => {
                passage.stored(count.into(), allowance, now);
                for event in lines {
                    tracing::info!(
                        event.id = %event.id, "event.type" = %event.event_type, tenant.id = %id,
                        trace.id = event.traceparent.map(|parent| tracing::field::display(parent.trace)),
                        bytes = event.data.get().len(), deliveries, "event {}", event.id,
                    );
                }
                if let Some(begun) = begun.filter(|begun| self.tracer.wants(begun.here)) {
                    self.tracer.tell(Span {
                        trace: begun.here.trace,
                        id: begun.here.parent,
                        parent: begun.led_by,
                        name: "publish".to_owned(),
                        side: Side::Server,
                        began: now,
                        took: began.elapsed(),
                        fields: vec![("tenant.id", id.to_string()), ("events", ids.len().to_string())],
                        error: None,
                    });
                }
                Ok(ids)
            }
        }
    }

    /// The events of then, where the key was used before.
    async fn repeated(
        &self,
        tenant: TenantId,
        asked: Option<&Idempotency>,
    ) -> Result<Option<Vec<EventId>>, IntakeError> {
        let Some(asked) = asked else { return Ok(None) };
        match self.ledger.repeated(tenant, asked).await? {
            Some(Recorded::Repeated(ids)) => Ok(Some(ids)),
            Some(Recorded::KeyReused) => Err(IntakeError::KeyReused),
            Some(Recorded::Stored) | None => Ok(None),
        }
    }
}
