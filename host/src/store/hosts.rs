//! The hosts that share a database.

use std::time::Duration;

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
/// Who lives and who has a duty is judged by the database's own clock, and no host's
/// is asked: one that is wrong would bury the living, or live on when it is dead.
pub trait Hosts: Send + Sync {
    /// Whether no other host can have the database for as long as this one has.
    fn is_alone(&self) -> bool;

    /// Says that a host lives for so long from now on, whatever was said before, and
    /// forgets those whose time has been over for an hour. For as long it takes, or
    /// keeps, those of these duties that nobody else holds; it waits for no other host.
    fn beat<'a>(&'a self, host: HostId, life: Duration, duties: &'a [Duty]) -> Reply<'a, Beat>;

    /// The host stops: it does not live any more, and its duties are free.
    fn leave(&self, host: HostId) -> Reply<'_, ()>;

    /// Those that live, the oldest first.
    fn living(&self) -> Reply<'_, Vec<HostId>>;

    /// The catalogue's newest version, and whose parts have changed after version
    /// `since`.
    fn changed(&self, since: i64) -> Reply<'_, (i64, Vec<Owner>)>;
}

/// What a host is told when it says that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its place among those that live, by age.
    pub part: Part,
    /// What the database's clock said.
    pub clock: Timestamp,
    /// Those of the duties it asked for that are its own.
    pub held: Vec<Duty>,
}
