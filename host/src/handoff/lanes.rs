//! What each endpoint may have in hand, and when it is its turn.
//!
//! A lane begins narrow and widens with each success, as TCP's slow start does:
//! receivers that hang take few slots before anybody knows, however many of them
//! there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::delivery::{Outcome, Unreachable};
use crate::domain::endpoint::Endpoint;
use crate::domain::health::{Circuit, Health};
use crate::domain::id::{EndpointId, TenantId};
use crate::domain::pace::{Order, Pace, Turns};
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
}

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
    /// With what an earlier run has learnt.
    pub fn remembering(healths: Vec<(EndpointId, Health)>) -> Self {
        let lanes = Self::default();
        let known =
            healths.into_iter().map(|(endpoint, health)| (endpoint, Lane { health, saved: health, ..Lane::new() }));
        lock(&lanes.0).lanes.extend(known);
        lanes
    }

    pub fn nudge(&self) -> &Arc<Notify> {
        &self.0.nudge
    }

    /// Room for one more fresh delivery to `endpoint`, if there is. Not for one that
    /// waits in line: the store knows who comes first.
    pub fn reserve(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Slot> {
        let mut state = lock(&self.0);
        let is_full = state.is_full(endpoint.tenant);
        let lane = state.lane(endpoint.id);
        if is_full || lane.room(&endpoint.pace, now) == 0 {
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
        let is_free = !state.is_full(endpoint.tenant) && held < SLOTS_PER_ENDPOINT;
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
        SLOTS_OF_A_KIND.saturating_sub(state.stored).min(SLOTS.saturating_sub(state.all()))
    }

    /// How many more a tenant may hold.
    pub fn free_of(&self, tenant: TenantId) -> usize {
        lock(&self.0).of_tenant(tenant)
    }

    /// How many more deliveries may be claimed for an endpoint that has some due;
    /// the rest of them is asked for as the lane empties.
    pub fn room(&self, endpoint: EndpointId, pace: &Pace, now: Timestamp) -> usize {
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        let room = lane.room(pace, now);
        lane.more = true;
        room
    }

    /// The same for one that is gone or disabled: nobody is sent anything.
    pub fn room_to_cancel(&self, endpoint: EndpointId) -> usize {
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        lane.more = true;
        SLOTS_PER_ENDPOINT.saturating_sub(lane.held)
    }

    /// Asks for a turn to attempt a delivery.
    pub fn turn(&self, endpoint: &Endpoint, now: Timestamp) -> Turn {
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint.id);
        match lane.health.circuit(now) {
            Circuit::Open { until } => Turn::NotBefore(until),
            Circuit::HalfOpen if lane.is_probing => Turn::NotBefore(now + endpoint.pace.timeout().unwrap_or(AHEAD)),
            circuit => {
                let rate = endpoint.pace.rate_limit;
                let next = rate.map_or(now, |rate| lane.turns.next(rate, now));
                if next > now + AHEAD {
                    return Turn::NotBefore(next);
                }
                lane.is_probing = circuit == Circuit::HalfOpen;
                Turn::At(rate.map_or(now, |rate| lane.turns.take(rate, now)))
            }
        }
    }

    /// Takes note of what an attempt came to.
    pub fn note(&self, endpoint: EndpointId, outcome: &Outcome, now: Timestamp) -> Noted {
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
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
        lock(&self.0).lane(endpoint).saved = health;
    }

    /// What is known of an endpoint's receiver.
    pub fn health(&self, endpoint: EndpointId) -> Health {
        lock(&self.0).lanes.get(&endpoint).map(|lane| lane.health).unwrap_or_default()
    }

    /// Somebody asks for an attempt by hand: it is made now, circuit or not.
    pub fn probe(&self, endpoint: EndpointId) {
        if let Some(lane) = lock(&self.0).lanes.get_mut(&endpoint) {
            lane.health = lane.health.probed_now();
        }
        self.0.nudge.notify_one();
    }

    /// Its owner has mended it: what was known of it is of no use any more.
    pub fn forget(&self, endpoint: EndpointId) {
        if let Some(lane) = lock(&self.0).lanes.get_mut(&endpoint) {
            (lane.health, lane.saved) = (Health::default(), Health::default());
            (lane.window, lane.is_probing) = (FIRST_WINDOW, false);
        }
    }

    /// The next place in an ordered endpoint's lines: the time in microseconds, and
    /// no place twice.
    pub fn place(&self, endpoint: EndpointId, now: Timestamp) -> i64 {
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
            turns: Turns::default(),
            last_place: 0,
        }
    }

    /// Whether nothing is lost with it: a new one would be the same but for its
    /// window.
    fn is_idle(&self) -> bool {
        self.held == 0 && self.health == self.saved && self.health.is_well() && self.turns == Turns::default()
    }

    /// Whether its rate keeps the next one waiting for longer than it may be
    /// held.
    fn is_far(&self, pace: &Pace, now: Timestamp) -> bool {
        pace.rate_limit.is_some_and(|rate| self.turns.next(rate, now) > now + AHEAD)
    }

    fn room(&self, pace: &Pace, now: Timestamp) -> usize {
        let most = match self.health.circuit(now) {
            Circuit::Open { .. } => 0,
            _ if self.is_far(pace, now) => 0,
            Circuit::HalfOpen => 1,
            Circuit::Closed if pace.ordered == Order::Endpoint => 1,
            Circuit::Closed => {
                let soon = pace.rate_limit.map_or(usize::MAX, |rate| rate.within(AHEAD));
                self.window.min(soon).min(IN_HAND * usize::from(pace.in_flight()))
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
        let lanes = Lanes::remembering(vec![(crm.id, ill)]);
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
