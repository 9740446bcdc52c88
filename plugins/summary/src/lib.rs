//! Adds a summary of the subject's recent messages to a message's JSON body.
//! Where the operator set up a language model, its summary is taken; else the
//! sentences are picked that say most.

mod config;
mod document;
mod summarise;

pub use config::Config;
use config::Types;
use document::{Members, Path, quoted};
use hookyard_plugin::{Description, Event, Example, Message, Plugin, Refusal, Transformer};
use hookyard_plugin::{history, json, log, summaries};

/// The plugin.
pub struct Summary;

hookyard_plugin::export!(Summary: transformer);

impl Plugin for Summary {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "summary",
            env!("CARGO_PKG_VERSION"),
            "Adds a summary of the subject's recent messages to the body.",
        )
        .schema(include_str!("schema.json"))
        .capability("history")
        .capability("summaries")
        .example(first_contact())
        .example(another_place())
        .example(no_object())
    }
}

impl Transformer for Summary {
    fn transform(event: &Event, mut message: Message, config: &Config) -> Result<Message, Refusal> {
        let summary = match event.subject {
            Some(_) => summary(config),
            None => {
                log::info("no summary: the event has no subject, so that nothing came before it");
                None
            }
        };
        let summary = summary.map_or_else(|| "null".to_owned(), |text| quoted(&text));
        let body = document::put(message.text()?, &config.to, &summary)
            .map_err(|problem| Refusal::bad_input(format!("body: {problem}")))?;
        message.body = body.into_bytes();
        Ok(message)
    }
}

/// The model's summary, or the sentences that say most.
fn summary(config: &Config) -> Option<String> {
    let messages = messages(config);
    let count = match messages.len() {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    };
    if let Some(text) = summaries::of_history().filter(|text| !text.trim().is_empty()) {
        log::info(format!("the summary is the language model's; {count} came before"));
        return Some(text.trim().to_owned());
    }
    match summarise::summarise(&messages, config.sentences as usize) {
        Some(sentences) => {
            log::info(format!("the summary is made of sentences from {count}"));
            Some(format!("{count}: {sentences}"))
        }
        None => {
            log::info("no summary: no messages came before");
            None
        }
    }
}

/// What was written, the oldest first.
fn messages(config: &Config) -> Vec<String> {
    let events = match config.types.names() {
        Some(names) => history::recent(&names, config.limit),
        None => recent_that_fit(&config.types, config.limit),
    };
    events.iter().rev().filter_map(|event| text(event, &config.text)).collect()
}

/// The host knows whole types only.
fn recent_that_fit(types: &Types, limit: u32) -> Vec<Event> {
    let mut events = history::recent(&[], u32::MAX);
    events.retain(|event| types.fit(&event.type_));
    events.truncate(limit as usize);
    events
}

/// The first of the places that has text.
fn text(event: &Event, places: &[Path]) -> Option<String> {
    let data = Members::read(&event.data)?;
    let texts = places.iter().filter_map(|path| serde_json::from_str::<String>(data.find(path)?).ok());
    texts.into_iter().find(|text| !text.trim().is_empty())
}

fn first_contact() -> Example {
    let message = |data| json!({"type": "tag.added", "timestamp": "2026-11-21T08:30:00.000Z", "data": data});
    Example::transform(
        "Without earlier messages the summary is null",
        json!({}),
        Event::of("tag.added").about("+12025551234").with(json!({"tag": "qualified-lead"})),
        Message::json(message(json!({"tag": "qualified-lead"}))),
        Ok(Message::json(message(json!({"tag": "qualified-lead", "summary": null})))),
    )
}

