//! Writes a message's body from a template over the event: text, or a JSON
//! value whose strings are templates.

mod config;
mod json;
mod render;

pub use config::Config;
use hookyard_plugin::{Description, Event, Example, Issue, Message, Plugin, Refusal, Transformer, json as value};

/// The plugin.
pub struct Template;

hookyard_plugin::export!(Template: transformer);

impl Plugin for Template {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "template",
            env!("CARGO_PKG_VERSION"),
            "Writes the body from a template in the language of Jinja.",
        )
        .schema(include_str!("schema.json"))
        .example(chat_message())
        .example(json_body())
        .example(missing_field())
    }

    fn check(config: &Config) -> Vec<Issue> {
        render::check(config)
    }
}

impl Transformer for Template {
    fn transform(event: &Event, message: Message, config: &Config) -> Result<Message, Refusal> {
        render::message(event, message, config)
    }
}

fn chat_message() -> Example {
    Example::transform(
        "A line for a chat",
        value!({"body": "Order {{ data.order_id }}: {{ data.items | length }} items for {{ data.customer.name | default('somebody') }}"}),
        Event::of("order.paid").with(value!({"order_id": "ORD-789", "items": ["A1", "B2"], "customer": {}})),
        Message::json(value!({})),
        Ok(Message::post("text/plain; charset=utf-8", "Order ORD-789: 2 items for somebody")),
    )
}

fn json_body() -> Example {
    Example::transform(
        "JSON whose strings are templates",
        value!({
            "json": {
                "text": "{{ event.type }}: \"{{ data.note }}\"",
                "total": "{{ data.total }}",
                "tags": "{{ event.tags }}"
            },
            "headers": {"x-order": "{{ data.order_id }}"}
        }),
        Event::of("order.paid").tag("paid").with(value!({"order_id": 7, "total": 49.99, "note": "say \"hi\""})),
        Message::json(value!({})),
        Ok(Message::json(value!({"text": "order.paid: \"say \"hi\"\"", "total": 49.99, "tags": ["paid"]}))
            .header("x-order", "7")),
    )
}

fn missing_field() -> Example {
    Example::transform(
        "A field that is not there is refused, not left out",
        value!({"body": "Order\n{{ data.order_id }}"}),
        Event::of("order.paid"),
        Message::json(value!({})),
        Err(Refusal::bad_input("body, line 2: undefined value: `data.order_id` is undefined")),
    )
}

#[cfg(test)]
mod tests {
    use super::Template;
    use hookyard_plugin::native;

    #[test]
    fn the_examples_hold() {
        native::assert_transformer_examples::<Template>();
    }
}
