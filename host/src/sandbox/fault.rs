//! Why a plugin was stopped: one word of a closed list, and a sentence for the
//! plugin's author that names the limit and says what to do.

use std::error::Error;
use std::fmt::{self, Write as _};

use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::engine::BACKTRACE;
use super::guest::{Declined, Guest};
use super::limits::Limits;

/// Bytes of a function's name that are shown, and of its symbol that are read.
const MAX_NAME: usize = 120;
const MAX_SYMBOL: usize = 4 << 10;

/// What a plugin ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Too many instructions.
    Fuel,
    /// Too long by the wall clock.
    Time,
    /// Too much linear memory, or too many table elements or handles.
    Memory,
    /// Too deep a recursion.
    Stack,
    /// Too much returned.
    Output,
    /// It crashed: a panic, a bad access, a division by zero.
    Trap,
    /// It returned what the contract does not allow.
    Contract,
}

impl Limit {
    /// The word that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Output => "output",
            Self::Trap => "trap",
            Self::Contract => "contract",
        }
    }
}

/// A plugin misbehaved. (A plugin that declines on purpose refuses.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub limit: Limit,
    pub message: String,
    /// The functions that were running, the innermost first.
    pub backtrace: Vec<String>,
}

impl Fault {
    pub(super) fn contract(message: impl Into<String>) -> Self {
        Self { limit: Limit::Contract, message: message.into(), backtrace: Vec::new() }
    }

    pub(super) fn output(message: impl Into<String>) -> Self {
        Self { limit: Limit::Output, message: message.into(), backtrace: Vec::new() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.limit.as_str(), self.message)
    }
}

/// A host function ends the call.
#[derive(Debug)]
pub(super) enum Stopped {
    Exited(u8),
    Absent(String),
    TooRandom,
    /// In `prepare`, something that only a call has.
    TooEarly(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "called `exit` with {code}; return a refusal instead"),
            Self::Absent(function) => write!(f, "called `{function}`, which plugins do not have"),
            Self::TooEarly(function) => {
                write!(
                    f,
                    "called `{function}` in `prepare`, where every call would find the same answer; call it later"
                )
            }
            Self::TooRandom => f.write_str("asked for more than 64 KiB of random bytes at once"),
        }
    }
}

impl Error for Stopped {}

/// Why a call did not come to a result.
pub(super) enum Failure {
    /// The plugin's doing.
    Fault(Fault),
    /// The host's: there was no room for the instance.
    NoRoom,
}

/// What `error`, which ended a call in `guest`, was about.
pub(super) fn explain(error: &wasmtime::Error, guest: &Guest, limits: &Limits) -> Failure {
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::NoRoom;
    }
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        return fault(Limit::Trap, format!("The plugin {stopped}."), error, guest);
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => explain_trap(*trap, error, guest, limits),
        None => explain_other(error, guest, limits),
    }
}

fn explain_trap(trap: Trap, error: &wasmtime::Error, guest: &Guest, limits: &Limits) -> Failure {
    let (limit, message) = match (trap, guest.meter.declined) {
        (Trap::OutOfFuel, _) => (Limit::Fuel, out_of_fuel(limits)),
        (Trap::Interrupt, _) => (Limit::Time, out_of_time(limits)),
        (Trap::StackOverflow, _) => (Limit::Stack, out_of_stack()),
        // Compilers keep a second stack at the bottom of linear memory. Who
        // runs out of that first accesses what is below zero.
        (Trap::MemoryOutOfBounds, _) if error.downcast_ref().is_some_and(is_recursion) => {
            (Limit::Stack, out_of_stack())
        }
        // A language's runtime ends in a trap when it gets no more memory.
        (Trap::UnreachableCodeReached, Some(declined)) => (Limit::Memory, out_of_memory(declined)),
        (Trap::UnreachableCodeReached, None) => (Limit::Trap, "The plugin panicked or aborted.".to_owned()),
        (other, _) => (Limit::Trap, format!("The plugin crashed: {}.", plain(&other.to_string()))),
    };
    fault(limit, message, error, guest)
}

fn explain_other(error: &wasmtime::Error, guest: &Guest, limits: &Limits) -> Failure {
    let reason = error.root_cause().to_string();
    // These errors have no type of their own in wasmtime; a test notices when
    // the words change.
    if reason.contains("fuel allocated for hostcalls") {
        let allowed = bytes(limits.transfer);
        let message = format!("The plugin returned or logged more than {allowed} at once. Return less.");
        return fault(Limit::Output, message, error, guest);
    }
    if let Some(declined) = guest.meter.declined {
        return fault(Limit::Memory, out_of_memory(declined), error, guest);
    }
    if reason.contains("handle limit exceeded") {
        let allowed = limits.handles;
        let message = format!("The plugin held more than {allowed} handles at once. Give back what it does not need.");
        return fault(Limit::Memory, message, error, guest);
    }
    fault(Limit::Contract, format!("The plugin broke the contract: {reason}."), error, guest)
}

