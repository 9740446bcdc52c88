//! What the plugin says of itself, with examples that are also tests.

use hookyard_plugin::{Description, Draft, Event, Example, Message, Refusal, Request, json};

pub(crate) fn describe() -> Description {
    Description::new(
        "field-mapper",
        env!("CARGO_PKG_VERSION"),
        "Builds an event or a body from named fields, by a list of rules and without code.",
    )
    .schema(include_str!("schema.json"))
    .example(order_to_event())
    .example(order_to_two_events())
    .example(event_to_contact())
    .example(missing_phone())
}

fn order_to_event() -> Example {
    Example::map(
        "An order becomes an event about its customer",
        json!({
            "type": {"from": "event"},
            "subject": {"from": "customer.phone", "required": true, "convert": {"phone": {"country": "1"}}},
            "tags": [{"from": "data.order_id"}],
            "rules": [
                {"to": "order_id", "from": "data.order_id"},
                {"to": "total", "from": "data.total", "convert": "number"},
                {"to": "skus", "from": "data.items[].sku"},
                {"to": "shop", "from": "$headers.x-shop", "default": "main"}
            ]
        }),
        Request::post(json!({
            "event": "order.placed",
            "customer": {"phone": "(202) 555-1234", "email": "customer@example.com"},
            "data": {"order_id": "ORD-789", "total": "49.99", "items": [{"sku": "A1"}, {"sku": "B2"}]}
        })),
        Ok(vec![
            Draft::with(json!({"order_id": "ORD-789", "total": 49.99, "skus": ["A1", "B2"], "shop": "main"}))
                .of("order.placed")
                .about("+12025551234")
                .tag("ORD-789"),
        ]),
    )
}

fn order_to_two_events() -> Example {
    Example::map(
        "An order also triggers an automation",
        json!({
            "type": {"from": "event"},
            "subject": {"from": "customer.phone"},
            "rules": [{"to": "order_id", "from": "data.order_id"}],
            "also": [
                {
                    "when": {"from": "event", "equals": "order.placed"},
                    "type": {"const": "automation.triggered"},
                    "subject": {"from": "customer.phone"},
                    "rules": [{"to": "automation", "const": "order"}, {"to": "order_id", "from": "data.order_id"}]
                },
                {"when": {"from": "data.coupon", "exists": true}, "type": {"const": "coupon.used"}}
            ]
        }),
        Request::post(json!({
            "event": "order.placed",
            "customer": {"phone": "+12025551234", "email": "customer@example.com", "name": "Jane Smith"},
            "data": {"order_id": "ORD-789", "total": 49.99, "items": []}
        })),
        Ok(vec![
            Draft::with(json!({"order_id": "ORD-789"})).of("order.placed").about("+12025551234"),
            Draft::with(json!({"automation": "order", "order_id": "ORD-789"}))
                .of("automation.triggered")
                .about("+12025551234"),
        ]),
    )
}

fn event_to_contact() -> Example {
    Example::transform(
        "An event becomes a contact with its order",
        json!({
            "rules": [
                {"to": "contact.phone", "from": "customer.phone", "convert": "phone"},
                {"to": "contact.email", "from": "customer.email", "convert": ["trim", "lowercase"]},
                {"to": "attributes.order_id", "from": "order_id"},
                {"to": "attributes.placed_at", "from": "$event.occurred_at"},
                {"to": "attributes.state", "from": "state", "convert": {"lookup": {"table": {"1": "new", "2": "paid"}}}},
                {"to": "lines[].sku", "from": "items[].id"},
                {"to": "lines[].count", "from": "items[].n", "default": 1}
            ]
        }),
        Event::of("order.paid").with(json!({
            "order_id": "ORD-789",
            "state": 2,
            "customer": {"phone": "+1 202 555 1234", "email": " Customer@Example.com"},
            "items": [{"id": "A1", "n": 3}, {"id": "B2"}],
            "internal_note": "does not go on"
        })),
        Message::json(json!({})),
        Ok(Message::json(json!({
            "contact": {"phone": "+12025551234", "email": "customer@example.com"},
            "attributes": {"order_id": "ORD-789", "placed_at": "2026-11-21T08:30:00.000Z", "state": "paid"},
            "lines": [{"sku": "A1", "count": 3}, {"sku": "B2", "count": 1}]
        }))),
    )
}

fn missing_phone() -> Example {
    Example::transform(
        "What is required and missing is refused",
        json!({"rules": [{"to": "phone", "from": "customer.phone", "required": true}]}),
        Event::of("order.paid").with(json!({"customer": {}})),
        Message::json(json!({})),
        Err(Refusal::bad_input("rules[0]: customer.phone is missing")),
    )
}

#[cfg(test)]
mod tests {
    use crate::FieldMapper;
    use hookyard_plugin::native;

    #[test]
    fn the_examples_hold() {
        native::assert_mapper_examples::<FieldMapper>();
        native::assert_transformer_examples::<FieldMapper>();
    }
}
