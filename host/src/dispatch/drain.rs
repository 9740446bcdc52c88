//! The end of dispatch: nothing more is begun, what is in flight ends, and what
//! this host holds and has not begun is given back, so that another takes it at
//! once and not when its claim runs out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Dispatch;
use super::attempts::Attempts;
use crate::handoff::Held;
use crate::shutdown::stopped;
use crate::store::ledger::Unbegun;
use crate::telemetry::Chain;

/// What dispatch has in hand when it is to stop.
pub(super) struct Remains {
    pub(super) receiver: mpsc::UnboundedReceiver<Held>,
    pub(super) attempts: Attempts,
    pub(super) claiming: JoinHandle<()>,
}

/// Ends when nothing remains once `over` says that nobody hands anything over any
/// more, or `patience` later: then what is in flight is cut off and given back too,
/// and may be sent twice.
pub(super) async fn drain(
    dispatch: &Arc<Dispatch>,
    remains: Remains,
    mut over: watch::Receiver<bool>,
    patience: Duration,
) {
    let Remains { mut receiver, mut attempts, mut claiming } = remains;
    let mut unbegun = Vec::new();
    let (mut claims, mut ends_at) = (true, None);
    loop {
        while let Ok(held) = receiver.try_recv() {
            unbegun.push(held.claim().into());
        }
        // Those that wait all end at about the same moment, and go back together.
        while let Some(ended) = attempts.ended() {
            unbegun.extend(ended);
        }
        give_back(dispatch, &mut unbegun).await;
        if ends_at.is_some() && attempts.is_empty() && !claims && receiver.is_empty() {
            return;
        }
        tokio::select! {
            Some(held) = receiver.recv() => unbegun.push(held.claim().into()),
            Some(ended) = attempts.next() => unbegun.extend(ended),
            _ended = &mut claiming, if claims => claims = false,
            () = stopped(&mut over), if ends_at.is_none() => ends_at = Some(Instant::now() + patience),
            () = tokio::time::sleep_until(ends_at.unwrap_or_else(Instant::now)), if ends_at.is_some() => break,
        }
    }
    claiming.abort();
    let mut left = attempts.cut_off().await;
    if !left.is_empty() {
        tracing::warn!(deliveries = left.len(), "deliveries were still in flight; they are sent again");
    }
    receiver.close();
    while let Some(held) = receiver.recv().await {
        left.push(held.claim().into());
    }
    give_back(dispatch, &mut left).await;
}

async fn give_back(dispatch: &Dispatch, unbegun: &mut Vec<Unbegun>) {
    if unbegun.is_empty() {
        return;
    }
    match dispatch.ledger.release(std::mem::take(unbegun), dispatch.clock.now()).await {
        Ok(deliveries) => tracing::info!(deliveries, "gave back what was not begun"),
        // Their claims run out.
        Err(error) => tracing::warn!(error = %Chain(&error), "what was not begun was not given back"),
    }
}
