//! Between the house's nouns and the records of the contract. What a plugin
//! made is parsed here, by `domain`, and is its fault when it cannot be.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::Issue;
use super::contract::{
    DraftOut, EventIn, FieldIn, IssueOut, LevelOut, MessageIn, MessageOut, PastEventIn, RefusalOut, RequestIn,
};
use super::fault::Fault;
use super::limits::Limits;
use crate::domain::event::{Draft, Event, EventType};
use crate::domain::header::Header;
use crate::domain::message::{MAX_BODY, Message};
use crate::domain::pipeline::LogLevel;
use crate::domain::request::Request;

/// Bytes that are kept of a reason or a refusal.
const MAX_REASON: usize = 1 << 10;

/// Issues of one configuration that are shown, and the bytes of each.
const MAX_ISSUES: usize = 16;
const MAX_ISSUE: usize = 256;
const MAX_PATH: usize = 128;

/// The texts of an event that have to be made, once for all of its steps.
pub(super) struct EventTexts {
    pub(super) id: String,
    occurred_at: String,
}

impl EventTexts {
    pub(super) fn of(event: &Event) -> Self {
        Self { id: event.id.to_string(), occurred_at: event.occurred_at.to_string() }
    }

    pub(super) fn event<'a>(&'a self, event: &'a Event) -> EventIn<'a> {
        EventIn {
            id: &self.id,
            event_type: event.event_type.as_str(),
            occurred_at: &self.occurred_at,
            subject: event.subject.as_deref(),
            account: event.account.as_deref(),
            tags: &event.tags,
            data: event.data.get(),
        }
    }
}

pub(super) fn past_event(event: &Event) -> PastEventIn {
    PastEventIn {
        id: event.id.to_string(),
        event_type: event.event_type.to_string(),
        occurred_at: event.occurred_at.to_string(),
        subject: event.subject.clone(),
        account: event.account.clone(),
        tags: event.tags.clone(),
        data: event.data.get().to_owned(),
    }
}

/// About the bytes that an event has in a plugin's memory.
pub(super) fn size(event: &Event) -> usize {
    // Its id, its instant and the record itself; a string's place in a list.
    const FIXED: usize = 128;
    const PLACE: usize = 8;
    let labels = [&event.subject, &event.account].into_iter().flatten().chain(&event.tags);
    let labels: usize = labels.map(|label| PLACE + label.len()).sum();
    FIXED + event.event_type.as_str().len() + labels + event.data.get().len()
}

/// The same of a request.
pub(super) struct RequestTexts {
    pub(super) id: String,
    received_at: String,
    query: Vec<(String, String)>,
}

impl RequestTexts {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            id: request.id.to_string(),
            received_at: request.received_at.to_string(),
            query: url::form_urlencoded::parse(request.query.as_bytes()).into_owned().collect(),
        }
    }

    pub(super) fn request<'a>(&'a self, request: &'a Request, source: &'a str) -> RequestIn<'a> {
        RequestIn {
            id: &self.id,
            source,
            received_at: &self.received_at,
            method: &request.method,
            query: self.query.iter().map(|(name, value)| FieldIn { name, value }).collect(),
            headers: fields(&request.headers),
            body: &request.body,
        }
    }
}

pub(super) fn message_in(message: &Message) -> MessageIn<'_> {
    MessageIn {
        method: message.method.as_str(),
        target: message.target.as_deref(),
        headers: fields(&message.headers),
        body: &message.body,
    }
}

fn fields(headers: &[Header]) -> Vec<FieldIn<'_>> {
    headers.iter().map(|Header { name, value }| FieldIn { name, value }).collect()
}

/// The message that a transformer made.
pub(super) fn message(made: MessageOut) -> Result<Message, Fault> {
    if made.body.len() > MAX_BODY {
        return Err(too_large("body", made.body.len()));
    }
    let headers = made.headers.iter().map(|field| (field.name.as_str(), field.value.as_str()));
    Message::parse(&made.method, made.target, headers, made.body)
        .map_err(|problem| Fault::contract(format!("The plugin's message cannot be sent: {problem}.")))
}

/// The drafts that a mapper made. `event_type` is what those become that name
/// no type.
pub(super) fn drafts(
    made: Vec<DraftOut>,
    event_type: Option<&EventType>,
    limits: &Limits,
) -> Result<Vec<Draft>, Fault> {
    if made.len() > limits.drafts {
        return Err(Fault::output(format!(
            "The plugin made {} events of one request and {} are allowed.",
            made.len(),
            limits.drafts
        )));
    }
    made.into_iter().enumerate().map(|(at, made)| draft(at + 1, made, event_type)).collect()
}

