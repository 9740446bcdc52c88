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

/// A new identifier.
pub fn mint<Id: TypedId>(at: Timestamp) -> Id {
    Id::new(at, random())
}
