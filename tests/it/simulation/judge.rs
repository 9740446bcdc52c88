//! Looks on: keeps an account of its own of who holds what, what was sent and what
//! was promised, and says what must not have been. It sees all clocks and the true
//! time; nothing of it goes back into the world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hookyard::domain::claim::{Claim, ClaimToken, LONGEST_DEADLINE, MARGIN};
use hookyard::domain::delivery::{Next, State};
use hookyard::domain::id::{DeliveryId, EndpointId};
use hookyard::domain::time::Timestamp;
use hookyard::store::ledger::{FreshDelivery, InLine, Settlement, Start};

use super::clock::{Agreement, MINUTE, SECOND, millis};
use super::findings::{Cause, Figures, Wrong};
use super::model::{Model, Row};

struct Tale {
    endpoint: EndpointId,
    line: Option<InLine>,
    key: usize,
    is_later: bool,
    joined_at: i64,
    by_hand: u32,
    state: State,
    attempts: u32,
    /// The token of whoever holds it.
    holder: Option<ClaimToken>,
    holdings: Vec<Holding>,
    /// When its last attempt ended, on which host, and after what time it was to be
    /// tried again.
    retry: Option<(i64, usize, Duration)>,
}

struct Holding {
    token: ClaimToken,
    host: usize,
    until: Timestamp,
    claimed_at: i64,
    causes: BTreeSet<Cause>,
    send: Option<Send>,
    is_settled: bool,
}

struct Send {
    is_accepted: bool,
    ended_at: Option<i64>,
}

struct Publication {
    began_at: i64,
    acknowledged_at: Option<i64>,
    stored: usize,
}

pub(super) struct Judge {
    agreement: Agreement,
    lease: Duration,
    schedule: usize,
    timeouts: BTreeMap<EndpointId, Duration>,
    tales: BTreeMap<DeliveryId, Tale>,
    publications: BTreeMap<usize, Publication>,
    clocks_set: Vec<i64>,
    /// What was wrong, in the order of time.
    pub(super) wrongs: Vec<(Wrong, String)>,
    pub(super) figures: Figures,
}

/// One host, and what time it is to every host, at a moment.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) truth: i64,
    pub(super) host: usize,
    pub(super) times: &'a [Timestamp],
}

impl Moment<'_> {
    fn now(&self) -> Timestamp {
        self.times[self.host]
    }

    /// By how much another host is behind this one.
    fn ahead_of(&self, other: usize) -> i64 {
        self.now().as_millis() - self.times[other].as_millis()
    }
}

impl Judge {
    pub(super) fn new(
        agreement: Agreement,
        lease: Duration,
        schedule: usize,
        timeouts: BTreeMap<EndpointId, Duration>,
    ) -> Self {
        Self {
            agreement,
            lease,
            schedule,
            timeouts,
            tales: BTreeMap::new(),
            publications: BTreeMap::new(),
            clocks_set: Vec::new(),
            wrongs: Vec::new(),
            figures: Figures::default(),
        }
    }

    fn wrong(&mut self, what: Wrong, said: String) {
        self.wrongs.push((what, said));
    }

    pub(super) fn publishes(&mut self, key: usize, truth: i64) {
        self.publications.entry(key).or_insert(Publication { began_at: truth, acknowledged_at: None, stored: 0 });
    }

    pub(super) fn is_acknowledged(&self, key: usize) -> bool {
        self.publications.get(&key).is_some_and(|publication| publication.acknowledged_at.is_some())
    }

    pub(super) fn acknowledged(&mut self, key: usize, truth: i64) {
        let publication = self.publications.get_mut(&key).expect("it was published");
        if publication.acknowledged_at.replace(truth).is_none() {
            self.figures.acknowledged += 1;
        }
    }

    pub(super) fn recorded(
        &mut self,
        at: Moment<'_>,
        key: usize,
        fresh: &[FreshDelivery],
        is_later: bool,
        model: &Model,
    ) {
        let publication = self.publications.get_mut(&key).expect("it was published");
        publication.stored += 1;
        if publication.stored > 1 {
            self.wrong(Wrong::StoredTwice, format!("event {key}"));
        }
        for delivery in fresh {
            let mut tale = Tale {
                endpoint: delivery.endpoint,
                line: model.rows[&delivery.id].line.clone(),
                key,
                is_later,
                joined_at: at.truth,
                by_hand: 0,
                state: State::Pending,
                attempts: 0,
                holder: None,
                holdings: Vec::new(),
                retry: None,
            };
            if let Start::Claimed { token, until } = delivery.start {
                tale.hold(at, token, until);
            }
            self.figures.deliveries += 1;
            self.tales.insert(delivery.id, tale);
        }
    }

