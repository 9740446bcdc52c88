//! The interpreter: woken once, before there is a call, and used for one call.

use crate::console;
use boa_engine::context::time::JsInstant;
use boa_engine::context::{Clock, HostHooks};
use boa_engine::module::IdleModuleLoader;
use boa_engine::object::JsObject;
use boa_engine::{Context, JsResult, JsString, JsValue, Source, js_string};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static AWAKE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// What a usual script goes through, so that the tables and caches behind it are
/// there when a call begins. It must not ask what time it is or for a random
/// number: every call would find the same.
const WARM_UP: &str = include_str!("warm_up.js");

/// An interpreter in which no script of a tenant has run.
pub(crate) struct Engine {
    pub(crate) context: Context,
    /// As it is before a script can replace it.
    stringify: JsObject,
}

impl Engine {
    /// Wakes one for [`take`](Self::take).
    pub(crate) fn prepare() {
        AWAKE.set(Some(Self::new()));
    }

    /// The one that was woken, or a new one.
    pub(crate) fn take() -> Self {
        AWAKE.take().unwrap_or_else(Self::new)
    }

    fn new() -> Self {
        let builder = Context::builder()
            .clock(Rc::new(HostClock))
            .host_hooks(Rc::new(Hooks))
            .module_loader(Rc::new(IdleModuleLoader));
        let mut context = builder.build().expect("the defaults are sound");
        context.strict(true);
        let json = context.intrinsics().objects().json();
        let stringify = json.get(js_string!("stringify"), &mut context).ok().and_then(|value| value.as_object());
        let mut engine = Self { stringify: stringify.expect("a fresh realm has it"), context };
        console::install(&mut engine.context).expect("a fresh realm has no console");
        engine.warm_up().expect("the script is our own");
        engine
    }

    fn warm_up(&mut self) -> JsResult<()> {
        let made = self.context.eval(Source::from_bytes(WARM_UP))?;
        self.stringify(&made)?;
        Ok(())
    }

    /// `JSON.stringify`, whatever the script made of it. None for what JSON has
    /// no word for, such as a function.
    pub(crate) fn stringify(&mut self, value: &JsValue) -> JsResult<Option<String>> {
        let text = self.stringify.call(&JsValue::undefined(), std::slice::from_ref(value), &mut self.context)?;
        Ok(text.as_string().map(|text: JsString| text.to_std_string_lossy()))
    }
}

/// The host's clock, which stands still during a call.
struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> JsInstant {
        let millis = millis();
        JsInstant::new(millis / 1_000, u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0))
    }

    fn system_time_millis(&self) -> i64 {
        i64::try_from(millis()).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "in a component this is the host's clock, and the script's only one")]
fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Every script is in UTC, wherever the host is.
struct Hooks;

impl HostHooks for Hooks {
    fn local_timezone_offset_seconds(&self, _: i64) -> i32 {
        0
    }
}
