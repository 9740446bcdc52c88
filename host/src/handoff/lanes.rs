//! What each endpoint may have in hand, and when it is its turn.
//!
//! A lane begins narrow and widens with each success, as TCP's slow start does:
//! receivers that hang take few slots before anybody knows, however many of them
//! there are.
//!
//! Where several hosts share the database, a lane has this host's part of its
//! endpoint's pace, and hears what the others have learnt of its receiver.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::delivery::{Outcome, Unreachable};
use crate::domain::endpoint::Endpoint;
use crate::domain::health::{Circuit, Health};
use crate::domain::host::{Membership, Part};
use crate::domain::id::{EndpointId, TenantId};
use crate::domain::pace::{HostPace, Order, Pace, Turns};
use crate::domain::time::Timestamp;

/// At most this many deliveries are held by one process at a time.
pub const SLOTS: usize = 4096;
/// Of these for fresh deliveries, and as many for those from the store: neither
/// keeps the other out.
const SLOTS_OF_A_KIND: usize = SLOTS / 4 * 3;
/// For one tenant, so that one tenant's hanging receivers leave room.
pub const SLOTS_PER_TENANT: usize = SLOTS / 4;
/// And for one endpoint.
pub const SLOTS_PER_ENDPOINT: usize = 256;
/// Of a receiver that nothing is known of yet.
const FIRST_WINDOW: usize = 2;
/// A rate-limited endpoint holds what it sends within this time; a claim lasts
/// longer than that.
const AHEAD: Duration = Duration::from_secs(5);
/// For each request that may be in flight, so many are held: more would wait
/// here until their claims run out.
const IN_HAND: usize = 4;
/// A host that has no part of anything asks again after this long.
const APART: Duration = Duration::from_secs(1);
/// From one host's probe of a receiver to the next one's: by then the others have
/// heard what came of the first, if it was answered at once.
const BETWEEN_PROBES: Duration = Duration::from_secs(2);
/// Lanes that are remembered; beyond, those of idle endpoints are forgotten.
const REMEMBERED: usize = 20_000;

/// Where a delivery came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fresh,
    Stored,
}

/// The lanes of one process.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something may have become due in the store, or room for it was made.
    nudge: Arc<Notify>,
    membership: Membership,
}

#[derive(Default)]
struct State {
    fresh: usize,
    stored: usize,
    tenants: HashMap<TenantId, usize>,
    lanes: HashMap<EndpointId, Lane>,
    /// Lanes that could not be forgotten the last time: looking through all of
    /// them is for when there are many more.
    kept: usize,
    /// How often something was learnt here.
    moment: u64,
    /// Nothing is begun any more.
    is_closed: bool,
}

/// A moment in what this host learns: what the store said before it may be older
/// than what was learnt after it.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

struct Lane {
    held: usize,
    /// How many it may hold.
    window: usize,
    /// More may wait in the store.
    more: bool,
    /// The one attempt that a half-open circuit lets through is being made.
    is_probing: bool,
    health: Health,
    /// What the store has of it.
    saved: Health,
    /// When something was learnt here last.
    learnt: u64,
    turns: Turns,
    /// The last place that was given out in an ordered endpoint's lines.
    last_place: i64,
}

/// Room for one delivery; free again when it is dropped.
pub struct Slot {
    tenant: TenantId,
    endpoint: EndpointId,
    kind: Kind,
    lanes: Lanes,
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At this moment, or when it comes.
    At(Timestamp),
    /// Not before then, and then it is to be asked for again.
    NotBefore(Timestamp),
}

/// What an attempt's outcome changed.
pub struct Noted {
    /// What is to be stored, if the store does not have it.
    pub health: Option<Health>,
    pub is_given_up: bool,
    /// Its owner is to be told that it only fails.
    pub is_warned: bool,
}

impl Lanes {
    /// With what an earlier run or other hosts have learnt.
    pub fn remembering(healths: Vec<(EndpointId, Health)>, membership: Membership) -> Self {
        let lanes = Self(Arc::new(Shared { membership, ..Shared::default() }));
        let known =
            healths.into_iter().map(|(endpoint, health)| (endpoint, Lane { health, saved: health, ..Lane::new() }));
        lock(&lanes.0).lanes.extend(known);
        lanes
    }

