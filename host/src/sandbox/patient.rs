//! Room for runs that may wait, for the disk or for another host. They have
//! threads of their own, so that nobody's quick calls wait with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::plugin::Owner;

/// At most this many such runs at a time, and of one owner: what it keeps busy
/// is its own room.
const ROOM: usize = 16;
const ROOM_PER_OWNER: usize = 4;

/// Who has found no room by then comes back later: with the 15 s that a run may
/// wait in all, a delivery's claim (45 s, of which 15 are for its attempt)
/// holds.
const TURN: Duration = Duration::from_secs(10);

/// Counts them.
pub(super) struct Room {
    all: Arc<Semaphore>,
    owners: Mutex<HashMap<Owner, Arc<Semaphore>>>,
}

/// Held for as long as the run's thread runs.
pub(super) struct Seat {
    _held: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Room {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ROOM)), owners: Mutex::default() }
    }

    /// A seat, unless there is none for too long.
    pub(super) async fn enter(&self, owner: Owner) -> Option<Seat> {
        let own = {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever holds or waits for a seat holds the semaphore too.
            owners.retain(|_, room| Arc::strong_count(room) > 1);
            owners.entry(owner).or_insert_with(|| Arc::new(Semaphore::new(ROOM_PER_OWNER))).clone()
        };
        let seats = async {
            // First the owner's own: who waits there keeps nobody out.
            let own = own.acquire_owned().await.ok()?;
            let all = self.all.clone().acquire_owned().await.ok()?;
            Some(Seat { _held: (own, all) })
        };
        tokio::time::timeout(TURN, seats).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TenantId;
    use crate::domain::time::Timestamp;

    #[tokio::test]
    async fn one_owner_leaves_room_for_others() {
        let room = Room::new();
        let tenant = |number| Owner::Tenant(TenantId::floor(Timestamp::from_millis(number)));
        let mut seats = Vec::new();
        for _ in 0..ROOM_PER_OWNER {
            seats.push(room.enter(tenant(1)).await.expect("its own room"));
        }
        let fifth = room.enter(tenant(1));
        let mut fifth = std::pin::pin!(fifth);
        tokio::select! {
            biased;
            _ = &mut fifth => panic!("there was no room"),
            other = room.enter(tenant(2)) => assert!(other.is_some()),
        }
        seats.pop();
        assert!(fifth.await.is_some());
    }
}
