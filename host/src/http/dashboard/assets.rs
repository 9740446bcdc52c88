//! Styles and scripts, in the binary. An address has the content's hash, so that
//! a browser asks once and a new version is another address.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const FILES: &[(&str, &str)] =
    &[("style.css", include_str!("assets/style.css")), ("app.js", include_str!("assets/app.js"))];

const ICON: (&str, &str) = ("icon.svg", include_str!("assets/icon.svg"));

/// The addresses, by the files' names without their endings.
pub(super) struct Assets(Value);

impl Assets {
    pub(super) fn new() -> Self {
        let url = |(name, text): &(&str, &str)| {
            let hash: String = Sha256::digest(text.as_bytes())[..6].iter().map(|byte| format!("{byte:02x}")).collect();
            let stem = name.rsplit_once('.').map_or(*name, |(stem, _)| stem);
            (stem.to_owned(), json!(format!("/assets/{name}?v={hash}")))
        };
        Self(Value::Object(all().map(url).collect::<Map<_, _>>()))
    }

    pub(super) fn urls(&self) -> Value {
        self.0.clone()
    }

    pub(super) fn answer(&self, name: &str) -> Response {
        let Some((_, text)) = all().find(|(known, _)| *known == name) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let kind = match name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        let mut response = (*text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    FILES.iter().chain([&ICON])
}
