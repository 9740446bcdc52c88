//! What a host does, as `dispatch` and `intake` do it, with the program's own lanes,
//! retries and deadlines: takes events in, claims what is due, sends, settles.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::attempt::Attempt;
use hookyard::domain::claim::{ATTEMPT_DEADLINE, Claim, ClaimToken, MARGIN};
use hookyard::domain::delivery::{self, Next, Outcome};
use hookyard::domain::endpoint::Endpoint;
use hookyard::domain::health::Health;
use hookyard::domain::host::{Joining, Membership, Offset, Part};
use hookyard::domain::id::EndpointId;
use hookyard::domain::retry::Jitter;
use hookyard::domain::time::Timestamp;
use hookyard::handoff::lanes::{Lanes, News, Slot, Turn};
use hookyard::store::ledger::{Recorded, Settlement, Share};

use super::clock::{MINUTE, SECOND, START, millis};
use super::judge::Moment;
use super::world::{Act, Answer, Call, TROUBLE, World};

/// How often it asks for what is due; less often while there is nothing, as nothing
/// is measured here.
const POLL: (i64, i64) = (200, 5 * SECOND);
const AFTER_FAILURE: i64 = SECOND;
/// As in `hosts`. Once no host dies any more, once a minute is enough.
const BEAT: (i64, Duration) = (SECOND, Duration::from_secs(5));
const SELDOM: (i64, Duration) = (MINUTE, Duration::from_secs(200));
const PATIENCE: Duration = Duration::from_secs(2);
const KNOWN_AFTER: Duration = Duration::from_secs(2);
/// An answer that took longer says little of the clock.
const SHARP: i64 = 250;
/// What it has begun may end in this time once it is asked to stop.
const GRACE: i64 = 30 * SECOND;

pub(super) struct Host {
    pub(super) is_alive: bool,
    /// Counts its starts: what was for an earlier one comes to nobody.
    pub(super) life: u32,
    pub(super) paused_until: i64,
    pub(super) is_stopping: bool,
    pub(super) membership: Membership,
    joining: Joining,
    knows_the_time: bool,
    pub(super) lanes: Lanes,
    hands: BTreeMap<u64, Hand>,
    permits: BTreeMap<Permits, u16>,
    queue: BTreeMap<Permits, VecDeque<u64>>,
    /// The last of its askings for what is due; an earlier one is not made any more.
    polls: u64,
    is_claiming: bool,
    rest: i64,
}

/// How many may be sent at once, and to whom.
type Permits = (EndpointId, u16);

/// A delivery that a host has in hand.
pub(super) struct Hand {
    claim: Claim,
    /// Free when it is dropped.
    _slot: Slot,
    permit: Option<Permits>,
    has_begun: bool,
    started_at: Timestamp,
    began: i64,
    news: Option<News>,
    settles_again: usize,
}

pub(super) fn timeout(endpoint: &Endpoint) -> Duration {
    endpoint.pace.timeout().unwrap_or(ATTEMPT_DEADLINE)
}

impl Host {
    /// One that has forgotten all but what the store knows.
    pub(super) fn started(life: u32, healths: Vec<(EndpointId, Health)>, is_alone: bool) -> Self {
        let membership = if is_alone { Membership::default() } else { Membership::outside() };
        Self {
            is_alive: true,
            life,
            paused_until: 0,
            is_stopping: false,
            lanes: Lanes::remembering(healths, membership.clone()),
            membership,
            joining: Joining::default(),
            knows_the_time: false,
            hands: BTreeMap::new(),
            permits: BTreeMap::new(),
            queue: BTreeMap::new(),
            polls: 0,
            is_claiming: false,
            rest: POLL.0,
        }
    }
}

