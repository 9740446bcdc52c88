//! `console`: what it is given goes to the step's log.

use boa_engine::object::ObjectInitializer;
use boa_engine::property::Attribute;
use boa_engine::{Context, JsResult, JsValue, NativeFunction, js_string};
use hookyard_plugin::log;

pub(crate) fn install(context: &mut Context) -> JsResult<()> {
    let console = ObjectInitializer::new(context)
        .function(NativeFunction::from_fn_ptr(debug), js_string!("debug"), 0)
        .function(NativeFunction::from_fn_ptr(info), js_string!("info"), 0)
        .function(NativeFunction::from_fn_ptr(info), js_string!("log"), 0)
        .function(NativeFunction::from_fn_ptr(warn), js_string!("warn"), 0)
        .function(NativeFunction::from_fn_ptr(error), js_string!("error"), 0)
        .build();
    let changeable = Attribute::WRITABLE | Attribute::CONFIGURABLE;
    context.register_global_property(js_string!("console"), console, changeable)
}

fn debug(_: &JsValue, words: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    log::debug(line(words, context));
    Ok(JsValue::undefined())
}

fn info(_: &JsValue, words: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    log::info(line(words, context));
    Ok(JsValue::undefined())
}

fn warn(_: &JsValue, words: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    log::warn(line(words, context));
    Ok(JsValue::undefined())
}

fn error(_: &JsValue, words: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    log::error(line(words, context));
    Ok(JsValue::undefined())
}

fn line(words: &[JsValue], context: &mut Context) -> String {
    let words: Vec<String> = words.iter().map(|word| text(word, context)).collect();
    words.join(" ")
}

/// Text as it is, data as JSON, and what JSON has no word for as JavaScript
/// shows it.
fn text(word: &JsValue, context: &mut Context) -> String {
    if let Some(text) = word.as_string() {
        return text.to_std_string_lossy();
    }
    let is_data = word
        .as_object()
        .is_some_and(|object| !object.is_callable() && !object.is::<boa_engine::builtins::error::Error>());
    let json = match is_data {
        true => word.to_json(context).ok().flatten().map(|json| json.to_string()),
        false => word.to_string(context).ok().map(|text| text.to_std_string_lossy()),
    };
    json.unwrap_or_else(|| word.display().to_string())
}
