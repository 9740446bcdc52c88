//! How many files the process may have open, which is how many connections it
//! can hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections when nobody says otherwise, at most.
const MOST: usize = 16_384;
/// Kept for the database, plugins and deliveries: half of what there is, where
/// that is less.
const RESERVE: u64 = 2_048;

/// Raises the limit as far as the system lets us and answers how many
/// connections there is room for.
pub(super) fn room_for_connections() -> usize {
    let limit = raise();
    let room = limit - (limit / 2).min(RESERVE);
    usize::try_from(room).unwrap_or(MOST).clamp(16, MOST)
}

/// The limit from now on.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: maximum, maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, current, maximum, "the limit of open files could not be raised");
            current.unwrap_or(u64::MAX)
        }
    }
}
