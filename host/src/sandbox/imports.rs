//! What a plugin can reach: an allow-list, linked by hand. Everything else is
//! refused at upload, by its name.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, WasmStr};
use wasmtime::{Engine, StoreContextMut, Trap};

use super::contract::{HISTORY, HTTP, LOG, LevelOut, SECRETS, STATE, SUMMARIES, TYPES};
use super::convert::log_level;
use super::effects;
use super::guest::Guest;
use super::past;
use super::wasi;
use crate::domain::grants::Capability;

/// Fuel that a host function costs beside the instructions around it: what it
/// does is not free (a tenth to a fifth of a microsecond), and a loop of such
/// calls must come to its end by fuel, long before the deadline.
const CALL: u64 = 500;

/// Whether a component may import `name`.
pub(super) fn allowed(name: &str) -> bool {
    name == LOG || name == TYPES || capability(name).is_some() || wasi::allowed(name).is_some()
}

/// The capability that is imported as `name`.
pub(super) fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|capability| interface(*capability) == name)
}

/// What a capability is imported as.
pub(super) fn interface(capability: Capability) -> &'static str {
    match capability {
        Capability::History => HISTORY,
        Capability::Summaries => SUMMARIES,
        Capability::Secrets => SECRETS,
        Capability::State => STATE,
        Capability::Http => HTTP,
    }
}

/// What there is for `component`'s imports, in the versions that it names.
pub(super) fn linker(engine: &Engine, component: &Component) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let ty = component.component_type();
    for (name, import) in ty.imports(engine) {
        let ComponentItem::ComponentInstance(items) = import.ty else {
            wasmtime::bail!("`{name}` is imported and is no interface");
        };
        if !allowed(name) {
            wasmtime::bail!("`{name}` is imported and there is no such thing here");
        }
        link(engine, &mut linker.instance(name)?, name, &items)?;
    }
    Ok(linker)
}

fn link(
    engine: &Engine,
    at: &mut LinkerInstance<'_, Guest>,
    name: &str,
    items: &ComponentInstance,
) -> wasmtime::Result<()> {
    for (item, export) in items.exports(engine) {
        match (export.ty, wasi::allowed(name)) {
            (ComponentItem::Resource(_), Some(interface)) => wasi::resource(at, interface, item)?,
            (ComponentItem::ComponentFunc(_), Some(interface)) => wasi::function(at, interface, item)?,
            (ComponentItem::ComponentFunc(_), None) => function(at, name, item)?,
            (ComponentItem::Type(_), _) => {}
            _ => wasmtime::bail!("`{name}` has no `{item}`"),
        }
    }
    Ok(())
}

/// Our own functions.
fn function(at: &mut LinkerInstance<'_, Guest>, interface: &str, function: &str) -> wasmtime::Result<()> {
    match (interface, function) {
        (LOG, "write") => at.func_wrap(function, log),
        (HISTORY, "recent") => at.func_wrap(function, past::recent),
        (SUMMARIES, "of-history") => at.func_wrap(function, past::of_history),
        (SECRETS, "hmac-sha256") => at.func_wrap(function, effects::hmac_sha256),
        (STATE, "get") => at.func_wrap(function, effects::get),
        (STATE, "put") => at.func_wrap(function, effects::put),
        (STATE, "delete") => at.func_wrap(function, effects::delete),
        (HTTP, "send") => at.func_wrap(function, effects::send),
        _ => wasmtime::bail!("`{interface}` has no `{function}`"),
    }
}

fn log(mut caller: StoreContextMut<'_, Guest>, (level, text): (LevelOut, WasmStr)) -> wasmtime::Result<()> {
    charge(&mut caller, 0)?;
    let line = match caller.data().log.wants() {
        // A line that nobody will read is not even looked at.
        0 => String::new(),
        wanted => {
            let line = text.to_str(&caller)?;
            // A little more than is kept, so that the log sees that it was cut.
            line[..line.floor_char_boundary(wanted + 4)].to_owned()
        }
    };
    caller.data_mut().log.write(log_level(level), &line);
    Ok(())
}

/// Takes the fuel for a host function that moves `bytes`. What the plugin cannot
/// pay for is not done.
pub(super) fn charge(caller: &mut StoreContextMut<'_, Guest>, bytes: usize) -> wasmtime::Result<()> {
    let cost = CALL + bytes as u64 / 16;
    match caller.get_fuel()?.checked_sub(cost) {
        Some(left) => caller.set_fuel(left),
        None => {
            caller.set_fuel(0)?;
            Err(Trap::OutOfFuel.into())
        }
    }
}
