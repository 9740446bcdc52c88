//! Takes in: requests at inbound URLs, events from the API, replays. What is
//! answered here is on the disk.
//!
//! ```text
//! request -> source's pipeline -> events -> route -> record -> hand over
//! ```

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::activity::Activity;
use crate::clock::{Clock, Ids, random};
use crate::domain::claim::{Claim, ClaimToken};
use crate::domain::dialect::Dialects;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::event::Event;
use crate::domain::id::{EventId, TenantId};
use crate::domain::sender::Senders;
use crate::domain::time::Timestamp;
use crate::gate::{Gate, Refused};
use crate::handoff::Handoff;
use crate::handoff::lanes::Slot;
use crate::notices::Notices;
use crate::reach::Reach;
use crate::sandbox::Sandbox;
use crate::store::ledger::{FreshDelivery, Idempotency, InLine, Portion, Received, Recorded, Recording, Start};
use crate::store::picture::{SealedEndpoint, TenantPicture};
use crate::store::{Catalog, Ledger, Picture, StoreError};
use crate::telemetry::otlp::Tracer;

mod check;
pub mod notify;
pub mod publish;
pub mod receive;
pub mod replay;
pub mod test;

pub use check::Misfit;

/// Everything that intake works with.
pub struct Intake {
    pub catalog: Arc<dyn Catalog>,
    pub ledger: Arc<dyn Ledger>,
    pub picture: Arc<Picture>,
    pub sandbox: Sandbox,
    pub handoff: Handoff,
    pub clock: Arc<dyn Clock>,
    pub dialects: Arc<Dialects>,
    pub senders: Arc<Senders>,
    pub notices: Notices,
    pub gate: Gate,
    pub reach: Reach,
    pub replays: mpsc::UnboundedSender<replay::Job>,
    pub activity: Activity,
    pub tracer: Tracer,
}

/// Why nothing was taken in.
#[derive(Debug)]
pub enum IntakeError {
    /// The idempotency key was used for something else.
    KeyReused,
    /// An event's data is not what its type's schema says.
    Misfit(Misfit),
    /// The sandbox has no room for more; try again in a moment.
    Busy,
    /// More than the tenant or the source may bring in.
    Limited(Refused),
    Store(StoreError),
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for IntakeError {
    fn from(refused: Refused) -> Self {
        Self::Limited(refused)
    }
}

impl fmt::Display for IntakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyReused => f.write_str("the idempotency key was used for another request"),
            Self::Misfit(misfit) => misfit.fmt(f),
            Self::Busy => f.write_str("the sandbox is busy"),
            Self::Limited(refused) => refused.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

/// What became of events that were to be stored.
enum Stored {
    Now(Vec<EventId>),
    /// The same was stored before; these are its events.
    Before(Vec<EventId>),
}

/// What was routed at one moment and waits to be recorded.
struct Routed {
    now: Timestamp,
    ids: Ids,
    deliveries: Vec<FreshDelivery>,
    /// Sent on once the recording is on the disk.
    claims: Vec<(Claim, Slot)>,
    /// The part of a replay that this is.
    portion: Option<Portion>,
}

impl Routed {
    fn at(now: Timestamp) -> Self {
        Self { now, ids: Ids::at(now), deliveries: Vec::new(), claims: Vec::new(), portion: None }
    }
}

impl Intake {
    /// One delivery for each endpoint that wants one of `events`.
    fn route(&self, tenant: &TenantPicture, events: &[Arc<Event>], now: Timestamp) -> Routed {
        let mut routed = Routed::at(now);
        let covered = tenant.covered_urls(&self.dialects);
        for event in events {
            for sealed in tenant.endpoints.values() {
                if self.wants(&sealed.endpoint, event) && covered.has(&sealed.endpoint) {
                    self.deliver(sealed, event, &mut routed);
                }
            }
        }
        routed
    }

    fn wants(&self, endpoint: &Endpoint, event: &Event) -> bool {
        match self.dialects.get(&endpoint.dialect) {
            Some(dialect) => dialect.wants(&endpoint.subscription, event).is_ok(),
            // No server starts without the dialects that its endpoints speak.
            None => false,
        }
    }

    fn deliver(&self, sealed: &SealedEndpoint, event: &Arc<Event>, routed: &mut Routed) {
        let endpoint = &sealed.endpoint;
        if !matches!(endpoint.status, Status::Active | Status::Paused) {
            return;
        }
        let (id, now) = (routed.ids.mint(), routed.now);
        let later = event.deliver_at.filter(|at| *at > now);
        let place = self.place(endpoint, event, later.unwrap_or(now), now);
        // The store knows who comes first in a line, and whose time has come.
        let is_next = endpoint.status == Status::Active && later.is_none() && place.is_none();
        let slot = if is_next { self.handoff.lanes.reserve(endpoint, now) } else { None };
        let start = match slot {
            None => Start::Due(later.unwrap_or(now)),
            Some(slot) => {
                let claim = Claim {
                    tenant: endpoint.tenant,
                    delivery: id,
                    endpoint: endpoint.id,
                    token: ClaimToken(i64::from_le_bytes(random())),
                    until: now + crate::domain::claim::LEASE,
                    has_line: false,
                    attempts: 0,
                    event: event.clone(),
                    message: None,
                };
                let start = Start::Claimed { token: claim.token, until: claim.until };
                routed.claims.push((claim, slot));
                start
            }
        };
        routed.deliveries.push(FreshDelivery {
            id,
            event: event.id,
            endpoint: endpoint.id,
            start,
            place,
            message: None,
            replay_of: None,
        });
    }

    /// Where an event waits in an ordered endpoint's line that is to be sent `at`.
    fn place(&self, endpoint: &Endpoint, event: &Event, at: Timestamp, now: Timestamp) -> Option<InLine> {
        let line = endpoint.pace.ordered.line(event)?;
        let place = if at > now { at.as_micros() } else { self.handoff.lanes.place(endpoint.id, now) };
        Some(InLine { line, place })
    }

    /// Stores events, what they came from and where they go, then hands over.
    async fn record(
        &self,
        tenant: TenantId,
        received: Option<Received>,
        events: Vec<Arc<Event>>,
        routed: Routed,
        idempotency: Option<Idempotency>,
    ) -> Result<Stored, IntakeError> {
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let Routed { deliveries, claims, portion, now, .. } = routed;
        let waits = deliveries.iter().any(|delivery| matches!(delivery.start, Start::Due(_)));
        match self.ledger.record(Recording { tenant, received, events, deliveries, idempotency, portion }).await? {
            Recorded::Stored => {}
            Recorded::Repeated(earlier) => return Ok(Stored::Before(earlier)),
            Recorded::KeyReused => return Err(IntakeError::KeyReused),
        }
        self.activity.stored(tenant, ids.len(), now);
        for (claim, slot) in claims {
            self.handoff.send(claim, slot);
        }
        if waits {
            self.handoff.nudge();
        }
        Ok(Stored::Now(ids))
    }
}
