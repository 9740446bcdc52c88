//! What is known of an endpoint's receiver, here and in the store: through that,
//! hosts hear what the others have learnt. How much a receiver is sent is for its
//! lane to say.

use std::time::Duration;

use crate::domain::delivery::Outcome;
use crate::domain::health::{Circuit, Health};
use crate::domain::host::Part;
use crate::domain::time::Timestamp;

/// From one host's probe of a receiver to the next one's: by then the others have
/// heard what came of the first, if it was answered at once.
const BETWEEN_PROBES: Duration = Duration::from_secs(2);

/// A moment in what this host learns: what the store said before it may be older
/// than what was learnt after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Moment(u64);

/// What an attempt's outcome changed.
pub struct Noted {
    pub is_given_up: bool,
    /// Its owner is to be told that it only fails.
    pub is_warned: bool,
}

/// What is known of a receiver. Nothing is learnt here without the moment of it.
#[derive(Default)]
pub(super) struct Known {
    health: Health,
    /// What the store has of it.
    saved: Health,
    /// When something was learnt here last.
    learnt: Moment,
    /// Somebody is just telling the store. One at a time does: of two, the older might
    /// be written last.
    is_being_told: bool,
}

impl Moment {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Known {
    /// What an earlier run or other hosts have learnt.
    pub(super) fn remembered(health: Health) -> Self {
        Self { health, saved: health, ..Self::default() }
    }

    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// Takes note of what an attempt came to.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Timestamp, moment: Moment) -> Noted {
        let before = self.health.warnings;
        self.health = self.health.after(outcome, now);
        self.learnt = moment;
        let is_failure = !matches!(outcome, Outcome::Accepted { .. });
        Noted { is_given_up: is_failure && self.health.is_given_up(now), is_warned: self.health.warnings > before }
    }

    /// What the store does not have and nobody is telling it. Whoever asks tells it, and
    /// says then how that ended.
    pub(super) fn tell(&mut self) -> Option<Health> {
        let is_to_be_told = self.has_news() && !self.is_being_told;
        self.is_being_told |= is_to_be_told;
        is_to_be_told.then_some(self.health)
    }

    /// The store has this of it now.
    pub(super) fn told(&mut self, health: Health, moment: Moment) {
        (self.saved, self.learnt, self.is_being_told) = (health, moment, false);
    }

    /// The store was not told.
    pub(super) fn not_told(&mut self) {
        self.is_being_told = false;
    }

    /// The next attempt is made now, circuit or not.
    pub(super) fn probe(&mut self, moment: Moment) {
        (self.health, self.learnt) = (self.health.probed_now(), moment);
    }

    /// It is of no use any more, here and in the store.
    pub(super) fn forget(&mut self, moment: Moment) {
        *self = Self { learnt: moment, is_being_told: self.is_being_told, ..Self::default() };
    }

    /// Takes over what the store says, where somebody else has written it. What was
    /// learnt here after it was `asked` is newer.
    pub(super) fn hear(&mut self, theirs: Health, asked: Moment) {
        if self.learnt > asked || theirs == self.saved {
            return;
        }
        let has_news = self.has_news();
        self.saved = theirs;
        self.health = match (has_news, self.health.is_well(), theirs.is_well()) {
            (_, false, false) => self.health.and(theirs),
            // It goes out with the next settlement.
            (true, ..) => self.health,
            (false, ..) => theirs,
        };
    }

    /// Hosts that wait for the same end would probe the receiver all at once.
    pub(super) fn circuit(&self, part: Part, now: Timestamp) -> Circuit {
        let later = BETWEEN_PROBES.saturating_mul(part.rank);
        match self.health.not_before {
            Some(until) if self.health.trips > 0 && now < until + later => Circuit::Open { until: until + later },
            _ => self.health.circuit(now),
        }
    }

    /// Whether nothing is lost with it.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_news() && !self.is_being_told && self.health.is_well()
    }

    /// Whether the store does not have it yet.
    fn has_news(&self) -> bool {
        self.health != self.saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESS: Outcome = Outcome::Accepted { status: 204 };
    const REFUSED: Outcome = Outcome::Refused { status: 500, retry_after: None, word: None };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// What is known once the store has said this.
    fn heard(known: &mut Known, theirs: Health, asked: u64) -> Health {
        known.hear(theirs, Moment(asked));
        known.health()
    }

    #[test]
    fn what_others_learnt_is_heard_and_what_is_known_better_stays() {
        let (mut known, well) = (Known::default(), Health::default());
        let ill = Health { failing_since: Some(at(0)), weight: 10, trips: 1, not_before: Some(at(30)), warnings: 0 };
        assert_eq!((heard(&mut known, ill, 0), heard(&mut known, ill, 0)), (ill, ill));
        // Somebody was answered, or its owner has mended it.
        assert_eq!(heard(&mut known, well, 0), well);
        // Failures of both.
        known.note(&REFUSED, at(40), Moment(1));
        assert_eq!(heard(&mut known, ill, 1), ill);
        // It was answered here, which the store does not have yet.
        known.note(&SUCCESS, at(41), Moment(2));
        assert!(heard(&mut known, Health { trips: 2, ..ill }, 2).is_well());
        assert!(known.tell().is_some_and(|health| health.is_well()), "it is told");
        known.not_told();

        // The store was asked before something was learnt and written here.
        known.note(&REFUSED, at(43), Moment(4));
        let failed = known.tell().expect("it is news");
        known.told(failed, Moment(5));
        assert_eq!(heard(&mut known, well, 3), failed);
        assert_eq!(heard(&mut known, well, 5), well);
    }

    #[test]
    fn one_at_a_time_tells_the_store() {
        let mut known = Known::default();
        known.note(&REFUSED, at(0), Moment(1));
        let first = known.tell().expect("it is news");
        known.note(&REFUSED, at(1), Moment(2));
        assert_eq!(known.tell(), None, "it would come before or after the first");
        known.told(first, Moment(3));
        assert_eq!(known.tell(), Some(known.health()), "the first did not have it");
        known.not_told();
        assert_eq!(known.tell(), Some(known.health()), "nor was it told then");
        known.told(known.health(), Moment(4));
        assert_eq!(known.tell(), None);
    }
}
