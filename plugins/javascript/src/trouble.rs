//! What a script threw, told with its place: `source:3:14: TypeError: ...`.

use boa_engine::{Context, JsError, JsValue, js_string};

/// The name that places are told with.
pub(crate) const SOURCE: &str = "source";

/// The place and the words of `error`.
pub(crate) fn told(error: &JsError, context: &mut Context) -> String {
    let shown = error.to_string();
    let message = words(error, context).unwrap_or_else(|| shown.lines().next().unwrap_or_default().to_owned());
    match place_of_call(&shown) {
        Some(place) => format!("{place}: {message}"),
        None => syntax(&message),
    }
}

/// An error by its name and message, anything else that was thrown as text.
fn words(error: &JsError, context: &mut Context) -> Option<String> {
    if let Some(native) = error.as_native() {
        return Some(format!("{}: {}", native.kind(), native.message()));
    }
    let thrown = error.as_opaque()?;
    let Some(object) = thrown.as_object() else { return text(thrown, context) };
    let name = object.get(js_string!("name"), context).ok().filter(|name| !name.is_undefined());
    let message = object.get(js_string!("message"), context).ok().filter(|message| !message.is_undefined())?;
    let message = text(&message, context)?;
    match name.and_then(|name| text(&name, context)) {
        Some(name) if message.is_empty() => Some(name),
        Some(name) => Some(format!("{name}: {message}")),
        None => Some(message),
    }
}

fn text(value: &JsValue, context: &mut Context) -> Option<String> {
    value.to_string(context).ok().map(|text| text.to_std_string_lossy())
}

/// The innermost line of the script in `    at function (source:3:14)`.
fn place_of_call(shown: &str) -> Option<&str> {
    shown.lines().skip(1).find_map(|line| {
        let (_, place) = line.rsplit_once('(')?;
        let place = place.strip_suffix(')')?;
        (place.starts_with("source:") && !place.contains('?')).then_some(place)
    })
}

/// The parser puts the place at the end: `... at line 3, col 14`.
fn syntax(message: &str) -> String {
    let parts = message.rsplit_once(" at line ").and_then(|(words, place)| {
        let (line, column) = place.split_once(", col ")?;
        let number = |text: &str| text.parse::<u32>().ok();
        Some((words, number(line)?, number(column.trim_end_matches(|c: char| !c.is_ascii_digit()))?))
    });
    match parts {
        Some((words, line, column)) => format!("{SOURCE}:{line}:{column}: {words}"),
        None => message.to_owned(),
    }
}