impl World {
    pub(super) fn act(&mut self, host: usize, act: Act) {
        match act {
            Act::Publish(key) => self.take_in(host, key),
            Act::Poll(number) if number == self.hosts[host].polls => self.poll(host),
            Act::Poll(_) => {}
            Act::Beat => self.beat(host),
            Act::Begin(hand) => self.begin(host, hand),
            Act::Prepare(hand) => {
                // The plugins' queue may be long.
                let wait = if self.chance.one_in(4) { 29 * SECOND } else { 20 };
                let wait = self.chance.between(1, wait);
                self.later(host, wait, Act::Prepared(hand));
            }
            Act::Prepared(hand) => self.prepared(host, hand),
            Act::Send(hand) => self.send(host, hand),
            Act::Hear(hand, outcome) => self.hear(host, hand, outcome),
            Act::Told(call, answer, at) => self.told(host, call, answer, at),
            Act::Failed(call) => self.failed(host, call),
            Act::Drain { rest } => self.drain(host, rest),
            Act::Stop { rest } => {
                self.call(host, Call::Leave);
                self.end(host, rest);
            }
        }
    }

    /// As `hosts` does it.
    fn beat(&mut self, host: usize) {
        let (asked, is_troubled) = (self.now(host), self.truth < START + TROUBLE + MINUTE);
        let (every, life) = if is_troubled { BEAT } else { SELDOM };
        let now = self.hosts[host].membership.in_step(asked);
        self.call(host, Call::Beat { asked, now, until: now + life });
        self.later(host, every, Act::Beat);
    }

    fn beaten(&mut self, host: usize, (asked, life): (Timestamp, Duration), part: Part, clock: Timestamp) {
        let answered = self.now(host);
        if answered.since(asked) > PATIENCE {
            return;
        }
        let one = &mut self.hosts[host];
        let offset = Offset::of(asked, clock, answered);
        if !std::mem::replace(&mut one.knows_the_time, true) || offset.doubt <= SHARP {
            one.membership.set_offset(offset);
        }
        let part = one.joining.told(part, asked, life, KNOWN_AFTER);
        one.membership.set_part(part, asked + life);
    }

    pub(super) fn token(&mut self) -> ClaimToken {
        ClaimToken(i64::try_from(self.next()).expect("not so many"))
    }

    pub(super) fn poll_after(&mut self, host: usize, wait: i64) {
        let one = &mut self.hosts[host];
        one.polls += 1;
        one.is_claiming = false;
        let number = one.polls;
        self.later(host, wait, Act::Poll(number));
    }

    fn poll(&mut self, host: usize) {
        let now = self.now(host);
        if self.hosts[host].is_stopping {
            return;
        }
        let due = if self.down_until > self.truth { Vec::new() } else { self.model.due(now) };
        let lanes = &self.hosts[host].lanes;
        let share = |id: &EndpointId| {
            let (_, endpoint) = self.endpoint(*id);
            let limit = u32::try_from(lanes.room(*id, &endpoint.pace, now)).expect("not so many");
            (limit > 0).then_some(Share { tenant: self.tenant, endpoint: *id, limit })
        };
        let shares: Vec<Share> = due.iter().filter_map(share).collect();
        if shares.is_empty() {
            let one = &mut self.hosts[host];
            one.rest = (one.rest * 2).min(POLL.1);
            let rest = one.rest;
            return self.poll_after(host, rest);
        }
        (self.hosts[host].rest, self.hosts[host].is_claiming) = (POLL.0, true);
        let token = self.token();
        self.call(host, Call::Claim { now, until: now + self.rules.lease, token, shares });
    }

    fn take_in_hand(&mut self, host: usize, claim: Claim, slot: Slot) {
        let id = self.next();
        let started_at = claim.until;
        let hand = Hand {
            claim,
            _slot: slot,
            permit: None,
            has_begun: false,
            started_at,
            began: 0,
            news: None,
            settles_again: 3,
        };
        self.hosts[host].hands.insert(id, hand);
        self.later(host, 0, Act::Begin(id));
    }

