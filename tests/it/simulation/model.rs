//! The ledger in memory, as far as claims, settlements and lines go. Each method is
//! one transaction. That it does what an engine does is tested in `likeness`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookyard::domain::claim::{Claim, ClaimToken};
use hookyard::domain::delivery::{CANCELLED_BY_OWNER, State};
use hookyard::domain::event::Event;
use hookyard::domain::health::Health;
use hookyard::domain::host::Part;
use hookyard::domain::id::{DeliveryId, EndpointId, EventId, TenantId};
use hookyard::domain::time::Timestamp;
use hookyard::store::ledger::{InLine, Recorded, Recording, Settlement, Share, Start};

/// Of a line, what is looked at behind whoever joins it, for one that is being sent.
const LOOKED_AT: usize = 32;

/// What may be left out, to see that it is missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeps {
    /// A settlement names its claim, and one that was taken over changes nothing.
    pub(super) fence: bool,
    /// Of a line, only the first is due.
    pub(super) lines: bool,
    /// Whoever joins a line before one that is being sent waits for it. PostgreSQL's
    /// triggers keep that.
    pub(super) waits: bool,
}

/// A delivery's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) endpoint: EndpointId,
    pub(super) event: EventId,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) attempts: u32,
    pub(super) due_at: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) claim: Option<ClaimToken>,
    pub(super) line: Option<InLine>,
    pub(super) updated_at: Timestamp,
    /// Of the attempts that are stored.
    pub(super) numbers: Vec<u32>,
}

#[derive(Clone)]
pub(super) struct Model {
    pub(super) rows: BTreeMap<DeliveryId, Row>,
    pub(super) healths: BTreeMap<EndpointId, Health>,
    tenant: TenantId,
    events: BTreeMap<EventId, Arc<Event>>,
    keys: BTreeMap<String, Vec<EventId>>,
    /// Until when each lives, the oldest first.
    hosts: Vec<(Life, Timestamp)>,
    keeps: Keeps,
}

/// A host, and the how manieth of its lives.
pub(super) type Life = (usize, u32);

impl Model {
    pub(super) fn new(tenant: TenantId, keeps: Keeps) -> Self {
        let (rows, healths) = (BTreeMap::new(), BTreeMap::new());
        let (events, keys, hosts) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { rows, healths, tenant, events, keys, hosts, keeps }
    }

    pub(super) fn all_rest(&self) -> bool {
        self.rows.values().all(|row| row.state != State::Pending)
    }

