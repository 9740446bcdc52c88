//! The part of WASI 0.2 that a language's standard library always imports,
//! answered emptily: no files, no sockets, no environment, no arguments, an
//! input that has ended, an output that keeps its last lines, a clock that
//! stands still, dice that are seeded. Waiting takes no time.
//!
//! Written by hand instead of taken from `wasmtime-wasi`: that is a third of
//! wasmtime's advisories, and a context, a table and a runtime to set up for
//! each call. What is in [`ALLOWED`] and has no answer here traps when called,
//! by name.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, LinkerInstance, Lower};
use wasmtime::component::{Resource, ResourceType, WasmList};

use super::fault::Stopped;
use super::guest::{Guest, TAIL};
use super::imports::charge;

/// The interfaces that a component may import, in any version 0.2.
pub(super) const ALLOWED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// As many bytes of a write as an output stream takes at a time.
const WRITE: u64 = 64 << 10;

/// At most this many random bytes at a time.
const RANDOM: usize = 64 << 10;

struct IoError;
struct Pollable;
struct InputStream;
struct OutputStream;
struct TerminalInput;
struct TerminalOutput;
struct Descriptor;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Caller<'a> = StoreContextMut<'a, Guest>;
type Instance<'a> = LinkerInstance<'a, Guest>;

/// The interface's name without its version, when it is one of [`ALLOWED`].
pub(super) fn allowed(import: &str) -> Option<&'static str> {
    let (name, version) = import.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let numbered = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    ALLOWED.iter().find(|allowed| **allowed == name && numbered).copied()
}

/// Gives `resource` its type.
pub(super) fn resource(at: &mut Instance<'_>, interface: &str, resource: &str) -> wasmtime::Result<()> {
    let kind = match (interface, resource) {
        ("wasi:io/error" | "wasi:io/streams" | "wasi:filesystem/types", "error") => ResourceType::host::<IoError>(),
        (_, "pollable") => ResourceType::host::<Pollable>(),
        (_, "input-stream") => ResourceType::host::<InputStream>(),
        (_, "output-stream") => ResourceType::host::<OutputStream>(),
        (_, "terminal-input") => ResourceType::host::<TerminalInput>(),
        (_, "terminal-output") => ResourceType::host::<TerminalOutput>(),
        (_, "descriptor") => ResourceType::host::<Descriptor>(),
        _ => ResourceType::host::<()>(),
    };
    // Nothing is behind a handle, so nothing is to be freed.
    at.resource(resource, kind, |_, _| Ok(()))
}

/// Answers `function`.
pub(super) fn function(at: &mut Instance<'_>, interface: &str, function: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:cli/environment" => environment(at, function),
        "wasi:cli/exit" => exit(at, function),
        "wasi:io/streams" => streams(at, function),
        "wasi:io/poll" => poll(at, function),
        "wasi:clocks/wall-clock" => wall_clock(at, function),
        "wasi:clocks/monotonic-clock" => monotonic_clock(at, function),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => random(at, function),
        _ => handles(at, interface, function),
    }
}

/// A function that nobody needs here, or that needs something that no plugin
/// has.
pub(super) fn absent(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    let called = function.to_owned();
    at.func_new(function, move |_, _, _, _| Err(Stopped::Absent(called.clone()).into()))
}

/// Answers `function` by `with`. Every call costs, also of what does nothing: the
/// clock of a loop that waits for it must not tick for nothing.
fn answer<P, R>(
    at: &mut Instance<'_>,
    function: &str,
    with: impl Fn(Caller<'_>, P) -> wasmtime::Result<R> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    at.func_wrap(function, move |mut caller: Caller<'_>, params: P| {
        charge(&mut caller, 0)?;
        with(caller, params)
    })
}

fn environment(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "get-environment" => answer(at, function, |_, ()| Ok((Vec::<(String, String)>::new(),))),
        "get-arguments" => answer(at, function, |_, ()| Ok((Vec::<String>::new(),))),
        "initial-cwd" => answer(at, function, |_, ()| Ok((None::<String>,))),
        _ => absent(at, function),
    }
}

fn exit(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "exit" => answer(at, function, |_, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
            Err(Stopped::Exited(u8::from(status.is_err())).into())
        }),
        "exit-with-code" => {
            answer(at, function, |_, (code,): (u8,)| -> wasmtime::Result<()> { Err(Stopped::Exited(code).into()) })
        }
        _ => absent(at, function),
    }
}

/// The interfaces that only hand out handles.
fn handles(at: &mut Instance<'_>, interface: &str, function: &str) -> wasmtime::Result<()> {
    match (interface, function) {
        (_, "get-stdin") => answer(at, function, |_, ()| Ok((Resource::<InputStream>::new_own(0),))),
        (_, "get-stdout" | "get-stderr") => answer(at, function, |_, ()| Ok((Resource::<OutputStream>::new_own(0),))),
        (_, "get-terminal-stdin") => answer(at, function, |_, ()| Ok((None::<Resource<TerminalInput>>,))),
        (_, "get-terminal-stdout" | "get-terminal-stderr") => {
            answer(at, function, |_, ()| Ok((None::<Resource<TerminalOutput>>,)))
        }
        ("wasi:filesystem/preopens", "get-directories") => {
            answer(at, function, |_, ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))
        }
        ("wasi:io/error", "[method]error.to-debug-string") => {
            answer(at, function, |_, (_,): (Resource<IoError>,)| Ok((String::new(),)))
        }
        _ => absent(at, function),
    }
}