    /// Whether no other host can have the database.
    pub fn is_alone(&self) -> bool {
        self.0.membership.is_alone()
    }

    pub fn nudge(&self) -> &Arc<Notify> {
        &self.0.nudge
    }

    /// Room for one more fresh delivery to `endpoint`, if there is. Not for one that
    /// waits in line: the store knows who comes first.
    pub fn reserve(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Slot> {
        let part = self.part(endpoint.id, now);
        let mut state = lock(&self.0);
        let is_full = state.is_full(endpoint.tenant) || state.is_closed;
        let lane = state.lane(endpoint.id);
        if is_full || lane.room(&endpoint.pace, part, now) == 0 {
            lane.more = true;
            return None;
        }
        Some(self.take(&mut state, endpoint.tenant, endpoint.id, Kind::Fresh))
    }

    /// Room for an errand: as bounded as deliveries, but what is known of the
    /// receiver does not matter, because its owner asks.
    pub fn reserve_errand(&self, endpoint: &Endpoint) -> Option<Slot> {
        let mut state = lock(&self.0);
        let held = state.lane(endpoint.id).held;
        let is_free = !state.is_closed && !state.is_full(endpoint.tenant) && held < SLOTS_PER_ENDPOINT;
        is_free.then(|| self.take(&mut state, endpoint.tenant, endpoint.id, Kind::Fresh))
    }

    /// A slot for a delivery that was claimed from the store: it is held already,
    /// so there is no asking whether it may be. Claiming is what keeps to
    /// [`Self::room`].
    pub fn admit(&self, tenant: TenantId, endpoint: EndpointId) -> Slot {
        self.take(&mut lock(&self.0), tenant, endpoint, Kind::Stored)
    }

    fn take(&self, state: &mut State, tenant: TenantId, endpoint: EndpointId, kind: Kind) -> Slot {
        *state.count(kind) += 1;
        *state.tenants.entry(tenant).or_default() += 1;
        state.lane(endpoint).held += 1;
        Slot { tenant, endpoint, kind, lanes: self.clone() }
    }

    /// Slots that are taken: by fresh deliveries and by those from the store.
    pub fn held(&self) -> (usize, usize) {
        let state = lock(&self.0);
        (state.fresh, state.stored)
    }

    /// How many deliveries may be claimed in all.
    pub fn free(&self) -> usize {
        let state = lock(&self.0);
        if state.is_closed {
            return 0;
        }
        SLOTS_OF_A_KIND.saturating_sub(state.stored).min(SLOTS.saturating_sub(state.all()))
    }

    /// How many more a tenant may hold.
    pub fn free_of(&self, tenant: TenantId) -> usize {
        lock(&self.0).of_tenant(tenant)
    }

    /// How many more deliveries may be claimed for an endpoint that has some due;
    /// the rest of them is asked for as the lane empties.
    pub fn room(&self, endpoint: EndpointId, pace: &Pace, now: Timestamp) -> usize {
        let part = self.part(endpoint, now);
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        let room = lane.room(pace, part, now);
        lane.more = true;
        room
    }

    /// The same for one that is gone or disabled: nobody is sent anything.
    pub fn room_to_cancel(&self, endpoint: EndpointId, now: Timestamp) -> usize {
        if self.part(endpoint, now).is_none() {
            return 0;
        }
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        lane.more = true;
        SLOTS_PER_ENDPOINT.saturating_sub(lane.held)
    }

    /// How many requests to an endpoint this host may have in flight. Where it is
    /// none, [`Self::turn`] says so.
    pub fn in_flight(&self, endpoint: EndpointId, pace: &Pace, now: Timestamp) -> u16 {
        self.part(endpoint, now).and_then(|part| pace.of(part)).map_or(1, |pace| pace.in_flight)
    }

    /// Asks for a turn to attempt a delivery.
    pub fn turn(&self, endpoint: &Endpoint, now: Timestamp) -> Turn {
        let Some(part) = self.part(endpoint.id, now) else { return Turn::NotBefore(now + APART) };
        // Others have all of it by now; they take it at once.
        let Some(HostPace { spacing, .. }) = endpoint.pace.of(part) else { return Turn::NotBefore(now) };
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint.id);
        match lane.circuit(part, now) {
            Circuit::Open { until } => Turn::NotBefore(until),
            Circuit::HalfOpen if lane.is_probing => Turn::NotBefore(now + endpoint.pace.timeout().unwrap_or(AHEAD)),
            circuit => {
                let next = spacing.map_or(now, |spacing| lane.turns.next(spacing, now));
                if next > now + AHEAD {
                    return Turn::NotBefore(next);
                }
                lane.is_probing = circuit == Circuit::HalfOpen;
                Turn::At(spacing.map_or(now, |spacing| lane.turns.take(spacing, now)))
            }
        }
    }

