//! Work that a tenant has one piece of going at a time, because each is as much
//! as one caller may ask for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::TenantId;

/// Who has one going.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashSet<TenantId>>>);

/// One that is going, until it is dropped: when the work ends, not when its
/// caller hangs up.
pub(super) struct Turn {
    turns: Turns,
    tenant: TenantId,
}

impl Turns {
    /// The tenant's turn, unless it has one already.
    pub(super) fn take(&self, tenant: TenantId) -> Option<Turn> {
        self.lock().insert(tenant).then(|| Turn { turns: self.clone(), tenant })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_tenant_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let [acme, other] = [1, 2].map(|millis| TenantId::floor(Timestamp::from_millis(millis)));
        let turn = turns.take(acme);
        assert!(turn.is_some());
        assert!(turns.take(acme).is_none());
        assert!(turns.take(acme).is_none(), "being refused frees nothing");
        assert!(turns.take(other).is_some(), "another tenant's is another");
        drop(turn);
        assert!(turns.take(acme).is_some());
    }
}
