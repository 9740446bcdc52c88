//! Publishers, and how a host takes in what they publish, as `intake` does it: one
//! event, a delivery to each endpoint, those that may go at once claimed already.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use hookyard::domain::claim::Claim;
use hookyard::domain::endpoint::Endpoint;
use hookyard::domain::event::Event;
use hookyard::domain::time::Timestamp;
use hookyard::handoff::lanes::Slot;
use hookyard::store::ledger::{FreshDelivery, Idempotency, InLine, Recording, Start};

use super::clock::SECOND;
use super::world::{Act, Asked, Call, Step, World};

/// A publisher that has heard nothing asks again.
const PUBLISHER_ASKS_AGAIN: i64 = 15 * SECOND;

/// An event that somebody wants published.
#[derive(Clone)]
pub(super) struct Drafted {
    pub(super) subject: Option<String>,
    pub(super) deliver_at: Option<Timestamp>,
}

impl World {
    pub(super) fn publish(&mut self, key: usize) {
        if self.judge.is_acknowledged(key) {
            return;
        }
        self.judge.publishes(key, self.truth);
        let host = self.chance.below(self.hosts.len());
        if self.hosts[host].is_alive {
            self.later(host, 1, Act::Publish(key));
        }
        self.after(PUBLISHER_ASKS_AGAIN, Step::Publish(key));
    }

    pub(super) fn take_in(&mut self, host: usize, key: usize) {
        if self.hosts[host].is_stopping {
            return;
        }
        let now = self.now(host);
        let draft = self.drafts[key].clone();
        let event = Arc::new(Event {
            id: self.id(now),
            tenant: self.tenant,
            event_type: "order.paid".parse().expect("an event type"),
            occurred_at: now,
            received_at: now,
            deliver_at: draft.deliver_at,
            subject: draft.subject,
            account: None,
            tags: Vec::new(),
            data: serde_json::value::RawValue::from_string("null".to_owned()).expect("JSON").into(),
            request_id: None,
            traceparent: None,
            data_gone_at: None,
        });
        let mut deliveries = Vec::new();
        let mut claims = Vec::new();
        for endpoint in self.endpoints.clone() {
            let (fresh, claim) = self.deliver(host, &endpoint, &event);
            deliveries.push(fresh);
            claims.extend(claim);
        }
        let fingerprint = [0; 32];
        let recording = Recording {
            tenant: self.tenant,
            received: None,
            events: vec![event],
            deliveries,
            idempotency: Some(Idempotency { key: key.to_string(), fingerprint, now }),
            portion: None,
        };
        let is_later = draft.deliver_at.is_some();
        let asked = Asked { key, recording, is_later, claims: RefCell::new(claims), now };
        self.call(host, Call::Record(Rc::new(asked)));
    }

    fn deliver(
        &mut self,
        host: usize,
        endpoint: &Endpoint,
        event: &Arc<Event>,
    ) -> (FreshDelivery, Option<(Claim, Slot)>) {
        let now = self.now(host);
        let id = self.id(now);
        let later = event.deliver_at.filter(|at| *at > now);
        let lanes = self.hosts[host].lanes.clone();
        let place = endpoint.pace.ordered.line(event).map(|line| InLine {
            line,
            place: later.map_or_else(|| lanes.place(endpoint.id, now), Timestamp::as_micros),
        });
        let is_next = later.is_none() && place.is_none();
        let slot = if is_next { lanes.reserve(endpoint, now) } else { None };
        let claim = slot.map(|slot| {
            let claim = Claim {
                tenant: self.tenant,
                delivery: id,
                endpoint: endpoint.id,
                token: self.token(),
                until: now + self.rules.lease,
                has_line: false,
                attempts: 0,
                event: event.clone(),
                message: None,
            };
            (claim, slot)
        });
        let start = match &claim {
            Some((claim, _)) => Start::Claimed { token: claim.token, until: claim.until },
            None => Start::Due(later.unwrap_or(now)),
        };
        let fresh =
            FreshDelivery { id, event: event.id, endpoint: endpoint.id, start, place, message: None, replay_of: None };
        (fresh, claim)
    }
}
