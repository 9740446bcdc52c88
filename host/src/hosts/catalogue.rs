//! What the others have changed: their tenants' parts of the picture are read
//! again, and the plugins that came with it are made ready before somebody's
//! events wait for them.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::{Lacking, Member, Seldom};
use crate::domain::id::TenantId;
use crate::domain::plugin::{Digest, Owner};
use crate::house;
use crate::store::StoreError;
use crate::store::picture::{TenantPicture, digests};

/// Twice in the second within which every host is to know of a change.
const EVERY: Duration = Duration::from_millis(500);

/// Follows the catalogue until it is dropped; names the tenants that have changed.
pub(super) async fn follow(member: &Member, changed: mpsc::UnboundedSender<TenantId>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut lacking, mut failing) = (member.seen, Lacking::new(), Seldom::default());
    loop {
        tick.tick().await;
        match catch_up(member, seen, &mut lacking, &changed).await {
            Ok(newest) => (seen, failing) = (newest, Seldom::default()),
            Err(error) => failing.failed(&error.into(), "what other hosts have changed was not read"),
        }
    }
}

/// Reads again what has changed after version `seen`; answers the newest version.
async fn catch_up(
    member: &Member,
    seen: i64,
    lacking: &mut Lacking,
    changed: &mpsc::UnboundedSender<TenantId>,
) -> Result<i64, StoreError> {
    let (newest, owners) = member.hosts.changed(seen).await?;
    for owner in &owners {
        match *owner {
            Owner::House => member.picture.refresh_house(&*member.catalog).await?,
            Owner::Tenant(tenant) => {
                refresh(member, tenant, lacking).await?;
                // It is there for as long as this is.
                let _received = changed.send(tenant);
            }
        }
    }
    if !owners.is_empty() {
        // A paused endpoint was resumed, a limit was raised: what waits may go.
        member.lanes.nudge().notify_one();
    }
    Ok(newest)
}

async fn refresh(member: &Member, tenant: TenantId, lacking: &mut Lacking) -> Result<(), StoreError> {
    let picture = &member.picture;
    let before = components(picture.tenant(tenant).as_deref());
    picture.refresh(&*member.catalog, tenant).await?;
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
