//! Answers as a portal's visitor gets them: without what is the tenant's own
//! business, such as the configuration of its plugins and what they log.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::super::error::ApiError;
use crate::domain::session::PortalScope;

/// An answer is a list of large things at most.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Status and body; null where there is none.
pub(super) async fn parts(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), MAX_ANSWER).await.unwrap_or_default();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

pub(super) async fn endpoint(scope: &PortalScope, response: Response) -> Result<Response, ApiError> {
    narrowed(response, |endpoint| narrow_endpoint(scope, endpoint)).await
}

pub(super) async fn endpoints(scope: &PortalScope, response: Response) -> Result<Response, ApiError> {
    narrowed(response, |page| each(page, |endpoint| narrow_endpoint(scope, endpoint))).await
}

pub(super) async fn delivery(response: Response) -> Result<Response, ApiError> {
    narrowed(response, |delivery| set(delivery, "steps", json!([]))).await
}

pub(super) async fn event(response: Response) -> Result<Response, ApiError> {
    narrowed(response, narrow_event).await
}

pub(super) async fn events(response: Response) -> Result<Response, ApiError> {
    narrowed(response, |page| each(page, narrow_event)).await
}

/// A failure and an answer without a body stay as they are.
async fn narrowed(response: Response, narrow: impl FnOnce(&mut Value)) -> Result<Response, ApiError> {
    let status = response.status();
    if !status.is_success() || status == StatusCode::NO_CONTENT {
        return Ok(response);
    }
    let (status, mut body) = parts(response).await;
    narrow(&mut body);
    Ok((status, Json(body)).into_response())
}

fn each(page: &mut Value, narrow: impl Fn(&mut Value)) {
    page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(narrow);
}

/// Which plugins there are may be seen, not what they were told.
fn narrow_endpoint(scope: &PortalScope, endpoint: &mut Value) {
    for step in endpoint.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
        *step = json!({"plugin": step["plugin"], "version": step["version"], "config": {}});
    }
    if scope.account.is_some() {
        // They name other accounts' endpoints.
        set(endpoint, "warnings", json!([]));
    }
}

/// The request is a source's, and sources are the tenant's.
fn narrow_event(event: &mut Value) {
    set(event, "request_id", Value::Null);
}

/// Another value, where there is one.
fn set(thing: &mut Value, field: &str, value: Value) {
    if let Some(place) = thing.get_mut(field) {
        *place = value;
    }
}
