//! What each endpoint may have in hand, and when it is its turn.
//!
//! Here the lanes of all endpoints meet the slots of the process. Where several
//! hosts share the database, a lane has this host's part of its endpoint's pace,
//! and hears what the others have learnt of its receiver.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::delivery::Outcome;
use crate::domain::endpoint::Endpoint;
use crate::domain::health::Health;
use crate::domain::host::{Membership, Part};
use crate::domain::id::{EndpointId, TenantId};
use crate::domain::pace::Pace;
use crate::domain::time::Timestamp;

mod known;
mod lane;
mod slots;

pub use known::{Moment, Noted};
pub use lane::{SLOTS_PER_ENDPOINT, Turn};
pub use slots::{SLOTS, SLOTS_PER_TENANT};

use known::Known;
use lane::Lane;
use slots::{Kind, Slots};

/// A host that has no part of anything asks again after this long.
const APART: Duration = Duration::from_secs(1);
/// Lanes that are remembered; beyond, those of idle endpoints are forgotten.
const REMEMBERED: usize = 20_000;

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
    slots: Slots,
    lanes: HashMap<EndpointId, Lane>,
    /// Lanes that could not be forgotten the last time: looking through all of
    /// them is for when there are many more.
    kept: usize,
    /// When something was learnt here last.
    moment: Moment,
}

/// What the store does not have of an endpoint's receiver, for whoever tells it. It was
/// not told when this is dropped.
pub struct News {
    endpoint: EndpointId,
    health: Health,
    is_told: bool,
    lanes: Lanes,
}

/// Room for one delivery; free again when it is dropped.
pub struct Slot {
    tenant: TenantId,
    endpoint: EndpointId,
    kind: Kind,
    lanes: Lanes,
}

impl Lanes {
    /// With what an earlier run or other hosts have learnt.
    pub fn remembering(healths: Vec<(EndpointId, Health)>, membership: Membership) -> Self {
        let lanes = Self(Arc::new(Shared { membership, ..Shared::default() }));
        let known = healths.into_iter().map(|(endpoint, health)| (endpoint, Lane::new(Known::remembered(health))));
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
        let is_full = state.slots.is_full(endpoint.tenant);
        let lane = state.lane(endpoint.id);
        if is_full || lane.room(&endpoint.pace, part, now) == 0 {
            lane.leave_more();
            return None;
        }
        Some(self.take(&mut state, endpoint.tenant, endpoint.id, Kind::Fresh))
    }

    /// Room for an errand: as bounded as deliveries, but what is known of the
    /// receiver does not matter, because its owner asks.
    pub fn reserve_errand(&self, endpoint: &Endpoint) -> Option<Slot> {
        let mut state = lock(&self.0);
        let room = state.lane(endpoint.id).room_regardless();
        let is_free = !state.slots.is_full(endpoint.tenant) && room > 0;
        is_free.then(|| self.take(&mut state, endpoint.tenant, endpoint.id, Kind::Fresh))
    }

    /// A slot for a delivery that was claimed from the store: it is held already,
    /// so there is no asking whether it may be. Claiming is what keeps to
    /// [`Self::room`].
    pub fn admit(&self, tenant: TenantId, endpoint: EndpointId) -> Slot {
        self.take(&mut lock(&self.0), tenant, endpoint, Kind::Stored)
    }

    fn take(&self, state: &mut State, tenant: TenantId, endpoint: EndpointId, kind: Kind) -> Slot {
        state.slots.take(tenant, kind);
        state.lane(endpoint).take();
        Slot { tenant, endpoint, kind, lanes: self.clone() }
    }

    /// Slots that are taken: by fresh deliveries and by those from the store.
    pub fn held(&self) -> (usize, usize) {
        lock(&self.0).slots.held()
    }

    /// How many deliveries may be claimed in all.
    pub fn free(&self) -> usize {
        lock(&self.0).slots.free()
    }

