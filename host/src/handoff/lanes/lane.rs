//! One endpoint's lane: how much of it may be in hand, and when it is its turn.
//!
//! A lane begins narrow and widens with each success, as TCP's slow start does:
//! receivers that hang take few slots before anybody knows, however many of them
//! there are.

use std::time::Duration;

use crate::domain::delivery::{Outcome, Unreachable};
use crate::domain::health::Circuit;
use crate::domain::host::Part;
use crate::domain::pace::{HostPace, Order, Pace, Turns};
use crate::domain::time::Timestamp;

use super::known::{Known, Moment, Noted};

/// At most this many deliveries to one endpoint are held by one process at a time.
pub const SLOTS_PER_ENDPOINT: usize = 256;
/// Of a receiver that nothing is known of yet.
pub(super) const FIRST_WINDOW: usize = 2;
/// A rate-limited endpoint holds what it sends within this time; a claim lasts
/// longer than that.
const AHEAD: Duration = Duration::from_secs(5);
/// For each request that may be in flight, so many are held: more would wait
/// here until their claims run out.
pub(super) const IN_HAND: usize = 4;

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At this moment, or when it comes.
    At(Timestamp),
    /// Not before then, and then it is to be asked for again.
    NotBefore(Timestamp),
}

pub(super) struct Lane {
    held: usize,
    /// How many it may hold of a receiver that takes them.
    window: usize,
    /// How many it might hold in all when that was last asked for.
    most: usize,
    /// More may wait in the store.
    more: bool,
    /// The one attempt that a half-open circuit lets through is being made.
    is_probing: bool,
    /// Of its receiver.
    pub(super) known: Known,
    turns: Turns,
    /// The last place that was given out in an ordered endpoint's lines.
    last_place: i64,
}

impl Lane {
    pub(super) fn new(known: Known) -> Self {
        Self {
            held: 0,
            window: FIRST_WINDOW,
            most: FIRST_WINDOW,
            more: false,
            is_probing: false,
            known,
            turns: Turns::default(),
            last_place: 0,
        }
    }

    /// Whether nothing is lost with it: a new one would be the same but for its
    /// window.
    pub(super) fn is_idle(&self) -> bool {
        self.held == 0 && self.known.is_idle() && self.turns == Turns::default()
    }

    /// How many more it may hold; none where this host has no part of its pace.
    pub(super) fn room(&mut self, pace: &Pace, part: Option<Part>, now: Timestamp) -> usize {
        let Some((part, own)) = part.and_then(|part| Some((part, pace.of(part)?))) else { return 0 };
        self.most = match self.known.circuit(part, now) {
            Circuit::Open { .. } => 0,
            _ if self.is_far(own, now) => 0,
            Circuit::HalfOpen => 1,
            Circuit::Closed if pace.ordered == Order::Endpoint => 1,
            Circuit::Closed => {
                let soon = own.spacing.map_or(usize::MAX, |spacing| spacing.within(AHEAD));
                self.window.min(soon).min(IN_HAND * usize::from(own.in_flight))
            }
        };
        self.most.saturating_sub(self.held)
    }

    /// The same for what its receiver has no say in.
    pub(super) fn room_regardless(&mut self) -> usize {
        self.most = SLOTS_PER_ENDPOINT;
        self.most.saturating_sub(self.held)
    }

    /// Whether its rate keeps the next one waiting for longer than it may be
    /// held.
    fn is_far(&self, pace: HostPace, now: Timestamp) -> bool {
        pace.spacing.is_some_and(|spacing| self.turns.next(spacing, now) > now + AHEAD)
    }

    pub(super) fn take(&mut self) {
        self.held += 1;
    }

    /// Says that more may wait in the store.
    pub(super) fn leave_more(&mut self) {
        self.more = true;
    }

    /// Gives one back. What waits in the store is asked for again when half of what
    /// the lane may hold is done: whether that is now.
    #[must_use]
    pub(super) fn give_back(&mut self) -> bool {
        self.held -= 1;
        if self.held == 0 {
            self.is_probing = false;
        }
        self.held <= self.most / 2 && std::mem::take(&mut self.more)
    }

    /// Asks for a turn to attempt a delivery.
    pub(super) fn turn(&mut self, pace: &Pace, part: Part, now: Timestamp) -> Turn {
        // Others have all of it by now; they take it at once.
        let Some(HostPace { spacing, .. }) = pace.of(part) else { return Turn::NotBefore(now) };
        match self.known.circuit(part, now) {
            Circuit::Open { until } => Turn::NotBefore(until),
            Circuit::HalfOpen if self.is_probing => Turn::NotBefore(now + pace.timeout().unwrap_or(AHEAD)),
            circuit => {
                let next = spacing.map_or(now, |spacing| self.turns.next(spacing, now));
                if next > now + AHEAD {
                    return Turn::NotBefore(next);
                }
                self.is_probing = circuit == Circuit::HalfOpen;
                Turn::At(spacing.map_or(now, |spacing| self.turns.take(spacing, now)))
            }
        }
    }