    /// This host's part of an endpoint's pace. Which host is the first is another one
    /// for another endpoint, so that what falls to one falls to all in turn.
    fn part(&self, endpoint: EndpointId, now: Timestamp) -> Option<Part> {
        let [.., a, b, c, d] = endpoint.bytes();
        self.0.membership.part(now).map(|part| part.turned(u32::from_be_bytes([a, b, c, d])))
    }

    /// Takes note of what an attempt came to.
    pub fn note(&self, endpoint: EndpointId, outcome: &Outcome, now: Timestamp) -> Noted {
        let mut state = lock(&self.0);
        let lane = state.learns(endpoint);
        lane.is_probing = false;
        lane.window = match outcome {
            Outcome::Accepted { .. } => (lane.window * 2).min(SLOTS_PER_ENDPOINT),
            // It says that this is too much for it (Standard Webhooks).
            Outcome::Refused { status: 429 | 502 | 504, .. } => (lane.window / 2).max(1),
            Outcome::Refused { .. } => lane.window,
            Outcome::Unreachable(Unreachable::TimedOut(_)) => 1,
            Outcome::Unreachable(_) => (lane.window / 4).max(1),
        };
        let before = lane.health.warnings;
        lane.health = lane.health.after(outcome, now);
        let is_failure = !matches!(outcome, Outcome::Accepted { .. });
        Noted {
            health: (lane.health != lane.saved).then_some(lane.health),
            is_given_up: is_failure && lane.health.is_given_up(now),
            is_warned: lane.health.warnings > before,
        }
    }

    /// The store has this of an endpoint now.
    pub fn saved(&self, endpoint: EndpointId, health: Health) {
        lock(&self.0).learns(endpoint).saved = health;
    }

    /// The moment before the store is asked for what [`Self::learn`] takes.
    pub fn moment(&self) -> Moment {
        Moment(lock(&self.0).moment)
    }

    /// Takes over what the store has of receivers, all of it, since the last time:
    /// what others learnt and wrote with their settlements. What was learnt here
    /// after `asked` is newer.
    pub fn learn(&self, healths: Vec<(EndpointId, Health)>, asked: Moment) {
        let mut said: HashMap<EndpointId, Health> = healths.into_iter().collect();
        let mut state = lock(&self.0);
        for (endpoint, lane) in &mut state.lanes {
            let theirs = said.remove(endpoint).unwrap_or_default();
            if lane.learnt <= asked.0 {
                lane.hear(theirs);
            }
        }
        for (endpoint, theirs) in said {
            state.lane(endpoint).hear(theirs);
        }
    }

    /// What is known of an endpoint's receiver.
    pub fn health(&self, endpoint: EndpointId) -> Health {
        lock(&self.0).lanes.get(&endpoint).map(|lane| lane.health).unwrap_or_default()
    }

    /// Somebody asks for an attempt by hand: it is made now, circuit or not.
    pub fn probe(&self, endpoint: EndpointId) {
        let mut state = lock(&self.0);
        if state.lanes.contains_key(&endpoint) {
            let lane = state.learns(endpoint);
            lane.health = lane.health.probed_now();
        }
        drop(state);
        self.0.nudge.notify_one();
    }

