//! Claims: a delivery that a worker holds for now.

use std::sync::Arc;
use std::time::Duration;

use super::event::Event;
use super::id::{DeliveryId, EndpointId, TenantId};
use super::message::Message;
use super::time::Timestamp;

/// What tells one claim of a delivery from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimToken(pub i64);

/// A delivery that is held, with all that is needed to attempt it. Made by the
/// store, or by intake for the fresh deliveries that it writes already claimed.
#[derive(Clone, Debug)]
pub struct Claim {
    pub tenant: TenantId,
    pub delivery: DeliveryId,
    pub endpoint: EndpointId,
    pub token: ClaimToken,
    /// Whoever comes later may take the delivery over.
    pub until: Timestamp,
    /// Whether it is of a line, where others may wait behind it.
    pub has_line: bool,
    /// How many attempts were made before.
    pub attempts: u32,
    pub event: Arc<Event>,
    /// What the pipeline made at the first attempt; a retry sends it again.
    pub message: Option<Arc<Message>>,
}

impl Claim {
    /// Whether an attempt that begins now is over and written down before the claim
    /// ends, also for a host whose clock is before this one's. What waited too long for
    /// its turn is left to whoever claims it next: a receiver must not be sent the same
    /// thing by two.
    pub fn has_time(&self, now: Timestamp) -> bool {
        now + LONGEST_DEADLINE + MARGIN < self.until
    }
}

/// What is left of a claim after the longest attempt: time to write down what it came
/// to, and what the clocks of two hosts may be apart.
pub const MARGIN: Duration = Duration::from_secs(10);

/// How long a claim holds: the attempt's deadline, and time enough to run the
/// pipeline before and to settle after. Derived, not configured: set apart from
/// the deadline, the two would drift until receivers are sent to twice.
pub const LEASE: Duration = LONGEST_DEADLINE.saturating_add(Duration::from_secs(30));

/// One deadline for resolve, connect, TLS, send, headers and body.
pub const ATTEMPT_DEADLINE: Duration = Duration::from_secs(15);
/// What an endpoint's owner may make of it.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(30);
