//! Hosts that share a database: what one of them may do of what all of them may,
//! and what one does for all.
//!
//! A host learns its part by saying once a second that it lives, and believes it
//! until the others would not count it any more. That end is judged by whoever
//! asks: a host that was stopped in the middle of something knows better as soon
//! as it goes on.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::time::Timestamp;

/// A host whose clock differs by more from the database's should not be sent
/// traffic. Claims end by the clock of whoever looks, and leave
/// what two hosts may be apart (`claim::MARGIN`).
pub const MOST_APART: Duration = Duration::from_secs(5);
/// A host that has not read for so long what others have changed should not be sent
/// traffic: it routes as before.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// A host's place among those that live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many of them are older.
    pub rank: u32,
    /// How many live, this one included; at least one.
    pub of: u32,
}

impl Part {
    /// Of a host that is alone.
    pub const WHOLE: Self = Self { rank: 0, of: 1 };

    /// The same among hosts that stand in a ring which is turned by so much: what
    /// falls to the first falls to another for another thing.
    pub fn turned(self, by: u32) -> Self {
        let of = self.of.max(1);
        Self { rank: (self.rank % of + by % of) % of, of }
    }

    /// Its part of what may be at once. The parts of all add up to `most`, so that
    /// the last have none where there are more hosts than that.
    pub fn at_once(self, most: u16) -> u16 {
        let (of, rank) = (self.of.max(1), self.rank);
        let each = u32::from(most) / of;
        let one_more = u32::from(rank < u32::from(most) % of);
        u16::try_from(each + one_more).unwrap_or(most)
    }
}

/// What one host does for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Retention, erasures, the purging of deleted tenants and of what has lapsed.
    Upkeep,
    /// Going on with replays whose host has gone.
    Replays,
}

impl Duty {
    pub const ALL: [Self; 2] = [Self::Upkeep, Self::Replays];

    /// The store's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upkeep => "upkeep",
            Self::Replays => "replays",
        }
    }
}

/// What a host knows of its place. Cheap to ask; clones are the same.
#[derive(Clone)]
pub struct Membership(Arc<Shared>);

struct Shared {
    is_alone: bool,
    /// With its end, by this host's clock.
    part: Mutex<Option<(Part, Timestamp)>>,
    /// Milliseconds since 1970 by this host's clock, as the next. In the order of
    /// [`Duty::ALL`].
    duties_until: [AtomicI64; Duty::ALL.len()],
    /// What others had changed by then is known here.
    followed: AtomicI64,
    /// Milliseconds that the database's clock is before this host's.
    ahead: AtomicI64,
    is_apart: AtomicBool,
    lacks_dialect: AtomicBool,
}

/// Nobody else has the database.
impl Default for Membership {
    fn default() -> Self {
        Self::new(true)
    }
}

impl Membership {
    /// Of a host that may not be the only one, and has no part yet.
    pub fn outside() -> Self {
        Self::new(false)
    }

    fn new(is_alone: bool) -> Self {
        let until = if is_alone { i64::MAX } else { i64::MIN };
        let part = is_alone.then_some((Part::WHOLE, Timestamp::from_millis(until)));
        Self(Arc::new(Shared {
            is_alone,
            part: Mutex::new(part),
            duties_until: std::array::from_fn(|_| AtomicI64::new(until)),
            followed: AtomicI64::new(until),
            ahead: AtomicI64::new(0),
            is_apart: AtomicBool::new(false),
            lacks_dialect: AtomicBool::new(false),
        }))
    }

    /// Whether the engine lets no other host in.
    pub fn is_alone(&self) -> bool {
        self.0.is_alone
    }

    /// Its part at this moment; nothing where it may do nothing that is divided.
    pub fn part(&self, now: Timestamp) -> Option<Part> {
        let (part, until) = (*self.lock())?;
        (now < until).then_some(part)
    }

    pub fn set_part(&self, part: Option<Part>, until: Timestamp) {
        *self.lock() = part.map(|part| (part, until));
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Part, Timestamp)>> {
        self.0.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the one that does this for all.
    pub fn has(&self, duty: Duty, now: Timestamp) -> bool {
        now.as_millis() < self.0.duties_until[duty as usize].load(Ordering::Relaxed)
    }

    pub fn set_duty(&self, duty: Duty, until: Timestamp) {
        self.0.duties_until[duty as usize].store(until.as_millis(), Ordering::Relaxed);
    }

    /// All that other hosts had changed at `at` has been read.
    pub fn set_followed(&self, at: Timestamp) {
        self.0.followed.store(at.as_millis(), Ordering::Relaxed);
    }

    /// What the database's clock says when this host's says `now`: what several
    /// hosts put in one order is told by that one.
    pub fn in_step(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_add(self.0.ahead.load(Ordering::Relaxed)))
    }

