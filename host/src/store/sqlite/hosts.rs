//! The hosts of an SQLite database: the one that has locked it.

use super::SqliteStore;
use crate::domain::host::{Duty, Part};
use crate::domain::id::HostId;
use crate::domain::plugin::Owner;
use crate::domain::time::Timestamp;
use crate::store::Reply;
use crate::store::hosts::{Beat, Hosts};

impl Hosts for SqliteStore {
    fn is_alone(&self) -> bool {
        true
    }

    fn beat(&self, _host: HostId, now: Timestamp, _until: Timestamp) -> Reply<'_, Beat> {
        Box::pin(async move { Ok(Beat { part: Part::WHOLE, clock: now }) })
    }

    fn leave(&self, _host: HostId) -> Reply<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Whoever asks knows of itself: nothing is written down for it.
    fn living(&self, _now: Timestamp) -> Reply<'_, Vec<HostId>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn hold(&self, _duty: Duty, _host: HostId, _now: Timestamp, _until: Timestamp) -> Reply<'_, bool> {
        Box::pin(async { Ok(true) })
    }

    /// Nothing changes behind its back.
    fn changed(&self, _since: i64) -> Reply<'_, (i64, Vec<Owner>)> {
        Box::pin(async { Ok((0, Vec::new())) })
    }
}
