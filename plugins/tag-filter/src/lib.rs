//! Lets an event through when its tags satisfy an expression, such as
//! `paid and not (test or internal)`.

mod config;
mod expression;

pub use config::Config;
use hookyard_plugin::{Description, Event, Example, Filter, Plugin, Refusal, Verdict, json};

/// The plugin.
pub struct TagFilter;

hookyard_plugin::export!(TagFilter: filter);

impl Plugin for TagFilter {
    type Config = Config;

    fn describe() -> Description {
        let config = json!({"expression": "paid and not (test or internal)"});
        let dropped = "not met: paid and not (test or internal); the event has the tags paid, test";
        Description::new("tag-filter", env!("CARGO_PKG_VERSION"), "Keeps the events whose tags satisfy an expression.")
            .schema(include_str!("schema.json"))
            .example(Example::keep(
                "What is paid and no test goes on",
                config.clone(),
                Event::of("order.paid").tag("paid").tag("eu"),
                Ok(Verdict::Keep),
            ))
            .example(Example::keep(
                "A test does not",
                config,
                Event::of("order.paid").tag("paid").tag("test"),
                Ok(Verdict::Drop(dropped.to_owned())),
            ))
            .example(Example::keep(
                "A star stands for any letters, quotes for tags with spaces",
                json!("region:* and \"big customer\""),
                Event::of("order.paid").tag("region:eu").tag("big customer"),
                Ok(Verdict::Keep),
            ))
    }
}

impl Filter for TagFilter {
    fn keep(event: &Event, config: &Config) -> Result<Verdict, Refusal> {
        if config.expression.holds_for(&event.tags) {
            return Ok(Verdict::Keep);
        }
        let tags = match event.tags.is_empty() {
            true => "no tags".to_owned(),
            false => format!("the tags {}", event.tags.join(", ")),
        };
        Ok(Verdict::Drop(format!("not met: {}; the event has {tags}", config.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookyard_plugin::native;

    #[test]
    fn the_examples_hold() {
        native::assert_filter_examples::<TagFilter>();
    }

    #[test]
    fn a_drop_names_the_expression_and_the_tags() {
        let dropped = native::keep::<TagFilter>(&Event::of("x"), r#"{"expression": "paid"}"#);
        let reason = "not met: paid; the event has no tags".to_owned();
        assert_eq!(dropped, Ok(Verdict::Drop(reason)));
    }
}
