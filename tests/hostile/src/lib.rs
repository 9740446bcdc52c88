//! A plugin that misbehaves as its configuration asks, in any job: `{"do":
//! "loop"}`. With `"check"` it misbehaves when the step is saved. Described
//! honestly, so that it can be uploaded.
//!
//! What comes out of the deeds that end: as a mapper the data of one draft, as
//! a transformer the body, as a filter the reason of a drop.

mod deed;

use deed::Deed;
use hookyard_plugin::{
    Description, Draft, Event, Filter, Issue, Mapper, Message, Plugin, Prepare, Refusal, Request, Transformer, Verdict,
};
use serde::Deserialize;

struct Hostile;

hookyard_plugin::export!(Hostile: mapper, filter, transformer, prepare);

impl Prepare for Hostile {
    fn prepare() {
        deed::prepare();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// At work.
    #[serde(default)]
    r#do: Deed,
    /// When it is asked about the configuration.
    #[serde(default)]
    check: Deed,
    /// Where its messages are to go, as a transformer.
    target: Option<String>,
    /// A header that it sets on them.
    header: Option<(String, String)>,
}

impl Plugin for Hostile {
    type Config = Config;

    fn describe() -> Description {
        Description::new("hostile", "0.1.0", "Misbehaves as it is told.")
            .schema(r#"{"type": "object", "properties": {"do": {"type": "string"}, "check": {"type": "string"}}}"#)
    }

    fn check(config: &Config) -> Vec<Issue> {
        match config.check.commit() {
            Ok(None) => Vec::new(),
            Ok(Some(output)) => vec![Issue::at("check", output)],
            Err(refusal) => vec![Issue::at("check", refusal.message)],
        }
    }
}

impl Mapper for Hostile {
    fn map(request: &Request, config: &Config) -> Result<Vec<Draft>, Refusal> {
        let data = match config.r#do.commit()? {
            Some(output) => output,
            None => request.text()?.to_owned(),
        };
        Ok(vec![Draft::with(data)])
    }
}

impl Filter for Hostile {
    fn keep(_: &Event, config: &Config) -> Result<Verdict, Refusal> {
        Ok(config.r#do.commit()?.map_or(Verdict::Keep, Verdict::Drop))
    }
}

impl Transformer for Hostile {
    fn transform(_: &Event, mut message: Message, config: &Config) -> Result<Message, Refusal> {
        if let Some(output) = config.r#do.commit()? {
            message.body = output.into_bytes();
        }
        message.target = config.target.clone().or(message.target);
        if let Some((name, value)) = &config.header {
            message.set_header(name, value);
        }
        Ok(message)
    }
}
