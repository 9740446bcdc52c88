//! Calls of the API by whoever is signed in. They take the way that every call
//! takes, but for where it says who calls: in an extension, which nothing from
//! outside can set. `http/portal.rs` makes them, and judges those of a portal.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::IntoResponse as _;
use serde_json::Value;

use super::super::App;
use super::super::auth::SignedIn;
use super::super::error::ApiError;
use super::super::portal;

/// An answer is a list of large things at most.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Whoever is signed in at a browser.
#[derive(Clone)]
pub(in super::super) struct Visitor {
    pub(in super::super) signed_in: SignedIn,
    /// What pages may say of them.
    pub(in super::super) me: Value,
    /// Tells sessions apart.
    pub(in super::super) session: String,
    /// Who may show the pages in a frame, as the policy has it.
    pub(in super::super) frame_ancestors: Option<String>,
}

/// What the API answered; null where it said nothing.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

pub(super) struct Client {
    app: App,
    api: Router,
}

impl Client {
    pub(super) fn new(app: App, api: Router) -> Self {
        Self { app, api }
    }

    pub(super) async fn get(&self, visitor: &Visitor, target: &str) -> Answer {
        self.call(visitor, Method::GET, target, None).await
    }

    pub(super) async fn call(&self, visitor: &Visitor, method: Method, target: &str, body: Option<Value>) -> Answer {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.pass(visitor, method, target, Some(HeaderValue::from_static("application/json")), body).await
    }

    /// A call with a body as it came.
    pub(super) async fn pass(
        &self,
        visitor: &Visitor,
        method: Method,
        target: &str,
        content_type: Option<HeaderValue>,
        body: Body,
    ) -> Answer {
        let Ok(mut request) = Request::builder().method(method).uri(target).body(body) else {
            return answer(ApiError::NotFound.into_response()).await;
        };
        if let Some(content_type) = content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        answer(portal::call(&self.app, &self.api, &visitor.signed_in, request).await).await
    }
}

async fn answer(response: axum::response::Response) -> Answer {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), MAX_ANSWER).await.unwrap_or_default();
    Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

/// Whether it is a place in here: what begins with two slashes is another's.
pub(in super::super) fn is_local_path(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next() == Some('/') && !matches!(letters.next(), Some('/' | '\\')) && !path.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_not_local() {
        for path in ["/", "/endpoints?x=1", "/a//b"] {
            assert!(is_local_path(path), "{path}");
        }
        for path in ["", "endpoints", "//evil.example", "/\\evil.example", "https://evil.example/", "/a\nb"] {
            assert!(!is_local_path(path), "{path}");
        }
    }
}
