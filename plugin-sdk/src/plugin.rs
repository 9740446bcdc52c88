//! The traits that a plugin implements.

use crate::{Description, Draft, Event, Issue, Message, Refusal, Request, Verdict};
use serde::de::DeserializeOwned;

/// What every plugin has: a configuration, and a description of itself.
pub trait Plugin {
    /// What a tenant writes, as JSON, for each step that uses the plugin. `()`
    /// accepts `null` and nothing else.
    type Config: DeserializeOwned;

    /// Name, purpose, the configuration's schema, and examples that the host
    /// runs when the plugin is uploaded.
    fn describe() -> Description;

    /// What is wrong with a configuration although it has the right shape.
    fn check(config: &Self::Config) -> Vec<Issue> {
        let _ = config;
        Vec::new()
    }
}

/// Turns what a source received into events.
pub trait Mapper: Plugin {
    /// No drafts: the request was understood and is no event.
    fn map(request: &Request, config: &Self::Config) -> Result<Vec<Draft>, Refusal>;
}

/// Decides whether an event goes on.
pub trait Filter: Plugin {
    /// `drop`'s reason is shown to the tenant.
    fn keep(event: &Event, config: &Self::Config) -> Result<Verdict, Refusal>;
}

/// Reshapes the message that is about to be sent.
pub trait Transformer: Plugin {
    /// `message` is the envelope around the event, or what the step before
    /// made of it.
    fn transform(event: &Event, message: Message, config: &Self::Config) -> Result<Message, Refusal>;
}