    /// `now`, as the taker told the store.
    pub(super) fn claimed(&mut self, at: Moment<'_>, now: Timestamp, claim: &Claim) {
        let id = claim.delivery;
        self.loses(at, now, id);
        self.in_order(id);
        let tale = self.tales.get_mut(&id).expect("it was recorded");
        let is_pending = tale.state == State::Pending;
        tale.hold(at, claim.token, claim.until);
        if !is_pending {
            self.wrong(Wrong::TwoHolders, format!("{id} was claimed after it had come to rest"));
        }
    }

    /// Its holder, if it has one, holds it no more from now on: another takes it.
    fn loses(&mut self, at: Moment<'_>, now: Timestamp, id: DeliveryId) {
        let tale = self.tales.get_mut(&id).expect("it was recorded");
        let timeout = self.timeouts[&tale.endpoint];
        let Some(token) = tale.holder.take() else { return };
        let holding = tale.holding(token).expect("whoever holds it has claimed it");
        let (until, host, truth) = (holding.until, holding.host, at.truth);
        // Before the time that it was claimed for, but for a margin, is over.
        let room = MARGIN + LONGEST_DEADLINE.saturating_sub(timeout);
        if truth - holding.claimed_at < millis(self.lease.saturating_sub(room)) {
            holding.causes.insert(Cause::ClocksApart);
        }
        let is_being_sent = holding.send.as_ref().is_some_and(|send| send.ended_at.is_none());
        let is_excused = !holding.causes.is_empty();
        self.figures.taken_over += 1;
        if now < until {
            self.wrong(Wrong::TwoHolders, format!("{id} at {truth} by host {}: held by {host} until {until}", at.host));
        }
        if is_being_sent && !is_excused {
            self.wrong(Wrong::EarlyTheft, format!("{id} at {truth} by host {}, sent by {host}", at.host));
        }
    }

    /// Of a line, nothing is claimed while an earlier one waits.
    fn in_order(&mut self, id: DeliveryId) {
        let tale = &self.tales[&id];
        let Some(place) = &tale.line else { return };
        let began_at = self.publications[&tale.key].began_at;
        let goes_before = |(other_id, other): &(&DeliveryId, &Tale)| {
            let Some(others) = &other.line else { return false };
            let acknowledged_at = self.publications[&other.key].acknowledged_at;
            let came_before = self.agreement == Agreement::Exact
                && !other.is_later
                && !tale.is_later
                && other.by_hand + tale.by_hand == 0
                && acknowledged_at.is_some_and(|at| at + TOLD_APART < began_at);
            other.endpoint == tale.endpoint
                && others.line == place.line
                && other.state == State::Pending
                && **other_id != id
                && (others.place < place.place || came_before)
        };
        if let Some((other, _)) = self.tales.iter().find(goes_before) {
            let said = format!("{id} was claimed while {other} was pending before it");
            self.wrong(Wrong::OutOfOrder, said);
        }
    }

    pub(super) fn begun(&mut self, at: Moment<'_>, (id, token): (DeliveryId, ClaimToken), is_accepted: bool) {
        self.figures.sent += 1;
        self.alone_in_its_line(id, token);
        self.not_before_its_time(at, id, token);
        let tale = self.tales.get_mut(&id).expect("it was recorded");
        let holding = tale.holding(token).expect("whoever sends has claimed it");
        holding.send = Some(Send { is_accepted, ended_at: None });
        let own = holding.causes.first().copied();
        let mut found = Vec::new();
        for other in tale.holdings.iter().filter(|other| other.token != token) {
            let Some(send) = &other.send else { continue };
            let what = match (send.ended_at.is_some(), send.is_accepted) {
                (false, _) => Wrong::TwoSenders,
                (true, true) => Wrong::Twice,
                (true, false) => continue,
            };
            match own.or(other.causes.first().copied()) {
                Some(cause) => *self.figures.again.entry(cause).or_default() += 1,
                None => found.push((what, format!("{id} at {} by host {}, and by {}", at.truth, at.host, other.host))),
            }
        }
        self.wrongs.extend(found);
    }

