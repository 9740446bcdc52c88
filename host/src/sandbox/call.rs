//! One call of untrusted code: a store and an instance of its own, and limits on
//! everything from the instance's first instruction on.

use std::time::{Duration, Instant};

use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower};
use wasmtime::{Engine, Store};

use super::contract::{
    DescriptionOut, DraftOut, EventIn, IssueOut, MessageIn, MessageOut, RefusalOut, RequestIn, VerdictOut,
};
use super::crew::TICK;
use super::fault::{Failure, Fault, explain};
use super::guest::Guest;
use super::limits::Limits;
use super::plugin::Plugin;
use crate::domain::pipeline::LogLine;

/// What a call came to, with what it cost and what it said.
pub(super) struct Called<R> {
    pub(super) result: Result<R, Failure>,
    /// Kept after a crash too: that is when the author needs it.
    pub(super) log: Vec<LogLine>,
    pub(super) fuel: u64,
    pub(super) duration_us: u64,
    pub(super) memory: u64,
}

impl Plugin {
    pub(super) fn call_describe(&self, guest: Guest, limits: &Limits) -> Called<DescriptionOut> {
        self.call::<_, (DescriptionOut,)>(Some(&self.describe), (), guest, limits).map(|(out,)| out)
    }

    pub(super) fn call_check(&self, config: &str, guest: Guest, limits: &Limits) -> Called<Result<(), Vec<IssueOut>>> {
        self.call::<_, (Result<(), Vec<IssueOut>>,)>(Some(&self.check), (config,), guest, limits).map(|(out,)| out)
    }

    pub(super) fn call_map(
        &self,
        request: &RequestIn<'_>,
        config: &str,
        guest: Guest,
        limits: &Limits,
    ) -> Called<Result<Vec<DraftOut>, RefusalOut>> {
        let params = (request, config);
        self.call::<_, (Result<Vec<DraftOut>, RefusalOut>,)>(self.map.as_ref(), params, guest, limits).map(|(out,)| out)
    }

    pub(super) fn call_keep(
        &self,
        event: &EventIn<'_>,
        config: &str,
        guest: Guest,
        limits: &Limits,
    ) -> Called<Result<VerdictOut, RefusalOut>> {
        let params = (event, config);
        self.call::<_, (Result<VerdictOut, RefusalOut>,)>(self.keep.as_ref(), params, guest, limits).map(|(out,)| out)
    }

    pub(super) fn call_transform(
        &self,
        event: &EventIn<'_>,
        message: &MessageIn<'_>,
        config: &str,
        guest: Guest,
        limits: &Limits,
    ) -> Called<Result<MessageOut, RefusalOut>> {
        let params = (event, message, config);
        let export = self.transform.as_ref();
        self.call::<_, (Result<MessageOut, RefusalOut>,)>(export, params, guest, limits).map(|(out,)| out)
    }

    /// Compares every export with the contract, or says which differs.
    pub(super) fn check_exports(&self, guest: Guest, limits: &Limits) -> Result<(), String> {
        let mut store = store(self.pre.engine(), guest, limits);
        let instance =
            self.pre.instantiate(&mut store).map_err(|error| match explain(&error, store.data(), limits) {
                Failure::Fault(fault) => fault.to_string(),
                Failure::NoRoom => "the host had no room for it; try again".to_owned(),
            })?;
        let typed = |store: &mut Store<Guest>| {
            instance.get_typed_func::<(), (DescriptionOut,)>(&mut *store, &self.describe)?;
            instance.get_typed_func::<(&str,), (Result<(), Vec<IssueOut>>,)>(&mut *store, &self.check)?;
            if let Some(map) = &self.map {
                instance
                    .get_typed_func::<(&RequestIn<'_>, &str), (Result<Vec<DraftOut>, RefusalOut>,)>(&mut *store, map)?;
            }
            if let Some(keep) = &self.keep {
                instance
                    .get_typed_func::<(&EventIn<'_>, &str), (Result<VerdictOut, RefusalOut>,)>(&mut *store, keep)?;
            }
            if let Some(transform) = &self.transform {
                instance.get_typed_func::<(&EventIn<'_>, &MessageIn<'_>, &str), (Result<MessageOut, RefusalOut>,)>(
                    &mut *store,
                    transform,
                )?;
            }
            wasmtime::error::Ok(())
        };
        typed(&mut store).map_err(|error| format!("{error:#}"))
    }

    /// The store lives for this call only. Nothing that a plugin leaves in
    /// memory can meet another event, another tenant or a retry.
    fn call<P, R>(&self, export: Option<&ComponentExportIndex>, params: P, guest: Guest, limits: &Limits) -> Called<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let started = Instant::now();
        let mut store = store(self.pre.engine(), guest, limits);
        let result = match export {
            // Start functions and `realloc` are the plugin's code as well, so
            // that instantiating is inside the limits.
            Some(export) => self.enter(&mut store, export, params),
            None => Err(wasmtime::format_err!("it does not export the interface of this job")),
        };
        let result = result.map_err(|error| explain(&error, store.data(), limits));
        let left = store.get_fuel().unwrap_or(0);
        let guest = store.into_data();
        Called {
            result,
            log: guest.log.into_lines(),
            fuel: limits.fuel.saturating_sub(left),
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            memory: guest.meter.memory as u64,
        }
    }

    fn enter<P, R>(&self, store: &mut Store<Guest>, export: &ComponentExportIndex, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let instance = self.pre.instantiate(&mut *store)?;
        instance.get_typed_func::<P, R>(&mut *store, export)?.call(store, params)
    }
}

pub(super) fn store(engine: &Engine, guest: Guest, limits: &Limits) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.meter);
    store.set_fuel(limits.fuel).expect("the engine counts fuel");
    store.set_epoch_deadline(ticks(limits.deadline));
    store.set_hostcall_fuel(limits.transfer);
    store.set_max_component_handles(limits.handles);
    store
}

/// `time` in epochs, and one more: the current tick may be about to end.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX - 1) + 1
}

impl<R> Called<R> {
    pub(super) fn map<S>(self, f: impl FnOnce(R) -> S) -> Called<S> {
        let Self { result, log, fuel, duration_us, memory } = self;
        Called { result: result.map(f), log, fuel, duration_us, memory }
    }

    /// With a result that is checked further, which may be the plugin's fault.
    pub(super) fn and_then<S>(self, f: impl FnOnce(R) -> Result<S, Fault>) -> Called<S> {
        let Self { result, log, fuel, duration_us, memory } = self;
        let result = result.and_then(|out| f(out).map_err(Failure::Fault));
        Called { result, log, fuel, duration_us, memory }
    }
}