    /// How many more a tenant may hold.
    pub fn free_of(&self, tenant: TenantId) -> usize {
        lock(&self.0).slots.free_of(tenant)
    }

    /// How many more deliveries may be claimed for an endpoint that has some due;
    /// the rest of them is asked for as the lane empties.
    pub fn room(&self, endpoint: EndpointId, pace: &Pace, now: Timestamp) -> usize {
        let part = self.part(endpoint, now);
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        lane.leave_more();
        lane.room(pace, part, now)
    }

    /// The same for one that is gone or disabled: nobody is sent anything.
    pub fn room_to_cancel(&self, endpoint: EndpointId, now: Timestamp) -> usize {
        if self.part(endpoint, now).is_none() {
            return 0;
        }
        let mut state = lock(&self.0);
        let lane = state.lane(endpoint);
        lane.leave_more();
        lane.room_regardless()
    }

    /// How many requests to an endpoint this host may have in flight. Where it is
    /// none, [`Self::turn`] says so.
    pub fn in_flight(&self, endpoint: EndpointId, pace: &Pace, now: Timestamp) -> u16 {
        self.part(endpoint, now).and_then(|part| pace.of(part)).map_or(1, |pace| pace.in_flight)
    }

    /// Asks for a turn to attempt a delivery.
    pub fn turn(&self, endpoint: &Endpoint, now: Timestamp) -> Turn {
        let Some(part) = self.part(endpoint.id, now) else { return Turn::NotBefore(now + APART) };
        lock(&self.0).lane(endpoint.id).turn(&endpoint.pace, part, now)
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
        let (lane, moment) = state.learns(endpoint);
        lane.note(outcome, now, moment)
    }

    /// What is to be told to the store of an endpoint, unless somebody is doing that.
    pub fn news(&self, endpoint: EndpointId) -> Option<News> {
        let health = lock(&self.0).lanes.get_mut(&endpoint)?.known.tell()?;
        Some(News { endpoint, health, is_told: false, lanes: self.clone() })
    }

    /// The moment before the store is asked for what [`Self::learn`] takes.
    pub fn moment(&self) -> Moment {
        lock(&self.0).moment
    }

    /// Takes over what the store has of receivers, all of it, since the last time:
    /// what others learnt and wrote with their settlements. What was learnt here
    /// after `asked` is newer.
    pub fn learn(&self, healths: Vec<(EndpointId, Health)>, asked: Moment) {
        let mut said: HashMap<EndpointId, Health> = healths.into_iter().collect();
        let mut state = lock(&self.0);
        for (endpoint, lane) in &mut state.lanes {
            lane.known.hear(said.remove(endpoint).unwrap_or_default(), asked);
        }
        for (endpoint, theirs) in said {
            state.lane(endpoint).known.hear(theirs, asked);
        }
    }

    /// What is known of an endpoint's receiver.
    pub fn health(&self, endpoint: EndpointId) -> Health {
        lock(&self.0).lanes.get(&endpoint).map(|lane| lane.known.health()).unwrap_or_default()
    }

    /// Somebody asks for an attempt by hand: it is made now, circuit or not.
    pub fn probe(&self, endpoint: EndpointId) {
        let mut state = lock(&self.0);
        if state.lanes.contains_key(&endpoint) {
            let (lane, moment) = state.learns(endpoint);
            lane.known.probe(moment);
        }
        drop(state);
        self.0.nudge.notify_one();
    }

    /// Its owner has mended it: what was known of it is of no use any more.
    pub fn forget(&self, endpoint: EndpointId) {
        let mut state = lock(&self.0);
        if state.lanes.contains_key(&endpoint) {
            let (lane, moment) = state.learns(endpoint);
            lane.forget(moment);
        }
    }

    /// No room is given any more: the host stops, and what waits is for others.
    pub fn close(&self) {
        lock(&self.0).slots.close();
    }