fn streams(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            answer(at, function, |_, (_, _): (Resource<InputStream>, u64)| {
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            answer(at, function, |_, (_, _): (Resource<InputStream>, u64)| Ok((Err::<u64, _>(StreamError::Closed),)))
        }
        "[method]input-stream.subscribe" => {
            answer(at, function, |_, (_,): (Resource<InputStream>,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        "[method]output-stream.subscribe" => {
            answer(at, function, |_, (_,): (Resource<OutputStream>,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        "[method]output-stream.check-write" => {
            answer(at, function, |_, (_,): (Resource<OutputStream>,)| Ok((Ok::<_, StreamError>(WRITE),)))
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            answer(at, function, |_, (_,): (Resource<OutputStream>,)| Ok((Ok::<_, StreamError>(()),)))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            answer(at, function, |caller, (_, bytes): (Resource<OutputStream>, WasmList<u8>)| {
                write(caller, &bytes).map(|()| (Ok::<_, StreamError>(()),))
            })
        }
        _ => absent(at, function),
    }
}

fn write(mut caller: Caller<'_>, bytes: &WasmList<u8>) -> wasmtime::Result<()> {
    charge(&mut caller, bytes.len())?;
    let bytes = bytes.as_le_slice(&caller);
    let end = bytes[bytes.len().saturating_sub(TAIL)..].to_vec();
    caller.data_mut().tail.write(&end);
    Ok(())
}

/// Everything is ready: there is nothing here to wait for.
fn poll(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "[method]pollable.ready" => answer(at, function, |_, (_,): (Resource<Pollable>,)| Ok((true,))),
        "[method]pollable.block" => answer(at, function, |_, (_,): (Resource<Pollable>,)| Ok(())),
        "poll" => answer(at, function, |mut caller: Caller<'_>, (all,): (Vec<Resource<Pollable>>,)| {
            charge(&mut caller, 64 * all.len())?;
            let ready: Vec<u32> = (0..).take(all.len()).collect();
            Ok((ready,))
        }),
        _ => absent(at, function),
    }
}

fn wall_clock(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "now" => answer(at, function, |caller: Caller<'_>, ()| Ok((datetime(caller.data().clock.wall().as_millis()),))),
        "resolution" => answer(at, function, |_, ()| Ok((datetime(1),))),
        _ => absent(at, function),
    }
}

/// Before 1970 WASI has no time.
fn datetime(millis: i64) -> Datetime {
    let millis = u64::try_from(millis).unwrap_or(0);
    let nanoseconds = u32::try_from(millis % 1_000 * 1_000_000).expect("it is less than a second");
    Datetime { seconds: millis / 1_000, nanoseconds }
}

fn monotonic_clock(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "now" => answer(at, function, |mut caller: Caller<'_>, ()| Ok((caller.data_mut().clock.monotonic(),))),
        "resolution" => answer(at, function, |_, ()| Ok((1_000_u64,))),
        "subscribe-instant" | "subscribe-duration" => {
            answer(at, function, |_, (_,): (u64,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        _ => absent(at, function),
    }
}

fn random(at: &mut Instance<'_>, function: &str) -> wasmtime::Result<()> {
    match function {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            answer(at, function, |mut caller: Caller<'_>, (len,): (u64,)| {
                let len = usize::try_from(len).ok().filter(|len| *len <= RANDOM).ok_or(Stopped::TooRandom)?;
                // A hash for each 32 bytes: dearer than moving them.
                charge(&mut caller, 64 * len)?;
                Ok((caller.data_mut().dice.bytes(len),))
            })
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            answer(at, function, |mut caller: Caller<'_>, ()| Ok((caller.data_mut().dice.number(),)))
        }
        "insecure-seed" => answer(at, function, |mut caller: Caller<'_>, ()| {
            let dice = &mut caller.data_mut().dice;
            Ok(((dice.number(), dice.number()),))
        }),
        _ => absent(at, function),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_interfaces_are_allowed_in_any_version_0_2() {
        for good in ["wasi:io/streams@0.2.0", "wasi:io/streams@0.2.12", "wasi:filesystem/preopens@0.2.6"] {
            assert!(allowed(good).is_some(), "{good}");
        }
        for bad in [
            "wasi:io/streams",
            "wasi:io/streams@0.3.0",
            "wasi:io/streams@0.2.",
            "wasi:io/streams@0.2.0-rc-2023-11-10",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "evil:io/streams@0.2.0",
        ] {
            assert_eq!(allowed(bad), None, "{bad}");
        }
    }
}