    /// One after the other: no two of a line are being sent.
    fn alone_in_its_line(&mut self, id: DeliveryId, token: ClaimToken) {
        let tale = &self.tales[&id];
        let Some(place) = &tale.line else { return };
        if tale.holder != Some(token) {
            // It was taken over, and whoever holds it is asked.
            return;
        }
        let is_being_sent = |(other_id, other): &(&DeliveryId, &Tale)| {
            let Some(others) = &other.line else { return false };
            let sends = |holding: &Holding| holding.send.as_ref().is_some_and(|send| send.ended_at.is_none());
            let holding = other.holdings.last().filter(|last| other.holder == Some(last.token));
            **other_id != id
                && other.endpoint == tale.endpoint
                && others.line == place.line
                && holding.is_some_and(sends)
        };
        let Some((other_id, other)) = self.tales.iter().find(is_being_sent) else { return };
        let claimed_at = other.holdings.last().map_or(0, |last| last.claimed_at);
        let own_claimed_at = tale.holdings.last().map_or(0, |last| last.claimed_at);
        // It joined before one that was held already, or the other did.
        let joined_late = tale.joined_at >= claimed_at || other.joined_at >= own_claimed_at;
        let said = format!("{id} while {other_id} was being sent");
        self.figures.overtaken += 1;
        if !joined_late {
            self.wrong(Wrong::TwoOfALine, said);
        }
    }

    /// Retries keep their distance, whoever makes them.
    fn not_before_its_time(&mut self, at: Moment<'_>, id: DeliveryId, token: ClaimToken) {
        let tale = &self.tales[&id];
        let Some((ended_at, host, delay)) = tale.retry.filter(|_| tale.holder == Some(token)) else { return };
        let delay = millis(delay);
        // A clock that is ahead sees it sooner.
        let sooner = at.ahead_of(host).max(0) + SLACK;
        if at.truth - ended_at + SLACK < delay {
            self.figures.early += 1;
        }
        let was_set = self.clocks_set.iter().any(|set_at| *set_at >= ended_at - LONGEST_WRONG);
        if at.truth - ended_at + sooner < delay && !was_set {
            let said = format!("{id} {} ms after its last attempt, not {delay}", at.truth - ended_at);
            self.wrong(Wrong::TooEarly, said);
        }
    }

    pub(super) fn ended(&mut self, truth: i64, id: DeliveryId, token: ClaimToken) {
        let tale = self.tales.get_mut(&id).expect("it was recorded");
        if let Some(send) = tale.holding(token).and_then(|holding| holding.send.as_mut()) {
            send.ended_at = Some(truth);
        }
    }

    pub(super) fn settled(
        &mut self,
        at: Moment<'_>,
        settlement: &Settlement,
        (before, after): (&Row, &Row),
        said: bool,
    ) {
        let id = settlement.delivery;
        let tale = self.tales.get_mut(&id).expect("it was recorded");
        if tale.holder != Some(settlement.token) {
            self.figures.late += 1;
            if said || before != after {
                self.wrong(Wrong::LateSettlement, format!("{id} at {}: {after:?}, before: {before:?}", at.truth));
            }
            return;
        }
        tale.holder = None;
        let holding = tale.holding(settlement.token).expect("it is held");
        holding.is_settled = true;
        let ended_at = holding.send.as_ref().and_then(|send| send.ended_at);
        tale.state = settlement.next.state();
        tale.retry = None;
        // Counted from its end, not from when that was written down.
        if let (Some(ended_at), Some(_), Next::RetryAt(due_at)) = (ended_at, &settlement.attempt, &settlement.next) {
            tale.retry = Some((ended_at, at.host, due_at.since(settlement.now)));
        }
        let number = settlement.attempt.as_ref().map_or(tale.attempts, |attempt| attempt.number);
        let has_gap = settlement.attempt.is_some() && number != tale.attempts + 1;
        tale.attempts = number;
        let is_many = usize::try_from(number).expect("small") > self.schedule + 1 + tale.by_hand as usize;
        let is_written = (after.state, after.attempts, after.claim) == (tale.state, number, None)
            && (after.due_at == settlement.next.due_at() || after.line.is_some());
        if !said || !is_written {
            self.wrong(Wrong::LateSettlement, format!("{id} at {} is held, and yet: {after:?}", at.truth));
        }
        if has_gap {
            self.wrong(Wrong::NumberGap, format!("{id}: {number}"));
        }
        if is_many {
            self.wrong(Wrong::TooMany, format!("{id}: {number}"));
        }
    }

    /// It was given back unsent, or taken over by the only host.
    pub(super) fn released(&mut self, id: DeliveryId) {
        self.tales.get_mut(&id).expect("it was recorded").holder = None;
    }

