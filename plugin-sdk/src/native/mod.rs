//! A plugin's work without a component around it: for tests, and to compare
//! speeds. What is called is what the host calls, from the configuration's
//! text on.

use crate::log::Level;
use crate::{Draft, Event, Filter, Issue, Job, Mapper, Message, Plugin, Refusal, Request};
use crate::{Transformer, Verdict, config};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cell::RefCell;

#[cfg(not(target_arch = "wasm32"))]
mod effects;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use effects::{answer, hmac_sha256, state};
#[cfg(not(target_arch = "wasm32"))]
pub use effects::{answer_http, clear_state, set_secret};

/// What the plugin makes of a request.
pub fn map<P: Mapper>(request: &Request, config: &str) -> Result<Vec<Draft>, Refusal> {
    P::map(request, &config::for_call::<P>(config)?)
}

/// What the plugin decides about an event.
pub fn keep<P: Filter>(event: &Event, config: &str) -> Result<Verdict, Refusal> {
    P::keep(event, &config::for_call::<P>(config)?)
}

/// What the plugin makes of a message.
pub fn transform<P: Transformer>(event: &Event, message: Message, config: &str) -> Result<Message, Refusal> {
    P::transform(event, message, &config::for_call::<P>(config)?)
}

/// What the plugin thinks of a configuration.
pub fn check<P: Plugin>(config: &str) -> Result<(), Vec<Issue>> {
    config::check::<P>(config)
}

/// Panics unless each of the plugin's examples for a mapper comes out as it
/// says. The host does the same when the plugin is uploaded. Examples have no
/// history, no secrets, no state and no other hosts, so that what was set is
/// forgotten.
pub fn assert_mapper_examples<P: Mapper>() {
    #[derive(Deserialize)]
    struct Input {
        request: Request,
    }
    assert_examples::<P, Input>(Job::Mapper, |input, config| outcome(map::<P>(&input.request, config)));
}

/// As [`assert_mapper_examples`], for a filter.
pub fn assert_filter_examples<P: Filter>() {
    #[derive(Deserialize)]
    struct Input {
        event: Event,
    }
    assert_examples::<P, Input>(Job::Filter, |input, config| outcome(keep::<P>(&input.event, config)));
}

/// As [`assert_mapper_examples`], for a transformer.
pub fn assert_transformer_examples<P: Transformer>() {
    #[derive(Deserialize)]
    struct Input {
        event: Event,
        message: Message,
    }
    assert_examples::<P, Input>(Job::Transformer, |input, config| {
        outcome(transform::<P>(&input.event, input.message, config))
    });
}

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    static HISTORY: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
    static SUMMARY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What [`history::recent`](crate::history::recent) finds on this thread from
/// now on: earlier events, the newest first.
pub fn set_history(newest_first: Vec<Event>) {
    HISTORY.set(newest_first);
}

/// What [`summaries::of_history`](crate::summaries::of_history) finds on this
/// thread from now on.
pub fn set_summary(summary: Option<&str>) {
    SUMMARY.set(summary.map(str::to_owned));
}

/// Takes the lines that plugins logged on this thread.
pub fn logged() -> Vec<(Level, String)> {
    LOG.take()
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn keep_log_line(level: Level, text: &str) {
    LOG.with_borrow_mut(|log| log.push((level, text.to_owned())));
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn recent(types: &[&str], limit: u32) -> Vec<Event> {
    let fits = |event: &&Event| types.is_empty() || types.contains(&event.type_.as_str());
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    HISTORY.with_borrow(|events| events.iter().filter(fits).take(limit).cloned().collect())
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn summary() -> Option<String> {
    SUMMARY.with_borrow(Clone::clone)
}

fn assert_examples<P: Plugin, I: for<'de> Deserialize<'de>>(job: Job, run: impl Fn(I, &str) -> Value) {
    set_history(Vec::new());
    set_summary(None);
    #[cfg(not(target_arch = "wasm32"))]
    effects::forget();
    let description = P::describe();
    let schema: Result<Value, _> = serde_json::from_str(&description.config_schema);
    assert!(schema.is_ok(), "the schema is no JSON: {schema:?}");

    let mut examples = description.examples;
    examples.retain(|example| example.job == job);
    assert!(!examples.is_empty(), "no example shows it as a {job:?}");
    for example in examples {
        let name = &example.name;
        assert_eq!(check::<P>(&example.config), Ok(()), "{name}: the configuration");
        let input = serde_json::from_str(&example.input).unwrap_or_else(|error| panic!("{name}: the input: {error}"));
        let expected: Value =
            serde_json::from_str(&example.output).unwrap_or_else(|error| panic!("{name}: the output: {error}"));
        assert_eq!(comparable(run(input, &example.config)), comparable(expected), "{name}");
    }
}

fn outcome(result: Result<impl serde::Serialize, Refusal>) -> Value {
    match result {
        Ok(output) => json!(output),
        Err(refusal) => json!({"refusal": refusal}),
    }
}

/// A body that is JSON is compared as JSON: white space is no difference.
fn comparable(mut output: Value) -> Value {
    if let Some(body) = output.get_mut("body")
        && let Some(parsed) = body.as_str().and_then(|text| serde_json::from_str(text).ok())
    {
        *body = parsed;
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{history, summaries};

    #[track_caller]
    fn check(types: &[&str], limit: u32, expected: &[&str]) {
        let found = history::recent(types, limit);
        let found: Vec<_> = found.iter().map(|event| event.type_.as_str()).collect();
        assert_eq!(found, expected, "{types:?} {limit}");
    }

    #[test]
    fn what_came_before_is_what_the_test_says() {
        assert_eq!((history::recent(&[], 9).len(), summaries::of_history()), (0, None));
        set_history(["c", "b", "b.x", "a"].map(Event::of).to_vec());
        set_summary(Some("They talked."));
        check(&[], 9, &["c", "b", "b.x", "a"]);
        check(&[], 2, &["c", "b"]);
        check(&[], 0, &[]);
        check(&["a", "b"], 9, &["b", "a"]);
        check(&["a", "b"], 1, &["b"]);
        check(&["b*"], 9, &[]);
        assert_eq!(summaries::of_history().as_deref(), Some("They talked."));
    }
}
