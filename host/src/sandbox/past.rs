//! What came before the event that a call is about, and the two capabilities
//! that show it to a plugin: `history` and `summaries`.
//!
//! Who asks for a run brings the past along. Nothing is looked up from in here,
//! so that a call sees the same however often it asks.

use std::sync::Arc;

use wasmtime::StoreContextMut;

use super::contract::PastEventIn;
use super::convert;
use super::guest::Guest;
use super::imports::charge;
use crate::domain::event::Event;

/// Bytes of events in one answer: room for a plugin to parse them in the memory
/// that it has, and an end to what the host copies.
const MAX_ANSWER: usize = 4 << 20;

/// What came before an event.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Events of the same tenant and subject that were received before it, the
    /// newest first: as many as a plugin can see, whatever limit it names.
    pub events: Vec<Arc<Event>>,
    /// What the operator's language model says of them.
    pub summary: Option<String>,
}

/// `history.recent`
pub(super) fn recent(
    mut caller: StoreContextMut<'_, Guest>,
    (types, limit): (Vec<String>, u32),
) -> wasmtime::Result<(Vec<PastEventIn>,)> {
    let past = match caller.data().grants.history {
        true => Arc::clone(&caller.data().past),
        false => Arc::default(),
    };
    // A plugin may name a quarter of a million types: each has been copied, and
    // is compared with each event.
    let named: usize = types.iter().map(String::len).sum();
    charge(&mut caller, named + 64 * types.len() * (past.events.len() + 1))?;
    let chosen = choose(&past.events, &types, limit, MAX_ANSWER);
    charge(&mut caller, chosen.iter().map(|event| convert::size(event)).sum())?;
    Ok((chosen.into_iter().map(convert::past_event).collect(),))
}

/// `summaries.of-history`
pub(super) fn of_history(mut caller: StoreContextMut<'_, Guest>, (): ()) -> wasmtime::Result<(Option<String>,)> {
    let past = match caller.data().grants.summaries {
        true => Arc::clone(&caller.data().past),
        false => Arc::default(),
    };
    charge(&mut caller, past.summary.as_ref().map_or(0, String::len))?;
    Ok((past.summary.clone(),))
}

