//! Retention and erasure: what readers find goes in transactions of few rows.

use super::{Store, erase, sweep};
use crate::domain::erasure::Erasure;
use crate::domain::id::{ErasureId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::Reply;
use crate::store::keeping::{DroppedDays, Keeping, Old, Sought, Sweep, Swept};

impl Keeping for Store {
    fn sweep(&self, tenant: TenantId, sweep: Sweep) -> Reply<'_, Swept> {
        Box::pin(async move {
            let look = sweep::look(&self.readers, tenant, &sweep).await?;
            if look.ids.is_empty() {
                return Ok(look.over());
            }
            self.write(move |conn| Box::pin(sweep::make_gone(conn, tenant, sweep, look))).await
        })
    }

    fn sweep_begin(&self, tenant: TenantId, sought: Sought) -> Reply<'_, String> {
        Box::pin(sweep::begin(&self.readers, tenant, sought))
    }

    fn set_sweep_begin(&self, tenant: TenantId, sought: Sought, at: String) -> Reply<'_, ()> {
        self.write(move |conn| Box::pin(async move { sweep::set_begin(conn, tenant, sought, &at).await }))
    }

    fn ask_erasure(&self, tenant: TenantId, id: ErasureId, subject: String, now: Timestamp) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(async move { erase::ask(conn, tenant, id, &subject, now).await }))
    }

    fn erase(&self, tenant: TenantId, id: ErasureId, limit: u32, now: Timestamp) -> Reply<'_, bool> {
        self.write(move |conn| Box::pin(erase::erase(conn, tenant, id, limit, now)))
    }

    fn end_erasure(&self, tenant: TenantId, id: ErasureId, now: Timestamp) -> Reply<'_, ()> {
        self.write(move |conn| Box::pin(erase::finish(conn, tenant, id, now)))
    }

    fn erasure(&self, tenant: TenantId, id: ErasureId) -> Reply<'_, Option<Erasure>> {
        Box::pin(async move { Ok(erase::list(&self.readers, tenant, (None, Some(id)), 1).await?.pop()) })
    }

    fn erasures(&self, tenant: TenantId, older_than: Option<ErasureId>, limit: u32) -> Reply<'_, Vec<Erasure>> {
        Box::pin(erase::list(&self.readers, tenant, (older_than, None), limit))
    }

    fn open_erasures(&self) -> Reply<'_, Vec<(TenantId, Erasure)>> {
        Box::pin(erase::open(&self.readers))
    }

    fn wipe(&self) -> Reply<'_, bool> {
        Box::pin(self.wipe_log())
    }

    fn has_days(&self) -> bool {
        Self::HAS_DAYS
    }

    fn make_days(&self, now: Timestamp) -> Reply<'_, ()> {
        Box::pin(self.make_days_ahead(now))
    }

    fn drop_days(&self, old: Old) -> Reply<'_, DroppedDays> {
        Box::pin(self.drop_days_before(old))
    }
}
