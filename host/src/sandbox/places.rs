//! Places for components that are being admitted: each is in memory while it
//! arrives and waits for the one compiler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::plugin::Owner;

/// At a time; more are turned away until there is room.
const PLACES: usize = 16;
/// One owner's of these: nobody's uploads keep everybody else's away.
const PER_OWNER: usize = 2;

#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<Owner, usize>>>,
}

/// Room for one component, given back when this is dropped.
pub struct Place {
    owner: Owner,
    taken: Arc<Mutex<HashMap<Owner, usize>>>,
    _room: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(PLACES)), taken: Arc::default() }
    }

    /// A place, when the owner may have one more and there is one.
    pub(super) fn take(&self, owner: Owner) -> Option<Place> {
        let room = self.free.clone().try_acquire_owned().ok()?;
        let mut taken = lock(&self.taken);
        let own = taken.entry(owner).or_default();
        if *own >= PER_OWNER {
            return None;
        }
        *own += 1;
        Some(Place { owner, taken: self.taken.clone(), _room: room })
    }

    /// A place for a component of our own, once there is one.
    pub(super) async fn wait(&self) -> Option<Place> {
        let room = self.free.clone().acquire_owned().await.ok()?;
        *lock(&self.taken).entry(Owner::House).or_default() += 1;
        Some(Place { owner: Owner::House, taken: self.taken.clone(), _room: room })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(own) = taken.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<Owner, usize>>) -> MutexGuard<'_, HashMap<Owner, usize>> {
    // Counting cannot panic half-way.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::domain::id::TenantId;
    use crate::domain::time::Timestamp;

    fn tenant(number: usize) -> Owner {
        let number = i64::try_from(number).expect("a small number");
        Owner::Tenant(TenantId::floor(Timestamp::from_millis(number)))
    }

    #[test]
    fn one_tenant_has_two_places_and_others_the_rest() {
        let places = Places::new();
        let first = places.take(tenant(0)).expect("a first");
        let second = places.take(tenant(0)).expect("a second");
        assert!(places.take(tenant(0)).is_none(), "two are one tenant's share");
        drop(first);
        let first = places.take(tenant(0)).expect("one was given back");

        let others: Vec<Place> = (2..PLACES).map(|n| places.take(tenant(n / 2)).expect("their share")).collect();
        assert!(places.take(tenant(99)).is_none(), "all are taken");
        drop((first, second));
        assert!(places.take(tenant(99)).is_some());
        drop(others);
        assert!(lock(&places.taken).is_empty(), "who has none is forgotten");
    }

    #[test]
    fn a_component_of_our_own_waits_for_its_place() {
        let places = Places::new();
        let mut taken: Vec<Place> = (0..PLACES).map(|n| places.take(tenant(n)).expect("a place")).collect();
        let mut waiting = pin!(places.wait());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        taken.pop();
        assert!(places.take(tenant(99)).is_none(), "who waits is first");
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Ready(Some(_))));
    }
}
