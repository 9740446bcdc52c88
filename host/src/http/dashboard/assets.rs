//! Styles and scripts, in the binary. An address has the content's hash, so that
//! a browser asks once and a new version is another address.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// A script stands behind those that it imports.
const FILES: &[(&str, &str)] = &[
    ("style.css", include_str!("assets/style.css")),
    ("docs.css", include_str!("assets/docs.css")),
    ("editor.css", include_str!("assets/editor.css")),
    ("icon.svg", include_str!("assets/icon.svg")),
    ("app.js", include_str!("assets/app.js")),
    ("kit.js", include_str!("assets/kit.js")),
    ("tree.js", include_str!("assets/tree.js")),
    ("code.js", include_str!("assets/code.js")),
    ("mapper-rows.js", include_str!("assets/mapper-rows.js")),
    ("mapper.js", include_str!("assets/mapper.js")),
    ("schema-form.js", include_str!("assets/schema-form.js")),
    ("steps.js", include_str!("assets/steps.js")),
    ("pipeline.js", include_str!("assets/pipeline.js")),
    ("source.js", include_str!("assets/source.js")),
    ("upload.js", include_str!("assets/upload.js")),
];

struct Asset {
    name: &'static str,
    text: String,
    url: String,
}

pub(super) struct Assets {
    all: Vec<Asset>,
    /// By the files' names without their endings.
    urls: Value,
}

impl Assets {
    pub(super) fn new() -> Self {
        let mut all: Vec<Asset> = Vec::with_capacity(FILES.len());
        for (name, text) in FILES.iter().copied() {
            // What is imported has its hash in its address as well.
            let text = all.iter().fold(text.to_owned(), |text, known| {
                text.replace(&format!("\"./{}\"", known.name), &format!("\"{}\"", known.url))
            });
            let hash: String = Sha256::digest(text.as_bytes())[..6].iter().map(|byte| format!("{byte:02x}")).collect();
            all.push(Asset { name, text, url: format!("/assets/{name}?v={hash}") });
        }
        let stem = |name: &'static str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
        let urls = all.iter().map(|asset| (stem(asset.name), json!(asset.url))).collect::<Map<_, _>>();
        Self { all, urls: Value::Object(urls) }
    }

    pub(super) fn urls(&self) -> Value {
        self.urls.clone()
    }

    pub(super) fn answer(&self, name: &str) -> Response {
        let Some(asset) = self.all.iter().find(|asset| asset.name == name) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let kind = match name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        let mut response = asset.text.clone().into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_import_has_its_hash() {
        for asset in Assets::new().all {
            assert!(!asset.text.contains("from \"./"), "{} imports what stands behind it", asset.name);
        }
    }
}
