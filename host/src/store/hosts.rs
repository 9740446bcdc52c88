//! The hosts that share a database.

use super::Reply;
use crate::domain::host::{Duty, Part};
use crate::domain::id::HostId;
use crate::domain::plugin::Owner;
use crate::domain::time::Timestamp;

/// Who lives, who does what for all, and what others have changed.
///
/// Promises that every engine keeps: of two beats, the one that was answered
/// later counts the other's host; a duty is held by one host at a time; whoever
/// was told of a change finds it in the catalogue, and a change that is not told
/// of in one answer is in a later one.
///
/// Instants are by the database's clock, which [`Beat`] tells: hosts that each
/// went by their own would bury the living.
pub trait Hosts: Send + Sync {
    /// Whether no other host can have the database for as long as this one has.
    fn is_alone(&self) -> bool;

    /// Says that a host lives until then, and forgets those whose time has been
    /// over for an hour.
    fn beat(&self, host: HostId, now: Timestamp, until: Timestamp) -> Reply<'_, Beat>;

    /// The host stops: it does not live any more, and its duties are free.
    fn leave(&self, host: HostId) -> Reply<'_, ()>;

    /// Those that live, the oldest first.
    fn living(&self, now: Timestamp) -> Reply<'_, Vec<HostId>>;

    /// Takes a duty that nobody else holds, or keeps it, until then. Answers
    /// whether it did.
    fn hold(&self, duty: Duty, host: HostId, now: Timestamp, until: Timestamp) -> Reply<'_, bool>;

    /// The catalogue's newest version, and whose parts have changed after version
    /// `since`.
    fn changed(&self, since: i64) -> Reply<'_, (i64, Vec<Owner>)>;
}

/// What a host is told when it says that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its place among those that live, by age.
    pub part: Part,
    /// What the database's clock said.
    pub clock: Timestamp,
}