fn out_of_fuel(limits: &Limits) -> String {
    let allowed = limits.fuel / 1_000_000;
    format!(
        "The plugin used up its fuel of {allowed} million instructions. Look for a loop without an end, \
         or do less work for each event."
    )
}

fn out_of_time(limits: &Limits) -> String {
    format!("The plugin ran longer than {:?}. Do less work for each event.", limits.deadline)
}

fn out_of_stack() -> String {
    "The plugin ran out of stack. Look for a recursion without an end.".to_owned()
}

fn out_of_memory(declined: Declined) -> String {
    match declined {
        Declined::Memory { wanted, allowed } => format!(
            "The plugin asked for {} of memory and {} are allowed. Keep less in memory at a time.",
            bytes(wanted),
            bytes(allowed)
        ),
        Declined::Table { wanted, allowed } => {
            format!("The plugin asked for tables of {wanted} elements and {allowed} are allowed.")
        }
    }
}

fn fault(limit: Limit, mut message: String, error: &wasmtime::Error, guest: &Guest) -> Failure {
    let said = guest.tail.text();
    // Rust's advice is for people who can set a variable.
    let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE")).collect();
    if !said.is_empty() {
        message.push_str(" It said: ");
        message.push_str(&said.join("\n"));
    }
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(functions).unwrap_or_default();
    message.push_str(&place(&backtrace));
    Failure::Fault(Fault { limit, message, backtrace })
}

/// The functions that were running, the innermost first.
fn functions(backtrace: &WasmBacktrace) -> Vec<String> {
    let name = |frame: &FrameInfo| match frame.func_name() {
        Some(symbol) => function(symbol),
        None => format!("<wasm function {}>", frame.func_index()),
    };
    backtrace.frames().iter().map(name).collect()
}

/// The innermost few that are the plugin's own, where the runtime's end: a
/// panic alone has eight of those.
fn place(functions: &[String]) -> String {
    let own = functions.iter().position(|name| !is_runtime(name)).unwrap_or(0);
    let mut names = functions[own..].to_vec();
    names.dedup();
    names.truncate(6);
    if names.is_empty() { String::new() } else { format!(" In: {}.", names.join(" < ")) }
}

fn is_runtime(name: &str) -> bool {
    name == "abort" || ["std::", "core::", "alloc::", "__rustc::", "rust_"].iter().any(|start| name.starts_with(start))
}

/// As many frames as there can be, and few functions.
fn is_recursion(backtrace: &WasmBacktrace) -> bool {
    let mut names = functions(backtrace);
    let frames = names.len();
    names.sort_unstable();
    names.dedup();
    frames >= BACKTRACE && names.len() * 4 <= frames
}

/// A symbol as a Rust author wrote it, without the compiler's hash. Of what other
/// languages made, the symbol itself: a plugin chooses its names, and a name of
/// C++ can be one of three hundred bytes that unfolds to gigabytes.
fn function(symbol: &str) -> String {
    let mut name = Short(String::new());
    // No room is left when this fails.
    let _ = write!(name, "{:#}", rustc_demangle::demangle(cut(symbol, MAX_SYMBOL)));
    name.0
}

/// Text of which only the beginning is written.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, MAX_NAME - self.0.len());
        self.0.push_str(kept);
        if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn plain(trap: &str) -> &str {
    trap.strip_prefix("wasm trap: ").unwrap_or(trap)
}

fn bytes(count: usize) -> String {
    match count {
        0..0x40_0000 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_told_as_its_author_wrote_it() {
        assert_eq!(function("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
        assert_eq!(function("_RNvCsdJPVW0sYFbP_4mine5crash"), "mine::crash");
        assert_eq!(function("main"), "main");
        assert_eq!(function("_Z1fISt4pairIiiEEvT_"), "_Z1fISt4pairIiiEEvT_");
        assert_eq!(function(&"\u{e4}".repeat(1_000_000)), "\u{e4}".repeat(60));
    }

    #[test]
    fn a_place_begins_where_the_plugins_own_code_does() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            place(&names(&["abort", "std::process::abort", "mine::a", "mine::a", "mine::b"])),
            " In: mine::a < mine::b."
        );
        assert_eq!(place(&names(&["std::process::abort"])), " In: std::process::abort.");
        assert_eq!(place(&[]), "");
    }

    #[test]
    fn sizes_are_told_in_round_numbers() {
        assert_eq!((bytes(65_536), bytes(32 << 20)), ("64 KiB".to_owned(), "32 MiB".to_owned()));
    }
}
