//! Numbers about what is kept: for charts, for whoever is to look after
//! something, and for the operator. Each is counted through an index and up to a
//! bound: asking costs the same, however much there is.

use std::time::Duration;

use super::Reply;
use crate::domain::activity::Bucket;
use crate::domain::id::TenantId;
use crate::domain::meter::Distribution;
use crate::domain::time::Timestamp;

/// Promises that every engine keeps, and `tests/it/store_contract` checks: what
/// is added adds up; a tenant sees only its own; nothing is written for one that
/// was deleted.
///
/// Without a tenant id: [`Self::add_activity`], [`Self::forget_activity`],
/// [`Self::queue`] and [`Self::vitals`], upkeep's and the operator's.
pub trait Figures: Send + Sync {
    /// Adds to what happened, of any tenants; each bucket begins then.
    fn add_activity(&self, happened: Vec<(TenantId, Timestamp, Bucket)>) -> Reply<'_, ()>;

    /// One tenant's, in order, from `since` and before `until`. Buckets in which
    /// nothing happened are not there.
    fn activity(&self, tenant: TenantId, since: Timestamp, until: Timestamp) -> Reply<'_, Vec<(Timestamp, Bucket)>>;

    /// Deletes up to `limit` buckets of before; answers whether there may be more.
    fn forget_activity(&self, before: Timestamp, limit: u32) -> Reply<'_, bool>;

    /// How many deliveries died at `since` or later and still are; at most `most`.
    fn count_dead(&self, tenant: TenantId, since: Timestamp, most: u32) -> Reply<'_, u32>;

    /// How many requests are quarantined; at most `most`.
    fn count_quarantined(&self, tenant: TenantId, most: u32) -> Reply<'_, u32>;

    /// What waits to be sent.
    fn queue(&self, now: Timestamp) -> Reply<'_, Queue>;

    /// How the engine does. Reads nothing of what is kept.
    fn vitals(&self) -> Vitals;
}

/// At most this many pending deliveries are looked at, and endpoints that have
/// some.
pub const LOOKED_AT: u32 = 10_000;

/// Deliveries that have not come to rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Waiting to be claimed; those of endpoints that are paused as well.
    pub due: u32,
    pub claimed: u32,
    /// Whose time has not come.
    pub later: u32,
    /// There are more, which were not looked at.
    pub is_more: bool,
    /// What waits longest, of endpoints that are active.
    pub oldest_due: Option<Timestamp>,
}

/// How an engine does.
#[derive(Clone, Debug)]
pub struct Vitals {
    /// `sqlite` or `postgresql`.
    pub kind: &'static str,
    /// The engine's version.
    pub version: String,
    pub bytes: u64,
    /// What is written and not yet moved into the database; 0 where that is not seen.
    pub log_bytes: u64,
    /// What the disk has left, where it says.
    pub free_bytes: Option<u64>,
    /// Operations that wait to be written, and how many may.
    pub waiting: usize,
    pub room: usize,
    /// The last write did not go through.
    pub is_failing: bool,
    /// Since a write went through.
    pub written: Option<Duration>,
    /// Seconds that a transaction took, its sync included.
    pub commits: Distribution,
    /// Operations in one transaction.
    pub batches: Distribution,
    /// Transactions that failed.
    pub failures: u64,
}
