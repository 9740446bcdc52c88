//! The two things that are no function of their arguments: time and chance.

use std::time::SystemTime;

use crate::domain::id::TypedId;
use crate::domain::time::Timestamp;

/// Tells the time. A test brings its own.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Bytes from the operating system, fit for keys.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("an operating system without random bytes cannot keep a secret");
    bytes
}

/// Identifiers of one moment, of which each sorts behind the one before: what
/// came together stays in its order.
pub struct Ids {
    at: Timestamp,
    last: u128,
}

impl Ids {
    pub fn at(at: Timestamp) -> Self {
        // One bit is left free to count into.
        Self { at, last: number(random::<10>()) >> 1 }
    }

    pub fn mint<Id: TypedId>(&mut self) -> Id {
        self.last += 1 + u128::from(u32::from_le_bytes(random()));
        let mut low = [0; 10];
        low.copy_from_slice(&self.last.to_be_bytes()[6..]);
        Id::new(self.at, low)
    }
}

fn number(bytes: [u8; 10]) -> u128 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

/// A new identifier.
pub fn mint<Id: TypedId>(at: Timestamp) -> Id {
    Id::new(at, random())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::EventId;

    #[test]
    fn ids_of_one_moment_keep_their_order() {
        let mut ids = Ids::at(Timestamp::from_millis(1_763_700_000_000));
        let minted: Vec<EventId> = (0..10_000).map(|_| ids.mint()).collect();
        assert!(minted.is_sorted_by(|one, other| one < other));
        assert!(minted.iter().all(|id| id.minted_at().as_millis() == 1_763_700_000_000));
        assert_ne!(Ids::at(Timestamp::from_millis(5)).mint::<EventId>(), Ids::at(Timestamp::from_millis(5)).mint());
    }
}