    pub fn set_offset(&self, offset: Offset) {
        self.0.ahead.store(offset.ahead, Ordering::Relaxed);
        self.0.is_apart.store(offset.at_least() > MOST_APART, Ordering::Relaxed);
    }

    /// Somebody speaks a dialect that this host does not have.
    pub fn set_lacks_dialect(&self, lacks: bool) {
        self.0.lacks_dialect.store(lacks, Ordering::Relaxed);
    }

    /// Why other hosts should be sent this one's traffic.
    pub fn why_not(&self, now: Timestamp) -> Option<&'static str> {
        if self.0.lacks_dialect.load(Ordering::Relaxed) {
            return Some("a dialect that somebody speaks is not on this host");
        }
        if self.0.is_apart.load(Ordering::Relaxed) {
            return Some("the clock differs from the database's by more than 5 s");
        }
        if self.part(now).is_none() {
            return Some("the database cannot be reached, or has not heard of this host for some seconds");
        }
        let followed = Timestamp::from_millis(self.0.followed.load(Ordering::Relaxed));
        (now >= followed + MOST_BEHIND).then_some("what other hosts have changed was not read for 10 s")
    }
}

/// How far the database's clock is from this host's, as an answer of it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Milliseconds that the database's is before.
    pub ahead: i64,
    /// It may be so much more or less: nobody knows when in between it looked.
    pub doubt: i64,
}

impl Offset {
    /// It said `theirs` to a question of this host that began at `asked` and was
    /// answered at `answered`.
    pub fn of(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> Self {
        let took = answered.as_millis().saturating_sub(asked.as_millis()).max(0);
        let doubt = took / 2;
        Self { ahead: theirs.as_millis().saturating_sub(asked.as_millis().saturating_add(doubt)), doubt }
    }

    /// The two differ by this much, whenever it looked.
    pub fn at_least(self) -> Duration {
        Duration::from_millis(self.ahead.unsigned_abs().saturating_sub(self.doubt.unsigned_abs()))
    }
}

/// When a host that begins to say that it lives may take its part: not before every
/// larger one has ended that another was told before it was there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Joining {
    /// When the first answer came since which the database has counted it, and when
    /// the last question was asked that was answered.
    counted: Option<(Timestamp, Timestamp)>,
    is_known: bool,
}

