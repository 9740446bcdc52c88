//! Whose call is next: the caller's who has used the least.
//!
//! Start-time fair queueing. Every owner has a line of jobs and a count of the
//! time that they used. The line with the lowest count is served; one that
//! forms anew starts at the count of the line that was served last, so that
//! having been idle is no credit and having been busy is no debt once nobody
//! waits. Owners whose jobs take long have a lane of their own, so that short
//! jobs wait for short ones only. Pure: durations come in as arguments.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// What a first job is taken to cost until it is known.
const GUESS: u64 = 50_000;

/// An owner whose jobs lately cost more nanoseconds than this is slow. The
/// usual job costs a fiftieth of it, a runaway fifteen times as much.
const SLOW: u64 = 2_000_000;

/// A job that costs more than this is a runaway. Less may be a busy machine's
/// doing, which must not make its victims slow as well.
const RUNAWAY: u64 = 10_000_000;

/// How many times a runaway's cost the owner's other jobs have to cost until
/// the owner is quick again. Not a number of short jobs: whoever tries a plugin
/// has it check its configuration first, and a crowd of such checks made the
/// runaways behind them quick.
const ATONEMENT: u64 = 8;

/// Nanoseconds of other jobs after which anything is forgotten.
const MAX_DEBT: u64 = 10_000_000_000;

/// Slow owners without jobs that are remembered for their next one.
const MEMORY: usize = 4_096;

/// Which threads serve an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Quick,
    Slow,
}

impl Lane {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Quick => Self::Slow,
            Self::Slow => Self::Quick,
        }
    }
}

/// Jobs in one line per owner.
pub(super) struct FairQueue<K, J> {
    lines: HashMap<K, Line<J>>,
    /// The lines with jobs in them, by what they used and by when they formed:
    /// the quick and the slow.
    ready: [BTreeMap<(u64, u64), K>; 2],
    waiting: usize,
    running: usize,
    /// What the line that was served last had used.
    floor: u64,
    lines_formed: u64,
    limits: Capacity,
    /// Whose jobs are slow before anything is known of them.
    is_slow: fn(K) -> bool,
}

/// How many jobs may wait.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    pub(super) per_owner: usize,
    pub(super) total: usize,
}

struct Line<J> {
    jobs: VecDeque<J>,
    running: usize,
    /// Nanoseconds, with what the running jobs are expected to use.
    used: u64,
    /// What the owner's jobs lately cost.
    expected: u64,
    /// What its jobs have to cost until its runaways are forgotten.
    debt: u64,
    formed: u64,
    /// Slow, whatever its jobs cost.
    always_slow: bool,
}

/// A job that was taken out and is to be [finished](FairQueue::finish).
pub(super) struct Ticket<K> {
    owner: K,
    expected: u64,
}

