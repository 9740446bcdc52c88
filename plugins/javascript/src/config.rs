//! The configuration.

use serde::Deserialize;

/// What the tenant writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub(crate) source: String,
}
