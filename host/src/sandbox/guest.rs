//! What belongs to one call: its meters, its log, its clock and its dice. Made
//! for the call and gone with it.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::ResourceLimiter;

use super::effects::{Deadline, Reaching};
use super::limits::Limits;
use super::past::Past;
use crate::domain::grants::Grants;
use crate::domain::pipeline::{LogLevel, LogLine};
use crate::domain::time::Timestamp;

/// Bytes of standard output and error that are kept, the last ones: enough for
/// a panic's message.
pub(super) const TAIL: usize = 2 << 10;

/// One call's state, reachable from the functions that a plugin imports.
pub(super) struct Guest {
    pub(super) meter: Meter,
    pub(super) log: Journal,
    pub(super) tail: Tail,
    pub(super) clock: Clock,
    pub(super) dice: Dice,
    pub(super) past: Arc<Past>,
    pub(super) grants: Grants,
    /// What lies outside; nothing where no step is at work.
    pub(super) reaching: Option<Reaching>,
    pub(super) deadline: Deadline,
}

impl Guest {
    /// For a call about the event or request `about`, in a world where it is
    /// `now` and stays so, and where nothing was before.
    pub(super) fn new(limits: &Limits, about: &str, now: Timestamp) -> Self {
        Self {
            meter: Meter::new(limits),
            log: Journal::new(limits),
            tail: Tail::default(),
            clock: Clock { now, looks: 0 },
            dice: Dice { seed: about.to_owned(), rolls: 0, rest: Vec::new() },
            past: Arc::default(),
            grants: Grants::default(),
            reaching: None,
            deadline: Deadline::after(limits.deadline),
        }
    }

    /// With what its step was granted.
    pub(super) fn granted(self, grants: &Grants) -> Self {
        Self { grants: grants.clone(), ..self }
    }

    /// With a way out of the sandbox, as far as it was granted one.
    pub(super) fn reaching(self, reaching: Reaching) -> Self {
        Self { reaching: Some(reaching), ..self }
    }

    /// In a world where something was before.
    pub(super) fn after(self, past: &Arc<Past>) -> Self {
        Self { past: Arc::clone(past), ..self }
    }
}

/// Counts memory and tables over all of a component's instances; wasmtime's own
/// limiter counts each memory for itself.
pub(super) struct Meter {
    pub(super) memory: usize,
    elements: usize,
    memory_allowed: usize,
    elements_allowed: usize,
    /// The last request that was declined. What a plugin does then is its own
    /// affair, mostly a trap, and this says why.
    pub(super) declined: Option<Declined>,
}

/// More than was allowed.
#[derive(Clone, Copy)]
pub(super) enum Declined {
    Memory {
        wanted: usize,
        allowed: usize,
    },
    /// One table may have fewer elements than all together.
    Table {
        wanted: usize,
        allowed: usize,
    },
}

impl Meter {
    fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            elements: 0,
            memory_allowed: limits.memory,
            elements_allowed: limits.table_elements,
            declined: None,
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if let Some((wanted, allowed)) = exceeded([(wanted, self.memory_allowed), (desired, most(maximum))]) {
            self.declined = Some(Declined::Memory { wanted, allowed });
            return Ok(false);
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        if let Some((wanted, allowed)) = exceeded([(wanted, self.elements_allowed), (desired, most(maximum))]) {
            self.declined = Some(Declined::Table { wanted, allowed });
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }
}

/// What is wanted of the first that is not allowed.
fn exceeded(wishes: [(usize, usize); 2]) -> Option<(usize, usize)> {
    wishes.into_iter().find(|(wanted, allowed)| wanted > allowed)
}

fn most(maximum: Option<usize>) -> usize {
    maximum.unwrap_or(usize::MAX)
}

/// A plugin's log: counted, cut, and never an error.
pub(super) struct Journal {
    lines: Vec<LogLine>,
    /// Bytes that may still be kept.
    room: usize,
    longest: usize,
    most: usize,
    dropped: u64,
}

impl Journal {
    fn new(limits: &Limits) -> Self {
        Self { lines: Vec::new(), room: limits.log_bytes, longest: limits.log_line, most: limits.log_lines, dropped: 0 }
    }

    /// How many bytes of the next line are worth reading.
    pub(super) fn wants(&self) -> usize {
        if self.lines.len() < self.most { self.longest.min(self.room) } else { 0 }
    }

