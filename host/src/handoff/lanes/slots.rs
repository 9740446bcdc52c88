//! How much one process may have in hand: in all, of each kind and of each tenant.
//! What each endpoint may have is for its lane to say.

use std::collections::HashMap;

use crate::domain::id::TenantId;

/// At most this many deliveries are held by one process at a time.
pub const SLOTS: usize = 4096;
/// Of these for fresh deliveries, and as many for those from the store: neither
/// keeps the other out.
pub(super) const SLOTS_OF_A_KIND: usize = SLOTS / 4 * 3;
/// For one tenant, so that one tenant's hanging receivers leave room.
pub const SLOTS_PER_TENANT: usize = SLOTS / 4;

/// Where a delivery came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fresh,
    Stored,
}

/// The slots that are taken.
#[derive(Default)]
pub(super) struct Slots {
    fresh: usize,
    stored: usize,
    tenants: HashMap<TenantId, usize>,
    /// Nothing is begun any more.
    is_closed: bool,
}

impl Slots {
    /// By fresh deliveries and by those from the store.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.fresh, self.stored)
    }

    /// How many deliveries may be claimed in all.
    pub(super) fn free(&self) -> usize {
        if self.is_closed {
            return 0;
        }
        SLOTS_OF_A_KIND.saturating_sub(self.stored).min(SLOTS.saturating_sub(self.all()))
    }

    /// How many more a tenant may hold.
    pub(super) fn free_of(&self, tenant: TenantId) -> usize {
        SLOTS_PER_TENANT.saturating_sub(self.tenants.get(&tenant).copied().unwrap_or(0))
    }

    /// Whether a fresh delivery of `tenant` finds no slot.
    pub(super) fn is_full(&self, tenant: TenantId) -> bool {
        self.is_closed || self.fresh >= SLOTS_OF_A_KIND || self.all() >= SLOTS || self.free_of(tenant) == 0
    }

    pub(super) fn take(&mut self, tenant: TenantId, kind: Kind) {
        *self.count(kind) += 1;
        *self.tenants.entry(tenant).or_default() += 1;
    }

    pub(super) fn give_back(&mut self, tenant: TenantId, kind: Kind) {
        *self.count(kind) -= 1;
        if let Some(count) = self.tenants.get_mut(&tenant) {
            *count -= 1;
            if *count == 0 {
                self.tenants.remove(&tenant);
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    fn all(&self) -> usize {
        self.fresh + self.stored
    }

    fn count(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Fresh => &mut self.fresh,
            Kind::Stored => &mut self.stored,
        }
    }
}
