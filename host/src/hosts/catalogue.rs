//! What the others have changed: their tenants' parts of the picture are read
//! again, and the plugins that came with it are made ready before somebody's
//! events wait for them.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::{Lacking, Member, Seldom, Unheard, within};
use crate::domain::id::TenantId;
use crate::domain::plugin::{Digest, Owner};
use crate::house;
use crate::store::StoreError;
use crate::store::picture::{TenantPicture, digests};

/// Twice in the second within which every host is to know of a change.
const EVERY: Duration = Duration::from_millis(500);
/// One answer takes no longer, or does not come: twice as long, and `/readyz` says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// A part of the catalogue that was not read, if it was not the list of those that have
/// changed, and why.
#[derive(Debug)]
struct Unread {
    owner: Option<Owner>,
    why: Unheard,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            None => self.why.fmt(f),
            Some(Owner::House) => write!(f, "the first-party plugins: {}", self.why),
            Some(Owner::Tenant(tenant)) => write!(f, "tenant {tenant}: {}", self.why),
        }
    }
}

impl std::error::Error for Unread {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.why.source()
    }
}

async fn read<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, Unheard> {
    within(PATIENCE, async { Ok(asked.await?) }).await
}

/// Follows the catalogue until it is dropped; names the tenants that have changed.
pub(super) async fn follow(member: &Member, changed: mpsc::UnboundedSender<TenantId>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut lacking, mut failing) = (member.seen, Lacking::new(), Seldom::default());
    loop {
        tick.tick().await;
        let asked = member.clock.now();
        match catch_up(member, seen, &mut lacking, &changed).await {
            Ok(newest) => {
                seen = newest;
                member.membership.set_followed(asked);
            }
            Err(error) => failing.failed(&error, "what other hosts have changed was not read"),
        }
    }
}

/// Reads again what has changed after version `seen`; answers the newest version. What
/// cannot be read keeps nothing else from being read, and is the answer.
async fn catch_up(
    member: &Member,
    seen: i64,
    lacking: &mut Lacking,
    changed: &mpsc::UnboundedSender<TenantId>,
) -> Result<i64, Unread> {
    let (newest, owners) = read(member.hosts.changed(seen)).await.map_err(|why| Unread { owner: None, why })?;
    let mut caught_up = Ok(newest);
    for owner in &owners {
        let again = match *owner {
            Owner::House => read(member.picture.refresh_house(&*member.catalog)).await,
            Owner::Tenant(tenant) => refresh(member, tenant, lacking).await.inspect(|()| {
                // It is there for as long as this is.
                let _received = changed.send(tenant);
            }),
        };
        // The first failure stays.
        caught_up = caught_up.and_then(|newest| match again {
            Ok(()) => Ok(newest),
            Err(why) => Err(Unread { owner: Some(*owner), why }),
        });
    }
    if !owners.is_empty() {
        // A paused endpoint was resumed, a limit was raised: what waits may go.
        member.lanes.nudge().notify_one();
    }
    caught_up
}

async fn refresh(member: &Member, tenant: TenantId, lacking: &mut Lacking) -> Result<(), Unheard> {
    let picture = &member.picture;
    let before = components(picture.tenant(tenant).as_deref());
    read(picture.refresh(&*member.catalog, tenant)).await?;
    let now = picture.tenant(tenant);
    let after = components(now.as_deref());
    if before.iter().any(|digest| !after.contains(digest)) {
        let mut kept = picture.digests();
        kept.extend(house::digests());
        for digest in before.into_iter().filter(|digest| !kept.contains(digest)) {
            member.sandbox.forget(digest).await;
        }
    }
    // Where it has the dialect's file, another host lets in what this one cannot
    // route.
    let missing =
        now.and_then(|part| part.dialects().find(|name| member.dialects.get(name).is_none()).map(str::to_owned));
    match missing {
        Some(dialect) => {
            if lacking.insert(tenant) {
                tracing::error!(
                    tenant.id = %tenant, dialect,
                    "a dialect that another host has is not here: its events would not be sent from this host; put its \
                     file there and start again"
                );
            }
        }
        None => {
            lacking.remove(&tenant);
        }
    }
    member.membership.set_lacks_dialect(!lacking.is_empty());
    Ok(())
}

fn components(part: Option<&TenantPicture>) -> HashSet<Digest> {
    part.map(|part| digests(&part.plugins).collect()).unwrap_or_default()
}

/// Compiles what the steps of changed tenants need and this host has not compiled,
/// until it is dropped. Whoever needs it sooner compiles it.
pub(super) async fn make_ready(member: &Member, mut changed: mpsc::UnboundedReceiver<TenantId>) {
    while let Some(tenant) = changed.recv().await {
        let Some(part) = member.picture.tenant(tenant) else { continue };
        for digest in house::pinned(&part) {
            member.sandbox.ready(digest).await;
        }
    }
    // Whoever names them goes on for as long as this does.
    std::future::pending().await
}
