//! A tenant's script, run up to where its functions can be called.

use crate::engine::Engine;
use crate::trouble::{self, SOURCE};
use boa_engine::builtins::promise::PromiseState;
use boa_engine::object::JsObject;
use boa_engine::object::builtins::{JsFunction, JsPromise};
use boa_engine::{Context, JsError, JsResult, JsString, JsValue, Module, Source, js_string};
use hookyard_plugin::Refusal;
use std::mem::ManuallyDrop;
use std::path::Path;

/// The functions that a script may have.
pub(crate) const FUNCTIONS: [&str; 3] = ["map", "keep", "transform"];

/// A script whose top level has run.
pub(crate) struct Program {
    /// Never dropped: the memory ends with the call, and to take an interpreter
    /// apart costs as much as the call.
    pub(crate) engine: ManuallyDrop<Engine>,
    module: ManuallyDrop<Option<Module>>,
}

impl Program {
    /// Reads and runs `source`, or says where it is wrong.
    pub(crate) fn load(source: &str) -> Result<Self, String> {
        let mut engine = ManuallyDrop::new(Engine::take());
        let loaded = match has_exports(source) {
            true => load_module(source, &mut engine.context).map(Some),
            false => engine.context.eval(named(source)).map(|_| None),
        };
        match loaded {
            Ok(module) => Ok(Self { engine, module: ManuallyDrop::new(module) }),
            Err(error) => Err(trouble::told(&error, &mut engine.context)),
        }
    }

    /// Whether there is something to call.
    pub(crate) fn has_function(&mut self) -> bool {
        FUNCTIONS.iter().any(|name| self.function(name).is_some())
    }

    /// Calls the function `name`. What it promises is waited for, as far as it
    /// can be without a clock.
    pub(crate) fn call(&mut self, name: &str, arguments: &[JsValue]) -> Result<JsValue, Refusal> {
        let Some(function) = self.function(name) else {
            let problem = format!("{SOURCE}: there is no function `{name}`, which a step in this place calls");
            return Err(Refusal::other_job(problem));
        };
        let context = &mut self.engine.context;
        let called = function.call(&JsValue::undefined(), arguments, context);
        let settled =
            called.and_then(|value| match value.as_object().and_then(|made| JsPromise::from_object(made).ok()) {
                None => Ok(value),
                Some(promise) => settled(&promise, context)?.ok_or_else(|| never(name)),
            });
        settled.map_err(|error| Refusal::new("script", trouble::told(&error, context)))
    }

    /// As it is exported, by its name or within the default, or as it is declared.
    fn function(&mut self, name: &str) -> Option<JsFunction> {
        let context = &mut self.engine.context;
        let key = JsString::from(name);
        let found = match &*self.module {
            Some(module) => {
                let default = module.get_value(js_string!("default"), context).ok();
                let within = default.as_ref().and_then(JsValue::as_object);
                let exported = module.get_value(key.clone(), context).ok().filter(JsValue::is_callable);
                exported.or_else(|| match default.filter(|default| is_named(default, name, context)) {
                    Some(itself) => Some(itself),
                    None => within?.get(key, context).ok(),
                })
            }
            None => declared(name, key, context),
        };
        found.filter(JsValue::is_callable)?.as_function()
    }
}

/// A promise that nothing will ever settle: there is no clock to wait for.
fn never(name: &str) -> JsError {
    boa_engine::JsNativeError::error()
        .with_message(format!(
            "`{name}` returned a promise that waits for something which never comes; there are no timers and no network"
        ))
        .into()
}

/// `export default function map`
fn is_named(default: &JsValue, name: &str, context: &mut Context) -> bool {
    let named = default.as_callable().and_then(|function: JsObject| function.get(js_string!("name"), context).ok());
    named.and_then(|named| named.as_string()).is_some_and(|named| named == name)
}

/// `function map` is on the global object, `const map` is in scope only.
fn declared(name: &str, key: JsString, context: &mut Context) -> Option<JsValue> {
    let global = context.global_object().get(key, context).ok().filter(JsValue::is_callable);
    global.or_else(|| context.eval(Source::from_bytes(&format!("typeof {name} === 'function' ? {name} : null"))).ok())
}

fn named(source: &str) -> Source<'_, boa_engine::parser::source::UTF8Input<&[u8]>> {
    Source::from_bytes(source.as_bytes()).with_path(Path::new(SOURCE))
}

/// Modules export at the beginning of a line; whoever reads a script says so, and
/// no parser has to try twice.
fn has_exports(source: &str) -> bool {
    source.lines().any(|line| {
        let rest = line.trim_start().strip_prefix("export");
        rest.is_some_and(|rest| rest.starts_with([' ', '{', '\t', '*']))
    })
}

fn load_module(source: &str, context: &mut Context) -> JsResult<Module> {
    let module = Module::parse(named(source), None, context)?;
    let loading = module.load(context);
    settled(&loading, context)?;
    module.link(context)?;
    let evaluating = module.evaluate(context)?;
    settled(&evaluating, context)?;
    Ok(module)
}

/// What `promise` came to once all that can be done is done.
fn settled(promise: &JsPromise, context: &mut Context) -> JsResult<Option<JsValue>> {
    context.run_jobs()?;
    match promise.state() {
        PromiseState::Fulfilled(value) => Ok(Some(value)),
        PromiseState::Rejected(reason) => Err(JsError::from_opaque(reason)),
        PromiseState::Pending => Ok(None),
    }
}
