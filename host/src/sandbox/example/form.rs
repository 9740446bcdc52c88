//! The records of an example as JSON: fields in snake case, `data` as the
//! document itself, bodies as text, what is empty left out. Described in
//! `wit/settings.wit`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::contract::{EventIn, FieldIn, MessageIn, RequestIn};

/// When examples happen that do not say when.
pub(super) const SOME_TIME: &str = "2026-11-21T08:30:00.000Z";

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RequestForm {
    id: String,
    source: String,
    received_at: String,
    method: String,
    query: Vec<FieldForm>,
    headers: Vec<FieldForm>,
    body: String,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EventForm {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    occurred_at: String,
    subject: Option<String>,
    account: Option<String>,
    tags: Vec<String>,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MessageForm {
    method: String,
    target: Option<String>,
    headers: Vec<FieldForm>,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldForm {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MapperInput {
    pub(super) request: RequestForm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterInput {
    pub(super) event: EventForm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransformerInput {
    pub(super) event: EventForm,
    pub(super) message: MessageForm,
}

impl Default for RequestForm {
    fn default() -> Self {
        Self {
            id: String::new(),
            source: String::new(),
            received_at: SOME_TIME.to_owned(),
            method: "POST".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

impl Default for EventForm {
    fn default() -> Self {
        Self {
            id: String::new(),
            event_type: String::new(),
            occurred_at: SOME_TIME.to_owned(),
            subject: None,
            account: None,
            tags: Vec::new(),
            data: RawValue::NULL.to_owned(),
        }
    }
}

impl Default for MessageForm {
    fn default() -> Self {
        Self { method: "POST".to_owned(), target: None, headers: Vec::new(), body: String::new() }
    }
}

impl RequestForm {
    pub(super) fn record(&self) -> RequestIn<'_> {
        RequestIn {
            id: &self.id,
            source: &self.source,
            received_at: &self.received_at,
            method: &self.method,
            query: fields(&self.query),
            headers: fields(&self.headers),
            body: self.body.as_bytes(),
        }
    }
}

impl EventForm {
    pub(super) fn record(&self) -> EventIn<'_> {
        EventIn {
            id: &self.id,
            event_type: &self.event_type,
            occurred_at: &self.occurred_at,
            subject: self.subject.as_deref(),
            account: self.account.as_deref(),
            tags: &self.tags,
            data: self.data.get(),
        }
    }
}

impl MessageForm {
    pub(super) fn record(&self) -> MessageIn<'_> {
        MessageIn {
            method: &self.method,
            target: self.target.as_deref(),
            headers: fields(&self.headers),
            body: self.body.as_bytes(),
        }
    }
}

fn fields(forms: &[FieldForm]) -> Vec<FieldIn<'_>> {
    forms.iter().map(|FieldForm { name, value }| FieldIn { name, value }).collect()
}
