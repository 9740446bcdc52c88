//! The hosts of an SQLite database: the one that has locked it.

use std::time::Duration;

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

    /// Nothing is written down: whoever asks is all there is.
    fn beat<'a>(&'a self, _host: HostId, _life: Duration, duties: &'a [Duty]) -> Reply<'a, Beat> {
        const CLOCK: &str = "SELECT CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER)";
        Box::pin(async move {
            let clock = sqlx::query_scalar(CLOCK).fetch_one(&self.readers).await?;
            Ok(Beat { part: Part::WHOLE, clock: Timestamp::from_millis(clock), held: duties.to_vec() })
        })
    }

    fn leave(&self, _host: HostId) -> Reply<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Whoever asks knows of itself.
    fn living(&self) -> Reply<'_, Vec<HostId>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Nothing changes behind its back.
    fn changed(&self, _since: i64) -> Reply<'_, (i64, Vec<Owner>)> {
        Box::pin(async { Ok((0, Vec::new())) })
    }
}
