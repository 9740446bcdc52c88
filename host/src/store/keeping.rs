//! How long what happened is kept, and how it is made to be gone.

use super::Reply;
use crate::domain::erasure::Erasure;
use crate::domain::id::{ErasureId, TenantId};
use crate::domain::time::Timestamp;

/// Retention and erasure.
///
/// Promises that every engine keeps, and `tests/it/store_contract` checks: no
/// event goes before its deliveries are at rest; a call deletes no more rows
/// than it was told to; what an erasure has deleted no settlement brings back;
/// after a wipe no file of the store has what was deleted.
///
/// Without a tenant id: [`Self::open_erasures`], [`Self::wipe`] and what is about
/// days, upkeep's.
pub trait Keeping: Send + Sync {
    /// Looks at some of a tenant's rows, the oldest first, and makes gone what
    /// is old and may go. Looks through a reader; writes only when there is
    /// something.
    fn sweep(&self, tenant: TenantId, sweep: Sweep) -> Reply<'_, Swept>;

    /// Where the next sweep for `sought` begins.
    fn sweep_begin(&self, tenant: TenantId, sought: Sought) -> Reply<'_, String>;

    /// Says where it begins. Only kinds whose rows stay need that.
    fn set_sweep_begin(&self, tenant: TenantId, sought: Sought, at: String) -> Reply<'_, ()>;

    /// Asks for all that is kept of a subject to be erased, if it was received
    /// until `now`.
    fn ask_erasure(&self, tenant: TenantId, id: ErasureId, subject: String, now: Timestamp) -> Reply<'_, ()>;

    /// Deletes up to `limit` rows, and answers whether there may be more.
    fn erase(&self, tenant: TenantId, id: ErasureId, limit: u32, now: Timestamp) -> Reply<'_, bool>;

    /// Says that nothing of it is in the files any more.
    fn end_erasure(&self, tenant: TenantId, id: ErasureId, now: Timestamp) -> Reply<'_, ()>;

    fn erasure(&self, tenant: TenantId, id: ErasureId) -> Reply<'_, Option<Erasure>>;

    /// Newest first.
    fn erasures(&self, tenant: TenantId, older_than: Option<ErasureId>, limit: u32) -> Reply<'_, Vec<Erasure>>;

    /// Those that are not done.
    fn open_erasures(&self) -> Reply<'_, Vec<(TenantId, Erasure)>>;

    /// Overwrites what the log still has of rows that are deleted. Answers no
    /// where somebody reads at this moment: ask again.
    fn wipe(&self) -> Reply<'_, bool>;

    /// Whether what happened is kept by days (UTC), so that a day that is old for
    /// everybody goes at once.
    fn has_days(&self) -> bool;

    /// Makes `now`'s day and those ahead of it that are not there yet. What comes on
    /// a day that is not there is kept all the same, and goes row by row.
    fn make_days(&self, now: Timestamp) -> Reply<'_, ()>;

    /// Drops the days of which all is old, except those that something pending or a
    /// running replay needs.
    fn drop_days(&self, old: Old) -> Reply<'_, DroppedDays>;
}

/// From when on what happened is kept for somebody; all, where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Old {
    pub requests: Option<Timestamp>,
    /// With their deliveries, messages and attempts, also those that were made later.
    pub events: Option<Timestamp>,
    /// Of deliveries of before.
    pub attempts: Option<Timestamp>,
}

/// What became of days of which all is old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedDays {
    pub dropped: u32,
    /// Those that somebody needs, and those that were in use at this moment.
    pub stay: u32,
}

/// What a sweep looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sought {
    Requests,
    RequestBodies,
    /// With their deliveries, messages and attempts.
    Events,
    /// Events' data and the messages made of them.
    EventBodies,
    Attempts,
    /// What receivers answered.
    Answers,
}

impl Sought {
    pub const ALL: [Self; 6] =
        [Self::Requests, Self::RequestBodies, Self::Events, Self::EventBodies, Self::Attempts, Self::Answers];

    /// The store's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::RequestBodies => "request-bodies",
            Self::Events => "events",
            Self::EventBodies => "event-bodies",
            Self::Attempts => "attempts",
            Self::Answers => "answers",
        }
    }

    /// Whether what was looked at is there the next time too.
    pub fn leaves_rows(self) -> bool {
        !matches!(self, Self::Requests | Self::Events)
    }
}

/// A look at some rows.
#[derive(Clone, Debug)]
pub struct Sweep {
    pub sought: Sought,
    /// Empty: at the oldest.
    pub begin: String,
    /// What is younger stays.
    pub before: Timestamp,
    /// At most so many rows are written.
    pub limit: u32,
    pub now: Timestamp,
}

/// What a sweep came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Rows that were deleted or emptied.
    pub gone: u64,
    /// Where to go on.
    pub reached: String,
    /// Whether there may be more that is old.
    pub is_more: bool,
    /// The oldest that is old and has to stay for now.
    pub stays_at: Option<String>,
}