fn another_place() -> Example {
    Example::transform(
        "It goes where it is wanted, and all else stays",
        json!({"types": ["message.*", "replies"], "sentences": 5, "to": "conversation.summary"}),
        Event::of("conversation.closed").about("+12025551234"),
        Message::json(r#"{"id": 7.10}"#),
        Ok(Message::json(r#"{"id": 7.10, "conversation": {"summary": null}}"#)),
    )
}

fn no_object() -> Example {
    Example::transform(
        "A body that has no place for it is refused",
        json!({}),
        Event::of("conversation.closed").about("+12025551234"),
        Message::json(json!({"data": "text"})),
        Err(Refusal::bad_input("body: `data` is no object")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookyard_plugin::native;

    /// The body and the log line.
    #[track_caller]
    fn check(config: &str, expected: (&str, &str)) {
        let event = Event::of("tag.added").about("c1");
        native::logged();
        let message = native::transform::<Summary>(&event, Message::json(r#"{"n": 1.0}"#), config).unwrap();
        let log: Vec<_> = native::logged().into_iter().map(|(_, line)| line).collect();
        let summary = message.text().unwrap().strip_prefix(r#"{"n": 1.0,"s":"#).and_then(|rest| rest.strip_suffix('}'));
        assert_eq!((summary, &*log.join("; ")), (Some(expected.0), expected.1), "{config}");
    }

    fn said(event_type: &str, data: &str) -> Event {
        Event::of(event_type).about("c1").with(data)
    }

    #[test]
    fn the_examples_hold() {
        native::assert_transformer_examples::<Summary>();
    }

    #[test]
    fn messages_are_what_the_configuration_says() {
        native::set_history(vec![
            said("message.sent", r#"{"message": {"text": "It is."}}"#),
            said("order.paid", r#"{"text": "no message"}"#),
            said("replies", r#"{"body": "Is it \"red\"?", "text": " "}"#),
            said("message.read", r#"{"at": 7}"#),
            said("message.received", r#"{"text": 7, "message": "Hello"}"#),
            said("message.received", "[]"),
        ]);
        check(
            r#"{"to": "s"}"#,
            (r#""3 messages: Hello. Is it \"red\"? It is.""#, "the summary is made of sentences from 3 messages"),
        );
        check(
            r#"{"to": "s", "limit": 2}"#,
            (r#""2 messages: Is it \"red\"? It is.""#, "the summary is made of sentences from 2 messages"),
        );
        check(
            r#"{"to": "s", "types": ["replies", "order.paid"]}"#,
            (r#""2 messages: Is it \"red\"? no message.""#, "the summary is made of sentences from 2 messages"),
        );
        check(
            r#"{"to": "s", "types": ["mess*"], "text": ["message.text"]}"#,
            (r#""1 message: It is.""#, "the summary is made of sentences from 1 message"),
        );
        check(r#"{"to": "s", "types": ["none"]}"#, ("null", "no summary: no messages came before"));
    }

    #[test]
    fn a_models_summary_goes_before() {
        native::set_history(vec![said("message.sent", r#"{"text": "It is."}"#)]);
        native::set_summary(Some(" They agree on \"red\".\n"));
        check(
            r#"{"to": "s"}"#,
            (r#""They agree on \"red\".""#, "the summary is the language model's; 1 message came before"),
        );
        native::set_summary(Some("  "));
        check(r#"{"to": "s"}"#, (r#""1 message: It is.""#, "the summary is made of sentences from 1 message"));
    }

    #[test]
    fn an_event_without_a_subject_has_no_history() {
        native::logged();
        let message = native::transform::<Summary>(&Event::of("a"), Message::json("{}"), "{}").unwrap();
        assert_eq!(message.text(), Ok(r#"{"data":{"summary":null}}"#));
        let line = "no summary: the event has no subject, so that nothing came before it";
        assert_eq!(native::logged(), [(log::Level::Info, line.to_owned())]);
    }

    #[test]
    fn a_body_that_is_no_json_is_refused() {
        let message = Message::post("text/plain", "Hello");
        let refusal = native::transform::<Summary>(&Event::of("a"), message, "{}").unwrap_err();
        assert_eq!(refusal, Refusal::bad_input("body: no JSON object"));
    }
}
