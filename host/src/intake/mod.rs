//! Takes in: requests at inbound URLs, events from the API, replays. What is
//! answered here is on the disk.
//!
//! ```text
//! request -> source's pipeline -> events -> route -> record -> hand over
//! ```

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, mint, random};
use crate::domain::claim::{Claim, ClaimToken};
use crate::domain::dialect::Dialects;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::event::Event;
use crate::domain::id::{EndpointId, EventId, TenantId};
use crate::domain::sender::Senders;
use crate::domain::time::Timestamp;
use crate::handoff::Handoff;
use crate::handoff::lanes::Slot;
use crate::notices::Notices;
use crate::reach::Reach;
use crate::sandbox::Sandbox;
use crate::store::ledger::{FreshDelivery, Idempotency, Received, Recorded, Recording, Start};
use crate::store::picture::{SealedEndpoint, TenantPicture};
use crate::store::{Catalog, Ledger, Picture, StoreError};

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
    pub reach: Reach,
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
    Store(StoreError),
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for IntakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyReused => f.write_str("the idempotency key was used for another request"),
            Self::Misfit(misfit) => misfit.fmt(f),
            Self::Busy => f.write_str("the sandbox is busy"),
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

/// What was routed and waits to be recorded.
struct Routed {
    deliveries: Vec<FreshDelivery>,
    /// Sent on once the recording is on the disk.
    claims: Vec<(Claim, Slot)>,
}

impl Intake {
    /// One delivery for each endpoint that wants one of `events`.
    fn route(&self, tenant: &TenantPicture, events: &[Arc<Event>], now: Timestamp) -> Routed {
        let mut routed = Routed { deliveries: Vec::new(), claims: Vec::new() };
        let covered = tenant.covered_urls(&self.dialects);
        for event in events {
            for sealed in tenant.endpoints.values() {
                if self.wants(&sealed.endpoint, event) && covered.has(&sealed.endpoint) {
                    self.deliver(sealed, event, now, &mut routed);
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

    fn deliver(&self, sealed: &SealedEndpoint, event: &Arc<Event>, now: Timestamp, routed: &mut Routed) {
        let endpoint = &sealed.endpoint;
        let id = mint(now);
        let slot = match endpoint.status {
            Status::Active => self.handoff.lanes.reserve(endpoint, now),
            Status::Paused => None,
            Status::Unverified { .. } | Status::Disabled { .. } => return,
        };
        let turn = endpoint.pace.ordered.then(|| self.handoff.lanes.place(endpoint.id, now));
        let start = match (&endpoint.status, slot) {
            (Status::Paused, _) => Start::Held,
            (_, None) => Start::Due(turn.unwrap_or(now)),
            (_, Some(slot)) => {
                let claim = Claim {
                    tenant: endpoint.tenant,
                    delivery: id,
                    endpoint: endpoint.id,
                    token: ClaimToken(i64::from_le_bytes(random())),
                    until: now + crate::domain::claim::LEASE,
                    turn,
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
            turn,
            message: None,
            replay_of: None,
        });
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
        let ids = events.iter().map(|event| event.id).collect();
        let Routed { deliveries, claims } = routed;
        let held: Vec<EndpointId> =
            deliveries.iter().filter(|one| one.start == Start::Held).map(|one| one.endpoint).collect();
        let waits = deliveries.iter().any(|delivery| matches!(delivery.start, Start::Due(_)));
        match self.ledger.record(Recording { tenant, received, events, deliveries, idempotency }).await? {
            Recorded::Stored => {}
            Recorded::Repeated(earlier) => return Ok(Stored::Before(earlier)),
            Recorded::KeyReused => return Err(IntakeError::KeyReused),
        }
        for (claim, slot) in claims {
            self.handoff.send(claim, slot);
        }
        if waits {
            self.handoff.nudge();
        }
        for endpoint in held {
            // It may have been resumed since it was looked at, and then nobody
            // else would release what was held meanwhile.
            if !self.picture.is_holding(tenant, endpoint) {
                self.release(tenant, endpoint).await?;
            }
        }
        Ok(Stored::Now(ids))
    }

    /// Makes what is held for an endpoint due: to be sent, or to be cancelled
    /// when the endpoint is gone.
    pub async fn release(&self, tenant: TenantId, endpoint: EndpointId) -> Result<(), StoreError> {
        if self.ledger.release_held(tenant, endpoint, self.clock.now()).await? > 0 {
            self.handoff.nudge();
        }
        Ok(())
    }
}
