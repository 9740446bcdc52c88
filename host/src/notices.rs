//! The way from where pipelines run to where events are published: what the
//! tenant of a plugin that keeps failing is told goes to intake, which publishes
//! it like any event.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::domain::faulting::{Faulting, Streaks};
use crate::domain::id::TenantId;
use crate::domain::pipeline::StepReport;
use crate::domain::place::PlaceId;
use crate::domain::time::Timestamp;

/// Notices that may wait to be published; more are dropped and logged.
const WAITING: usize = 256;

/// Watches what steps come to.
#[derive(Clone)]
pub struct Notices {
    streaks: Arc<Mutex<Streaks>>,
    sender: mpsc::Sender<Faulting>,
}

/// The two ends.
pub fn notices() -> (Notices, mpsc::Receiver<Faulting>) {
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
            let notice = Faulting { tenant, whose, about: about.to_string(), failures, report: report.clone() };
            if self.sender.try_send(notice).is_err() {
                tracing::warn!(tenant.id = %tenant, plugin.name = %report.plugin, "a failing plugin was not reported");
            }
        }
    }
}
