//! Event types as a catalogue describes them: a dialect's, or a tenant's own.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::event::EventType;

/// What a type of event means, and what its data looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventKind {
    #[serde(rename = "type")]
    pub event_type: EventType,
    pub name: String,
    pub description: String,
    /// A JSON Schema (2020-12) of the data; JSON text in a file.
    #[serde(default, deserialize_with = "json_text")]
    pub schema: Option<Value>,
    /// JSON text in a file.
    #[serde(default, deserialize_with = "json_text")]
    pub example: Option<Value>,
}

fn json_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let text = String::deserialize(deserializer)?;
    serde_json::from_str(&text).map(Some).map_err(|problem| D::Error::custom(format!("not JSON: {problem}")))
}

/// A type of event that a tenant described, or a dialect's that it described
/// anew.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnKind {
    pub kind: EventKind,
    /// Events whose data does not fit the schema are refused.
    pub check: bool,
}
