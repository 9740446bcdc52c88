//! CloudEvents 1.0 as they come in over HTTP: binary, structured and batched.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::Draft;
use super::header::Header;

/// At most this many events in a batch, as in a call of the API.
const MAX_BATCH: usize = 500;

/// How an event is put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Binary,
    Structured,
    Batched,
}

/// An event in the JSON format; extensions that mean nothing here are passed
/// over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    subject: Option<String>,
    time: Option<String>,
    account: Option<String>,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

impl Mode {
    /// The mode that a request says it is in, if any.
    pub fn of(headers: &[Header]) -> Option<Self> {
        match essence(find(headers, "content-type").unwrap_or_default()) {
            "application/cloudevents+json" => Some(Self::Structured),
            "application/cloudevents-batch+json" => Some(Self::Batched),
            _ => find(headers, "ce-specversion").map(|_| Self::Binary),
        }
    }

    /// The events in a request of this mode, or why it is none.
    pub fn read(self, headers: &[Header], body: &[u8]) -> Result<Vec<Draft>, String> {
        let not_json = |error| format!("the body is no CloudEvent: {error}");
        match self {
            Self::Structured => {
                let event: Attributes = serde_json::from_slice(body).map_err(not_json)?;
                Ok(vec![event.draft()?])
            }
            Self::Batched => {
                let events: Vec<Attributes> = serde_json::from_slice(body).map_err(not_json)?;
                if events.len() > MAX_BATCH {
                    return Err(format!("the batch has {} events, and {MAX_BATCH} are allowed", events.len()));
                }
                let draft =
                    |(at, event): (usize, Attributes)| event.draft().map_err(|why| format!("event {at}: {why}"));
                events.into_iter().enumerate().map(draft).collect()
            }
            Self::Binary => binary(headers, body)?.draft().map(|draft| vec![draft]),
        }
    }
}

fn binary(headers: &[Header], body: &[u8]) -> Result<Attributes, String> {
    let text = |name| find(headers, name).map(decoded);
    let content_type = essence(find(headers, "content-type").unwrap_or("application/json"));
    let data = match body {
        [] => None,
        body if content_type == "application/json" || content_type.ends_with("+json") => {
            Some(serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?)
        }
        body => Some(quoted(&match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            Err(_) => STANDARD.encode(body),
        })),
    };
    Ok(Attributes {
        specversion: text("ce-specversion").unwrap_or_default(),
        id: text("ce-id").unwrap_or_default(),
        source: text("ce-source").unwrap_or_default(),
        event_type: text("ce-type").unwrap_or_default(),
        subject: text("ce-subject"),
        time: text("ce-time"),
        account: text("ce-account"),
        data,
        data_base64: None,
    })
}

impl Attributes {
    fn draft(self) -> Result<Draft, String> {
        let missing = [("id", &self.id), ("source", &self.source), ("type", &self.event_type)]
            .into_iter()
            .find_map(|(name, value)| value.is_empty().then_some(name));
        if let Some(name) = missing {
            return Err(format!("the CloudEvent has no `{name}`, which it needs"));
        }
        if self.specversion != "1.0" {
            return Err(format!("the CloudEvent's specversion is `{}` and not 1.0", self.specversion.escape_debug()));
        }
        let event_type = self.event_type.parse();
        let time = self.time.map(|text| text.parse().map_err(|_| "the CloudEvent's `time` is not RFC 3339".to_owned()));
        let data = self.data.or_else(|| self.data_base64.map(|text| quoted(&text)));
        let draft = Draft {
            event_type: event_type.map_err(|problem| format!("the CloudEvent's `type`: {problem}"))?,
            occurred_at: time.transpose()?,
            deliver_at: None,
            subject: self.subject.filter(|subject| !subject.is_empty()),
            account: self.account.filter(|account| !account.is_empty()),
            tags: Vec::new(),
            data: data.map_or_else(|| Arc::from(RawValue::NULL.to_owned()), Arc::from),
        };
        draft.check().map_err(|problem| format!("the CloudEvent's {problem}"))
    }
}

fn quoted(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("text is JSON")
}

/// A media type without its parameters.
pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

pub(super) fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
}

/// Headers are percent-encoded (section 3.1.3.2).
fn decoded(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| bytes[at] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
