//! What a plugin says of itself: [`Description`] and its [`Example`]s.

use crate::{Description, Draft, Event, Example, Issue, Job, Message, Refusal, Request, Verdict};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

impl Description {
    /// `name` in lower case letters, digits and hyphens; `version` is yours
    /// (`env!("CARGO_PKG_VERSION")`), the host numbers uploads by itself;
    /// `summary` is one sentence.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            config_schema: "{}".to_owned(),
            capabilities: Vec::new(),
            examples: Vec::new(),
        }
    }

    /// The configuration's JSON Schema (2020-12), as JSON text.
    pub fn schema(mut self, schema: &str) -> Self {
        self.config_schema = schema.to_owned();
        self
    }

    /// A capability that the plugin uses: `history`, `summaries`, `secrets`,
    /// `state` or `http`. One that is used and not named here is refused at
    /// upload, and one that is named has to be granted to each step.
    pub fn capability(mut self, name: &str) -> Self {
        self.capabilities.push(name.to_owned());
        self
    }

    /// One more example.
    pub fn example(mut self, example: Example) -> Self {
        self.examples.push(example);
        self
    }
}

impl Example {
    /// A mapper's: what it makes of `request`.
    pub fn map(name: &str, config: Value, request: Request, expected: Result<Vec<Draft>, Refusal>) -> Self {
        Self::new(Job::Mapper, name, config, json!({"request": request}), expected)
    }

    /// A filter's: what it decides about `event`.
    pub fn keep(name: &str, config: Value, event: Event, expected: Result<Verdict, Refusal>) -> Self {
        Self::new(Job::Filter, name, config, json!({"event": event}), expected)
    }

    /// A transformer's: what it makes of `message`.
    pub fn transform(
        name: &str,
        config: Value,
        event: Event,
        message: Message,
        expected: Result<Message, Refusal>,
    ) -> Self {
        let input = json!({"event": event, "message": message});
        Self::new(Job::Transformer, name, config, input, expected)
    }

    fn new(job: Job, name: &str, config: Value, input: Value, expected: Result<impl Serialize, Refusal>) -> Self {
        let output = match expected {
            Ok(output) => json!(output),
            Err(refusal) => json!({"refusal": refusal}),
        };
        Self {
            name: name.to_owned(),
            job,
            config: config.to_string(),
            input: input.to_string(),
            output: output.to_string(),
        }
    }
}

impl Issue {
    /// `path` is dotted from the configuration's root (`rules[2].from`), empty
    /// for the configuration as a whole.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}: {}", self.path, self.message),
        }
    }
}
