//! Replays: new deliveries of what was recorded.
//!
//! One task makes all of them, a portion of each in turn, so that a tenant's
//! large replay is not before another's small one. A portion and how far the
//! replay has come are one recording: after a crash it goes on where it was.
//!
//! Of several hosts each makes those that it was asked for, and one of them, whose
//! duty it is, goes on with those that stand still: their host has gone. Should two
//! make the same one, a portion of it is stored once, and whoever was too late
//! leaves it to the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{Intake, IntakeError, Routed};
use crate::domain::host::{Duty, Membership};
use crate::domain::id::{DeliveryId, ReplayId, TenantId};
use crate::domain::message::Message;
use crate::domain::pace::Order;
use crate::domain::replay::{Progress, Replay, Through};
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::store::ledger::{Delivery, DeliveryQuery, FreshDelivery, Portion, Start};

/// How many deliveries one recording makes anew.
const PORTION: u32 = 200;
/// And how many bytes of messages it brings along, but for the last one.
const PORTION_BYTES: usize = 4 * 1024 * 1024;
/// After a portion that could not be stored, its replay waits.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Without a replay, orders are waited for.
const IDLE: Duration = Duration::from_secs(3600);
/// How often it is looked for replays that stand still. A portion takes less.
const LOOK: Duration = Duration::from_secs(2);

/// A replay that is to be made.
pub struct Job {
    replay: Replay,
    /// Dropped when nothing is left to do.
    done: Option<oneshot::Sender<()>>,
    not_before: Instant,
}

impl Job {
    pub fn new(replay: Replay, done: Option<oneshot::Sender<()>>) -> Self {
        Self { replay, done, not_before: Instant::now() }
    }
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
/// program began come first, where no other host can have them.
pub async fn run(
    intake: Arc<Intake>,
    membership: Membership,
    orders: mpsc::UnboundedReceiver<Job>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = make_all(&intake, &membership, orders) => {}
    }
}

async fn make_all(intake: &Intake, membership: &Membership, mut orders: mpsc::UnboundedReceiver<Job>) {
    let (mut jobs, mut watched) = (Jobs::default(), Watched::default());
    let mut look_at = (!membership.is_alone()).then(Instant::now);
    if membership.is_alone() {
        for replay in unfinished(intake).await {
            jobs.add(Job::new(replay, None));
        }
    }
    loop {
        while let Ok(job) = orders.try_recv() {
            jobs.add(job);
        }
        if look_at.is_some_and(|at| at <= Instant::now()) {
            adopt(intake, membership, &mut watched, &mut jobs).await;
            look_at = Some(Instant::now() + LOOK);
        }
        let mut job = match jobs.next() {
            Ok(job) => job,
            Err(not_before) => {
                tokio::select! {
                    () = tokio::time::sleep_until(look_at.map_or(not_before, |at| at.min(not_before))) => {}
                    Some(job) = orders.recv() => jobs.add(job),
                }
                continue;
            }
        };
        match intake.portion(&mut job.replay).await {
            Ok(Step::End) => {
                drop(job.done);
                continue;
            }
            Ok(Step::On) => {}
            Ok(Step::Wait) => job.not_before = Instant::now() + AFTER_FAILURE,
            Err(error) => {
                tracing::error!(replay.id = %job.replay.id, %error, "a portion of a replay was not stored");
                job.not_before = Instant::now() + AFTER_FAILURE;
            }
        }
        jobs.add(job);
    }
}

/// Takes over what runs and stands still, where that is this host's to do.
async fn adopt(intake: &Intake, membership: &Membership, watched: &mut Watched, jobs: &mut Jobs) {
    if !membership.has(Duty::Replays, intake.clock.now()) {
        *watched = Watched::default();
        return;
    }
    match intake.ledger.running_replays().await {
        Ok(running) => {
            for replay in watched.standing_still(running) {
                if jobs.has(&replay) {
                    continue;
                }
                tracing::info!(replay.id = %replay.id, "going on with a replay that another host had begun");
                jobs.add(Job::new(replay, None));
            }
        }
        Err(error) => {
            tracing::error!(error = %crate::telemetry::Chain(&error), "replays of other hosts were not looked for");
        }
    }
}

/// How far each running replay had come when it was looked at last.
#[derive(Default)]
struct Watched(HashMap<ReplayId, Option<DeliveryId>>);

impl Watched {
    /// Those that have not moved since the last look.
    fn standing_still(&mut self, running: Vec<Replay>) -> Vec<Replay> {
        let now = running.iter().map(|replay| (replay.id, replay.after)).collect();
        let before = std::mem::replace(&mut self.0, now);
        running.into_iter().filter(|replay| before.get(&replay.id) == Some(&replay.after)).collect()
    }
}

