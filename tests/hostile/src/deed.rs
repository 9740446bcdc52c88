//! What can go wrong with other people's code.

use hookyard_plugin::{Refusal, log};
use serde::Deserialize;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One way to misbehave, or not to.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    /// Everything stays as it is.
    #[default]
    Nothing,
    /// Never comes back.
    Loop,
    /// Takes memory until there is no more, and lives on.
    Grow,
    /// Takes memory as most programs do, which is to end when there is no more.
    Hoard,
    /// Panics, with `a hostile plugin was here` as the message.
    Trap,
    /// Gives back a JSON string of 4 MiB.
    Output,
    /// Writes a hundred thousand lines of 1 KiB.
    LogFlood,
    /// Calls itself until the stack is full.
    Recurse,
    /// Says no, with code `hostile`.
    Refuse,
    /// Gives back how many calls this instance has had: always `{"calls":1}`.
    Remember,
    /// Gives back how often it was prepared before its call:
    /// always `{"prepared":1}`.
    Prepared,
    /// Gives back what time it is and a number that ought to be random.
    Clock,
}

impl Deed {
    /// What it makes, if it makes anything: a JSON document.
    pub(crate) fn commit(&self) -> Result<Option<String>, Refusal> {
        match self {
            Self::Nothing => Ok(None),
            Self::Loop => run_forever(),
            Self::Grow => Ok(Some(take_all_memory())),
            Self::Hoard => Ok(Some(hoard())),
            Self::Trap => panic!("a hostile plugin was here"),
            Self::Output => Ok(Some(format!("\"{}\"", "x".repeat(4 << 20)))),
            Self::LogFlood => {
                flood();
                Ok(None)
            }
            Self::Recurse => Ok(Some(recurse(1).to_string())),
            Self::Refuse => Err(Refusal::new("hostile", "it does not want to")),
            Self::Remember => Ok(Some(remember())),
            Self::Prepared => Ok(Some(prepared())),
            Self::Clock => Ok(Some(clock())),
        }
    }
}

fn run_forever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Touches each page that it takes: an allocation alone may be only a promise.
/// `try_reserve` gives up without a panic, so that what the host sees is a
/// plugin that lives on with all the memory that it could get.
fn take_all_memory() -> String {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if block.try_reserve_exact(1 << 20).is_err() {
            return format!("{{\"mebibytes\":{}}}", black_box(&taken).len());
        }
        block.resize(1 << 20, 1);
        taken.push(block);
    }
}

fn hoard() -> String {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
        black_box(&taken);
    }
}

fn flood() {
    let line = "x".repeat(1024);
    for _ in 0..100_000 {
        log::info(&line);
    }
}

fn recurse(depth: u64) -> u64 {
    let here = black_box([depth; 64]);
    match black_box(depth) {
        0 => here[0],
        depth => recurse(depth + 1) + here[1],
    }
}

static PREPARED: AtomicU32 = AtomicU32::new(0);

/// What is done once for all calls.
pub(crate) fn prepare() {
    PREPARED.fetch_add(1, Ordering::Relaxed);
}

fn prepared() -> String {
    format!("{{\"prepared\":{}}}", PREPARED.fetch_add(1, Ordering::Relaxed))
}

fn remember() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    format!("{{\"calls\":{}}}", CALLS.fetch_add(1, Ordering::Relaxed) + 1)
}

#[expect(clippy::disallowed_methods, reason = "the question is what a plugin gets that asks")]
fn clock() -> String {
    let started = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let random = RandomState::new().hash_one(0);
    let passed = started.elapsed().as_nanos();
    format!("{{\"now\":{now},\"random\":\"{random:x}\",\"passed\":{passed}}}")
}