    /// The next place in an ordered endpoint's lines: the time in microseconds, by
    /// the clock that all hosts go by, and no place twice.
    pub fn place(&self, endpoint: EndpointId, now: Timestamp) -> i64 {
        let now = self.0.membership.in_step(now);
        lock(&self.0).lane(endpoint).place(now)
    }
}

impl State {
    fn lane(&mut self, endpoint: EndpointId) -> &mut Lane {
        if self.lanes.len() >= REMEMBERED.max(2 * self.kept) && !self.lanes.contains_key(&endpoint) {
            self.lanes.retain(|_, lane| !lane.is_idle());
            self.kept = self.lanes.len();
        }
        self.lanes.entry(endpoint).or_insert_with(|| Lane::new(Known::default()))
    }

    /// The lane of an endpoint of which something is learnt here, and the moment of
    /// it.
    fn learns(&mut self, endpoint: EndpointId) -> (&mut Lane, Moment) {
        let moment = self.moment.next();
        self.moment = moment;
        (self.lane(endpoint), moment)
    }
}

impl News {
    pub fn health(&self) -> Health {
        self.health
    }

    /// The store has it now.
    pub fn told(mut self) {
        self.is_told = true;
        let mut state = lock(&self.lanes.0);
        let (lane, moment) = state.learns(self.endpoint);
        lane.known.told(self.health, moment);
    }
}

impl Drop for News {
    fn drop(&mut self) {
        if !self.is_told
            && let Some(lane) = lock(&self.lanes.0).lanes.get_mut(&self.endpoint)
        {
            lane.known.not_told();
        }
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
        state.slots.give_back(self.tenant, self.kind);
        if state.lanes.get_mut(&self.endpoint).is_some_and(Lane::give_back) {
            self.lanes.0.nudge.notify_one();
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::lane::{FIRST_WINDOW, IN_HAND};
    use super::slots::SLOTS_OF_A_KIND;
    use super::*;
    use crate::domain::delivery::Unreachable;
    use crate::domain::endpoint::Status;
    use crate::domain::subscription::Subscription;
    use crate::domain::url::DeliveryUrl;

    const SUCCESS: Outcome = Outcome::Accepted { status: 204 };
    const REFUSED: Outcome = Outcome::Refused { status: 500, retry_after: None, word: None };
    const HANGS: Outcome = Outcome::Unreachable(Unreachable::TimedOut(Duration::from_secs(15)));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn ill() -> Health {
        Health { failing_since: Some(at(0)), weight: 10, trips: 1, not_before: Some(at(30)), warnings: 0 }
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
    fn a_receiver_that_the_store_does_not_name_is_well() {
        let crm = endpoint(1, 1, Pace::default());
        let lanes = Lanes::remembering(vec![(crm.id, ill())], Membership::default());
        assert_eq!(lanes.health(crm.id), ill());
        // The store was asked before something was learnt and written here.
        let asked = lanes.moment();
        lanes.note(crm.id, &REFUSED, at(40));
        let failed = lanes.health(crm.id);
        lanes.news(crm.id).expect("it failed").told();
        lanes.learn(Vec::new(), asked);
        assert_eq!(lanes.health(crm.id), failed);
        lanes.learn(Vec::new(), lanes.moment());
        assert!(lanes.health(crm.id).is_well());
    }

    #[test]
    fn hosts_probe_one_after_the_other() {
        let crm = endpoint(1, 1, Pace::default());
        let hosts = [0, 1].map(|rank| of_a_host(rank, 2));
        let free_at = |lanes: &Lanes| {
            lanes.learn(vec![(crm.id, ill())], lanes.moment());
            (30..40).find(|second| lanes.room(crm.id, &crm.pace, at(*second)) > 0)
        };
        let mut first = hosts.each_ref().map(free_at);
        first.sort_unstable();
        assert_eq!(first, [Some(30), Some(32)]);
    }
}
