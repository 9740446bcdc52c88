//! What a dialect's templates come to: the envelope that an event travels in
//! before any transformer has seen it, the headers of an attempt, and the body
//! of a handshake.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::canonical;
use super::dialect::{BodyShape, Canonical, Dialect, Field, Place};
use super::event::Event;
use super::header::Header;
use super::id::TenantId;
use super::message::Message;
use super::time::Timestamp;

/// Whatever templates can be filled with, as far as there is such a thing.
#[derive(Clone, Copy)]
struct Occasion<'a> {
    dialect: &'a Dialect,
    tenant: TenantId,
    event: Option<&'a Event>,
    sent_at: Option<Timestamp>,
    token: Option<&'a str>,
    origin: Option<&'a str>,
}

impl<'a> Occasion<'a> {
    fn value(&self, place: &Place) -> Option<Cow<'a, str>> {
        Some(match place {
            Place::Id => self.event?.id.to_string().into(),
            Place::Type => self.dialect.wire_name(self.event?.event_type.as_str()),
            Place::OccurredAt => self.event?.occurred_at.to_string().into(),
            Place::OccurredAtSeconds => self.event?.occurred_at.in_seconds().into(),
            Place::SentAt => self.sent_at?.as_secs().to_string().into(),
            Place::SentAtRfc3339 => self.sent_at?.to_string().into(),
            Place::Tenant => self.tenant.to_string().into(),
            Place::Subject => self.event?.subject.as_deref()?.into(),
            Place::Account => self.event?.account.as_deref()?.into(),
            Place::Data => self.event?.data.get().into(),
            Place::Tags => serde_json::to_string(&self.event?.tags).expect("tags are texts").into(),
            Place::Token => self.token?.into(),
            Place::Origin => self.origin?.into(),
        })
    }

    /// A JSON object of `fields`. Data goes in as the bytes that were
    /// published: parsing and writing it again could change a number or an
    /// order that somebody has signed.
    fn object(&self, fields: &[Field]) -> String {
        let room = self.event.map_or(0, |event| event.data.get().len());
        let mut object = String::with_capacity(room + 128);
        object.push('{');
        for field in fields {
            let Some(text) = field.value.fill_text(|place| self.value(place)) else { continue };
            if object.len() > 1 {
                object.push(',');
            }
            quote(&field.name, &mut object);
            object.push(':');
            match field.value.only_place() {
                Some(Place::Data | Place::Tags) => object.push_str(&text),
                _ => quote(&text, &mut object),
            }
        }
        object.push('}');
        object
    }
}

fn quote(text: &str, out: &mut String) {
    let plain = !text.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("text is JSON"));
    }
}

impl Dialect {
    /// The message that reaches the first step of an endpoint's pipeline.
    pub fn envelope(&self, event: &Event) -> Message {
        let object = || {
            let occasion = Occasion {
                dialect: self,
                tenant: event.tenant,
                event: Some(event),
                sent_at: None,
                token: None,
                origin: None,
            };
            occasion.object(&self.envelope.fields)
        };
        let body = match self.envelope.body {
            BodyShape::Object => object(),
            BodyShape::List => format!("[{}]", object()),
            BodyShape::Data => event.data.get().to_owned(),
        };
        Message::with_type(&self.envelope.content_type, body)
    }

    /// What the pipeline made, in the form that the dialect asks for. A body
    /// that is no JSON stays what it is.
    pub fn finish(&self, mut message: Message) -> Message {
        if self.envelope.canonical == Some(Canonical::Javascript) && message.is_json() {
            let text = std::str::from_utf8(&message.body).ok();
            if let Some(canonical) = text.and_then(canonical::javascript) {
                message.body = canonical.into();
            }
        }
        message
    }

    /// The dialect's headers for one attempt, without the signature.
    pub fn headers_for(&self, event: &Event, origin: &str, sent_at: Timestamp) -> Vec<Header> {
        self.fill_headers(&Occasion {
            dialect: self,
            tenant: event.tenant,
            event: Some(event),
            sent_at: Some(sent_at),
            token: None,
            origin: Some(origin),
        })
    }