    /// As `dispatch::carry` does it.
    fn begin(&mut self, host: usize, id: u64) {
        let now = self.now(host);
        let Some(hand) = self.hosts[host].hands.get(&id) else { return };
        let endpoint = self.endpoint(hand.claim.endpoint).1.clone();
        let one = &mut self.hosts[host];
        let permits = (endpoint.id, one.lanes.in_flight(endpoint.id, &endpoint.pace, now));
        let hand = one.hands.get_mut(&id).expect("it was there");
        if hand.permit.is_none() {
            let taken = one.permits.entry(permits).or_default();
            if *taken >= permits.1 {
                return one.queue.entry(permits).or_default().push_back(id);
            }
            *taken += 1;
            hand.permit = Some(permits);
        }
        if !self.has_time(host, id) {
            return self.let_go(host, id);
        }
        self.hosts[host].hands.get_mut(&id).expect("it was there").has_begun = true;
        match self.hosts[host].lanes.turn(&endpoint, now) {
            Turn::At(at) => {
                let wait = millis(at.since(now));
                self.later(host, wait, Act::Prepare(id));
            }
            Turn::NotBefore(at) => {
                let next = Next::RetryAt(self.now(host) + at.since(now));
                self.settle(host, id, None, next);
            }
        }
    }

    fn has_time(&self, host: usize, id: u64) -> bool {
        let (claim, now) = (&self.hosts[host].hands[&id].claim, self.now(host));
        // As if it were sooner, where the rules leave out some of the margin.
        let sooner = |margin| Timestamp::from_millis((now + margin).as_millis() - millis(MARGIN));
        self.rules.margin.is_none_or(|margin| claim.has_time(sooner(margin)))
    }

    fn prepared(&mut self, host: usize, id: u64) {
        if !self.hosts[host].hands.contains_key(&id) {
            return;
        }
        if self.has_time(host, id) {
            let wait = self.chance.between(0, 3);
            return self.later(host, wait, Act::Send(id));
        }
        let now = self.now(host);
        self.settle(host, id, None, Next::RetryAt(now));
    }

    fn send(&mut self, host: usize, id: u64) {
        let now = self.now(host);
        let Some(hand) = self.hosts[host].hands.get_mut(&id) else { return };
        (hand.started_at, hand.began) = (now, self.truth);
        let (endpoint, held) = (hand.claim.endpoint, (hand.claim.delivery, hand.claim.token));
        let (outcome, takes) = self.exchange(endpoint);
        let is_accepted = matches!(outcome, Outcome::Accepted { .. });
        let at = Moment { truth: self.truth, host, times: &self.times() };
        self.judge.begun(at, held, is_accepted);
        self.later(host, takes, Act::Hear(id, outcome));
    }

    /// As `dispatch::attempt` does it, once the exchange is over.
    fn hear(&mut self, host: usize, id: u64, outcome: Outcome) {
        let now = self.now(host);
        let jitter = Jitter::new(self.chance.bits());
        let attempt_id = self.id(now);
        let one = &mut self.hosts[host];
        let Some(hand) = one.hands.get_mut(&id) else { return };
        self.judge.ended(self.truth, hand.claim.delivery, hand.claim.token);
        let permit = hand.permit.take();
        let number = hand.claim.attempts + 1;
        let next = delivery::settle(&outcome, number, &self.policy, true, now, jitter);
        one.lanes.note(hand.claim.endpoint, &outcome, now);
        hand.news = one.lanes.news(hand.claim.endpoint);
        let took = u64::try_from(self.truth - hand.began).expect("time goes on");
        let attempt = Attempt {
            id: attempt_id,
            number,
            started_at: hand.started_at,
            duration: Duration::from_millis(took),
            url: String::new(),
            signed_headers: Vec::new(),
            outcome,
            answer: None,
        };
        self.give_back(host, permit);
        self.settle(host, id, Some(attempt), next);
    }