async fn unfinished(intake: &Intake) -> Vec<Replay> {
    loop {
        match intake.ledger.running_replays().await {
            Ok(replays) => return replays,
            Err(error) => {
                tracing::error!(error = %crate::telemetry::Chain(&error), "replays were not found again");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Replays in turn: by tenant, then one after the other.
#[derive(Default)]
struct Jobs(VecDeque<(TenantId, VecDeque<Job>)>);

impl Jobs {
    fn add(&mut self, job: Job) {
        let tenant = job.replay.tenant;
        match self.0.iter_mut().find(|(owner, _)| *owner == tenant) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.0.push_back((tenant, VecDeque::from([job]))),
        }
    }

    fn has(&self, replay: &Replay) -> bool {
        self.0.iter().flat_map(|(_, jobs)| jobs).any(|job| job.replay.id == replay.id)
    }

    /// The next one that need not wait; or until when all of them do.
    fn next(&mut self) -> Result<Job, Instant> {
        let now = Instant::now();
        for _ in 0..self.0.len() {
            let Some((tenant, mut jobs)) = self.0.pop_front() else { break };
            let ready = jobs.iter().position(|job| job.not_before <= now).and_then(|at| jobs.remove(at));
            if !jobs.is_empty() {
                self.0.push_back((tenant, jobs));
            }
            if let Some(job) = ready {
                return Ok(job);
            }
        }
        let soonest = self.0.iter().flat_map(|(_, jobs)| jobs).map(|job| job.not_before).min();
        Err(soonest.unwrap_or(now + IDLE))
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
            account: selection.account.clone(),
            with_data: true,
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
        let mut routed = Routed::at(now);
        let mut bytes = 0;
        for delivery in &found {
            let fresh = self.anew(replay, delivery, &mut routed).await?;
            bytes += fresh.message.as_ref().map_or(0, |message| message.body.len());
            routed.deliveries.push(fresh);
            if bytes > PORTION_BYTES {
                break;
            }
        }
        let made = routed.deliveries.len();
        let Some(last) = made.checked_sub(1).and_then(|last| found.get(last)) else {
            self.ledger.end_replay(tenant, replay.id, Progress::Done, now).await?;
            return Ok(Step::End);
        };
        let is_last = found.len() < PORTION as usize && made == found.len();
        let (from, after, made) = (replay.after, last.id, made as u64);
        routed.portion = Some(Portion { replay: replay.id, from, after, made, is_last, now });
        match self.record(tenant, None, Vec::new(), routed, None).await {
            Ok(_no_events) if is_last => Ok(Step::End),
            Ok(_no_events) => {
                (replay.after, replay.made) = (Some(after), replay.made + made);
                Ok(Step::On)
            }
            // Somebody has cancelled it, or makes it already.
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
                event.and_then(|event| self.place(&sealed.endpoint, &event, routed.now, routed.now))
            }
            _ => None,
        };
        Ok(FreshDelivery {
            id: routed.ids.mint(),
            event: delivery.event,
            endpoint: delivery.endpoint,
            start: Start::Due(routed.now),
            place,
            message,
            replay_of: Some(delivery.id),
        })
    }

    async fn message_of(&self, tenant: TenantId, delivery: &Delivery) -> Result<Option<Arc<Message>>, StoreError> {
        Ok(self.ledger.prepared(tenant, delivery.id).await?.and_then(|prepared| prepared.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::EndpointId;
    use crate::domain::replay::Selection;
    use crate::domain::time::Timestamp;

    fn replay(number: i64, after: Option<i64>) -> Replay {
        let at = Timestamp::from_millis;
        Replay {
            id: ReplayId::floor(at(number)),
            tenant: TenantId::floor(at(1)),
            selection: Selection {
                endpoint: EndpointId::floor(at(1)),
                states: Vec::new(),
                event_types: Vec::new(),
                account: None,
                since: None,
                until: at(9),
            },
            through: Through::AsSent,
            found: 9,
            made: 0,
            after: after.map(|after| DeliveryId::floor(at(after))),
            progress: Progress::Running,
            updated_at: at(1),
        }
    }

    #[test]
    fn a_replay_stands_still_that_was_where_it_is() {
        let mut watched = Watched::default();
        let mut look = |running: &[(i64, Option<i64>)]| {
            let running = running.iter().map(|(number, after)| replay(*number, *after)).collect();
            let still = watched.standing_still(running);
            still.iter().map(|replay| replay.id.minted_at().as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(look(&[(1, None), (2, Some(5))]), [0; 0], "nothing is known of any");
        assert_eq!(look(&[(1, Some(3)), (2, Some(5)), (3, None)]), [2]);
        assert_eq!(look(&[(1, Some(4)), (3, None)]), [3]);
        assert_eq!(look(&[(2, Some(5))]), [0; 0], "it was not there in between");
    }
}
