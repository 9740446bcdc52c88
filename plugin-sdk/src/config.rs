//! From a configuration's text to its type, with the path of what is wrong.

use crate::{Issue, Plugin, Refusal, json};

/// Reads and checks, as the host has it done when a step is saved.
pub(crate) fn check<P: Plugin>(text: &str) -> Result<(), Vec<Issue>> {
    let config = json::read(text).map_err(|issue| vec![issue])?;
    let issues = P::check(&config);
    match issues.is_empty() {
        true => Ok(()),
        false => Err(issues),
    }
}

/// Reads only: what is called for every event has been checked when saved.
pub(crate) fn for_call<P: Plugin>(text: &str) -> Result<P::Config, Refusal> {
    json::read(text).map_err(|issue| Refusal::bad_config(issue.to_string()))
}
