//! Claims what is due in the store, as far as there is room for it.
//!
//! The store names every endpoint that has something due, which costs two steps
//! through an index for each of them. So it is asked now and then, and what it
//! said is gone through portion by portion, as slots become free.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::Dispatch;
use super::share::{Due, shares};
use crate::domain::claim::LEASE;
use crate::domain::endpoint::Status;
use crate::domain::id::{EndpointId, TenantId};
use crate::domain::time::Timestamp;
use crate::handoff::Handoff;
use crate::shutdown::stopped;
use crate::store::StoreError;

/// How often the store is asked for what became due.
const POLL: Duration = Duration::from_millis(200);
/// Asking takes a twentieth of the time at most.
const ASKING_SHARE: u32 = 20;
/// What was slow may have been somebody else's reading: nobody waits for that.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// At most this many deliveries are claimed at once.
const CLAIMED_AT_ONCE: usize = 256;
/// After a failure to claim, the store is left alone for this long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Claims what is due whenever it may have become so, until `stop` says true.
pub(super) async fn run(
    dispatch: Arc<Dispatch>,
    handoff: Handoff,
    nudge: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = Round::over();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = poll.tick() => {}
            () = nudge.notified() => {}
            () = tokio::time::sleep_until(round.next), if round.is_stale => {}
        }
        // Never cut off: what was claimed and handed to nobody would wait until its
        // claim runs out.
        if let Err(error) = round.claim(&dispatch, &handoff).await {
            // The store has told of the disk already.
            if !matches!(error, StoreError::Unwritable(_)) {
                tracing::error!(error = %crate::telemetry::Chain(&error), "claiming failed");
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(AFTER_FAILURE) => {}
            }
        }
    }
}

/// What the store said last, without those that have no more.
struct Round {
    due: Vec<(TenantId, EndpointId)>,
    /// The store may be asked again.
    next: Instant,
    /// More became due since, or may have.
    is_stale: bool,
    /// Who had the last turn.
    last: Option<TenantId>,
}

impl Round {
    fn over() -> Self {
        Self { due: Vec::new(), next: Instant::now(), is_stale: true, last: None }
    }

    /// Claims what there is room for, and hands it over.
    async fn claim(&mut self, dispatch: &Dispatch, handoff: &Handoff) -> Result<(), StoreError> {
        if self.next <= Instant::now() {
            self.ask(dispatch).await?;
        } else {
            self.is_stale = true;
        }
        let free = dispatch.lanes.free().min(CLAIMED_AT_ONCE);
        // Others may be due that found no room this time.
        if free > 0 && self.portion(dispatch, handoff, free).await? == free {
            handoff.nudge();
        }
        Ok(())
    }

    async fn ask(&mut self, dispatch: &Dispatch) -> Result<(), StoreError> {
        let started = Instant::now();
        self.due = dispatch.ledger.due(dispatch.clock.now()).await?;
        self.is_stale = false;
        self.next = Instant::now() + (started.elapsed() * ASKING_SHARE).min(LONGEST_REST);
        Ok(())
    }

    /// Claims up to `free` deliveries, shared out by turns; answers how many there
    /// was room for.
    async fn portion(&mut self, dispatch: &Dispatch, handoff: &Handoff, free: usize) -> Result<usize, StoreError> {
        let now = dispatch.clock.now();
        let due: Vec<Due> = self
            .due
            .iter()
            .map(|&(tenant, endpoint)| Due { tenant, endpoint, room: room(dispatch, (tenant, endpoint), now) })
            .collect();
        let shares = shares(&due, free, |tenant| dispatch.lanes.free_of(tenant), &mut self.last);
        let mut wanted: HashMap<EndpointId, u32> = shares.iter().map(|share| (share.endpoint, share.limit)).collect();
        let sum: u32 = wanted.values().sum();
        if sum == 0 {
            return Ok(0);
        }
        let claims = dispatch.ledger.claim(now, now + LEASE, shares).await?;
        for claim in claims {
            if let Some(wanted) = wanted.get_mut(&claim.endpoint) {
                *wanted = wanted.saturating_sub(1);
            }
            let slot = dispatch.lanes.admit(claim.tenant, claim.endpoint);
            handoff.send(claim, slot);
        }
        // Whoever had less than its share has no more.
        self.due.retain(|(_, endpoint)| wanted.get(endpoint).is_none_or(|wanted| *wanted == 0));
        Ok(usize::try_from(sum).unwrap_or(usize::MAX))
    }
}

/// How many more deliveries an endpoint may have. What belongs to one that is
/// gone or disabled is claimed as well, to be cancelled.
fn room(dispatch: &Dispatch, (tenant, endpoint): (TenantId, EndpointId), now: Timestamp) -> usize {
    let part = dispatch.picture.tenant(tenant);
    let sealed = part.as_ref().and_then(|part| part.endpoints.get(&endpoint));
    match sealed {
        // What is for one that is paused stays where it is.
        Some(sealed) if sealed.endpoint.status.holds() => 0,
        Some(sealed) if matches!(sealed.endpoint.status, Status::Active) => {
            dispatch.lanes.room(endpoint, &sealed.endpoint.pace, now)
        }
        _ => dispatch.lanes.room_to_cancel(endpoint, now),
    }
}
