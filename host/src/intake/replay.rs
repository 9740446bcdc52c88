//! Replays: new deliveries of what was recorded.

use std::sync::Arc;
use std::time::Duration;

use super::{Intake, IntakeError, Routed};
use crate::clock::mint;
use crate::domain::id::{DeliveryId, EndpointId, TenantId};
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{Delivery, DeliveryQuery, FreshDelivery, Start};

/// What a replay sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// The message of then, where the pipeline had made one.
    AsSent,
    /// What the endpoint's pipeline makes of the event now.
    Current,
}

/// How many deliveries one recording makes anew.
const PORTION: u32 = 200;
/// Between two looks whether the store has room again.
const AFTER_FULL: Duration = Duration::from_millis(100);

impl Intake {
    /// Makes a new delivery for each that `query` finds, in portions; each is
    /// stored before the next is looked for. Answers how many.
    ///
    /// Replays go through the store, never over the fast path: a large one must
    /// not take the slots of events that arrive meanwhile.
    pub async fn replay(&self, tenant: TenantId, query: DeliveryQuery, through: Through) -> Result<u64, IntakeError> {
        // The oldest first: an ordered endpoint gets them in their order again.
        let mut query = DeliveryQuery { limit: PORTION, oldest_first: true, ..query };
        let mut made = 0;
        loop {
            let found = self.ledger.deliveries(tenant, query.clone()).await?;
            let Some(last) = found.last() else { break };
            query.newer_than = Some(last.id);
            self.record_anew(tenant, &found, through).await?;
            made += found.len() as u64;
        }
        Ok(made)
    }

    /// Waits where another caller would be told to come back: what is half
    /// replayed and asked for again would be sent twice.
    async fn record_anew(&self, tenant: TenantId, found: &[Delivery], through: Through) -> Result<(), IntakeError> {
        loop {
            let mut routed = Routed { deliveries: Vec::with_capacity(found.len()), claims: Vec::new() };
            for delivery in found {
                routed.deliveries.push(self.anew(tenant, delivery, through).await?);
            }
            match self.record(tenant, None, Vec::new(), routed, None).await {
                Err(IntakeError::Store(StoreError::Full)) => tokio::time::sleep(AFTER_FULL).await,
                recorded => return recorded.map(|_no_events| ()),
            }
        }
    }

    async fn anew(
        &self,
        tenant: TenantId,
        delivery: &Delivery,
        through: Through,
    ) -> Result<FreshDelivery, IntakeError> {
        let message = match through {
            Through::AsSent => self.message_of(tenant, delivery.id).await?,
            Through::Current => None,
        };
        let turn = self.turn_for(tenant, delivery.endpoint);
        Ok(FreshDelivery {
            id: mint(self.clock.now()),
            event: delivery.event,
            endpoint: delivery.endpoint,
            start: self.start_for(tenant, delivery.endpoint, turn),
            turn,
            message,
            replay_of: Some(delivery.id),
        })
    }

    fn start_for(&self, tenant: TenantId, endpoint: EndpointId, turn: Option<Timestamp>) -> Start {
        match self.picture.is_holding(tenant, endpoint) {
            true => Start::Held,
            false => Start::Due(turn.unwrap_or_else(|| self.clock.now())),
        }
    }

    fn turn_for(&self, tenant: TenantId, endpoint: EndpointId) -> Option<Timestamp> {
        let part = self.picture.tenant(tenant);
        let is_ordered = part?.endpoints.get(&endpoint)?.endpoint.pace.ordered;
        is_ordered.then(|| self.handoff.lanes.place(endpoint, self.clock.now()))
    }

    async fn message_of(&self, tenant: TenantId, delivery: DeliveryId) -> Result<Option<Arc<Message>>, StoreError> {
        Ok(self.ledger.prepared(tenant, delivery).await?.and_then(|prepared| prepared.message))
    }
}
