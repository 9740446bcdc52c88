//! The way from intake to dispatch inside one process: fresh deliveries are
//! written already claimed and handed over in memory, so that on the fast path
//! nothing is read back.
//!
//! It is bounded, in all, per tenant and per endpoint. What finds no slot waits
//! in the store, which is the queue, and is claimed from there.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::domain::audit::Author;
use crate::domain::claim::Claim;
use crate::domain::endpoint::Endpoint;

pub mod lanes;

use lanes::{Lanes, Slot};

/// The sending end.
#[derive(Clone)]
pub struct Handoff {
    /// What each endpoint may have in hand.
    pub lanes: Lanes,
    sender: mpsc::UnboundedSender<Held>,
    errands: mpsc::UnboundedSender<Errand>,
    /// Goes with whoever claims.
    _presence: Option<Arc<dyn Send + Sync>>,
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
    /// Who has it verified.
    pub by: Author,
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
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// It comes from the store, not from whoever published it.
    pub fn has_waited(&self) -> bool {
        self.slot.is_stored()
    }

    /// The slot is free again when it is dropped.
    pub fn into_parts(self) -> (Claim, Slot) {
        (self.claim, self.slot)
    }
}

/// The two ends of a new way.
pub fn handoff(lanes: Lanes) -> (Handoff, Arrivals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (errands, errands_in) = mpsc::unbounded_channel();
    let nudge = lanes.nudge().clone();
    (Handoff { lanes, sender, errands, _presence: None }, Arrivals { receiver, errands: errands_in, nudge })
}

impl Handoff {
    /// For the task that claims what waits in the store: when that one ends, so does
    /// `presence`.
    pub fn of_claimer(&self, presence: impl Send + Sync + 'static) -> Self {
        Self { _presence: Some(Arc::new(presence)), ..self.clone() }
    }

    /// Has an endpoint's receiver verified, and comes back when that is done.
    /// It takes a slot like a delivery: a tenant whose receivers hang waits for
    /// itself. Answers whether there was room.
    pub async fn verify(&self, endpoint: Endpoint, by: Author) -> bool {
        let Some(slot) = self.lanes.reserve_errand(&endpoint) else { return false };
        let (done, told) = oneshot::channel();
        let sent = self.errands.send(Errand { endpoint, by, slot, done });
        // An error means that the host is stopping: the endpoint stays as it is.
        sent.is_ok() && told.await.is_ok()
    }

    /// Hands a claim over. The slots bound the channel.
    pub fn send(&self, claim: Claim, slot: Slot) {
        // Nobody receives any more: all has ended that could send, and the claim's
        // end would give the delivery to the next one.
        let _stopped = self.sender.send(Held { claim, slot });
    }

    /// Says that something became due in the store.
    pub fn nudge(&self) {
        self.lanes.nudge().notify_one();
    }
}
