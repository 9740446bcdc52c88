//! The way from intake to dispatch inside one process: fresh deliveries are
//! written already claimed and handed over in memory, so that on the fast path
//! nothing is read back.
//!
//! It is bounded, in all, per tenant and per endpoint. What finds no slot waits
//! in the store, which is the queue, and is claimed from there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::domain::claim::Claim;
use crate::domain::endpoint::Endpoint;
use crate::domain::id::{EndpointId, TenantId};

/// At most this many deliveries are held by one process at a time.
pub const SLOTS: usize = 4096;
/// Of these for one tenant, so that one tenant's hanging receivers leave room.
pub const SLOTS_PER_TENANT: usize = SLOTS / 4;
/// And for one endpoint.
pub const SLOTS_PER_ENDPOINT: usize = 512;
/// An endpoint whose deliveries found no slot gets more from the store once it
/// is down to this many.
const LOW_WATER: usize = SLOTS_PER_ENDPOINT / 2;

/// The sending end, and the count of what is held.
#[derive(Clone)]
pub struct Handoff {
    held: Arc<Mutex<Count>>,
    sender: mpsc::UnboundedSender<Held>,
    errands: mpsc::UnboundedSender<Errand>,
    nudge: Arc<Notify>,
}

/// The receiving end.
pub struct Arrivals {
    pub receiver: mpsc::UnboundedReceiver<Held>,
    pub errands: mpsc::UnboundedReceiver<Errand>,
    /// Something became due in the store.
    pub nudge: Arc<Notify>,
}

/// An endpoint whose receiver is to be verified: as it is, or as it is to become
/// once that is done. Until then the old one goes on.
pub struct Errand {
    pub endpoint: Endpoint,
    slot: Slot,
    done: oneshot::Sender<()>,
}

impl Errand {
    /// Tells whoever waits that the endpoint's state says how it went.
    pub fn finish(self) {
        drop(self.slot);
        // Whoever asked may have gone.
        let _nobody_waits = self.done.send(());
    }
}

/// A claim with the slot it takes up until it is settled.
pub struct Held {
    pub claim: Claim,
    slot: Slot,
}

impl Held {
    /// The slot is free again when it is dropped.
    pub fn into_parts(self) -> (Claim, Slot) {
        (self.claim, self.slot)
    }
}

/// Room for one delivery.
pub struct Slot {
    tenant: TenantId,
    endpoint: EndpointId,
    held: Arc<Mutex<Count>>,
    nudge: Arc<Notify>,
}

#[derive(Default)]
struct Count {
    all: usize,
    tenants: HashMap<TenantId, usize>,
    endpoints: HashMap<EndpointId, Lane>,
}

#[derive(Default)]
struct Lane {
    held: usize,
    /// More may wait in the store.
    more: bool,
}

/// The two ends of a new way.
pub fn handoff() -> (Handoff, Arrivals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (errands, errands_in) = mpsc::unbounded_channel();
    let nudge = Arc::new(Notify::new());
    let handoff = Handoff { held: Arc::default(), sender, errands, nudge: nudge.clone() };
    (handoff, Arrivals { receiver, errands: errands_in, nudge })
}

impl Handoff {
    /// Room for one more fresh delivery to `endpoint`, if there is.
    pub fn reserve(&self, tenant: TenantId, endpoint: EndpointId) -> Option<Slot> {
        let mut held = lock(&self.held);
        let of_tenant = held.tenants.get(&tenant).copied().unwrap_or(0);
        if held.all >= SLOTS || of_tenant >= SLOTS_PER_TENANT {
            return None;
        }
        let lane = held.endpoints.entry(endpoint).or_default();
        if lane.held >= SLOTS_PER_ENDPOINT {
            lane.more = true;
            return None;
        }
        Some(self.take(&mut held, tenant, endpoint))
    }

