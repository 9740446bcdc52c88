//! Retention: what is over its time goes, tenant by tenant, a few rows at a
//! time. After each few the writer is left alone for longer than it was kept
//! busy: whoever publishes meanwhile hardly notices.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Upkeep, days};
use crate::domain::id::TenantId;
use crate::domain::retention::{Keep, Retention};
use crate::domain::time::Timestamp;
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::store::keeping::{Sought, Sweep};
use crate::telemetry::Chain;

/// How often it is looked whether a pass is due.
const LOOK: Duration = Duration::from_secs(1);
/// Between the beginnings of two passes.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Between two passes that begin at the oldest. Those between them go on where
/// the last one ended, and what had to stay is not looked at again.
const WHOLE: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows that are written in one transaction.
const AT_ONCE: u32 = 50;
/// The writer is left alone for this many times what it took.
const REST: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// What was looked through since the last pass that began at the oldest.
struct Progress {
    reached: HashMap<(TenantId, Sought), String>,
    whole_at: Timestamp,
}

/// Sweeps until `stop` says true.
pub(super) async fn run(upkeep: &Upkeep, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(LOOK);
    let mut due = upkeep.clock.now();
    let mut progress = Progress { reached: HashMap::new(), whole_at: due };
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stop) => return,
        }
        if upkeep.clock.now() < due || !upkeep.goes_on(&stop) {
            continue;
        }
        due = upkeep.clock.now() + EVERY;
        match pass(upkeep, &mut progress, &stop).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "what was over its time is gone"),
            Err(error) => tracing::error!(error = %Chain(&error), "a retention sweep failed; it is tried again"),
        }
    }
}

/// Sweeps all tenants once. Answers how many rows went.
async fn pass(upkeep: &Upkeep, progress: &mut Progress, stop: &watch::Receiver<bool>) -> Result<u64, StoreError> {
    let now = upkeep.clock.now();
    if now >= progress.whole_at {
        progress.reached.clear();
        progress.whole_at = now + WHOLE;
    }
    let (mut gone, has_days) = (0, upkeep.ledger.has_days());
    for part in upkeep.picture.tenants() {
        let (tenant, kept) = (part.tenant.id, part.tenant.retention.on(&upkeep.retention));
        for sought in Sought::ALL {
            let by_days = has_days && goes_by_days(&kept, &upkeep.retention, sought);
            let longer = if by_days { days::ROWS_WAIT } else { Duration::ZERO };
            let Some(before) = over(keep(&kept, sought), longer, now) else { continue };
            let begin = match progress.reached.get(&(tenant, sought)) {
                Some(reached) => reached.clone(),
                None => first(upkeep, tenant, sought).await?,
            };
            let (rows, reached, stays_at) = all(upkeep, tenant, (sought, before, begin.clone()), stop).await?;
            gone += rows;
            let Some(reached) = reached else { return Ok(gone) };
            let was_whole = progress.reached.insert((tenant, sought), reached.clone()).is_none();
            let next_begin = stays_at.unwrap_or(reached);
            if was_whole && sought.leaves_rows() && next_begin != begin {
                upkeep.ledger.set_sweep_begin(tenant, sought, next_begin).await?;
            }
        }
    }
    Ok(gone)
}

/// Where the oldest may be.
async fn first(upkeep: &Upkeep, tenant: TenantId, sought: Sought) -> Result<String, StoreError> {
    match sought.leaves_rows() {
        true => upkeep.ledger.sweep_begin(tenant, sought).await,
        false => Ok(String::new()),
    }
}

fn keep(kept: &Retention, sought: Sought) -> Keep {
    match sought {
        Sought::Requests => kept.requests,
        Sought::Events => kept.events,
        Sought::RequestBodies | Sought::EventBodies => kept.bodies,
        Sought::Attempts => kept.attempts,
        Sought::Answers => kept.answers,
    }
}

/// Whether what is sought is of rows that go with a day, which is old for this tenant
/// when it is for everybody, and goes no sooner than they do.
fn goes_by_days(kept: &Retention, server: &Retention, sought: Sought) -> bool {
    let (own, rows, days) = match sought {
        Sought::Requests | Sought::RequestBodies => (keep(kept, sought), kept.requests, server.requests),
        Sought::Events | Sought::EventBodies => (keep(kept, sought), kept.events, server.events),
        Sought::Attempts | Sought::Answers => (keep(kept, sought), kept.attempts, server.attempts),
    };
    rows == days && own >= rows
}

/// What was before that is over its time, where it has so much longer.
pub(super) fn over(keep: Keep, longer: Duration, now: Timestamp) -> Option<Timestamp> {
    match keep {
        Keep::For(time) => {
            let millis = i64::try_from(time.saturating_add(longer).as_millis()).unwrap_or(i64::MAX);
            Some(Timestamp::from_millis(now.as_millis().saturating_sub(millis).max(0)))
        }
        Keep::Forever => None,
    }
}

/// How many rows went, how far it came if to the end, and the oldest that had to
/// stay.
type All = (u64, Option<String>, Option<String>);

async fn all(
    upkeep: &Upkeep,
    tenant: TenantId,
    (sought, before, mut begin): (Sought, Timestamp, String),
    stop: &watch::Receiver<bool>,
) -> Result<All, StoreError> {
    let (mut gone, mut stays_at) = (0, None);
    while upkeep.goes_on(stop) {
        let sweep = Sweep { sought, begin, before, limit: AT_ONCE, now: upkeep.clock.now() };
        let started = Instant::now();
        let swept = upkeep.ledger.sweep(tenant, sweep).await?;
        gone += swept.gone;
        stays_at = stays_at.or(swept.stays_at);
        begin = swept.reached;
        if !swept.is_more {
            return Ok((gone, Some(begin), stays_at));
        }
        if swept.gone > 0 {
            tokio::time::sleep((started.elapsed() * REST).max(SHORTEST_REST)).await;
        }
    }
    Ok((gone, None, stays_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u64) -> Keep {
        Keep::For(Duration::from_secs(days * 24 * 60 * 60))
    }

    #[test]
    fn what_is_old_for_everybody_at_once_goes_by_days() {
        let month = days(30);
        let server = Retention { requests: month, events: month, attempts: month, bodies: month, answers: days(7) };
        let by_days = |kept: Retention| {
            let all = Sought::ALL.into_iter();
            all.filter(|sought| goes_by_days(&kept, &server, *sought)).map(Sought::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(by_days(server), "requests request-bodies events event-bodies attempts");
        // Whoever keeps something for a shorter time has it swept when that is over.
        assert_eq!(by_days(Retention { events: days(29), ..server }), "requests request-bodies attempts");
        assert_eq!(by_days(Retention { requests: days(1), ..server }), "events event-bodies attempts");
        assert_eq!(by_days(Retention { bodies: days(29), ..server }), "requests events attempts");
        assert_eq!(by_days(Retention { attempts: days(1), ..server }), "requests request-bodies events event-bodies");
    }

    #[test]
    fn a_time_ends_that_long_ago() {
        let now = Timestamp::from_millis(100 * 24 * 60 * 60 * 1000);
        let hour = Duration::from_secs(60 * 60);
        assert_eq!(over(days(99), Duration::ZERO, now), Some(Timestamp::from_millis(24 * 60 * 60 * 1000)));
        assert_eq!(over(days(99), hour, now), Some(Timestamp::from_millis(23 * 60 * 60 * 1000)));
        assert_eq!(over(days(101), hour, now), Some(Timestamp::from_millis(0)));
        assert_eq!(over(Keep::Forever, hour, now), None);
    }
}