    /// Takes note of what an attempt came to.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Timestamp, moment: Moment) -> Noted {
        self.is_probing = false;
        self.window = match outcome {
            Outcome::Accepted { .. } => (self.window * 2).min(SLOTS_PER_ENDPOINT),
            // It says that this is too much for it (Standard Webhooks).
            Outcome::Refused { status: 429 | 502 | 504, .. } => (self.window / 2).max(1),
            Outcome::Refused { .. } => self.window,
            Outcome::Unreachable(Unreachable::TimedOut(_)) => 1,
            Outcome::Unreachable(_) => (self.window / 4).max(1),
        };
        self.known.note(outcome, now, moment)
    }

    /// What was known of its receiver is of no use any more.
    pub(super) fn forget(&mut self, moment: Moment) {
        self.known.forget(moment);
        (self.window, self.is_probing) = (FIRST_WINDOW, false);
    }

    /// The next place in its lines: the time in microseconds, and no place twice.
    pub(super) fn place(&mut self, now: Timestamp) -> i64 {
        self.last_place = now.as_micros().max(self.last_place + 1);
        self.last_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Health;
    use crate::domain::pace::{Period, RateLimit};

    const SUCCESS: Outcome = Outcome::Accepted { status: 204 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// A lane as one host that is alone sees it.
    struct Alone {
        lane: Lane,
        pace: Pace,
    }

    impl Alone {
        fn room(&mut self, seconds: i64) -> usize {
            self.lane.room(&self.pace, Some(Part::WHOLE), at(seconds))
        }

        fn turn(&mut self, seconds: i64) -> Turn {
            self.lane.turn(&self.pace, Part::WHOLE, at(seconds))
        }

        /// What the store is then to be told, which it is not.
        fn succeed(&mut self, seconds: i64) -> Option<Health> {
            self.lane.note(&SUCCESS, at(seconds), Moment::default());
            let told = self.lane.known.tell();
            self.lane.known.not_told();
            told
        }
    }

    /// Of a receiver that answers.
    fn wide(pace: Pace) -> Alone {
        let mut wide = Alone { lane: Lane::new(Known::default()), pace };
        for _ in 0..10 {
            wide.succeed(0);
        }
        wide
    }

    #[test]
    fn a_half_open_circuit_lets_one_through() {
        let ill = Health { failing_since: Some(at(0)), weight: 10, trips: 1, not_before: Some(at(30)), warnings: 0 };
        let mut crm = Alone { lane: Lane::new(Known::remembered(ill)), pace: Pace::default() };
        assert_eq!((crm.room(29), crm.turn(29)), (0, Turn::NotBefore(at(30))));
        assert_eq!((crm.room(30), crm.turn(30)), (1, Turn::At(at(30))));
        assert_eq!(crm.turn(30), Turn::NotBefore(at(30) + AHEAD));
        assert!(crm.succeed(31).is_some_and(|health| health.is_well()));
        assert_eq!(crm.turn(31), Turn::At(at(31)));
        // Until the store has it, every success says it again.
        assert!(crm.succeed(31).is_some());
        crm.lane.known.told(Health::default(), Moment::default());
        assert!(crm.succeed(31).is_none(), "nothing new");
    }

    #[test]
    fn a_rate_holds_no_more_than_it_sends_soon() {
        let rate_limit = Some(RateLimit { limit: 6, per: Period::Minute });
        let mut slow = wide(Pace { rate_limit, ..Pace::default() });
        assert_eq!(slow.room(0), 1);
        assert_eq!(slow.turn(0), Turn::At(at(0)));
        assert_eq!(slow.turn(1), Turn::NotBefore(at(10)));
        assert_eq!((slow.room(4), slow.room(5)), (0, 1));
        assert_eq!(slow.turn(6), Turn::At(at(10)));
    }

    #[test]
    fn an_ordered_lane_holds_one_and_gives_each_place_once() {
        let mut line = wide(Pace { ordered: Order::Endpoint, ..Pace::default() });
        assert_eq!(line.room(0), 1);
        let places = [at(1), at(1), at(1), at(0)].map(|now| line.lane.place(now));
        assert_eq!(places, [1_000_000, 1_000_001, 1_000_002, 1_000_003]);
    }
}
