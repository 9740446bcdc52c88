//! The way from where pipelines run and requests are sent to where events are
//! published: what a tenant is told goes to intake, which publishes it like any
//! event.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::domain::faulting::{Faulting, KeepsFailing, Streaks};
use crate::domain::id::TenantId;
use crate::domain::notice::Notice;
use crate::domain::pipeline::StepReport;
use crate::domain::place::PlaceId;
use crate::domain::time::Timestamp;

/// Notices that may wait to be published; more are dropped and logged.
const WAITING: usize = 256;

/// Watches what steps come to.
#[derive(Clone)]
pub struct Notices {
    streaks: Arc<Mutex<Streaks>>,
    sender: mpsc::Sender<Notice>,
}

/// The two ends.
pub fn notices() -> (Notices, mpsc::Receiver<Notice>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Notices { streaks: Arc::default(), sender }, receiver)
}

impl Notices {
    /// Takes note of what a pipeline's steps came to; `about` names the event or
    /// the request.
    pub fn saw(&self, tenant: TenantId, whose: PlaceId, about: impl ToString, steps: &[StepReport], now: Timestamp) {
        let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
        for report in steps {
            let Some(failures) = streaks.note(tenant, report, now) else { continue };
            let faulting = Faulting { tenant, whose, about: about.to_string(), failures, report: report.clone() };
            self.tell(Notice::Faulting(Box::new(faulting)));
        }
    }

    /// One tenant's plugins that keep failing.
    pub fn failing(&self, tenant: TenantId, now: Timestamp) -> Vec<KeepsFailing> {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner).failing(tenant, now)
    }

    /// Has a tenant told.
    pub fn tell(&self, notice: Notice) {
        if let Err(error) = self.sender.try_send(notice) {
            let notice = error.into_inner();
            tracing::warn!(tenant.id = %notice.tenant(), ?notice, "a notice found no room and was not published");
        }
    }
}
