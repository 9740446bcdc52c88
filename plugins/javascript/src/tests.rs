//! What scripts are given, what they may give back, and what they are told.

use super::JavaScript;
use hookyard_plugin::{Event, Field, Message, Request, Verdict, json, log::Level, native};

#[test]
fn the_examples_hold() {
    native::assert_mapper_examples::<JavaScript>();
    native::assert_filter_examples::<JavaScript>();
    native::assert_transformer_examples::<JavaScript>();
}

/// What `keep` with this body makes of an event.
#[track_caller]
fn check_keep(body: &str, expected: &str) {
    let event = Event::of("a.b").tag("x").about("s-1").with(r#"{"n":1,"big":9007199254740993,"list":[1.5,null]}"#);
    let config = json!({"source": format!("function keep(event) {{ {body} }}")}).to_string();
    let got = match native::keep::<JavaScript>(&event, &config) {
        Ok(Verdict::Keep) => "keep".to_owned(),
        Ok(Verdict::Drop(reason)) => format!("drop: {reason}"),
        Err(refusal) => format!("{}: {}", refusal.code, refusal.message),
    };
    assert_eq!(got, expected, "{body}");
}

#[test]
fn a_filter_says_yes_no_or_why() {
    check_keep("return true", "keep");
    check_keep("return event.data.n === 1 && event.tags.includes('x') && event.subject === 's-1'", "keep");
    check_keep("return false", "drop: `keep` returned false");
    check_keep("return 'why'", "drop: why");
    check_keep("return {drop: 'why'}", "drop: why");
    check_keep(
        "return {}",
        "bad-output: `keep` returned object; true, false, or the reason for dropping as text is expected",
    );
    check_keep(
        "",
        "bad-output: `keep` returned undefined; true, false, or the reason for dropping as text is expected",
    );
    check_keep("return JSON.stringify([event.account, event.data.list])", "drop: [null,[1.5,null]]");
    // Documented: JavaScript's numbers.
    check_keep("return String(event.data.big)", "drop: 9007199254740992");
    check_keep("return Promise.resolve(true)", "keep");
    check_keep("return Promise.reject(new Error('no'))", "script: source:1:46: Error: no");
    check_keep(
        "return new Promise(() => {})",
        "script: Error: `keep` returned a promise that waits for something which never comes; there are no timers and no network",
    );
}

#[test]
fn what_is_thrown_is_told_with_its_place() {
    check_keep("\n  throw new RangeError('no');", "script: source:2:9: RangeError: no");
    check_keep("\n  event.absent.x;", "script: source:2:16: TypeError: cannot convert 'null' or 'undefined' to object");
    check_keep("throw 'text'", "script: source:1:30: text");
    check_keep("fetch('http://a')", "script: source:1:22: ReferenceError: fetch is not defined");
    check_keep(
        "undeclared = 1",
        "script: source:1:24: ReferenceError: cannot assign to uninitialized global property `undeclared`",
    );
}

#[track_caller]
fn check_source(source: &str, expected: &str) {
    let got = match native::check::<JavaScript>(&json!({"source": source}).to_string()) {
        Ok(()) => "ok".to_owned(),
        Err(issues) => issues[0].to_string(),
    };
    assert_eq!(got, expected, "{source}");
}

#[test]
fn a_step_is_checked_when_it_is_saved() {
    for good in [
        "function map(r) {}",
        "export function keep(e) { return true }",
        "export async function keep(e) { return true }",
        "const transform = (event) => null;",
        "export const transform = (event) => null;",
        "export default function map(r) {}",
        "export default { map(r) {}, keep(e) {} }",
        "function a() {}\nexport { a as map };",
    ] {
        check_source(good, "ok");
    }
    check_source("", "source: there is no function `map`, `keep` or `transform`");
    check_source("let map = 7", "source: there is no function `map`, `keep` or `transform`");
    check_source(
        "function map(r) {\n  retrun r;\n}",
        "source: source:2:10: SyntaxError: expected token ';', got 'r' in expression statement",
    );
    check_source("throw new Error('at once')", "source: source:1:7: Error: at once");
    check_source(
        "import x from 'y';\nexport function map() {}",
        "source: TypeError: module resolution is disabled for this context",
    );
}

#[test]
fn a_function_that_is_missing_is_named() {
    let config = json!({"source": "function keep() {}"}).to_string();
    let refusal = native::map::<JavaScript>(&Request::post("{}"), &config).unwrap_err();
    assert_eq!(refusal.code, "other-job");
    assert_eq!(refusal.message, "source: there is no function `map`, which a step in this place calls");
}

/// What `map` with this body makes of a request.
#[track_caller]
fn check_map(body: &str, expected: serde_json::Value) {
    let request = Request::post(r#"{"b":1,"a":[{}]}"#).query("q", "1").query("q", "2").header("x-h", "v");
    let config = json!({"source": format!("function map(request) {{ {body} }}")}).to_string();
    let got = match native::map::<JavaScript>(&request, &config) {
        Ok(drafts) => json!(drafts),
        Err(refusal) => json!(refusal.message),
    };
    assert_eq!(got, expected, "{body}");
}

#[test]
fn a_mapper_makes_none_one_or_several() {
    check_map("", json!([]));
    check_map("return null", json!([]));
    check_map("return []", json!([]));
    check_map("return {data: request.json}", json!([{"tags": [], "data": {"b": 1, "a": [{}]}}]));
    check_map(
        "return [{type: 'a', tags: request.query.q, data: request.headers['x-h']}, {subject: request.body, data: null}]",
        json!([{"type": "a", "tags": ["1", "2"], "data": "v"}, {"tags": [], "subject": "{\"b\":1,\"a\":[{}]}", "data": null}]),
    );
    check_map("return 7", json!("`map` returned number; an event, a list of events, or null is expected"));
    check_map(
        "return {kind: 'a'}",
        json!(
            "`map` returned no event: unknown field `kind`, expected one of `type`, `occurred_at`, `subject`, `account`, `tags`, `data` at line 1 column 7"
        ),
    );
}

/// What `transform` with this body makes of a message.
#[track_caller]
fn check_transform(body: &str, expected: &str) {
    let event = Event::of("a.b").with(json!({"n": 1}));
    let message = Message::json(r#"{"z": 1.0, "big": 9007199254740993}"#).header("x-a", "1");
    let config = json!({"source": format!("function transform(event, message) {{ {body} }}")}).to_string();
    let got = match native::transform::<JavaScript>(&event, message, &config) {
        Ok(message) => {
            let headers: Vec<_> =
                message.headers.iter().map(|Field { name, value }| format!("{name}={value}")).collect();
            let body = String::from_utf8_lossy(&message.body);
            format!("{} {} {} {body}", message.method, message.target.as_deref().unwrap_or("-"), headers.join(","))
        }
        Err(refusal) => refusal.message,
    };
    assert_eq!(got, expected, "{body}");
}

#[test]
fn a_transformer_changes_what_it_says() {
    let untouched = r#"POST - content-type=application/json,x-a=1 {"z": 1.0, "big": 9007199254740993}"#;
    check_transform("", untouched);
    check_transform("return null", untouched);
    check_transform("return message", untouched);
    check_transform("return {}", untouched);
    check_transform("if (message.body.z !== 1) throw new Error('it was read')", untouched);
    check_transform("return {...message}", untouched);
    check_transform("return {body: message.body}", untouched);
    check_transform("if (!JSON.stringify(message).includes('big')) throw new Error('it is a field')", untouched);
    check_transform("message.body = [message.body.z]", "POST - content-type=application/json,x-a=1 [1]");
    check_transform("message.body = 'text'", "POST - content-type=application/json,x-a=1 text");
    check_transform(
        "delete message.body",
        "`transform` made undefined; something that JSON has a word for is expected",
    );
    check_transform(
        "message.body.z = 2",
        r#"POST - content-type=application/json,x-a=1 {"z":2,"big":9007199254740992}"#,
    );
    check_transform(
        "return {body: {b: 1, a: event.data.n}}",
        r#"POST - content-type=application/json,x-a=1 {"b":1,"a":1}"#,
    );
    check_transform(
        "return {body: 'text', target: '/x', method: 'PUT'}",
        "PUT /x content-type=application/json,x-a=1 text",
    );
    check_transform("return {body: 1, headers: {'X-B': [1, '2'], 'x-a': null}}", "POST - x-b=1,x-b=2 1");
    check_transform(
        "message.headers['x-a'] = {}",
        "`transform` made the header `x-a` object; text or a list of texts is expected",
    );
    check_transform(
        "message.headers = 7",
        "`transform` made the headers number; an object of names and values is expected",
    );
    check_transform(
        "return {id: 1}",
        "`transform` returned an object with `id`; a message has method, target, headers and body, so return { body: ... }",
    );
    check_transform("return {body: 10n}", "TypeError: cannot serialize bigint to JSON");
    check_transform("return 'x'", "`transform` returned string; a message, or null to leave it as it is is expected");
}

#[test]
fn console_writes_to_the_log() {
    native::logged();
    check_keep("console.log('a', 1, {b: [2]}, null); console.error(new Error('x')); return true", "keep");
    assert_eq!(
        native::logged(),
        [(Level::Info, "a 1 {\"b\":[2]} null".to_owned()), (Level::Error, "Error: x".to_owned())]
    );
}

#[test]
fn nothing_is_left_for_the_next_call() {
    let spoil =
        "Object.prototype.x = 1; globalThis.n = (globalThis.n ?? 0) + 1; JSON.stringify = null; return String(n)";
    check_keep(spoil, "drop: 1");
    check_keep(spoil, "drop: 1");
    check_keep("return String({}.x)", "drop: undefined");
}