/// There is no room for another job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<K: Copy + Eq + Hash, J> FairQueue<K, J> {
    pub(super) fn new(limits: Capacity, is_slow: fn(K) -> bool) -> Self {
        Self {
            lines: HashMap::new(),
            ready: [BTreeMap::new(), BTreeMap::new()],
            waiting: 0,
            running: 0,
            floor: 0,
            lines_formed: 0,
            limits,
            is_slow,
        }
    }

    /// Puts a job in its owner's line, and says whose threads will serve it.
    pub(super) fn push(&mut self, owner: K, job: J) -> Result<Lane, Full> {
        let in_line = self.lines.get(&owner).map_or(0, |line| line.jobs.len());
        if in_line >= self.limits.per_owner || self.waiting >= self.limits.total {
            return Err(Full);
        }
        let (floor, formed) = (self.floor, self.lines_formed);
        self.lines_formed += 1;
        let always_slow = (self.is_slow)(owner);
        let line = self.lines.entry(owner).or_insert_with(|| Line::new(floor, formed, always_slow));
        if line.jobs.is_empty() {
            line.used = line.used.max(floor);
            self.ready[line.lane() as usize].insert(line.place(), owner);
        }
        line.jobs.push_back(job);
        self.waiting += 1;
        Ok(line.lane())
    }

    /// The next job of `lane`. What it is expected to cost is counted at once,
    /// so that two threads do not both serve the same owner before others.
    pub(super) fn pop(&mut self, lane: Lane) -> Option<(Ticket<K>, J)> {
        let ((used, _), owner) = self.ready[lane as usize].pop_first()?;
        let line = self.lines.get_mut(&owner).expect("a line that is ready exists");
        let job = line.jobs.pop_front().expect("a line that is ready has jobs");
        let expected = line.expected;
        line.used += expected;
        line.running += 1;
        if !line.jobs.is_empty() {
            self.ready[lane as usize].insert(line.place(), owner);
        }
        self.floor = self.floor.max(used);
        self.waiting -= 1;
        self.running += 1;
        Some((Ticket { owner, expected }, job))
    }

    /// Counts what a job cost in truth.
    pub(super) fn finish(&mut self, ticket: Ticket<K>, spent: Duration) {
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX >> 1);
        let Ticket { owner, expected } = ticket;
        self.running -= 1;
        let line = self.lines.get_mut(&owner).expect("a line outlives its running jobs");
        self.ready[line.lane() as usize].remove(&line.place());
        line.used = line.used.saturating_sub(expected).saturating_add(spent);
        line.learn(spent);
        line.running -= 1;
        if !line.jobs.is_empty() {
            self.ready[line.lane() as usize].insert(line.place(), owner);
        }
        self.forget(owner);
    }

    /// Whether a job waits for `lane`.
    pub(super) fn has_work(&self, lane: Lane) -> bool {
        !self.ready[lane as usize].is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// An idle line that owes nothing need not be remembered, unless it is slow.
    fn forget(&mut self, owner: K) {
        let floor = self.floor;
        let paid = |line: &Line<J>| line.is_idle() && line.used <= floor && line.lane() == Lane::Quick;
        if self.running == 0 && self.waiting == 0 {
            // Nobody waits, so nobody is being delayed by anyone.
            self.lines.retain(|_, line| line.lane() == Lane::Slow);
            self.lines.values_mut().for_each(|line| line.used = 0);
            self.floor = 0;
        } else if self.lines.get(&owner).is_some_and(paid) {
            self.lines.remove(&owner);
        }
        if self.lines.len() > MEMORY + 2 * (self.waiting + self.running) {
            self.lines.retain(|_, line| !line.is_idle());
        }
    }
}

impl<J> Line<J> {
    fn new(used: u64, formed: u64, always_slow: bool) -> Self {
        Self { jobs: VecDeque::new(), running: 0, used, expected: GUESS, debt: 0, formed, always_slow }
    }

    fn lane(&self) -> Lane {
        if self.always_slow || self.debt > 0 || self.expected > SLOW { Lane::Slow } else { Lane::Quick }
    }