    /// Keeps the line's beginning, or counts it.
    pub(super) fn write(&mut self, level: LogLevel, text: &str) {
        let wanted = self.wants();
        if wanted == 0 {
            self.dropped += 1;
            return;
        }
        let kept = &text[..text.floor_char_boundary(wanted)];
        self.room -= kept.len();
        let text = if kept.len() < text.len() { format!("{kept}...") } else { kept.to_owned() };
        self.lines.push(LogLine { level, text });
    }

    /// What was kept, with a last line about what was not.
    pub(super) fn into_lines(mut self) -> Vec<LogLine> {
        if self.dropped > 0 {
            let text = format!("{} more lines were dropped", self.dropped);
            self.lines.push(LogLine { level: LogLevel::Warn, text });
        }
        self.lines
    }
}

/// The end of what a plugin wrote to its standard output and error.
#[derive(Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        if self.0.len() > 2 * TAIL {
            self.0.drain(..self.0.len() - TAIL);
        }
    }

    /// As text, without the white space around it.
    pub(super) fn text(&self) -> String {
        let last = &self.0[self.0.len().saturating_sub(TAIL)..];
        String::from_utf8_lossy(last).trim().to_owned()
    }
}

/// A clock that shows the call's instant.
pub(super) struct Clock {
    now: Timestamp,
    looks: u64,
}

impl Clock {
    pub(super) fn wall(&self) -> Timestamp {
        self.now
    }

    /// Nanoseconds since the call began. A microsecond passes at each look, so
    /// that a loop that waits for time to pass comes to its end.
    pub(super) fn monotonic(&mut self) -> u64 {
        self.looks += 1;
        self.looks * 1_000
    }
}

/// Bytes that look random and are the same whenever the same event or request
/// comes by, in a preview as in production.
pub(super) struct Dice {
    seed: String,
    rolls: u64,
    rest: Vec<u8>,
}

impl Dice {
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        while bytes.len() < len {
            let block = Sha256::new().chain_update(&self.seed).chain_update(self.rolls.to_le_bytes()).finalize();
            bytes.extend_from_slice(&block);
            self.rolls += 1;
        }
        self.rest = bytes.split_off(len);
        bytes
    }

    pub(super) fn number(&mut self) -> u64 {
        self.bytes(8).iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        Guest::new(&Limits::default(), "evt_1", Timestamp::from_millis(5))
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut meter = guest().meter;
        assert!(meter.memory_growing(0, 20 << 20, None).unwrap());
        assert!(!meter.memory_growing(0, 20 << 20, None).unwrap());
        assert!(meter.declined.is_some());
        assert!(meter.memory_growing(20 << 20, 32 << 20, None).unwrap());
        assert_eq!(meter.memory, 32 << 20);
    }

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let mut log = guest().log;
        for _ in 0..1_000_000 {
            log.write(LogLevel::Info, "tick");
        }
        let lines = log.into_lines();
        assert_eq!(lines.len(), 65);
        assert_eq!(lines[64].text, "999936 more lines were dropped");
    }

    #[test]
    fn long_lines_are_cut_between_characters_and_in_sum() {
        let mut log = guest().log;
        for _ in 0..40 {
            log.write(LogLevel::Info, &"ä".repeat(700));
        }
        let lines = log.into_lines();
        assert_eq!(lines[0].text, format!("{}...", "ä".repeat(512)));
        assert_eq!(lines.len(), 17, "sixteen lines of a kilobyte, and the note");
    }

    #[test]
    fn the_end_of_the_output_is_kept() {
        let mut tail = Tail::default();
        tail.write(&[b'x'; 100_000]);
        tail.write(b"panicked at src/lib.rs:7\n");
        assert!(tail.text().ends_with("xpanicked at src/lib.rs:7"));
        assert!(tail.text().len() <= TAIL);
    }

    #[test]
    fn dice_depend_on_the_event_alone() {
        let (mut one, mut same) = (guest().dice, guest().dice);
        assert_eq!((one.number(), one.bytes(40)), (same.number(), same.bytes(40)));
        let mut other = Guest::new(&Limits::default(), "evt_2", Timestamp::from_millis(5)).dice;
        assert_ne!(guest().dice.number(), other.number());
    }
}