    pub(super) fn beat(&mut self, host: Life, now: Timestamp, until: Timestamp) -> Part {
        match self.hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, lives_until)) => *lives_until = until,
            None => self.hosts.push((host, until)),
        }
        let living: Vec<Life> = self.hosts.iter().filter(|(_, until)| *until > now).map(|(known, _)| *known).collect();
        let rank = living.iter().position(|known| *known == host).expect("it lives");
        let small = |count: usize| u32::try_from(count).expect("few");
        Part { rank: small(rank), of: small(living.len()) }
    }

    pub(super) fn leave_hosts(&mut self, host: Life) {
        self.hosts.retain(|(known, _)| *known != host);
    }

    pub(super) fn record(&mut self, recording: &Recording, now: Timestamp) -> Recorded {
        if let Some(asked) = &recording.idempotency {
            if let Some(events) = self.keys.get(&asked.key) {
                return Recorded::Repeated(events.clone());
            }
            self.keys.insert(asked.key.clone(), recording.events.iter().map(|event| event.id).collect());
        }
        self.events.extend(recording.events.iter().map(|event| (event.id, event.clone())));
        for fresh in &recording.deliveries {
            let (due_at, claim) = match fresh.start {
                Start::Claimed { token, until } => (until, Some(token)),
                Start::Due(at) => (at, None),
            };
            let row = Row {
                endpoint: fresh.endpoint,
                event: fresh.event,
                state: State::Pending,
                reason: None,
                attempts: 0,
                due_at: Some(due_at),
                not_before: None,
                claim,
                line: fresh.place.clone(),
                updated_at: now,
                numbers: Vec::new(),
            };
            self.rows.insert(fresh.id, row);
            self.join(fresh.id, true);
        }
        Recorded::Stored
    }

    pub(super) fn due(&self, now: Timestamp) -> Vec<EndpointId> {
        let mut due: Vec<EndpointId> =
            self.rows.values().filter(|row| row.is_due(now)).map(|row| row.endpoint).collect();
        due.sort();
        due.dedup();
        due
    }

    pub(super) fn claim(
        &mut self,
        now: Timestamp,
        (until, token): (Timestamp, ClaimToken),
        shares: &[Share],
    ) -> Vec<Claim> {
        let mut claims = Vec::new();
        for share in shares {
            let mut due: Vec<(Option<Timestamp>, DeliveryId)> = self
                .rows
                .iter()
                .filter(|(id, row)| row.endpoint == share.endpoint && row.is_due(now) && !self.is_overtaken(**id))
                .map(|(id, row)| (row.due_at, *id))
                .collect();
            due.sort();
            due.truncate(share.limit as usize);
            for (_, id) in due {
                let row = self.rows.get_mut(&id).expect("it was found");
                (row.claim, row.due_at) = (Some(token), Some(until));
                claims.push(Claim {
                    tenant: self.tenant,
                    delivery: id,
                    endpoint: row.endpoint,
                    token,
                    until,
                    has_line: row.line.is_some(),
                    attempts: row.attempts,
                    event: self.events[&row.event].clone(),
                    message: None,
                });
            }
        }
        claims
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> bool {
        let id = settlement.delivery;
        let Some(row) = self.rows.get_mut(&id) else { return false };
        let is_held = row.state == State::Pending && row.claim == Some(settlement.token);
        if self.keeps.fence && !is_held {
            return false;
        }
        let was = row.clone();
        row.state = settlement.next.state();
        row.reason = settlement.next.reason();
        (row.due_at, row.claim, row.updated_at) = (settlement.next.due_at(), None, settlement.now);
        if let Some(attempt) = &settlement.attempt {
            row.attempts = attempt.number;
            row.numbers.push(attempt.number);
        }
        if let Some((endpoint, health)) = settlement.health {
            self.healths.insert(endpoint, health);
        }
        match (was.state, settlement.next.state()) {
            (_, State::Pending) => self.join(id, false),
            (State::Pending, _) => self.leave(&was),
            _ => {}
        }
        true
    }

    /// By hand.
    pub(super) fn retry(&mut self, id: DeliveryId, now: Timestamp) -> Result<(), State> {
        let row = self.rows.get_mut(&id).expect("it is there");
        match row.state {
            State::Dead => {}
            // It is claimed: it is being tried at this moment.
            State::Pending if row.is_held(now) => return Ok(()),
            State::Pending => {}
            other => return Err(other),
        }
        // A dead one comes to its line anew.
        let is_new = row.state == State::Dead;
        row.state = State::Pending;
        (row.due_at, row.claim, row.reason, row.updated_at) = (Some(now), None, None, now);
        self.join(id, is_new);
        Ok(())
    }

    /// By hand.
    pub(super) fn cancel(&mut self, id: DeliveryId, now: Timestamp) -> bool {
        let row = self.rows.get_mut(&id).expect("it is there");
        if row.state != State::Pending || row.is_held(now) {
            return false;
        }
        let was = row.clone();
        row.state = State::Cancelled;
        row.reason = Some(CANCELLED_BY_OWNER.to_owned());
        (row.due_at, row.claim, row.updated_at) = (None, None, now);
        self.leave(&was);
        true
    }

    /// Gives back what is held still; answers what that was.
    pub(super) fn release(&mut self, held: &[(DeliveryId, ClaimToken)], now: Timestamp) -> Vec<DeliveryId> {
        let mut released = Vec::new();
        for (id, token) in held {
            let Some(row) = self.rows.get_mut(id) else { continue };
            if row.state == State::Pending && row.claim == Some(*token) {
                (row.claim, row.due_at) = (None, Some(now));
                self.join(*id, false);
                released.push(*id);
            }
        }
        released
    }

    /// Makes every claimed delivery due at once; answers which.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Vec<DeliveryId> {
        let claimed = |(id, row): (&DeliveryId, &Row)| {
            (row.state == State::Pending && row.due_at.is_some()).then_some((*id, row.claim?))
        };
        let held: Vec<_> = self.rows.iter().filter_map(claimed).collect();
        self.release(&held, now)
    }

    /// What wants its place in its line: whatever is pending and unclaimed, and what
    /// is new.
    fn join(&mut self, id: DeliveryId, is_new: bool) {
        let row = &self.rows[&id];
        if !self.keeps.lines || row.line.is_none() || (!is_new && row.claim.is_some()) {
            return;
        }
        let line = self.line_of(row);
        let at = line.iter().position(|one| *one == id).expect("it is pending");
        if let Some(after) = line.get(at + 1)
            && self.rows[after].claim.is_none()
        {
            match self.rows[after].is_waiting() {
                true => self.rows.get_mut(after).expect("it is in the line").due_at = None,
                false => self.set_back(*after),
            }
        }
        if at > 0 {
            self.set_back(id);
        }
        match self.keeps.waits {
            true if at == 0 => self.wait_for_the_sent(id, &line[1..]),
            // The first may have waited for it.
            true if !is_new => self.wait_no_more(line[0]),
            _ => {}
        }
    }

    /// The first of its line waits for one behind it that is being sent.
    fn wait_for_the_sent(&mut self, id: DeliveryId, behind: &[DeliveryId]) {
        let sent = behind.iter().take(LOOKED_AT).map(|one| &self.rows[one]).find(|row| row.claim.is_some());
        let until = sent.and_then(|row| row.due_at);
        let row = self.rows.get_mut(&id).expect("it is there");
        if let (None, Some(due_at)) = (row.claim, row.due_at) {
            row.not_before = until.map(|_| due_at);
            row.due_at = Some(due_at).max(until);
        }
    }

    fn wait_no_more(&mut self, id: DeliveryId) {
        let row = self.rows.get_mut(&id).expect("it is there");
        if row.is_waiting() {
            row.due_at = row.not_before.take();
        }
    }

    /// `was` is what left its line, before it did.
    fn leave(&mut self, was: &Row) {
        if !self.keeps.lines || was.line.is_none() {
            return;
        }
        let waits = self.keeps.waits;
        let Some(first) = self.line_of(was).first().copied() else { return };
        let first = self.rows.get_mut(&first).expect("it is in the line");
        let is_over = waits && was.claim.is_some() && first.not_before.is_some();
        if first.claim.is_some() || (first.due_at.is_some() && !is_over) {
            return;
        }
        let own = first.not_before.take().unwrap_or(first.updated_at);
        first.due_at = Some(own);
        // What it waited for goes on, and the next waits for it instead.
        if waits && was.is_waiting() {
            (first.not_before, first.due_at) = (Some(own), Some(own).max(was.due_at));
        }
    }

    fn set_back(&mut self, id: DeliveryId) {
        let row = self.rows.get_mut(&id).expect("it is there");
        if let Some(due_at) = row.due_at.take() {
            row.not_before = Some(due_at);
        }
    }

    /// Who is pending in a row's line, the first first.
    fn line_of(&self, row: &Row) -> Vec<DeliveryId> {
        let is_in_it = |other: &&Row| other.state == State::Pending && other.same_line(row);
        let mut line: Vec<_> =
            self.rows.iter().filter(|(_, other)| is_in_it(other)).map(|(id, other)| (other.order(*id), *id)).collect();
        line.sort();
        line.into_iter().map(|(_, id)| id).collect()
    }

    /// Its claim ran out, and an earlier one was retried meanwhile.
    fn is_overtaken(&self, id: DeliveryId) -> bool {
        let row = &self.rows[&id];
        self.keeps.lines
            && row.claim.is_some()
            && row.line.is_some()
            && self.line_of(row).first().is_some_and(|first| *first != id)
    }
}

impl Row {
    /// For one that is being sent.
    fn is_waiting(&self) -> bool {
        self.claim.is_none() && self.due_at.is_some() && self.not_before.is_some()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.state == State::Pending && self.due_at.is_some_and(|at| at <= now)
    }

    fn is_held(&self, now: Timestamp) -> bool {
        self.claim.is_some() && self.due_at.is_none_or(|until| until > now)
    }

    pub(super) fn same_line(&self, other: &Self) -> bool {
        let line = |row: &Self| row.line.as_ref().map(|place| place.line.clone());
        self.line.is_some() && self.endpoint == other.endpoint && line(self) == line(other)
    }

    fn order(&self, id: DeliveryId) -> (i64, EventId, DeliveryId) {
        (self.line.as_ref().map_or(0, |place| place.place), self.event, id)
    }
}