    /// Has an endpoint's receiver verified, and comes back when that is done.
    /// It takes a slot like a delivery: a tenant whose receivers hang waits for
    /// itself. Answers whether there was room.
    pub async fn verify(&self, endpoint: Endpoint) -> bool {
        let Some(slot) = self.reserve(endpoint.tenant, endpoint.id) else { return false };
        let (done, told) = oneshot::channel();
        let sent = self.errands.send(Errand { endpoint, slot, done });
        // An error means that the host is stopping: the endpoint stays as it is.
        sent.is_ok() && told.await.is_ok()
    }

    /// A slot for a delivery that was claimed from the store: it is held
    /// already, so there is no asking whether it may be. Claiming is what keeps
    /// to [`Self::free`] and [`Self::full`].
    pub fn admit(&self, tenant: TenantId, endpoint: EndpointId) -> Slot {
        self.take(&mut lock(&self.held), tenant, endpoint)
    }

    fn take(&self, held: &mut Count, tenant: TenantId, endpoint: EndpointId) -> Slot {
        held.all += 1;
        *held.tenants.entry(tenant).or_default() += 1;
        held.endpoints.entry(endpoint).or_default().held += 1;
        Slot { tenant, endpoint, held: self.held.clone(), nudge: self.nudge.clone() }
    }

    /// Hands a claim over. The slots bound the channel.
    pub fn send(&self, claim: Claim, slot: Slot) {
        // Nobody receives any more: the host is stopping, and the claim's end
        // will give the delivery to the next one.
        let _stopped = self.sender.send(Held { claim, slot });
    }

    /// Says that something became due in the store.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// How many more deliveries may be held.
    pub fn free(&self) -> usize {
        SLOTS.saturating_sub(lock(&self.held).all)
    }

    /// Tenants and endpoints that are to have no more for now. What waits for
    /// an endpoint in the store is asked for again when half of what it holds is
    /// done.
    pub fn full(&self) -> (Vec<TenantId>, Vec<EndpointId>) {
        let mut held = lock(&self.held);
        let tenants = held.tenants.iter().filter(|(_, count)| **count >= SLOTS_PER_TENANT).map(|(id, _)| *id).collect();
        let full = held.endpoints.iter_mut().filter(|(_, lane)| lane.held >= SLOTS_PER_ENDPOINT);
        let endpoints = full.map(|(id, lane)| {
            lane.more = true;
            *id
        });
        (tenants, endpoints.collect())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.all -= 1;
        if let Some(count) = held.tenants.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                held.tenants.remove(&self.tenant);
            }
        }
        if let Some(lane) = held.endpoints.get_mut(&self.endpoint) {
            lane.held -= 1;
            if lane.more && lane.held <= LOW_WATER {
                lane.more = false;
                self.nudge.notify_one();
            }
            if lane.held == 0 {
                held.endpoints.remove(&self.endpoint);
            }
        }
    }
}

fn lock(held: &Mutex<Count>) -> std::sync::MutexGuard<'_, Count> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn endpoint(number: i64) -> EndpointId {
        EndpointId::floor(Timestamp::from_millis(number))
    }

    #[test]
    fn one_endpoint_one_tenant_and_all_have_their_bounds() {
        let (handoff, _arrivals) = handoff();
        let tenant = |number| TenantId::floor(Timestamp::from_millis(number));
        let mut slots = Vec::new();
        let mut fill = |tenant, endpoint| {
            let before = slots.len();
            slots.extend(std::iter::from_fn(|| handoff.reserve(tenant, endpoint)));
            slots.len() - before
        };
        assert_eq!(fill(tenant(1), endpoint(1)), SLOTS_PER_ENDPOINT);
        assert_eq!(fill(tenant(1), endpoint(2)), SLOTS_PER_TENANT - SLOTS_PER_ENDPOINT);
        assert_eq!(fill(tenant(1), endpoint(3)), 0);
        assert_eq!(fill(tenant(2), endpoint(4)), SLOTS_PER_ENDPOINT);
        let (tenants, endpoints) = handoff.full();
        assert_eq!((tenants, endpoints.len()), (vec![tenant(1)], 3));
        drop(slots);
        assert_eq!(handoff.free(), SLOTS);
        assert_eq!(handoff.full(), (Vec::new(), Vec::new()));
    }
}
