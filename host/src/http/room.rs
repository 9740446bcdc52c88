//! Who is connected, what each connection is about, and who goes when there is
//! no room: connections that have not said what they want, oldest first, before
//! any that is being served.
//!
//! A connection's stage decides how long it may stay there. What one exchange
//! may take is `exchange.rs`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::oneshot;

/// A client has this long for the head of a request, from its first byte; for
/// the first one, from when it connected.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A connection without a request is kept this long: as long as load balancers
/// keep theirs.
const IDLE_DEADLINE: Duration = Duration::from_secs(60);
/// A client has this long to take an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// How many connections there may be.
#[derive(Clone, Debug)]
pub(super) struct Caps {
    pub(super) total: usize,
    /// From one address.
    pub(super) per_address: usize,
    /// Networks whose addresses stand for many callers.
    pub(super) proxies: Vec<IpNet>,
}

/// A connection's number.
pub(super) type SeatId = u64;
/// An exchange's number, on whichever connection.
pub(super) type ExchangeId = u64;

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Now,
    /// Its client is told, where the protocol has words for it.
    Gently,
}

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The head of a request is on its way, or should be.
    Head,
    /// Between requests.
    Idle,
    /// Nothing but bodies is waited for.
    Body,
    /// Something is being done or answered.
    Served,
}

/// How far one exchange is.
enum Progress {
    Body,
    Handling,
    Answering(Instant),
}

struct Seat {
    /// Absent where it is not counted.
    address: Option<IpAddr>,
    stage: Stage,
    since: Instant,
    exchanges: BTreeMap<ExchangeId, Progress>,
    /// Heads are then the protocol's own matter.
    multiplexed: bool,
    cut: oneshot::Sender<Cut>,
}

/// All connections.
pub(super) struct Room {
    caps: Caps,
    seats: HashMap<SeatId, Seat>,
    /// The same by stage, the longest in it first.
    lines: [BTreeSet<(Instant, SeatId)>; 4],
    /// Answers that are on their way out, by age.
    answers: BTreeMap<(Instant, ExchangeId), SeatId>,
    per_address: HashMap<IpAddr, usize>,
    last: u64,
}

impl Room {
    pub(super) fn new(caps: Caps) -> Self {
        Self {
            caps,
            seats: HashMap::new(),
            lines: Default::default(),
            answers: BTreeMap::new(),
            per_address: HashMap::new(),
            last: 0,
        }
    }

    /// A place for a connection from `peer`, and how it learns that it has to
    /// go. None when all are being served, or when `peer` has its share.
    pub(super) fn admit(&mut self, peer: IpAddr, now: Instant) -> Option<(SeatId, oneshot::Receiver<Cut>)> {
        let address = self.counted(peer);
        if address.is_some_and(|one| self.per_address.get(&one).is_some_and(|count| *count >= self.caps.per_address)) {
            return None;
        }
        if self.seats.len() >= self.caps.total && !self.evict() {
            return None;
        }
        if let Some(address) = address {
            *self.per_address.entry(address).or_default() += 1;
        }
        self.last += 1;
        let (cut, told) = oneshot::channel();
        let (stage, exchanges) = (Stage::Head, BTreeMap::new());
        self.seats.insert(self.last, Seat { address, stage, since: now, exchanges, multiplexed: false, cut });
        self.lines[stage as usize].insert((now, self.last));
        Some((self.last, told))
    }

    /// Ends the connection that can best be done without: the oldest that sent
    /// no head yet, else the oldest idle one, else the one whose body takes
    /// longest. Answers whether there was one.
    pub(super) fn evict(&mut self) -> bool {
        let spare = [Stage::Head, Stage::Idle, Stage::Body];
        let Some(&(_, seat)) = spare.iter().find_map(|stage| self.lines[*stage as usize].first()) else { return false };
        self.cut(seat, Cut::Now);
        true
    }

