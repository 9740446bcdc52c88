//! Once a second: that this host lives, what its part is, which duties it has, and
//! what others have learnt of receivers.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{LIFE, Member, Seldom, Unheard, within};
use crate::domain::host::{Duty, Joining, Offset};

const EVERY: Duration = Duration::from_secs(1);
/// So that a life is long enough to ask twice.
const PATIENCE: Duration = Duration::from_secs(2);
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
    unlearnt: Seldom,
}

/// Beats until it is dropped. A host that stops lets its duties run out.
pub(super) async fn run(member: &Member, stop: watch::Receiver<bool>) {
    let (mut joining, mut told) = (Joining::default(), Told::default());
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let duties: &[Duty] = if *stop.borrow() { &[] } else { &Duty::ALL };
        if let Err(error) = within(PATIENCE, beat(member, duties, &mut joining, &mut told)).await {
            told.unheard.failed(&error, "the database was not told that this host lives");
            continue;
        }
        // The next beat does not wait for it.
        if let Err(error) = within(EVERY, learn(member)).await {
            told.unlearnt.failed(&error, "what other hosts have learnt of receivers was not read");
        }
    }
}

async fn beat(member: &Member, duties: &[Duty], joining: &mut Joining, told: &mut Told) -> Result<(), Unheard> {
    let (membership, asked) = (&member.membership, member.clock.now());
    let beat = member.hosts.beat(member.id, LIFE, duties).await?;
    let answered = member.clock.now();
    measure(member, Offset::of(asked, beat.clock, answered), told);
    let part = joining.told(beat.part, asked, LIFE, answered.since(asked));
    let is_new = part.is_some() && membership.part(asked).is_none();
    // Both end here before they end there, where they began later.
    membership.set_part(part, asked + LIFE);
    for duty in beat.held {
        membership.set_duty(duty, asked + LIFE);
    }
    if is_new {
        tracing::info!(host.id = %member.id, hosts = beat.part.of, "this host takes its part");
        member.lanes.nudge().notify_one();
    }
    Ok(())
}

fn measure(member: &Member, offset: Offset, told: &mut Told) {
    if !std::mem::replace(&mut told.clock, true) || offset.doubt <= SHARP {
        member.membership.set_offset(offset);
    }
    if offset.at_least() > APART && told.apart.is_due() {
        tracing::warn!(
            ahead_ms = offset.ahead,
            "the database's clock differs from this host's; hosts that share a database need clocks that agree"
        );
    }
}

/// Takes over what the others' settlements say of receivers.
async fn learn(member: &Member) -> Result<(), Unheard> {
    let moment = member.lanes.moment();
    member.lanes.learn(member.ledger.healths().await?, moment);
    Ok(())
}
