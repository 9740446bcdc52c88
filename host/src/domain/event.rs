//! Events: immutable facts, and the rules their parts keep.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::id::{EventId, RequestId, TenantId};
use super::time::Timestamp;
use super::trace::TraceParent;

/// At most this many tags on one event.
pub const MAX_TAGS: usize = 64;
/// At most this many bytes in a type, a tag, a subject or an account.
pub const MAX_LABEL: usize = 256;
/// How long an event may wait for its time: a year.
pub const MAX_DELAY: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Something that happened in one tenant.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    pub id: EventId,
    #[serde(skip)]
    pub tenant: TenantId,
    #[serde(rename = "type")]
    pub event_type: EventType,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    /// Not sent before; at once, when absent.
    pub deliver_at: Option<Timestamp>,
    pub subject: Option<String>,
    pub account: Option<String>,
    pub tags: Vec<String>,
    /// The bytes that were published, never written again.
    #[serde(serialize_with = "as_is")]
    pub data: Arc<RawValue>,
    /// The request that it was made of, when a source received it.
    pub request_id: Option<RequestId>,
    /// The trace that it is part of: where what was made of it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// When its data went, which is `null` since: retention said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_gone_at: Option<Timestamp>,
}

fn as_is<S: Serializer>(data: &Arc<RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    data.as_ref().serialize(serializer)
}

/// What somebody wants published: an [`Event`] before the host has given it an
/// identity.
#[derive(Clone, Debug)]
pub struct Draft {
    pub event_type: EventType,
    pub occurred_at: Option<Timestamp>,
    pub deliver_at: Option<Timestamp>,
    pub subject: Option<String>,
    pub account: Option<String>,
    pub tags: Vec<String>,
    pub data: Arc<RawValue>,
}

impl Draft {
    /// A draft whose labels keep the limits, or the field that does not.
    pub fn check(self) -> Result<Self, DraftError> {
        for (field, label) in [("subject", &self.subject), ("account", &self.account)] {
            if let Some(label) = label {
                check_label(label).map_err(|problem| DraftError { field, problem })?;
            }
        }
        if self.tags.len() > MAX_TAGS {
            return Err(DraftError { field: "tags", problem: LabelError::TooMany });
        }
        match self.tags.iter().find_map(|tag| check_label(tag).err()) {
            Some(problem) => Err(DraftError { field: "tags", problem }),
            None => Ok(self),
        }
    }

    /// What an event was made of.
    pub fn of(event: &Event) -> Self {
        Self {
            event_type: event.event_type.clone(),
            occurred_at: Some(event.occurred_at),
            deliver_at: event.deliver_at,
            subject: event.subject.clone(),
            account: event.account.clone(),
            tags: event.tags.clone(),
            data: event.data.clone(),
        }
    }

    /// The event that this becomes.
    pub fn into_event(self, id: EventId, tenant: TenantId, now: Timestamp, request_id: Option<RequestId>) -> Event {
        Event {
            id,
            tenant,
            event_type: self.event_type,
            occurred_at: self.occurred_at.unwrap_or(now),
            received_at: now,
            deliver_at: self.deliver_at,
            subject: self.subject,
            account: self.account,
            tags: self.tags,
            data: self.data,
            request_id,
            traceparent: None,
            data_gone_at: None,
        }
    }
}

/// A field of a draft that is out of bounds.
#[derive(Debug, PartialEq, Eq)]
pub struct DraftError {
    pub field: &'static str,
    pub problem: LabelError,
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.problem)
    }
}

/// What is wrong with a label.
#[derive(Debug, PartialEq, Eq)]
pub enum LabelError {
    Empty,
    TooLong,
    Control,
    TooMany,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong => write!(f, "is over {MAX_LABEL} bytes long"),
            Self::Control => f.write_str("has a control character"),
            Self::TooMany => write!(f, "has over {MAX_TAGS} entries"),
        }
    }
}

/// A subject, an account or a tag: some text without control characters.
pub fn check_label(label: &str) -> Result<(), LabelError> {
    if label.is_empty() {
        Err(LabelError::Empty)
    } else if label.len() > MAX_LABEL {
        Err(LabelError::TooLong)
    } else if label.chars().any(char::is_control) {
        Err(LabelError::Control)
    } else {
        Ok(())
    }
}

/// An event type such as `order.paid`: letters, digits and `_ . - : /`, which
/// takes in what the known senders use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Arc<str>);

/// The text is no event type.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnEventType;

impl fmt::Display for NotAnEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event type is 1 to 128 letters, digits and `_ . - : /`, such as `order.paid`")
    }
}

impl std::str::FromStr for EventType {
    type Err = NotAnEventType;

    fn from_str(text: &str) -> Result<Self, NotAnEventType> {
        let plain = !text.is_empty() && text.len() <= 128 && text.bytes().all(is_type_byte);
        if plain { Ok(Self(text.into())) } else { Err(NotAnEventType) }
    }
}

impl EventType {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// May stand in an event type.
pub(super) fn is_type_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte)
}
