//! What programs are given, what they may make, and what they are told.

use super::Jq;
use hookyard_plugin::{Event, Message, Request, Verdict, json, log::Level, native};

#[test]
fn the_examples_hold() {
    native::assert_mapper_examples::<Jq>();
    native::assert_filter_examples::<Jq>();
    native::assert_transformer_examples::<Jq>();
}

fn config(program: &str) -> String {
    json!({"program": program}).to_string()
}

#[track_caller]
fn check_keep(program: &str, expected: &str) {
    let event = Event::of("a.b").tag("x").about("s-1").with(r#"{"n": 1, "z": 0, "a": [true]}"#);
    let got = match native::keep::<Jq>(&event, &config(program)) {
        Ok(Verdict::Keep) => "keep".to_owned(),
        Ok(Verdict::Drop(reason)) => format!("drop: {reason}"),
        Err(refusal) => format!("{}: {}", refusal.code, refusal.message),
    };
    assert_eq!(got, expected, "{program}");
}

#[test]
fn a_filter_is_met_by_any_output() {
    check_keep(".data.n == 1", "keep");
    check_keep(".data.z", "keep");
    check_keep(".data.absent", "drop: not met: .data.absent");
    check_keep("empty", "drop: not met: empty");
    check_keep(".subject == \"s-1\" and (.tags | index(\"x\")) != null and .account == null", "keep");
    check_keep("false, .data.a[]", "keep");
    check_keep("[..] | length > 3", "keep");
    check_keep("error(\"no\")", "script: program: no");
    check_keep(".data.n | keys", "script: program: cannot use 1 as iterable (array or object)");
    native::logged();
    check_keep("debug | true", "keep");
    assert_eq!(native::logged()[0].0, Level::Debug);
}

#[track_caller]
fn check_program(program: &str, expected: &str) {
    let got = match native::check::<Jq>(&config(program)) {
        Ok(()) => "ok".to_owned(),
        Err(issues) => issues[0].to_string(),
    };
    assert_eq!(got, expected, "{program}");
}

#[test]
fn a_program_is_checked_when_it_is_saved() {
    for good in [
        ".",
        "$message.body",
        "map(select(.a)) | @base64 | ascii_downcase",
        "def f: 1; f",
        "try error catch .",
        "now",
        "[limit(3; repeat(1))]",
        "test(\"a\")",
    ] {
        check_program(good, "ok");
    }
    check_program("{a: }", "program: program:1:5: expected term, found `}`");
    check_program(".a |\n  select(", "program: program:2:10: expected closing parenthesis, found the end");
    check_program(".a |\n  nothing(1)", "program: program:2:3: there is no filter `nothing` with 1 arguments");
    check_program("$x", "program: program:1:1: there is no variable `$x`");
    check_program("import \"a\" as a; .", "program: program:1:9: there are no modules to import");
    for absent in ["env", "input", "inputs", "halt", "halt_error", "$ENV"] {
        check_program(
            absent,
            &format!(
                "program: program:1:1: there is no {} `{absent}`{}",
                if absent == "$ENV" { "variable" } else { "filter" },
                if absent == "$ENV" { "" } else { " with 0 arguments" }
            ),
        );
    }
}

#[test]
fn a_mapper_makes_an_event_of_each_output() {
    let map = |program: &str| {
        native::map::<Jq>(
            &Request::post(r#"{"b":1.0,"a":12345678901234567890}"#).query("q", "1").query("q", "2"),
            &config(program),
        )
    };
    assert_eq!(map("empty").unwrap(), []);
    assert_eq!(map("null").unwrap(), []);
    let made =
        map("{type: \"a\", tags: .query.q, data: .json}, {subject: .headers.\"content-type\", data: .body}").unwrap();
    assert_eq!(made[0].data, r#"{"b":1.0,"a":12345678901234567890}"#, "order and digits stay");
    assert_eq!((made[0].tags.len(), made[1].subject.as_deref()), (2, Some("application/json")));
    let refusal = map("{kind: 1}").unwrap_err();
    assert!(refusal.message.starts_with("program: an output is no event: unknown field `kind`"), "{}", refusal.message);
    assert_eq!(map("{data: nan}").unwrap_err().code, "bad-output");
}

#[test]
fn a_transformer_makes_one_body() {
    let event = Event::of("a.b").with(json!({"n": 1}));
    let transform = |program: &str| native::transform::<Jq>(&event, Message::json(r#"{"k":1}"#), &config(program));
    assert_eq!(transform("{n: .data.n, k: $message.body.k}").unwrap().body, br#"{"n":1,"k":1}"#);
    assert_eq!(transform("empty").unwrap_err().message, "program: it made 0 outputs, and a body is one");
}
