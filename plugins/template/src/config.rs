//! The configuration.

use crate::json::Json;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the tenant writes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Form")]
pub struct Config {
    pub(crate) body: Body,
    pub(crate) content_type: String,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) enum Body {
    Text(String),
    Json(Json),
}

impl Config {
    /// Whether what is inserted into a text has to be escaped for HTML.
    pub(crate) fn is_html(&self) -> bool {
        matches!(self.media_type(), "text/html" | "application/xhtml+xml")
    }

    /// Whether a text has to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.media_type() == "application/json" || self.media_type().ends_with("+json")
    }

    fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    body: Option<String>,
    #[serde(default, deserialize_with = "present")]
    json: Option<Json>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// A field that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

impl TryFrom<Form> for Config {
    type Error = &'static str;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        let (body, usual) = match (form.body, form.json) {
            (Some(text), None) => (Body::Text(text), "text/plain; charset=utf-8"),
            (None, Some(json)) => (Body::Json(json), "application/json"),
            (Some(_), Some(_)) => return Err("`body` and `json` exclude each other"),
            (None, None) => return Err("missing field `body` or `json`"),
        };
        Ok(Self { body, content_type: form.content_type.unwrap_or_else(|| usual.to_owned()), headers: form.headers })
    }
}
