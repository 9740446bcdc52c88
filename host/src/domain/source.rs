//! Sources: inbound webhooks.

use super::event::EventType;
use super::id::{SourceId, TenantId};
use super::key::SourceToken;
use super::pace::RateLimit;
use super::pipeline::Pipeline;
use super::time::Timestamp;
use super::verification::Verification;

/// A secret URL and the pipeline that turns what it receives into events.
#[derive(Clone, Debug)]
pub struct Source {
    pub id: SourceId,
    pub tenant: TenantId,
    pub name: String,
    pub token: SourceToken,
    /// The type of events whose mapper names none, or that have no mapper.
    pub event_type: Option<EventType>,
    pub verification: Verification,
    /// At most so many requests are taken.
    pub rate_limit: Option<RateLimit>,
    pub pipeline: Pipeline,
    /// Counts its changes; the store's.
    pub revision: u32,
    pub created_at: Timestamp,
}