/// The newest events of these types, as many as `limit` and `room` allow.
fn choose<'a>(events: &'a [Arc<Event>], types: &[String], limit: u32, mut room: usize) -> Vec<&'a Event> {
    let wanted = |event: &&Event| types.is_empty() || types.iter().any(|name| name == event.event_type.as_str());
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let newest = events.iter().map(Arc::as_ref).filter(wanted).take(limit);
    newest
        .map_while(|event| {
            room = room.checked_sub(convert::size(event))?;
            Some(event)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use wasmtime::component::Component;

    use super::super::contract::MessageIn;
    use super::super::engine::{Role, engine};
    use super::super::limits::Limits;
    use super::super::plugin::Plugin;
    use super::*;
    use crate::domain::event::Draft;
    use crate::domain::grants::{Capability, Grants};
    use crate::domain::id::{EventId, TenantId};
    use crate::domain::time::Timestamp;

    fn event(number: i64, event_type: &str, data: &str) -> Event {
        let at = Timestamp::from_millis(number);
        let draft = Draft {
            event_type: event_type.parse().expect("a type"),
            occurred_at: None,
            deliver_at: None,
            subject: Some("c1".to_owned()),
            account: None,
            tags: Vec::new(),
            data: Arc::from(RawValue::from_string(data.to_owned()).expect("JSON")),
        };
        draft.into_event(EventId::floor(at), TenantId::floor(at), at, None)
    }

    #[track_caller]
    fn check(types: &[&str], limit: u32, room: usize, expected: &[i64]) {
        let events: Vec<Arc<Event>> = [(4, "b"), (3, "a"), (2, "b"), (1, "b.c")]
            .into_iter()
            .map(|(number, event_type)| Arc::new(event(number, event_type, &format!("{number}"))))
            .collect();
        let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        let chosen: Vec<String> =
            choose(&events, &types, limit, room).into_iter().map(|event| event.data.get().to_owned()).collect();
        let expected: Vec<String> = expected.iter().map(i64::to_string).collect();
        assert_eq!(chosen, expected, "{types:?} {limit} {room}");
    }

    #[test]
    fn the_newest_of_the_types_are_chosen() {
        check(&[], 9, 9_999, &[4, 3, 2, 1]);
        check(&[], 2, 9_999, &[4, 3]);
        check(&[], 0, 9_999, &[]);
        check(&["b"], 9, 9_999, &[4, 2]);
        check(&["b.c", "a"], 1, 9_999, &[3]);
        check(&["x"], 9, 9_999, &[]);
        check(&[], 9, 3 * 140, &[4, 3, 2]);
        check(&[], 9, 100, &[]);
    }

    /// The body that `plugins/summary` makes of `{}`, and what it logs.
    fn summary(past: Past, limits: &Limits) -> (Result<String, String>, String, u64) {
        let engine = engine(&Role::run(1, limits)).expect("an engine");
        let component = include_bytes!(concat!(env!("OUT_DIR"), "/summary.wasm"));
        let component = Component::new(&engine, component).expect("it compiles");
        let plugin = Plugin::new(&engine, &component).expect("it links");
        assert_eq!(plugin.capabilities, [Capability::History, Capability::Summaries]);

        let now = event(9, "tag.added", "{}");
        let texts = convert::EventTexts::of(&now);
        let given = MessageIn { method: "POST", target: None, headers: Vec::new(), body: b"{}" };
        let config = r#"{"to": "s"}"#;
        let guest =
            Guest::new(limits, &texts.id, now.occurred_at).granted(&Grants::of_the_house()).after(&Arc::new(past));
        let called = plugin.call_transform(&texts.event(&now), &given, config, guest, limits);
        let body = match called.result {
            Ok(Ok(message)) => Ok(String::from_utf8(message.body).expect("text")),
            Ok(Err(refusal)) => Err(refusal.message),
            Err(super::super::fault::Failure::Fault(fault)) => Err(fault.to_string()),
            Err(super::super::fault::Failure::NoRoom) => Err("no room".to_owned()),
        };
        let log: Vec<String> = called.log.into_iter().map(|line| line.text).collect();
        (body, log.join("; "), called.fuel)
    }

    fn talk() -> Past {
        let said = |number, text| Arc::new(event(number, "message.sent", &format!(r#"{{"text": "{text}"}}"#)));
        Past { events: vec![said(2, "It is."), said(1, "Is it paid?")], summary: None }
    }

    #[test]
    fn a_plugin_sees_what_was_before() {
        let limits = Limits::default();
        let (body, log, _) = summary(talk(), &limits);
        assert_eq!(body.as_deref(), Ok(r#"{"s":"2 messages: Is it paid? It is."}"#));
        assert_eq!(log, "the summary is made of sentences from 2 messages");

        let told = Past { summary: Some("They agree.".to_owned()), ..talk() };
        assert_eq!(summary(told, &limits).0.as_deref(), Ok(r#"{"s":"They agree."}"#));
        assert_eq!(summary(Past::default(), &limits).0.as_deref(), Ok(r#"{"s":null}"#));
    }

    #[test]
    fn what_was_before_costs_fuel_and_equal_calls_are_equal() {
        let limits = Limits::default();
        let long = |size: usize| Past {
            events: vec![Arc::new(event(1, "order.paid", &format!("\"{}\"", "x".repeat(size))))],
            summary: None,
        };
        let (short, much) = (summary(long(1), &limits), summary(long(1_600_000), &limits));
        assert!(much.2 - short.2 >= 100_000, "{} and {}", short.2, much.2);
        assert_eq!(much, summary(long(1_600_000), &limits));

        let poor = Limits { fuel: short.2 + 50_000, ..limits };
        let (result, ..) = summary(long(1_600_000), &poor);
        assert!(result.clone().is_err_and(|fault| fault.starts_with("fuel: ")), "{result:?}");
    }

    #[test]
    fn a_plugin_that_asks_for_nothing_imports_nothing() {
        let engine = engine(&Role::run(1, &Limits::default())).expect("an engine");
        let component = include_bytes!(concat!(env!("OUT_DIR"), "/tag_filter.wasm"));
        let component = Component::new(&engine, component).expect("it compiles");
        let plugin = Plugin::new(&engine, &component).expect("it links");
        assert_eq!(plugin.capabilities, []);
    }
}
