//! What a plugin does once instead of in every call: its `prepare` runs when the
//! component is compiled, and the memory and globals that it leaves become those
//! that the component begins with.
//!
//! No call learns of another that way. `prepare` runs before there is a call, in
//! the compiler's process, within a call's fuel and memory; it has no argument,
//! and the clock, the dice and the capabilities end it. So what it leaves follows
//! from the component alone, and each call begins with it in an instance of its
//! own. What comes out is a component as any other: the gate bounds it and the
//! compiler validates it.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmparser::{Parser, Payload};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentType, Instance, Lift, Linker, WasmList};
use wasmtime::{Engine, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::contract::PREPARE;
use super::engine::{self, Role};
use super::fault::{Failure, Stopped, explain};
use super::gate::{self, GateError};
use super::guest::Guest;
use super::limits::Limits;
use super::{call, imports, wasi};
use crate::domain::time::Timestamp;

/// Imports whose answers belong to a call. The seed of hash maps is not among
/// them: a language's library asks for it before anybody can say no.
const OF_A_CALL: &[&str] =
    &["wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock", "wasi:random/insecure", "wasi:random/random"];

/// Why `prepare` came to nothing.
#[derive(Debug)]
pub(super) enum Unprepared {
    /// There is no way to keep the state of such a component.
    Unfit(String),
    /// It did not come to its end.
    Failed(String),
    /// What it left is more than a component may have.
    TooMuch(GateError),
}

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(why) => write!(
                f,
                "the component exports `{PREPARE}`, and what that leaves cannot be kept: {why}; \
                 do not export it, or build the component otherwise"
            ),
            Self::Failed(why) => {
                write!(f, "`prepare`, which runs once when the component is compiled, failed: {why}")
            }
            Self::TooMuch(error) => write!(f, "`prepare` leaves too much in memory: {error}"),
        }
    }
}

/// The component as `prepare` leaves it; none when it does not export that.
pub(super) fn take(component: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Unprepared> {
    if !is_prepared(component) {
        return Ok(None);
    }
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    let (parts, instrumented) = wizer.instrument_component(component).map_err(unfit)?;
    let mut state = run(&instrumented, limits)?;
    let snapshot = at_once(wizer.snapshot_component(&parts, &mut state)).map_err(unfit)?;
    if let Some(error) = state.failed {
        return Err(failed(&error, &state.store, limits));
    }
    let bounds = Limits { component: limits.component + limits.memory, ..limits.clone() };
    gate::inspect(&snapshot, &bounds).map_err(Unprepared::TooMuch)?;
    Ok(Some(snapshot))
}

/// Whether the outermost component exports the interface.
fn is_prepared(component: &[u8]) -> bool {
    let mut depth = 0_u32;
    Parser::new(0).parse_all(component).map_while(Result::ok).any(|payload| {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(exports) if depth == 0 => {
                return exports.into_iter().flatten().any(|export| export.name.name == PREPARE);
            }
            _ => {}
        }
        false
    })
}

/// Runs `prepare`, and gives the instance as it is then.
fn run(instrumented: &[u8], limits: &Limits) -> Result<State, Unprepared> {
    let engine = engine::engine(&Role::Prepare).map_err(unfit)?;
    let component = Component::new(&engine, instrumented).map_err(unfit)?;
    let linker = linker(&engine, &component).map_err(unfit)?;
    let guest = Guest::new(limits, "prepare", Timestamp::from_millis(0));
    let mut store = call::store(&engine, guest, limits);
    let called = linker.instantiate(&mut store, &component).and_then(|instance| {
        let interface = instance.get_export_index(&mut store, None, PREPARE);
        let prepare = interface.and_then(|at| instance.get_export_index(&mut store, Some(&at), "prepare"));
        let prepare = prepare.ok_or_else(|| wasmtime::format_err!("`{PREPARE}` has no `prepare`"))?;
        instance.get_typed_func::<(), ()>(&mut store, &prepare)?.call(&mut store, ())?;
        Ok(instance)
    });
    let instance = called.map_err(|error| failed(&error, &store, limits))?;
    // Reading the state is our doing.
    store.set_fuel(limits.fuel).expect("the engine counts fuel");
    store.set_hostcall_fuel(usize::MAX);
    Ok(State { store, instance, memories: HashMap::new(), failed: None })
}

/// What plugins can reach, without what belongs to a call.
fn linker(engine: &Engine, component: &Component) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = imports::linker(engine, component)?;
    linker.allow_shadowing(true);
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(items) = import.ty else { continue };
        let withheld = wasi::allowed(name).is_some_and(|interface| OF_A_CALL.contains(&interface));
        if !withheld && imports::capability(name).is_none() {
            continue;
        }
        let mut at = linker.instance(name)?;
        for (item, export) in items.exports(engine) {
            if matches!(export.ty, ComponentItem::ComponentFunc(_)) {
                let called = item.to_owned();
                at.func_new(item, move |_, _, _, _| Err(Stopped::TooEarly(called.clone()).into()))?;
            }
        }
    }
    Ok(linker)
}

fn unfit(error: wasmtime::Error) -> Unprepared {
    Unprepared::Unfit(format!("{error:#}"))
}

fn failed(error: &wasmtime::Error, store: &Store<Guest>, limits: &Limits) -> Unprepared {
    match explain(error, store.data(), limits) {
        Failure::Fault(fault) => Unprepared::Failed(fault.message),
        Failure::NoRoom => Unprepared::Failed("there was no room for it".to_owned()),
    }
}

/// The instance that `prepare` ran in, for whoever writes its state down.
struct State {
    store: Store<Guest>,
    instance: Instance,
    /// Each is asked for twice, and asking makes it grow.
    memories: HashMap<String, Vec<u8>>,
    /// The first thing that could not be read; what is made of the rest is of no
    /// use then.
    failed: Option<wasmtime::Error>,
}

impl State {
    fn read<R, T>(&mut self, interface: &str, function: &str, take: impl FnOnce(&mut Store<Guest>, R) -> T) -> T
    where
        R: ComponentType + Lift + 'static,
        T: Default,
    {
        let store = &mut self.store;
        let read = self.instance.get_export_index(&mut *store, None, interface).and_then(|at| {
            let function = self.instance.get_export_index(&mut *store, Some(&at), function)?;
            Some(self.instance.get_typed_func::<(), (R,)>(&mut *store, &function))
        });
        let read = read.unwrap_or_else(|| Err(wasmtime::format_err!("`{function}` is missing")));
        match read.and_then(|function| function.call(&mut *store, ())) {
            Ok((value,)) => take(store, value),
            Err(error) => {
                self.failed.get_or_insert(error);
                T::default()
            }
        }
    }
}

impl ComponentInstanceState for State {
    async fn call_func_ret_list_u8(&mut self, interface: &str, function: &str, contents: impl FnOnce(&[u8]) + Send) {
        if !self.memories.contains_key(function) {
            let copy = |store: &mut Store<Guest>, memory: WasmList<u8>| memory.as_le_slice(&*store).to_vec();
            let memory = self.read(interface, function, copy);
            self.memories.insert(function.to_owned(), memory);
        }
        contents(&self.memories[function]);
    }

    async fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> i32 {
        self.read(interface, function, |_, value: i32| value)
    }

    async fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> i64 {
        self.read(interface, function, |_, value: i64| value)
    }

    async fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> u32 {
        self.read(interface, function, |_, value: f32| value.to_bits())
    }

    async fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> u64 {
        self.read(interface, function, |_, value: f64| value.to_bits())
    }
}

/// Wizer's traits are asynchronous; what is behind them here is not.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing in it waits"),
    }
}