fn draft(number: usize, made: DraftOut, event_type: Option<&EventType>) -> Result<Draft, Fault> {
    let wrong = |problem: String| Fault::contract(format!("Draft {number} cannot become an event: {problem}."));
    let event_type = match (&made.event_type, event_type) {
        (Some(text), _) => text.parse().map_err(|problem| wrong(format!("`type`: {problem}")))?,
        (None, Some(event_type)) => event_type.clone(),
        (None, None) => {
            return Err(wrong("it has no `type` and the source has no `event_type`; set one of them".to_owned()));
        }
    };
    let occurred_at = match &made.occurred_at {
        Some(text) => Some(text.parse().map_err(|_| wrong("`occurred-at` is no RFC 3339 instant".to_owned()))?),
        None => None,
    };
    if made.data.len() > MAX_BODY {
        return Err(too_large("data", made.data.len()));
    }
    let data = RawValue::from_string(made.data).map_err(|problem| wrong(format!("`data` is no JSON: {problem}")))?;
    Draft {
        event_type,
        occurred_at,
        deliver_at: None,
        subject: made.subject,
        account: made.account,
        tags: made.tags,
        data: Arc::from(data),
    }
    .check()
    .map_err(|problem| wrong(problem.to_string()))
}

fn too_large(what: &str, size: usize) -> Fault {
    Fault::output(format!("The plugin made a {what} of {size} bytes and {MAX_BODY} are allowed."))
}

/// A refusal is stored with each attempt, so that it is kept short.
pub(super) fn refusal(made: RefusalOut) -> (String, String) {
    (cut(made.code, 64), cut(made.message, MAX_REASON))
}

pub(super) fn reason(text: String) -> String {
    cut(text, MAX_REASON)
}

/// What a person can read of what is wrong with a configuration.
pub(super) fn issues(mut made: Vec<IssueOut>) -> Vec<Issue> {
    let more = made.len().saturating_sub(MAX_ISSUES);
    made.truncate(MAX_ISSUES);
    let short = |IssueOut { path, message }| Issue { path: cut(path, MAX_PATH), message: cut(message, MAX_ISSUE) };
    let mut issues: Vec<Issue> = made.into_iter().map(short).collect();
    if more > 0 {
        issues.push(Issue { path: String::new(), message: format!("and {more} more") });
    }
    issues
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

pub(super) fn log_level(level: LevelOut) -> LogLevel {
    match level {
        LevelOut::Debug => LogLevel::Debug,
        LevelOut::Info => LogLevel::Info,
        LevelOut::Warn => LogLevel::Warn,
        LevelOut::Error => LogLevel::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(event_type: Option<&str>, occurred_at: Option<&str>, data: &str) -> DraftOut {
        DraftOut {
            event_type: event_type.map(str::to_owned),
            occurred_at: occurred_at.map(str::to_owned),
            subject: None,
            account: None,
            tags: Vec::new(),
            data: data.to_owned(),
        }
    }

    #[track_caller]
    fn check(made: DraftOut, source: Option<&str>, expected: &str) {
        let source: Option<EventType> = source.map(|text| text.parse().expect("a type"));
        let said = match drafts(vec![made], source.as_ref(), &Limits::default()) {
            Ok(drafts) => format!("{} {}", drafts[0].event_type, drafts[0].data),
            Err(fault) => fault.to_string(),
        };
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn a_draft_becomes_an_event_or_is_the_plugins_fault() {
        check(made(Some("a.b"), None, "{}"), Some("c.d"), "a.b {}");
        check(made(None, Some("2026-11-21T08:30:00Z"), "[1]"), Some("c.d"), "c.d [1]");
        check(
            made(None, None, "{}"),
            None,
            "contract: Draft 1 cannot become an event: it has no `type` and the source",
        );
        check(
            made(Some("a b"), None, "{}"),
            None,
            "contract: Draft 1 cannot become an event: `type`: an event type is",
        );
        check(made(Some("a"), Some("now"), "{}"), None, "contract: Draft 1 cannot become an event: `occurred-at`");
        check(made(Some("a"), None, "{"), None, "contract: Draft 1 cannot become an event: `data` is no JSON");
        check(
            made(Some("a"), None, &format!("\"{}\"", "x".repeat(MAX_BODY))),
            None,
            "output: The plugin made a data of",
        );
        let tagged = DraftOut { tags: vec![String::new()], ..made(Some("a"), None, "{}") };
        check(tagged, None, "contract: Draft 1 cannot become an event: `tags` must not be empty");
    }

    #[test]
    fn more_drafts_than_allowed_are_none() {
        let fault = drafts(vec![made(Some("a"), None, "{}"); 65], None, &Limits::default()).expect_err("too many");
        assert_eq!(fault.to_string(), "output: The plugin made 65 events of one request and 64 are allowed.");
    }

    #[test]
    fn a_message_that_cannot_be_sent_is_the_plugins_fault() {
        let made = MessageOut { method: "GET".to_owned(), target: None, headers: Vec::new(), body: Vec::new() };
        let fault = message(made).expect_err("GET has no body");
        assert_eq!(
            fault.to_string(),
            "contract: The plugin's message cannot be sent: method `GET` is none of POST, PUT and PATCH."
        );
    }
}
