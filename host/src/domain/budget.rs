//! Budgets: what one call of a plugin may use. A step may ask for more or less
//! than the default, its tenant's ceilings say how much more.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a step asks for. What it leaves out is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Units of work; see [`FUEL_TABLE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Bytes of linear memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes that may cross to the host at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Bytes of log that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<u64>,
}

/// The most that a tenant's steps may ask for: the operator's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ceilings {
    pub fuel: u64,
    pub memory: u64,
    pub output: u64,
    pub log: u64,
}

/// The most memory that a ceiling can be: the size of a slot in the sandbox's
/// pool.
pub const MAX_MEMORY: u64 = 128 << 20;

/// The version of what a unit of fuel is. What it costs is wasmtime 48's table:
/// one for each instruction, none for `nop`, `drop`, `block` and `loop`, one
/// more for each byte that a bulk operation moves; but 255 to grow a memory or a
/// table. Of the host's functions it is 500 for a call, one for each 16 bytes
/// that it moves, and one for each byte that it hashes. When any of that
/// changes, this does.
pub const FUEL_TABLE: &str = "wasmtime-48.1";

impl Default for Ceilings {
    /// Five times the fuel that a call has by default, and twice the memory.
    fn default() -> Self {
        Self { fuel: 1_000_000_000, memory: 64 << 20, output: 16 << 20, log: 64 << 10 }
    }
}

/// A number is beyond what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    pub field: &'static str,
    pub wanted: u64,
    pub allowed: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, allowed, .. } = self;
        match wanted {
            0 => write!(f, "is 0, and nothing could be done with that; leave it out for the default"),
            _ => {
                write!(f, "is {wanted} and at most {allowed} is allowed; the operator can raise the tenant's `limits`")
            }
        }
    }
}

impl Budget {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it stays under `ceilings`, or what does not.
    pub fn check(&self, ceilings: &Ceilings) -> Result<(), Excess> {
        let Ceilings { fuel, memory, output, log } = *ceilings;
        let asked = [
            ("fuel", self.fuel, fuel),
            ("memory", self.memory, memory),
            ("output", self.output, output),
            ("log", self.log, log),
        ];
        let excess = |(field, wanted, allowed): (&'static str, Option<u64>, u64)| {
            wanted.filter(|wanted| *wanted == 0 || *wanted > allowed).map(|wanted| Excess { field, wanted, allowed })
        };
        asked.into_iter().find_map(excess).map_or(Ok(()), Err)
    }
}

impl Ceilings {
    /// Whether an operator can mean it, or what not.
    pub fn check(&self) -> Result<(), Excess> {
        let Self { fuel, memory, output, log } = *self;
        Budget { fuel: Some(fuel), memory: Some(memory), output: Some(output), log: Some(log) }.check(&Self {
            // Some seconds of one core: beyond that the deadline ends a call.
            fuel: 10_000_000_000,
            memory: MAX_MEMORY,
            output: MAX_MEMORY,
            log: 1 << 20,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_stays_under_the_ceilings() {
        let ceilings = Ceilings::default();
        assert_eq!(Budget::default().check(&ceilings), Ok(()));
        let asks = |fuel| Budget { fuel: Some(fuel), ..Budget::default() }.check(&ceilings);
        assert_eq!(asks(1_000_000_000), Ok(()));
        let excess = asks(1_000_000_001).unwrap_err();
        assert_eq!((excess.field, excess.allowed), ("fuel", 1_000_000_000));
        assert!(asks(0).unwrap_err().to_string().contains("leave it out"));
    }

    #[test]
    fn a_ceiling_is_below_the_roof() {
        assert_eq!(Ceilings::default().check(), Ok(()));
        let high = Ceilings { memory: MAX_MEMORY + 1, ..Ceilings::default() };
        assert_eq!(high.check().unwrap_err().field, "memory");
    }
}
