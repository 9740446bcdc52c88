//! What this host has to do with the others on its database: it says that it
//! lives, learns its part of what all may do together, keeps the duties that it
//! has for all of them, and hears what they have changed and what they have learnt
//! of receivers. Where the engine lets nobody else in there is nothing to do.
//!
//! How tight what is divided holds is in `docs/hosts.md`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::dialect::Dialects;
use crate::domain::host::Membership;
use crate::domain::id::{HostId, TenantId};
use crate::handoff::lanes::Lanes;
use crate::sandbox::Sandbox;
use crate::shutdown::stopped;
use crate::store::{Catalog, Hosts, Ledger, Picture, StoreError};
use crate::telemetry::Chain;

mod beat;
mod catalogue;

/// Whoever was silent for so long is not counted, and does not count itself.
const LIFE: Duration = Duration::from_secs(5);
/// What goes on failing is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What a host is to the others.
pub struct Member {
    pub id: HostId,
    pub hosts: Arc<dyn Hosts>,
    pub catalog: Arc<dyn Catalog>,
    pub ledger: Arc<dyn Ledger>,
    pub picture: Arc<Picture>,
    /// The version of the catalogue that the picture was begun after.
    pub seen: i64,
    pub lanes: Lanes,
    pub sandbox: Sandbox,
    pub dialects: Arc<Dialects>,
    pub membership: Membership,
    pub clock: Arc<dyn Clock>,
}

/// Goes on until `over` says true; then the host is gone for the others. Its
/// duties are for others to take once `stop` says so.
pub async fn run(member: Member, stop: watch::Receiver<bool>, mut over: watch::Receiver<bool>) {
    if member.membership.is_alone() {
        return stopped(&mut over).await;
    }
    let (wanted, to_make_ready) = mpsc::unbounded_channel();
    tokio::select! {
        () = stopped(&mut over) => {}
        () = beat::run(&member, stop) => {}
        () = catalogue::follow(&member, wanted) => {}
        () = catalogue::make_ready(&member, to_make_ready) => {}
    }
    // They would find out by themselves, later.
    if let Ok(Err(error)) = tokio::time::timeout(LIFE, member.hosts.leave(member.id)).await {
        tracing::warn!(error = %Chain(&error), "the other hosts were not told that this one stops");
    }
}

/// Why the database did not say what it was asked.
#[derive(Debug)]
enum Unheard {
    Store(StoreError),
    /// It may still answer, when that is of no use any more.
    Silent,
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Silent => f.write_str("the database does not answer in time"),
        }
    }
}

impl std::error::Error for Unheard {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Silent => None,
        }
    }
}

impl From<StoreError> for Unheard {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn within<T>(time: Duration, asked: impl Future<Output = Result<T, Unheard>>) -> Result<T, Unheard> {
    tokio::time::timeout(time, asked).await.unwrap_or(Err(Unheard::Silent))
}

/// Tells of what goes on, now and then; also where it passes and comes again.
#[derive(Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= TOLD_EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }

    fn failed(&mut self, error: &(dyn std::error::Error + 'static), what: &'static str) {
        if self.is_due() {
            tracing::error!(error = %Chain(error), "{what}; it is tried again");
        }
    }
}

/// Tenants that speak a dialect which is not here.
type Lacking = BTreeSet<TenantId>;