    /// Its owner has mended it: what was known of it is of no use any more.
    pub fn forget(&self, endpoint: EndpointId) {
        let mut state = lock(&self.0);
        if state.lanes.contains_key(&endpoint) {
            let lane = state.learns(endpoint);
            (lane.health, lane.saved) = (Health::default(), Health::default());
            (lane.window, lane.is_probing) = (FIRST_WINDOW, false);
        }
    }

    /// No room is given any more: the host stops, and what waits is for others.
    pub fn close(&self) {
        lock(&self.0).is_closed = true;
    }

    /// The next place in an ordered endpoint's lines: the time in microseconds, by
    /// the clock that all hosts go by, and no place twice.
    pub fn place(&self, endpoint: EndpointId, now: Timestamp) -> i64 {
        let now = self.0.membership.in_step(now);
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        lane.last_place = now.as_micros().max(lane.last_place + 1);
        lane.last_place
    }
}

impl State {
    fn all(&self) -> usize {
        self.fresh + self.stored
    }

    /// For fresh deliveries of `tenant`.
    fn is_full(&self, tenant: TenantId) -> bool {
        self.fresh >= SLOTS_OF_A_KIND || self.all() >= SLOTS || self.of_tenant(tenant) == 0
    }

    fn count(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Fresh => &mut self.fresh,
            Kind::Stored => &mut self.stored,
        }
    }

    fn of_tenant(&self, tenant: TenantId) -> usize {
        SLOTS_PER_TENANT.saturating_sub(self.tenants.get(&tenant).copied().unwrap_or(0))
    }

    fn lane(&mut self, endpoint: EndpointId) -> &mut Lane {
        if self.lanes.len() >= REMEMBERED.max(2 * self.kept) && !self.lanes.contains_key(&endpoint) {
            self.lanes.retain(|_, lane| !lane.is_idle());
            self.kept = self.lanes.len();
        }
        self.lanes.entry(endpoint).or_insert_with(Lane::new)
    }

    /// The lane of an endpoint of which something is learnt here.
    fn learns(&mut self, endpoint: EndpointId) -> &mut Lane {
        self.moment += 1;
        let moment = self.moment;
        let lane = self.lane(endpoint);
        lane.learnt = moment;
        lane
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            held: 0,
            window: FIRST_WINDOW,
            more: false,
            is_probing: false,
            health: Health::default(),
            saved: Health::default(),
            learnt: 0,
            turns: Turns::default(),
            last_place: 0,
        }
    }

    /// Whether nothing is lost with it: a new one would be the same but for its
    /// window.
    fn is_idle(&self) -> bool {
        self.held == 0 && self.health == self.saved && self.health.is_well() && self.turns == Turns::default()
    }

    /// Takes over what the store says, where somebody else has written it.
    fn hear(&mut self, theirs: Health) {
        if theirs == self.saved {
            return;
        }
        let has_news = self.health != self.saved;
        self.saved = theirs;
        self.health = match (has_news, self.health.is_well(), theirs.is_well()) {
            (_, false, false) => self.health.and(theirs),
            // It goes out with the next settlement.
            (true, ..) => self.health,
            (false, ..) => theirs,
        };
    }

    /// Hosts that wait for the same end would probe the receiver all at once.
    fn circuit(&self, part: Part, now: Timestamp) -> Circuit {
        let later = BETWEEN_PROBES.saturating_mul(part.rank);
        match self.health.not_before {
            Some(until) if self.health.trips > 0 && now < until + later => Circuit::Open { until: until + later },
            _ => self.health.circuit(now),
        }
    }

    /// Whether its rate keeps the next one waiting for longer than it may be
    /// held.
    fn is_far(&self, pace: HostPace, now: Timestamp) -> bool {
        pace.spacing.is_some_and(|spacing| self.turns.next(spacing, now) > now + AHEAD)
    }

    fn room(&self, pace: &Pace, part: Option<Part>, now: Timestamp) -> usize {
        let Some((part, own)) = part.and_then(|part| Some((part, pace.of(part)?))) else { return 0 };
        let most = match self.circuit(part, now) {
            Circuit::Open { .. } => 0,
            _ if self.is_far(own, now) => 0,
            Circuit::HalfOpen => 1,
            Circuit::Closed if pace.ordered == Order::Endpoint => 1,
            Circuit::Closed => {
                let soon = own.spacing.map_or(usize::MAX, |spacing| spacing.within(AHEAD));
                self.window.min(soon).min(IN_HAND * usize::from(own.in_flight))
            }
        };
        most.saturating_sub(self.held)
    }
}

