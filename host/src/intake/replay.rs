//! Replays: new deliveries of what was recorded.
//!
//! One task makes all of them, a portion of each in turn, so that a tenant's
//! large replay is not before another's small one. A portion and how far the
//! replay has come are one recording: after a crash it goes on where it was.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::{Intake, IntakeError, Routed};
use crate::domain::id::TenantId;
use crate::domain::message::Message;
use crate::domain::pace::Order;
use crate::domain::replay::{Progress, Replay, Through};
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::store::ledger::{Delivery, DeliveryQuery, FreshDelivery, Portion, Start};

/// How many deliveries one recording makes anew.
const PORTION: u32 = 200;
/// After a portion that could not be stored.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A replay that is to be made.
pub struct Job {
    pub replay: Replay,
    /// Dropped when nothing is left to do.
    pub done: Option<oneshot::Sender<()>>,
}

/// What became of a portion.
enum Step {
    /// There is more.
    On,
    End,
    /// The store has no room at the moment.
    Wait,
}

/// Makes replays until `stop` says true; those that an earlier run of this
/// program began come first.
pub async fn run(intake: Arc<Intake>, mut orders: mpsc::UnboundedReceiver<Job>, mut stop: watch::Receiver<bool>) {
    let mut jobs = VecDeque::new();
    match intake.ledger.running_replays().await {
        Ok(replays) => jobs.extend(replays.into_iter().map(|replay| Job { replay, done: None })),
        Err(error) => tracing::error!(error = %crate::telemetry::Chain(&error), "replays were not found again"),
    }
    loop {
        while let Ok(job) = orders.try_recv() {
            jobs.push_back(job);
        }
        let Some(mut job) = jobs.pop_front() else {
            tokio::select! {
                () = stopped(&mut stop) => return,
                Some(job) = orders.recv() => jobs.push_back(job),
            }
            continue;
        };
        let step = intake.portion(&mut job.replay).await;
        let waits = match step {
            Ok(Step::End) => continue,
            Ok(Step::On) => *stop.borrow(),
            Ok(Step::Wait) => true,
            Err(error) => {
                tracing::error!(replay.id = %job.replay.id, %error, "a portion of a replay was not stored");
                true
            }
        };
        jobs.push_back(job);
        if waits {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(AFTER_FAILURE) => {}
            }
        }
    }
}

impl Replay {
    /// What it selects; with a limit, the next of it.
    pub fn query(&self) -> DeliveryQuery {
        let selection = &self.selection;
        DeliveryQuery {
            endpoint: Some(selection.endpoint),
            states: selection.states.clone(),
            event_types: selection.event_types.clone(),
            since: selection.since,
            until: Some(selection.until),
            // An ordered endpoint gets them in their order again.
            oldest_first: true,
            newer_than: self.after,
            ..DeliveryQuery::default()
        }
    }
}

impl Intake {
    /// Has a replay made that is stored already.
    pub fn replay(&self, job: Job) {
        // An error means that the host is stopping: the next start goes on.
        let _stopped = self.replays.send(job);
    }

    /// Makes the next portion of a replay.
    ///
    /// Replays go through the store, never over the fast path: a large one must
    /// not take the slots of events that arrive meanwhile.
    async fn portion(&self, replay: &mut Replay) -> Result<Step, IntakeError> {
        let (tenant, now) = (replay.tenant, self.clock.now());
        let Some(part) = self.picture.tenant(tenant) else { return Ok(Step::End) };
        if !part.endpoints.contains_key(&replay.selection.endpoint) {
            self.ledger.end_replay(tenant, replay.id, Progress::Cancelled, now).await?;
            return Ok(Step::End);
        }
        let found = self.ledger.deliveries(tenant, DeliveryQuery { limit: PORTION, ..replay.query() }).await?;
        let Some(last) = found.last() else {
            self.ledger.end_replay(tenant, replay.id, Progress::Done, now).await?;
            return Ok(Step::End);
        };
        let is_last = found.len() < PORTION as usize;
        let made = found.len() as u64;
        let mut routed = Routed::at(now);
        routed.portion = Some(Portion { replay: replay.id, after: last.id, made, is_last, now });
        for delivery in &found {
            let fresh = self.anew(replay, delivery, &mut routed).await?;
            routed.deliveries.push(fresh);
        }
        match self.record(tenant, None, Vec::new(), routed, None).await {
            Ok(_no_events) if is_last => Ok(Step::End),
            Ok(_no_events) => {
                (replay.after, replay.made) = (Some(last.id), replay.made + made);
                Ok(Step::On)
            }
            // Somebody has cancelled it.
            Err(IntakeError::Store(StoreError::Changed)) => Ok(Step::End),
            Err(IntakeError::Store(StoreError::Full)) => Ok(Step::Wait),
            Err(error) => Err(error),
        }
    }

    async fn anew(
        &self,
        replay: &Replay,
        delivery: &Delivery,
        routed: &mut Routed,
    ) -> Result<FreshDelivery, StoreError> {
        let message = match replay.through {
            Through::AsSent => self.message_of(replay.tenant, delivery).await?,
            Through::Current => None,
        };
        let part = self.picture.tenant(replay.tenant);
        let sealed = part.as_ref().and_then(|part| part.endpoints.get(&delivery.endpoint));
        let place = match sealed {
            Some(sealed) if sealed.endpoint.pace.ordered != Order::None => {
                let event = self.ledger.event(replay.tenant, delivery.event).await?;
                event.and_then(|event| self.place(&sealed.endpoint, &event, routed.now))
            }
            _ => None,
        };
        Ok(FreshDelivery {
            id: routed.ids.mint(),
            event: delivery.event,
            endpoint: delivery.endpoint,
            start: Start::Due(place.as_ref().map_or(routed.now, |place| place.turn)),
            place,
            message,
            replay_of: Some(delivery.id),
        })
    }

    async fn message_of(&self, tenant: TenantId, delivery: &Delivery) -> Result<Option<Arc<Message>>, StoreError> {
        Ok(self.ledger.prepared(tenant, delivery.id).await?.and_then(|prepared| prepared.message))
    }
}