impl Joining {
    /// The database was told that it lives for `life`, by a question of `asked`, and
    /// answered with this part after it `took` that long. Answers what the host may take
    /// of it.
    ///
    /// A part is believed for `life` from its question on. So another that was asked for
    /// before this host was there has ended `life` after this host's first answer, also
    /// where no later question of that other was answered. And whoever was silent for
    /// `life` may not have been counted meanwhile, and begins anew.
    pub fn told(&mut self, part: Part, asked: Timestamp, life: Duration, took: Duration) -> Option<Part> {
        let answered = asked + took;
        let since = match self.counted {
            Some((since, last)) if answered < last + life => since,
            _ => {
                self.is_known = false;
                answered
            }
        };
        self.counted = Some((since, asked));
        // Where nobody else lives, nobody has a part.
        self.is_known |= part.of == 1 || answered >= since + life;
        self.is_known.then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(5);
    const AT_ONCE: Duration = Duration::ZERO;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_parts_of_all_add_up() {
        for (most, of) in [(64, 1), (64, 3), (5, 3), (1, 4), (2, 4), (256, 7)] {
            let parts: Vec<u16> = (0..of).map(|rank| Part { rank, of }.at_once(most)).collect();
            assert_eq!(parts.iter().sum::<u16>(), most, "{parts:?}");
            assert!(parts.is_sorted_by(|older, younger| older >= younger) && parts[0] - parts[parts.len() - 1] <= 1);
        }
    }

    #[test]
    fn a_ring_that_is_turned_has_the_same_parts() {
        for by in [0, 1, 2, 3, u32::MAX] {
            let mut ranks: Vec<u32> = (0..3).map(|rank| Part { rank, of: 3 }.turned(by).rank).collect();
            assert_eq!(ranks[0], by % 3);
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2]);
        }
    }

    #[test]
    fn a_part_and_a_duty_end_by_themselves() {
        let host = Membership::outside();
        assert_eq!((host.part(at(0)), host.has(Duty::Upkeep, at(0)), host.is_alone()), (None, false, false));
        let part = Part { rank: 2, of: 3 };
        host.set_part(Some(part), at(5000));
        host.set_duty(Duty::Replays, at(4000));
        assert_eq!((host.part(at(4999)), host.part(at(5000))), (Some(part), None));
        assert_eq!([3999, 4000].map(|now| host.has(Duty::Replays, at(now))), [true, false]);
        assert!(!host.has(Duty::Upkeep, at(0)), "another one");
        host.set_followed(at(0));
        assert!(host.why_not(at(0)).is_none() && host.why_not(at(5000)).is_some());
        host.set_part(None, at(9000));
        assert_eq!(host.part(at(5000)), None);

        let alone = Membership::default();
        assert_eq!(alone.part(at(i64::MAX - 1)), Some(Part::WHOLE));
        assert!(Duty::ALL.into_iter().all(|duty| alone.has(duty, at(i64::MAX - 1))) && alone.why_not(at(0)).is_none());
    }

    #[test]
    fn a_clock_is_off_by_no_more_than_the_answer_took() {
        let offset = Offset::of(at(1000), at(4000), at(1200));
        assert_eq!((offset, offset.at_least()), (Offset { ahead: 2900, doubt: 100 }, Duration::from_millis(2800)));
        // The answer took long: that is no difference.
        let slow = Offset::of(at(0), at(40_000), at(40_000));
        assert_eq!((slow.ahead, slow.at_least()), (20_000, Duration::ZERO));
        let behind = Offset::of(at(60_000), at(45_000), at(60_000));
        assert_eq!(behind.at_least(), Duration::from_secs(15));
        let host = Membership::default();
        host.set_offset(behind);
        assert_eq!((host.in_step(at(60_000)), host.why_not(at(0)).is_some()), (at(45_000), true));
        host.set_offset(offset);
        assert!(host.why_not(at(0)).is_none());
    }

    #[test]
    fn whoever_does_not_hear_of_changes_says_so() {
        let host = Membership::outside();
        host.set_part(Some(Part::WHOLE), at(60_000));
        assert!(host.why_not(at(0)).is_some(), "it has read nothing yet");
        host.set_followed(at(1000));
        assert_eq!(host.why_not(at(10_999)), None);
        assert_eq!(host.why_not(at(11_000)), Some("what other hosts have changed was not read for 10 s"));
        host.set_followed(at(9000));
        assert_eq!(host.why_not(at(11_000)), None);
    }

    #[test]
    fn whoever_joins_others_waits_until_theirs_have_ended() {
        let (second, alone) = (Part { rank: 1, of: 2 }, Part::WHOLE);
        let mut joining = Joining::default();
        let mut told = |part, now| joining.told(part, at(now), LIFE, AT_ONCE);
        assert_eq!([told(second, 0), told(second, 2000), told(second, 4999)], [None; 3]);
        assert_eq!([told(second, 5000), told(second, 9999)], [Some(second); 2]);
        // For so long nobody counted it.
        assert_eq!([told(second, 14_999), told(second, 19_000), told(second, 19_998)], [None; 3]);
        assert_eq!(told(second, 19_999), Some(second));

        let mut first = Joining::default();
        assert_eq!(first.told(alone, at(0), LIFE, AT_ONCE), Some(alone));
        assert_eq!(first.told(Part { rank: 0, of: 2 }, at(1000), LIFE, AT_ONCE), Some(Part { rank: 0, of: 2 }));
    }

    /// When in between the database looked nobody knows: the worse is supposed.
    #[test]
    fn whoever_joins_counts_from_the_answer() {
        let second = Part { rank: 1, of: 2 };
        let mut joining = Joining::default();
        let mut told = |asked, took| joining.told(second, at(asked), LIFE, Duration::from_millis(took));
        assert_eq!([told(0, 1500), told(3000, 0), told(6499, 0)], [None; 3]);
        assert_eq!(told(6499, 1), Some(second));
        // The row may have ended before this was written.
        assert_eq!([told(11_000, 499), told(11_499, 0)], [None, None]);
        let mut silent = Joining::default();
        let mut told = |asked, took| silent.told(second, at(asked), LIFE, Duration::from_millis(took));
        assert_eq!([told(0, 0), told(3000, 0), told(6000, 0)], [None, None, Some(second)]);
        assert_eq!([told(9500, 1499), told(14_000, 500)], [Some(second), None]);
    }
}