impl Slot {
    pub(super) fn is_stored(&self) -> bool {
        self.kind == Kind::Stored
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = lock(&self.lanes.0);
        *state.count(self.kind) -= 1;
        if let Some(count) = state.tenants.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                state.tenants.remove(&self.tenant);
            }
        }
        if let Some(lane) = state.lanes.get_mut(&self.endpoint) {
            lane.held -= 1;
            if lane.held == 0 {
                lane.is_probing = false;
            }
            // What waits in the store is asked for again when half of what the
            // lane may hold is done.
            if lane.more && lane.held <= lane.window / 2 {
                lane.more = false;
                self.lanes.0.nudge.notify_one();
            }
        }
    }
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Status;
    use crate::domain::pace::{Period, RateLimit};
    use crate::domain::subscription::Subscription;
    use crate::domain::url::DeliveryUrl;

    const SUCCESS: Outcome = Outcome::Accepted { status: 204 };
    const HANGS: Outcome = Outcome::Unreachable(Unreachable::TimedOut(Duration::from_secs(15)));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn endpoint(owner: i64, number: i64, pace: Pace) -> Endpoint {
        Endpoint {
            id: EndpointId::floor(at(number)),
            tenant: TenantId::floor(at(owner)),
            name: String::new(),
            url: DeliveryUrl::stored("https://example.com/").unwrap(),
            subscription: Subscription { event_types: Vec::new(), accounts: Vec::new(), tags: Vec::new() },
            headers: Vec::new(),
            access: Arc::default(),
            pipeline: crate::domain::pipeline::Pipeline::default(),
            retry: None,
            pace,
            dialect: String::new(),
            status: Status::Active,
            revision: 0,
            created_at: at(0),
        }
    }

    /// Takes slots until there are no more.
    fn fill(lanes: &Lanes, endpoint: &Endpoint) -> Vec<Slot> {
        std::iter::from_fn(|| lanes.reserve(endpoint, at(0))).collect()
    }

    fn widen(lanes: &Lanes, endpoint: &Endpoint) {
        for _ in 0..10 {
            lanes.note(endpoint.id, &SUCCESS, at(0));
        }
    }

    #[test]
    fn a_lane_widens_with_success_and_narrows_with_silence() {
        let lanes = Lanes::default();
        let crm = endpoint(1, 1, Pace::default());
        assert_eq!(fill(&lanes, &crm).len(), FIRST_WINDOW);
        lanes.note(crm.id, &SUCCESS, at(0));
        assert_eq!(fill(&lanes, &crm).len(), 2 * FIRST_WINDOW);
        widen(&lanes, &crm);
        assert_eq!(fill(&lanes, &crm).len(), SLOTS_PER_ENDPOINT);
        let one_by_one = Endpoint { pace: Pace { max_in_flight: Some(1), ..Pace::default() }, ..crm.clone() };
        assert_eq!(fill(&lanes, &one_by_one).len(), IN_HAND);
        lanes.note(crm.id, &Outcome::Refused { status: 429, retry_after: None, word: None }, at(0));
        assert_eq!(fill(&lanes, &crm).len(), SLOTS_PER_ENDPOINT / 2);
        lanes.note(crm.id, &HANGS, at(0));
        assert_eq!(fill(&lanes, &crm).len(), 1);
    }

    #[test]
    fn receivers_that_hang_leave_room_for_all_others() {
        let lanes = Lanes::default();
        let _hanging: Vec<_> = (0..1000).map(|n| fill(&lanes, &endpoint(n, n, Pace::default()))).collect();
        assert!(lanes.free() >= SLOTS / 4);
        assert_eq!(fill(&lanes, &endpoint(2000, 2000, Pace::default())).len(), FIRST_WINDOW);
    }

    #[test]
    fn one_tenant_and_each_kind_have_their_bounds() {
        let lanes = Lanes::default();
        let of = |owner: i64| (0..4).map(move |n| endpoint(owner, 10 * owner + n, Pace::default()));
        (1..=4).flat_map(of).for_each(|endpoint| widen(&lanes, &endpoint));
        let mut held: Vec<_> = of(1).flat_map(|endpoint| fill(&lanes, &endpoint)).collect();
        assert_eq!((held.len(), lanes.free_of(TenantId::floor(at(1)))), (SLOTS_PER_TENANT, 0));
        held.extend((2..=4).flat_map(of).flat_map(|endpoint| fill(&lanes, &endpoint)));
        assert_eq!((held.len(), lanes.free()), (SLOTS_OF_A_KIND, SLOTS - SLOTS_OF_A_KIND));
        assert_eq!(lanes.held(), (SLOTS_OF_A_KIND, 0));
        drop(held);
        assert_eq!((lanes.free(), lanes.free_of(TenantId::floor(at(1)))), (SLOTS_OF_A_KIND, SLOTS_PER_TENANT));
    }

    #[test]
    fn a_half_open_circuit_lets_one_through() {
        let crm = endpoint(1, 1, Pace::default());
        let ill = Health { failing_since: Some(at(0)), weight: 10, trips: 1, not_before: Some(at(30)), warnings: 0 };
        let lanes = Lanes::remembering(vec![(crm.id, ill)], Membership::default());
        assert_eq!((lanes.room(crm.id, &crm.pace, at(29)), lanes.turn(&crm, at(29))), (0, Turn::NotBefore(at(30))));
        assert_eq!((lanes.room(crm.id, &crm.pace, at(30)), lanes.turn(&crm, at(30))), (1, Turn::At(at(30))));
        assert_eq!(lanes.turn(&crm, at(30)), Turn::NotBefore(at(30) + AHEAD));
        assert!(lanes.note(crm.id, &SUCCESS, at(31)).health.is_some_and(|health| health.is_well()));
        assert_eq!(lanes.turn(&crm, at(31)), Turn::At(at(31)));
        // Until the store has it, every success says it again.
        assert!(lanes.note(crm.id, &SUCCESS, at(31)).health.is_some());
        lanes.saved(crm.id, Health::default());
        assert!(lanes.note(crm.id, &SUCCESS, at(31)).health.is_none(), "nothing new");
    }

    #[test]
    fn a_rate_holds_no_more_than_it_sends_soon() {
        let lanes = Lanes::default();
        let rate_limit = |limit, per| Pace { rate_limit: Some(RateLimit { limit, per }), ..Pace::default() };
        let slow = endpoint(1, 1, rate_limit(6, Period::Minute));
        widen(&lanes, &slow);
        assert_eq!(fill(&lanes, &slow).len(), 1);
        assert_eq!(lanes.turn(&slow, at(0)), Turn::At(at(0)));
        assert_eq!(lanes.turn(&slow, at(1)), Turn::NotBefore(at(10)));
        assert_eq!((lanes.room(slow.id, &slow.pace, at(4)), lanes.room(slow.id, &slow.pace, at(5))), (0, 1));
        assert_eq!(lanes.turn(&slow, at(6)), Turn::At(at(10)));
    }

    /// The lanes of one of so many hosts.
    fn of_a_host(rank: u32, of: u32) -> Lanes {
        let membership = Membership::outside();
        membership.set_part(Some(Part { rank, of }), at(1000));
        Lanes::remembering(Vec::new(), membership)
    }

    #[test]
    fn a_host_has_its_part_while_it_is_counted() {
        let pace = |max_in_flight| Pace { max_in_flight: Some(max_in_flight), ..Pace::default() };
        let (wide, narrow) = (endpoint(1, 1, pace(9)), endpoint(1, 2, pace(1)));
        let hosts = [0, 1, 2].map(|rank| of_a_host(rank, 3));
        hosts.iter().for_each(|lanes| widen(lanes, &wide));
        assert_eq!(hosts.each_ref().map(|lanes| lanes.in_flight(wide.id, &wide.pace, at(0))), [3; 3]);
        assert_eq!(hosts.each_ref().map(|lanes| fill(lanes, &wide).len()), [3 * IN_HAND; 3]);
        // One of them alone sends there, and the others pass on what they hold.
        let mut turns = hosts.each_ref().map(|lanes| (fill(lanes, &narrow).len(), lanes.turn(&narrow, at(0))));
        turns.sort_by_key(|(room, _)| *room);
        assert_eq!(turns, [(0, Turn::NotBefore(at(0))), (0, Turn::NotBefore(at(0))), (2, Turn::At(at(0)))]);

        let silent = &hosts[0];
        assert_eq!(silent.turn(&wide, at(1000)), Turn::NotBefore(at(1000) + APART));
        assert_eq!((silent.room(wide.id, &wide.pace, at(1000)), silent.room_to_cancel(wide.id, at(1000))), (0, 0));
        silent.close();
        assert!(silent.reserve(&wide, at(0)).is_none() && silent.reserve_errand(&wide).is_none());
        assert_eq!(silent.free(), 0);
    }

    #[test]
    fn what_others_learnt_is_heard_and_what_is_known_better_stays() {
        let (lanes, crm) = (Lanes::default(), endpoint(1, 1, Pace::default()));
        let refused = Outcome::Refused { status: 500, retry_after: None, word: None };
        let ill = Health { failing_since: Some(at(0)), weight: 10, trips: 1, not_before: Some(at(30)), warnings: 0 };
        let hear = |healths: &[Health]| {
            lanes.learn(healths.iter().map(|health| (crm.id, *health)).collect(), lanes.moment());
            lanes.health(crm.id)
        };
        assert_eq!((hear(&[ill]), hear(&[ill])), (ill, ill));
        // Somebody was answered, or its owner has mended it.
        assert_eq!(hear(&[]), Health::default());
        // Failures of both.
        lanes.note(crm.id, &refused, at(40));
        assert_eq!(hear(&[ill]), ill);
        // It was answered here, which the store does not have yet.
        lanes.note(crm.id, &SUCCESS, at(41));
        assert!(hear(&[Health { trips: 2, ..ill }]).is_well());
        assert!(lanes.note(crm.id, &SUCCESS, at(42)).health.is_some_and(|health| health.is_well()), "it is told");

        // The store was asked before something was learnt and written here.
        let asked = lanes.moment();
        lanes.note(crm.id, &refused, at(43));
        let failed = lanes.health(crm.id);
        lanes.saved(crm.id, failed);
        lanes.learn(Vec::new(), asked);
        assert_eq!(lanes.health(crm.id), failed);
        assert!(hear(&[]).is_well());
    }

    #[test]
    fn hosts_probe_one_after_the_other() {
        let crm = endpoint(1, 1, Pace::default());
        let ill = Health { failing_since: Some(at(0)), weight: 10, trips: 1, not_before: Some(at(30)), warnings: 0 };
        let hosts = [0, 1].map(|rank| of_a_host(rank, 2));
        let free_at = |lanes: &Lanes| {
            lanes.learn(vec![(crm.id, ill)], lanes.moment());
            (30..40).find(|second| lanes.room(crm.id, &crm.pace, at(*second)) > 0)
        };
        let mut first = hosts.each_ref().map(free_at);
        first.sort_unstable();
        assert_eq!(first, [Some(30), Some(32)]);
    }

    #[test]
    fn an_ordered_lane_holds_one_and_gives_each_place_once() {
        let lanes = Lanes::default();
        let line = endpoint(1, 1, Pace { ordered: Order::Endpoint, ..Pace::default() });
        widen(&lanes, &line);
        assert_eq!(lanes.room(line.id, &line.pace, at(0)), 1);
        let places = [at(1), at(1), at(1), at(0)].map(|now| lanes.place(line.id, now));
        assert_eq!(places, [1_000_000, 1_000_001, 1_000_002, 1_000_003]);
    }
}