    fn settle(&mut self, host: usize, id: u64, attempt: Option<Attempt>, next: Next) {
        let hand = &self.hosts[host].hands[&id];
        let settlement = Settlement {
            tenant: self.tenant,
            delivery: hand.claim.delivery,
            token: hand.claim.token,
            has_line: hand.claim.has_line,
            prepared: None,
            attempt,
            next,
            health: hand.news.as_ref().map(|news| (hand.claim.endpoint, news.health())),
            now: self.now(host),
        };
        self.call(host, Call::Settle { hand: id, settlement: Arc::new(settlement) });
    }

    fn told(&mut self, host: usize, call: Call, answer: Answer, at: i64) {
        // Its connection went before it had the answer.
        if at < self.failed_over_at {
            self.lose(&call);
            return self.failed(host, call);
        }
        match (call, answer) {
            (Call::Record(asked), Answer::Recorded(recorded)) => {
                self.judge.acknowledged(asked.key, self.truth);
                if recorded == Recorded::Stored {
                    for (claim, slot) in asked.claims.take() {
                        self.take_in_hand(host, claim, slot);
                    }
                    // What is not in its hand is due in the store.
                    if !self.hosts[host].is_claiming {
                        self.poll_after(host, 0);
                    }
                }
            }
            (Call::Claim { .. }, Answer::Claimed(claims)) => {
                for claim in claims {
                    let slot = self.hosts[host].lanes.admit(claim.tenant, claim.endpoint);
                    self.take_in_hand(host, claim, slot);
                }
                self.poll_after(host, POLL.0);
            }
            (Call::Settle { hand, .. }, Answer::Settled(is_held)) => {
                let one = &mut self.hosts[host];
                let news = one.hands.get_mut(&hand).and_then(|hand| hand.news.take());
                if is_held && let Some(news) = news {
                    news.told();
                }
                self.let_go(host, hand);
            }
            (Call::Beat { asked, now, until }, Answer::Beat(part, clock)) => {
                self.beaten(host, (asked, until.since(now)), part, clock);
            }
            _ => {}
        }
    }

    fn failed(&mut self, host: usize, call: Call) {
        match call {
            // Whoever published it comes again.
            Call::Record(_) | Call::Release { .. } | Call::Beat { .. } | Call::Leave => {}
            Call::Claim { .. } => self.poll_after(host, AFTER_FAILURE),
            Call::Settle { hand: id, settlement } => {
                let Some(hand) = self.hosts[host].hands.get_mut(&id) else { return };
                if hand.settles_again == 0 || self.chance.one_in(2) {
                    return self.let_go(host, id);
                }
                hand.settles_again -= 1;
                self.call(host, Call::Settle { hand: id, settlement });
            }
        }
    }

    /// It is in this host's hand no more, whatever the store says.
    fn let_go(&mut self, host: usize, id: u64) {
        let one = &mut self.hosts[host];
        let Some(hand) = one.hands.remove(&id) else { return };
        self.give_back(host, hand.permit);
    }

    /// The next one that waits for a permit may be sent.
    fn give_back(&mut self, host: usize, permit: Option<Permits>) {
        let (one, Some(permits)) = (&mut self.hosts[host], permit) else { return };
        *one.permits.entry(permits).or_default() -= 1;
        if let Some(next) = one.queue.get_mut(&permits).and_then(VecDeque::pop_front) {
            self.later(host, 0, Act::Begin(next));
        }
    }

    /// It was told to stop: what it has not begun is free for others at once, what it
    /// has begun may end.
    fn drain(&mut self, host: usize, rest: i64) {
        let now = self.now(host);
        let one = &mut self.hosts[host];
        one.is_stopping = true;
        one.lanes.close();
        let unbegun: Vec<u64> = one.hands.iter().filter(|(_, hand)| !hand.has_begun).map(|(id, _)| *id).collect();
        let unbegun: Vec<Hand> = unbegun.iter().filter_map(|id| one.hands.remove(id)).collect();
        if !unbegun.is_empty() {
            let held = unbegun.iter().map(|hand| (hand.claim.delivery, hand.claim.token)).collect();
            self.call(host, Call::Release { held, now });
        }
        self.later(host, GRACE, Act::Stop { rest });
    }
}