    /// Ends what has been in its stage for too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        for (stage, limit, cut) in [(Stage::Head, HEAD_DEADLINE, Cut::Now), (Stage::Idle, IDLE_DEADLINE, Cut::Gently)] {
            while let Some(&(since, seat)) = self.lines[stage as usize].first()
                && now.duration_since(since) >= limit
            {
                self.cut(seat, cut);
            }
        }
        while let Some((&(since, _), &seat)) = self.answers.first_key_value()
            && now.duration_since(since) >= ANSWER_DEADLINE
        {
            self.cut(seat, Cut::Now);
        }
    }

    /// Bytes came over a connection. Answers whether they are of a head.
    pub(super) fn heard(&mut self, seat: SeatId, now: Instant) -> bool {
        if self.seats.get(&seat).is_some_and(|seat| seat.stage == Stage::Idle && !seat.multiplexed) {
            self.turn(seat, Stage::Head, now);
        }
        self.seats.get(&seat).is_some_and(|seat| seat.stage == Stage::Head)
    }

    /// A request's head has come.
    pub(super) fn begin(&mut self, seat: SeatId, multiplexed: bool, has_body: bool, now: Instant) -> ExchangeId {
        self.last += 1;
        let exchange = self.last;
        let progress = if has_body { Progress::Body } else { Progress::Handling };
        if let Some(one) = self.seats.get_mut(&seat) {
            one.multiplexed |= multiplexed;
            one.exchanges.insert(exchange, progress);
        }
        self.settle(seat, now);
        exchange
    }

    /// Its body has come, or nobody waits for it any more.
    pub(super) fn body_ended(&mut self, seat: SeatId, exchange: ExchangeId, now: Instant) {
        let one = self.seats.get_mut(&seat).and_then(|seat| seat.exchanges.get_mut(&exchange));
        if let Some(progress @ Progress::Body) = one {
            *progress = Progress::Handling;
            self.settle(seat, now);
        }
    }

    /// Its answer is there to be sent.
    pub(super) fn answer(&mut self, seat: SeatId, exchange: ExchangeId, now: Instant) {
        if let Some(progress) = self.seats.get_mut(&seat).and_then(|seat| seat.exchanges.get_mut(&exchange)) {
            *progress = Progress::Answering(now);
            self.answers.insert((now, exchange), seat);
            self.settle(seat, now);
        }
    }

    /// Its answer is on its way, or will not come.
    pub(super) fn end(&mut self, seat: SeatId, exchange: ExchangeId, now: Instant) {
        let Some(one) = self.seats.get_mut(&seat) else { return };
        if let Some(Progress::Answering(since)) = one.exchanges.remove(&exchange) {
            self.answers.remove(&(since, exchange));
        }
        self.settle(seat, now);
    }

    /// The connection is gone.
    pub(super) fn leave(&mut self, seat: SeatId) {
        let _ended_by_itself = self.remove(seat);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.seats.len()
    }

    fn cut(&mut self, seat: SeatId, cut: Cut) {
        if let Some(one) = self.remove(seat) {
            let _gone_meanwhile = one.cut.send(cut);
        }
    }

    fn remove(&mut self, seat: SeatId) -> Option<Seat> {
        let one = self.seats.remove(&seat)?;
        self.lines[one.stage as usize].remove(&(one.since, seat));
        for (exchange, progress) in &one.exchanges {
            if let Progress::Answering(since) = progress {
                self.answers.remove(&(*since, *exchange));
            }
        }
        if let Some(address) = one.address
            && let Some(count) = self.per_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        Some(one)
    }

    /// Puts a connection into the stage that its exchanges say.
    fn settle(&mut self, seat: SeatId, now: Instant) {
        let Some(one) = self.seats.get(&seat) else { return };
        let stage = if one.exchanges.is_empty() {
            Stage::Idle
        } else if one.exchanges.values().all(|progress| matches!(progress, Progress::Body)) {
            Stage::Body
        } else {
            Stage::Served
        };
        self.turn(seat, stage, now);
    }

    fn turn(&mut self, seat: SeatId, stage: Stage, now: Instant) {
        let Some(one) = self.seats.get_mut(&seat).filter(|one| one.stage != stage) else { return };
        self.lines[one.stage as usize].remove(&(one.since, seat));
        (one.stage, one.since) = (stage, now);
        self.lines[stage as usize].insert((now, seat));
    }

    /// The address as it is counted. Whoever has one IPv6 address has its /64.
    fn counted(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if self.caps.proxies.iter().any(|net| net.contains(&peer)) {
            return None;
        }
        Some(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn room(total: usize, per_address: usize) -> Room {
        Room::new(Caps { total, per_address, proxies: vec!["10.0.0.0/8".parse().unwrap()] })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn whoever_said_nothing_longest_makes_room() {
        let (mut room, start) = (room(3, 9), Instant::now());
        let mut told = Vec::new();
        for n in 0..3 {
            told.push(room.admit(address("1.1.1.1"), start + n * SECOND).unwrap());
        }
        // The oldest is being served, the second is idle, the third silent.
        let served = room.begin(told[0].0, false, false, start);
        let idle = room.begin(told[1].0, false, false, start);
        room.end(told[1].0, idle, start);
        for evicted in [2, 1] {
            told.push(room.admit(address("1.1.1.1"), start + 9 * SECOND).unwrap());
            assert_eq!(told[evicted].1.try_recv(), Ok(Cut::Now));
            let newest = told.last().unwrap().0;
            room.begin(newest, false, false, start + 9 * SECOND);
        }
        assert!(room.admit(address("1.1.1.1"), start + 9 * SECOND).is_none(), "all are being served");
        room.end(told[0].0, served, start + 9 * SECOND);
        assert!(room.admit(address("1.1.1.1"), start + 9 * SECOND).is_some());
        assert_eq!(room.len(), 3);
    }

    #[test]
    fn a_body_that_takes_longest_goes_before_what_is_being_served() {
        let (mut room, start) = (room(2, 9), Instant::now());
        let (early, mut early_told) = room.admit(address("1.1.1.1"), start).unwrap();
        let (late, mut late_told) = room.admit(address("1.1.1.1"), start).unwrap();
        let done = room.begin(early, true, true, start);
        room.begin(early, true, true, start);
        room.begin(late, false, true, start + SECOND);
        room.body_ended(early, done, start);
        assert!(room.evict(), "the later one has nothing but a body under way");
        assert_eq!(late_told.try_recv(), Ok(Cut::Now));
        assert!(!room.evict() && early_told.try_recv().is_err());
        room.end(early, done, start);
        assert!(room.evict());
    }

    #[test]
    fn one_address_has_its_share() {
        let (mut room, now) = (room(100, 2), Instant::now());
        let mut admit = |peer| room.admit(address(peer), now).map(|(seat, _)| seat);
        let first = admit("1.1.1.1").unwrap();
        assert!(admit("::ffff:1.1.1.1").is_some() && admit("1.1.1.1").is_none());
        assert!(admit("1.1.1.2").is_some());
        assert!(admit("2001:db8::1").is_some() && admit("2001:db8::2").is_some() && admit("2001:db8::3").is_none());
        assert!((0..9).all(|_| admit("10.1.2.3").is_some()), "a proxy stands for many");
        room.leave(first);
        assert!(room.admit(address("1.1.1.1"), now).is_some());
    }

    #[test]
    fn each_stage_has_its_time() {
        let (mut room, start) = (room(9, 9), Instant::now());
        let mut admit = || room.admit(address("1.1.1.1"), start).unwrap();
        let [mut silent, mut idle, mut again, mut unread, mut busy] = std::array::from_fn(|_| admit());
        for seat in [idle.0, again.0] {
            let exchange = room.begin(seat, false, true, start);
            room.answer(seat, exchange, start);
            room.end(seat, exchange, start);
        }
        let exchange = room.begin(unread.0, false, false, start);
        room.answer(unread.0, exchange, start);
        room.begin(busy.0, false, true, start);
        room.sweep(start + 9 * SECOND);
        assert!(silent.1.try_recv().is_err());
        room.sweep(start + 10 * SECOND);
        assert_eq!(silent.1.try_recv(), Ok(Cut::Now));
        // The first byte of a next request begins another ten seconds; further
        // ones do not.
        room.heard(again.0, start + 45 * SECOND);
        room.heard(again.0, start + 50 * SECOND);
        room.sweep(start + 54 * SECOND);
        assert!(again.1.try_recv().is_err());
        room.sweep(start + 55 * SECOND);
        assert_eq!(again.1.try_recv(), Ok(Cut::Now));
        assert!(idle.1.try_recv().is_err() && unread.1.try_recv().is_err());
        room.sweep(start + 60 * SECOND);
        assert_eq!((idle.1.try_recv(), unread.1.try_recv()), (Ok(Cut::Gently), Ok(Cut::Now)));
        room.sweep(start + 900 * SECOND);
        assert!(busy.1.try_recv().is_err(), "its exchange has a deadline of its own");
        assert_eq!(room.len(), 1);
    }

    #[test]
    fn a_multiplexed_connection_is_idle_while_it_is_heard() {
        let (mut room, start) = (room(9, 9), Instant::now());
        let (seat, mut told) = room.admit(address("1.1.1.1"), start).unwrap();
        let exchange = room.begin(seat, true, false, start);
        room.end(seat, exchange, start);
        room.heard(seat, start + SECOND);
        room.sweep(start + 30 * SECOND);
        assert!(told.try_recv().is_err());
        room.sweep(start + 60 * SECOND);
        assert_eq!(told.try_recv(), Ok(Cut::Gently));
    }
}
