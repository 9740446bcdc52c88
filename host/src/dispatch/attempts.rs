//! Attempts that were begun, each a task, and the claims that they are of: what
//! was not begun in the end is given back by these.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use super::background::Background;
use super::{Carried, Dispatch, carry, handshake};
use crate::handoff::{Errand, Held};
use crate::store::ledger::Unbegun;

#[derive(Default)]
pub(super) struct Attempts {
    tasks: JoinSet<Carried>,
    /// Errands have none.
    claims: HashMap<Id, Unbegun>,
}

impl Attempts {
    pub(super) fn begin(
        &mut self,
        dispatch: &Arc<Dispatch>,
        held: Held,
        stop: &watch::Receiver<bool>,
        background: &Background,
    ) {
        let (claim, waited) = (Unbegun::from(held.claim()), held.has_waited());
        let carried = carry(dispatch.clone(), held, stop.clone());
        let task = match waited {
            true => self.tasks.spawn_on(carried, &background.handle()),
            false => self.tasks.spawn(carried),
        };
        self.claims.insert(task.id(), claim);
    }

    pub(super) fn run(&mut self, dispatch: &Arc<Dispatch>, errand: Errand) {
        let dispatch = dispatch.clone();
        self.tasks.spawn(async move {
            handshake::run(&dispatch, errand).await;
            Carried::Over
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next that ends; answers the claim of one that made nothing.
    /// Nothing is awaited where none is left.
    pub(super) async fn next(&mut self) -> Option<Option<Unbegun>> {
        let ended = self.tasks.join_next_with_id().await?;
        Some(self.unbegun(ended))
    }

    /// The same of one that has ended already.
    pub(super) fn ended(&mut self) -> Option<Option<Unbegun>> {
        let ended = self.tasks.try_join_next_with_id()?;
        Some(self.unbegun(ended))
    }

    fn unbegun(&mut self, ended: Result<(Id, Carried), JoinError>) -> Option<Unbegun> {
        let (id, carried) = match ended {
            Ok(ended) => ended,
            // What a panic left is taken over when its claim runs out, not at once:
            // it may panic again.
            Err(error) => (error.id(), Carried::Over),
        };
        self.claims.remove(&id).filter(|_| carried == Carried::NotBegun)
    }

    /// Cuts off all that is left; answers the claims of what has not ended.
    pub(super) async fn cut_off(mut self) -> Vec<Unbegun> {
        self.tasks.abort_all();
        let mut left = Vec::new();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            match ended {
                Ok((id, Carried::Over)) => drop(self.claims.remove(&id)),
                Ok((id, Carried::NotBegun)) => left.extend(self.claims.remove(&id)),
                Err(error) => left.extend(self.claims.remove(&error.id())),
            }
        }
        left
    }
}
