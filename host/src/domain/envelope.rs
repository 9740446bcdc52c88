//! The envelope that an event travels in before any transformer has seen it:
//! Standard Webhooks' `{"type", "timestamp", "data"}`.

use super::event::Event;
use super::message::Message;

/// The message that reaches the first step of an endpoint's pipeline.
///
/// `data` goes in as the bytes that were published. Parsing and writing it
/// again could change a number or an order that somebody has signed.
pub fn standard_webhooks(event: &Event) -> Message {
    let data = event.data.get();
    let event_type = event.event_type.as_str();
    let mut body = String::with_capacity(data.len() + event_type.len() + 64);
    body.push_str(r#"{"type":""#);
    // No escaping: an event type has no character that JSON would escape.
    body.push_str(event_type);
    body.push_str(r#"","timestamp":""#);
    body.push_str(&event.occurred_at.to_string());
    body.push_str(r#"","data":"#);
    body.push_str(data);
    body.push('}');
    Message::json(body)
}

#[cfg(test)]
mod tests {
    use super::super::id::{EventId, TenantId};
    use super::super::time::Timestamp;
    use super::*;

    #[test]
    fn the_data_in_the_envelope_is_the_bytes_that_were_published() {
        let at = Timestamp::from_millis(1_705_314_600_000);
        let data = r#"{ "total": 49.990, "id":18446744073709551616,"a":1,"a":2 }"#;
        let event = Event {
            id: EventId::floor(at),
            tenant: TenantId::floor(at),
            event_type: "order.paid".parse().unwrap(),
            occurred_at: at,
            received_at: at,
            subject: None,
            account: None,
            tags: Vec::new(),
            data: serde_json::value::RawValue::from_string(data.to_owned()).unwrap().into(),
            request_id: None,
        };
        let expected = format!(r#"{{"type":"order.paid","timestamp":"2024-01-15T10:30:00.000Z","data":{data}}}"#);
        assert_eq!(standard_webhooks(&event).body, expected.as_bytes());
    }
}