    /// The body and the headers of a handshake, where the dialect has one.
    pub fn greeting(
        &self,
        tenant: TenantId,
        token: &str,
        origin: &str,
        sent_at: Timestamp,
    ) -> Option<(String, Vec<Header>)> {
        let handshake = self.handshake.as_ref()?;
        let occasion = Occasion {
            dialect: self,
            tenant,
            event: None,
            sent_at: Some(sent_at),
            token: Some(token),
            origin: Some(origin),
        };
        Some((occasion.object(&handshake.fields), self.fill_headers(&occasion)))
    }

    fn fill_headers(&self, occasion: &Occasion<'_>) -> Vec<Header> {
        let header = |name: &str, value: String| Header { name: name.to_ascii_lowercase(), value };
        let filled = self.headers.iter().filter_map(|template| {
            let value = template.value.fill_text(|place| occasion.value(place))?;
            let is_cloudevents = template.name.to_ascii_lowercase().starts_with("ce-");
            let value = if is_cloudevents { visible(&value) } else { value };
            // Somebody's subject may have what no header can hold.
            let sendable = !value.chars().any(|character| character.is_control() && character != '\t');
            sendable.then(|| header(&template.name, value))
        });
        filled.collect()
    }
}

/// Percent-encoded as CloudEvents says of its attributes (HTTP protocol binding,
/// section 3.1.3.2).
fn visible(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '!'..='~' if !matches!(character, '"' | '%') => encoded.push(character),
            other => other.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                write!(encoded, "%{byte:02X}").expect("a String takes what is written");
            }),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::id::EventId;
    use super::*;

    fn dialect(json: serde_json::Value) -> Dialect {
        serde_json::from_value::<Dialect>(json).unwrap().check().unwrap()
    }

    fn event(data: &str, subject: Option<&str>) -> Event {
        let at = Timestamp::from_millis(1_705_314_600_120);
        Event {
            id: EventId::floor(at),
            tenant: TenantId::floor(at),
            event_type: "order.paid".parse().unwrap(),
            occurred_at: at,
            received_at: at,
            deliver_at: None,
            subject: subject.map(str::to_owned),
            account: None,
            tags: vec!["a\"b".to_owned()],
            data: serde_json::value::RawValue::from_string(data.to_owned()).unwrap().into(),
            request_id: None,
            traceparent: None,
            data_gone_at: None,
        }
    }

    #[test]
    fn the_data_in_the_envelope_is_the_bytes_that_were_published() {
        let standard = dialect(serde_json::json!({
            "title": "T", "summary": "S",
            "envelope": {"fields": [
                {"name": "type", "value": "{type}"}, {"name": "timestamp", "value": "{occurred_at}"},
                {"name": "data", "value": "{data}"},
            ]},
        }));
        let data = r#"{ "total": 49.990, "id":18446744073709551616,"a":1,"a":2 }"#;
        let expected = format!(r#"{{"type":"order.paid","timestamp":"2024-01-15T10:30:00.120Z","data":{data}}}"#);
        assert_eq!(standard.envelope(&event(data, None)).body, expected.as_bytes());
    }

    #[test]
    fn what_has_no_value_is_left_out_and_text_is_quoted() {
        let some = dialect(serde_json::json!({
            "title": "T", "summary": "S", "wire_separator": "_",
            "envelope": {"canonical": "javascript", "fields": [
                {"name": "at", "value": "{occurred_at_seconds}"}, {"name": "subject", "value": "{subject}"},
                {"name": "kind", "value": "x-{type}"}, {"name": "tags", "value": "{tags}"},
            ]},
            "headers": [{"name": "CE-Subject", "value": "{subject}"}],
        }));
        let body = |subject| String::from_utf8(some.envelope(&event("1.0", subject)).body.to_vec()).unwrap();
        assert_eq!(body(None), r#"{"at":"2024-01-15T10:30:00Z","kind":"x-order_paid","tags":["a\"b"]}"#);
        assert!(body(Some("a\\\"b")).contains(r#""subject":"a\\\"b""#));
        let at = Timestamp::from_millis(0);
        assert_eq!(some.headers_for(&event("1", None), "", at), []);
        let headers = some.headers_for(&event("1", Some("Jané 100%")), "", at);
        assert_eq!((&*headers[0].name, &*headers[0].value), ("ce-subject", "Jan%C3%A9%20100%25"));
    }
}