    fn place(&self) -> (u64, u64) {
        (self.used, self.formed)
    }

    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.running == 0
    }

    /// Quick to fear and slow to forget: short jobs between two runaways change
    /// nothing.
    fn learn(&mut self, spent: u64) {
        self.debt = match spent {
            0..=RUNAWAY => self.debt.saturating_sub(spent),
            _ => self.debt.saturating_add(spent.saturating_mul(ATONEMENT)).min(MAX_DEBT),
        };
        self.expected = match spent.checked_sub(self.expected) {
            Some(more) => self.expected + more / 2,
            None => self.expected - (self.expected - spent) / 16,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: Capacity = Capacity { per_owner: 100, total: 1_000 };

    /// Reads a little play: `a+3` puts three jobs of `a` in line, `2` serves two
    /// with this many threads. What a job costs its owner is in microseconds.
    #[track_caller]
    fn check(costs: &[(char, u64)], threads: usize, play: &str, expected: &str) {
        let mut queue = FairQueue::new(CAPACITY, |_| false);
        let mut running: Vec<(u64, Ticket<char>)> = Vec::new();
        let (mut now, mut served) = (0, String::new());
        for act in play.split(' ') {
            if let Some((owner, count)) = act.split_once('+') {
                let owner = owner.chars().next().expect("an owner");
                for _ in 0..count.parse().expect("a count") {
                    queue.push(owner, owner).expect("room");
                }
                continue;
            }
            for _ in 0..act.parse().expect("a number of jobs to serve") {
                if running.len() == threads {
                    let first = running.iter().enumerate().min_by_key(|(_, (end, _))| *end).expect("one").0;
                    let (end, ticket) = running.remove(first);
                    let cost = costs.iter().find(|(owner, _)| *owner == ticket.owner).expect("a cost").1;
                    now = end;
                    queue.finish(ticket, Duration::from_micros(cost));
                }
                let Some((ticket, job)) = queue.pop(Lane::Quick) else { break };
                let cost = costs.iter().find(|(owner, _)| *owner == job).expect("a cost").1;
                running.push((now + cost, ticket));
                served.push(job);
            }
        }
        assert_eq!(served, expected, "{play}");
    }

    #[test]
    fn who_used_least_is_next() {
        check(&[('a', 50), ('b', 50)], 1, "a+3 b+3 6", "ababab");
        // Equal time, not equal turns.
        check(&[('a', 200), ('b', 50)], 1, "a+2 b+8 10", "abbbbabbbb");
        // A long line costs others no more than what is running.
        check(&[('a', 900), ('b', 50)], 1, "a+9 1 b+3 4", "abbba");
        // Nor does it take both threads while others wait.
        check(&[('a', 900), ('b', 50)], 2, "a+9 3 b+3 4", "aaabbba");
        // Idleness is no credit: c, who comes late, does not starve the others.
        check(&[('a', 50), ('c', 50)], 1, "a+9 4 c+4 6", "aaaacacaca");
        // A pause is no escape from what was used while others waited.
        check(&[('a', 900), ('b', 50)], 1, "a+1 b+9 2 a+1 5", "abbbbbb");
    }

    #[test]
    fn who_takes_long_has_a_lane_apart() {
        let mut queue = FairQueue::new(CAPACITY, |_| false);
        let finish = |queue: &mut FairQueue<char, ()>, lane, micros| {
            let (ticket, ()) = queue.pop(lane).expect("a job in this lane");
            queue.finish(ticket, Duration::from_micros(micros));
        };
        assert_eq!(queue.push('a', ()), Ok(Lane::Quick), "nothing is known of it yet");
        assert_eq!(queue.push('a', ()), Ok(Lane::Quick));
        finish(&mut queue, Lane::Quick, 30_000);
        assert!(!queue.has_work(Lane::Quick) && queue.has_work(Lane::Slow), "its line moved over");
        finish(&mut queue, Lane::Slow, 30_000);
        assert_eq!(queue.push('a', ()), Ok(Lane::Slow), "remembered, though nobody waited");
        // 60 ms in all, so that 480 ms of short jobs make up for it.
        for _ in 0..4_800 {
            assert_eq!(queue.push('a', ()), Ok(Lane::Slow), "not yet");
            finish(&mut queue, Lane::Slow, 100);
        }
        assert_eq!(queue.push('a', ()), Ok(Lane::Quick));
    }

    #[test]
    fn who_is_slow_by_nature_is_never_quick() {
        let mut queue = FairQueue::new(CAPACITY, |owner| owner == 'h');
        for _ in 0..10 {
            assert_eq!(queue.push('h', ()), Ok(Lane::Slow));
            assert!(queue.pop(Lane::Quick).is_none());
            let (ticket, ()) = queue.pop(Lane::Slow).expect("a job");
            queue.finish(ticket, Duration::from_micros(3));
        }
        assert_eq!(queue.push('a', ()), Ok(Lane::Quick));
    }

    #[test]
    fn a_line_is_no_longer_than_allowed() {
        let mut queue = FairQueue::new(Capacity { per_owner: 2, total: 3 }, |_| false);
        assert_eq!(queue.push('a', ()), Ok(Lane::Quick));
        assert_eq!(queue.push('a', ()), Ok(Lane::Quick));
        assert_eq!(queue.push('a', ()), Err(Full));
        assert_eq!(queue.push('b', ()), Ok(Lane::Quick));
        assert_eq!(queue.push('c', ()), Err(Full));
        let (ticket, ()) = queue.pop(Lane::Quick).expect("a job");
        queue.finish(ticket, Duration::ZERO);
        assert_eq!(queue.push('c', ()), Ok(Lane::Quick));
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let mut queue = FairQueue::new(CAPACITY, |_| false);
        for owner in 0..10_000_u32 {
            queue.push(owner, ()).expect("room");
            queue.push(owner + 1_000_000, ()).expect("room");
            let (ticket, ()) = queue.pop(Lane::Quick).expect("a job");
            queue.finish(ticket, Duration::from_micros(u64::from(owner % 7)));
            let (ticket, ()) = queue.pop(Lane::Quick).expect("a job");
            queue.finish(ticket, Duration::from_micros(3));
        }
        assert_eq!((queue.lines.len(), queue.ready[0].len()), (0, 0));
    }
}
