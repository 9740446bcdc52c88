//! A plugin that reaches out of the sandbox as its configuration asks: `{"do":
//! [{"get": {"key": "seen"}}]}`. What each deed came to is an element of a JSON
//! list: as a transformer the body, as a filter the reason of a drop.

mod deed;

use deed::Deed;
use hookyard_plugin::{Description, Event, Example, Filter, Message, Plugin, Refusal, Transformer, Verdict, json};
use serde::Deserialize;

struct Capable;

hookyard_plugin::export!(Capable: filter, transformer);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    r#do: Vec<Deed>,
}

impl Config {
    fn results(&self) -> String {
        let results: Vec<_> = self.r#do.iter().map(Deed::result).collect();
        json!(results).to_string()
    }
}

impl Plugin for Capable {
    type Config = Config;

    fn describe() -> Description {
        Description::new("capable", "0.1.0", "Reaches out as it is told.")
            .capability("secrets")
            .capability("state")
            .capability("http")
            // Passes only where examples are granted nothing.
            .example(Example::transform(
                "nothing can be reached",
                json!({"do": [
                    {"hmac": {"name": "crm", "data": "x"}},
                    {"put": {"key": "k", "value": "v"}},
                    {"send": {"url": "https://a.example/"}},
                ]}),
                Event::of("a.b"),
                Message::json("{}"),
                Ok(Message::json(
                    json!([
                        "Denied",
                        r#"Unavailable("the step is not granted `state`")"#,
                        r#"Denied("the step is not granted `a.example`")"#
                    ])
                    .to_string(),
                )),
            ))
    }
}

impl Filter for Capable {
    fn keep(_: &Event, config: &Config) -> Result<Verdict, Refusal> {
        Ok(Verdict::Drop(config.results()))
    }
}

impl Transformer for Capable {
    fn transform(_: &Event, mut message: Message, config: &Config) -> Result<Message, Refusal> {
        message.body = config.results().into_bytes();
        Ok(message)
    }
}
