//! Once a second: that this host lives, what its part is, which duties it has, and
//! what others have learnt of receivers.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{LIFE, Member, Seldom, Unheard, within};
use crate::domain::host::{Duty, Joining, Offset};
use crate::store::hosts::Beat;

const EVERY: Duration = Duration::from_secs(1);
/// So that a life is long enough to ask twice.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long the others have said once more that they live, and were told of
/// this host.
const KNOWN_AFTER: Duration = Duration::from_secs(2);
/// Clocks that differ by more are told of. It does no harm yet.
const APART: Duration = Duration::from_secs(2);

/// An answer that took longer says little of the clock.
const SHARP: i64 = 250;

/// What was told, by the database and by the log.
#[derive(Default)]
struct Told {
    /// The database's time.
    clock: bool,
    unheard: Seldom,
    apart: Seldom,
    neglected: Seldom,
}

/// Beats until it is dropped.
pub(super) async fn run(member: &Member, stop: watch::Receiver<bool>) {
    let mut told = Told::default();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // By which clock the others are to be judged is not known before the database
    // was asked for the first time: what it answers then is the time.
    while let Err(error) = within(PATIENCE, ask(member, &mut told)).await {
        told.unheard.failed(&error, UNHEARD);
        tick.tick().await;
    }
    tick.reset_immediately();
    let mut joining = Joining::default();
    loop {
        tick.tick().await;
        match within(PATIENCE, beat(member, &mut joining, &mut told)).await {
            Ok(()) => told.unheard = Seldom::default(),
            Err(error) => {
                told.unheard.failed(&error, UNHEARD);
                continue;
            }
        }
        let stops = *stop.borrow();
        // The next beat waits for neither.
        match within(EVERY, look_after(member, stops)).await {
            Ok(()) => told.neglected = Seldom::default(),
            Err(error) => told.neglected.failed(&error, "duties and the health of receivers were not looked after"),
        }
    }
}

const UNHEARD: &str = "the database was not told that this host lives";

async fn beat(member: &Member, joining: &mut Joining, told: &mut Told) -> Result<(), Unheard> {
    let (membership, asked) = (&member.membership, member.clock.now());
    let beat = ask(member, told).await?;
    let part = joining.told(beat.part, asked, LIFE, KNOWN_AFTER);
    let is_new = part.is_some() && membership.part(asked).is_none();
    membership.set_part(part, asked + LIFE);
    if is_new {
        tracing::info!(host.id = %member.id, hosts = beat.part.of, "this host takes its part");
        member.lanes.nudge().notify_one();
    }
    Ok(())
}

async fn ask(member: &Member, told: &mut Told) -> Result<Beat, Unheard> {
    let (membership, asked) = (&member.membership, member.clock.now());
    let now = membership.in_step(asked);
    let beat = member.hosts.beat(member.id, now, now + LIFE).await?;
    let offset = Offset::of(asked, beat.clock, member.clock.now());
    if !std::mem::replace(&mut told.clock, true) || offset.doubt <= SHARP {
        membership.set_offset(offset);
    }
    if offset.at_least() > APART && told.apart.is_due() {
        tracing::warn!(
            ahead_ms = offset.ahead,
            "the database's clock differs from this host's; hosts that share a database need clocks that agree"
        );
    }
    Ok(beat)
}

/// Takes what duties nobody has and keeps its own, and takes over what the others'
/// settlements say of receivers. A host that stops lets its duties run out.
async fn look_after(member: &Member, stops: bool) -> Result<(), Unheard> {
    let duties: &[Duty] = if stops { &[] } else { &Duty::ALL };
    for duty in duties {
        let asked = member.clock.now();
        let now = member.membership.in_step(asked);
        if member.hosts.hold(*duty, member.id, now, now + LIFE).await? {
            member.membership.set_duty(*duty, asked + LIFE);
        }
    }
    let moment = member.lanes.moment();
    member.lanes.learn(member.ledger.healths().await?, moment);
    Ok(())
}