    pub(super) fn retried(&mut self, at: Moment<'_>, id: DeliveryId, row: &Row) {
        self.loses(at, at.now(), id);
        let tale = self.tales.get_mut(&id).expect("it was recorded");
        if tale.state == State::Dead {
            tale.joined_at = at.truth;
        }
        (tale.state, tale.retry, tale.line) = (State::Pending, None, row.line.clone());
        tale.by_hand += 1;
        self.figures.hand_retries += 1;
    }

    pub(super) fn cancelled(&mut self, at: Moment<'_>, id: DeliveryId) {
        self.loses(at, at.now(), id);
        self.tales.get_mut(&id).expect("it was recorded").state = State::Cancelled;
    }

    /// Something befell one claim.
    pub(super) fn befell(&mut self, id: DeliveryId, token: ClaimToken, cause: Cause) {
        let Some(tale) = self.tales.get_mut(&id) else { return };
        let Some(holding) = tale.holding(token) else { return };
        let is_being_sent = holding.send.is_some() && !holding.is_settled;
        self.figures.in_flight += usize::from(holding.causes.is_empty() && is_being_sent);
        holding.causes.insert(cause);
    }

    /// Something befell a host, and with it all that it has in hand.
    pub(super) fn befell_host(&mut self, host: usize, truth: i64, cause: Cause) {
        if cause == Cause::ClockSet {
            self.clocks_set.push(truth);
        }
        let mut in_hand = Vec::new();
        for (id, tale) in &mut self.tales {
            for holding in tale.holdings.iter_mut().filter(|one| one.host == host && !one.is_settled) {
                in_hand.push((*id, holding.token));
                if cause == Cause::Killed
                    && let Some(send) = &mut holding.send
                {
                    send.ended_at.get_or_insert(truth);
                }
            }
        }
        for (id, token) in in_hand {
            self.befell(id, token, cause);
        }
    }

    pub(super) fn finish(&mut self, model: &Model, rests: bool) {
        let mut found = Vec::new();
        for (key, publication) in &self.publications {
            let is_stored = self.tales.iter().any(|(id, tale)| tale.key == *key && model.rows.contains_key(id));
            if publication.acknowledged_at.is_some() && !is_stored {
                found.push((Wrong::Lost, format!("event {key}")));
            }
        }
        for (id, tale) in &self.tales {
            let Some(row) = model.rows.get(id) else {
                found.push((Wrong::Lost, id.to_string()));
                continue;
            };
            let sent = |holding: &&Holding| holding.send.is_some();
            let accepted = tale.holdings.iter().filter(|one| one.send.as_ref().is_some_and(|send| send.is_accepted));
            let befallen = tale.holdings.iter().filter(sent).filter(|holding| !holding.causes.is_empty());
            if accepted.count() > 1 + befallen.count() {
                found.push((Wrong::Twice, format!("{id} more often than something befell it in flight")));
            }
            let numbers: Vec<u32> = (1..=tale.attempts).collect();
            if row.numbers != numbers {
                found.push((Wrong::NumberGap, format!("{id}: {:?}", row.numbers)));
            }
            if row.state != tale.state || row.attempts != tale.attempts {
                found.push((Wrong::OtherState, format!("{id}: {row:?}, not {:?}", tale.state)));
            }
            if row.state == State::Pending && (row.due_at.is_none() && row.line.is_none()) {
                found.push((Wrong::Lost, format!("{id} waits for nothing")));
            }
        }
        if !rests {
            found.push((Wrong::NeverRests, "the world went on".to_owned()));
        }
        self.wrongs.extend(found);
    }
}

/// Two hosts put what comes to them within this time in any order: each may be wrong
/// about the store's clock by half the time that its answer took.
const TOLD_APART: i64 = 2 * SECOND;
/// A host whose clock is set knows nothing of it while it is stopped or cut off.
const LONGEST_WRONG: i64 = 5 * MINUTE;
/// Calls and steps of a host take their time.
const SLACK: i64 = 1000;

impl Tale {
    fn hold(&mut self, at: Moment<'_>, token: ClaimToken, until: Timestamp) {
        self.holder = Some(token);
        self.holdings.push(Holding {
            token,
            host: at.host,
            until,
            claimed_at: at.truth,
            causes: BTreeSet::new(),
            send: None,
            is_settled: false,
        });
    }

    fn holding(&mut self, token: ClaimToken) -> Option<&mut Holding> {
        self.holdings.iter_mut().find(|holding| holding.token == token)
    }
}
