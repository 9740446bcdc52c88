//! Keeps an event whose data fits a JSON Schema (2020-12), and says of any
//! other where it first does not.

mod fit;

use hookyard_plugin::{Description, Event, Example, Filter, Issue, Plugin, Refusal, Verdict, json};
use serde::Deserialize;
use serde_json::Value;

/// The plugin.
pub struct JsonSchema;

hookyard_plugin::export!(JsonSchema: filter);

/// What the tenant writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    schema: Value,
}

impl Plugin for JsonSchema {
    type Config = Config;

    fn describe() -> Description {
        let customer = json!({
            "schema": {
                "type": "object",
                "required": ["customer"],
                "properties": {
                    "customer": {"type": "object", "required": ["phone"], "properties": {"phone": {"type": "string"}}}
                }
            }
        });
        Description::new(
            "json-schema",
            env!("CARGO_PKG_VERSION"),
            "Keeps the events whose data fits a JSON Schema (2020-12).",
        )
        .schema(include_str!("schema.json"))
        .example(Example::keep(
            "What fits goes on",
            customer.clone(),
            Event::of("order.paid").with(json!({"customer": {"phone": "+12025551234"}, "total": 49.99})),
            Ok(Verdict::Keep),
        ))
        .example(Example::keep(
            "What does not is told by its place",
            customer.clone(),
            Event::of("order.paid").with(json!({"customer": {"phone": 7}})),
            Ok(Verdict::Drop(r#"/customer/phone: 7 is not of type "string""#.to_owned())),
        ))
        .example(Example::keep(
            "What is missing, by the object that it is missing from",
            customer,
            Event::of("order.paid").with(json!({"customer": {}})),
            Ok(Verdict::Drop(r#"/customer: "phone" is a required property"#.to_owned())),
        ))
    }

    fn check(config: &Config) -> Vec<Issue> {
        fit::problem(&config.schema).into_iter().collect()
    }
}

impl Filter for JsonSchema {
    fn keep(event: &Event, config: &Config) -> Result<Verdict, Refusal> {
        let misfit = fit::misfit(&config.schema, &event.data()?);
        let misfit = misfit.map_err(|problem| Refusal::bad_config(format!("schema: {problem}")))?;
        Ok(misfit.map_or(Verdict::Keep, Verdict::Drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookyard_plugin::native;

    #[test]
    fn the_examples_hold() {
        native::assert_filter_examples::<JsonSchema>();
    }

    #[test]
    fn a_schema_that_was_never_checked_is_refused() {
        let config = r#"{"schema": {"$ref": "https://example.com/a"}}"#;
        let refusal = native::keep::<JsonSchema>(&Event::of("a"), config).unwrap_err();
        assert_eq!(refusal.code, "bad-config");
        let issues = native::check::<JsonSchema>(config).unwrap_err();
        assert_eq!(issues[0].path, "schema.$ref");
    }
}
