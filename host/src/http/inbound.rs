//! Inbound URLs: any sender, any body, kept byte for byte.

use axum::extract::{Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiError;
use super::input::{MAX_BODY, read_body};
use crate::domain::header::Header;
use crate::domain::id::{EventId, RequestId};
use crate::domain::key::SourceToken;
use crate::domain::pace::RateLimit;
use crate::domain::verification::Reply;
use crate::intake::receive::{Arrival, Receipt, Taken};

pub(super) fn routes() -> Router<App> {
    // The second form is DMHub's: senders that were pointed there go on.
    Router::new().route("/in/{token}", any(receive)).route("/api/webhooks/inbound/{token}", any(receive))
}

/// Where a source is reached.
pub(super) fn url_of(app: &App, token: &SourceToken) -> String {
    format!("{}/in/{}", app.public_url, token.as_str())
}

#[derive(Serialize, ToSchema)]
struct Received {
    request_id: RequestId,
    event_ids: Vec<EventId>,
    /// `accepted`; `ignored`, where there was nothing in it; or `quarantined`, where
    /// the source's steps failed: it is kept, to be run again.
    state: &'static str,
}

/// Receives a webhook at a source's URL.
///
/// 202 means: the request, its events and their deliveries are on the disk. Who
/// sends proves itself as the source's `verification` says. Other methods are taken
/// as far as its sender's handshake needs them; it is answered with a word of
/// text or JSON.
#[utoipa::path(
    post,
    path = "/in/{token}",
    operation_id = "receive",
    tag = "inbound",
    request_body(content = serde_json::Value, description = "Any body of any type, kept byte for byte",
        example = json!({"event": "order.created", "id": 7})),
    responses(
        (status = 202, body = Received),
        (status = 401, description = "It did not prove who sent it; it is kept as refused"),
        (status = 409), (status = 413), (status = 429)
    )
)]
async fn receive(State(app): State<App>, Path(token): Path<String>, request: Request) -> Result<Response, ApiError> {
    let (tenant, source) = app.picture.source_by_token(&SourceToken::given(token)).ok_or(ApiError::NotFound)?;
    let source = tenant.sources.get(&source).ok_or(ApiError::NotFound)?;
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return Ok(permission(&parts.headers, source.rate_limit));
    }
    let method = parts.method.as_str();
    if !source.verification.rules(&app.senders).expects(method) {
        return Err(ApiError::NoSuchMethod);
    }
    let passage = app.intake.let_in(&tenant, source)?;
    let path_and_query = parts.uri.path_and_query().map_or("", |both| both.as_str());
    let arrival = Arrival {
        method: method.to_owned(),
        url: format!("{}{path_and_query}", app.public_url),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers(&parts.headers),
        body: read_body(body, MAX_BODY).await?,
    };
    match app.intake.receive(&tenant, source, arrival, passage).await? {
        Taken::In(Receipt { request_id, event_ids, quarantined }) => {
            let state = match (quarantined, event_ids.is_empty()) {
                (Some(_), _) => "quarantined",
                (None, true) => "ignored",
                (None, false) => "accepted",
            };
            Ok((StatusCode::ACCEPTED, Json(Received { request_id, event_ids, state })).into_response())
        }
        Taken::Answered(Reply::Text(word)) => Ok(answer("text/plain", word)),
        Taken::Answered(Reply::Json(word)) => Ok(answer("application/json", word)),
        Taken::Refused { request_id, reason } => Err(ApiError::Unproven(format!("{reason}; kept as {request_id}"))),
    }
}

/// What the caller asked to hear again. A browser that was sent here by a link must
/// not take it for a page.
fn answer(kind: &'static str, word: String) -> Response {
    ([(CONTENT_TYPE, kind), (X_CONTENT_TYPE_OPTIONS, "nosniff")], word).into_response()
}

/// Whoever knows the URL may send: the answer to the handshake of HTTP 1.1 Web
/// Hooks for Event Delivery (CloudEvents), section 4.2.
fn permission(asked: &HeaderMap, rate: Option<RateLimit>) -> Response {
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    if let Some(origin) = asked.get("webhook-request-origin") {
        answer.insert("webhook-allowed-origin", origin.clone());
        // Requests a minute. No limit: who sends too much is told so by 503.
        let rate = rate.map_or(HeaderValue::from_static("*"), |rate| HeaderValue::from(rate.per_minute()));
        answer.insert("webhook-allowed-rate", rate);
    }
    response
}

/// As text: a header byte that is no UTF-8 cannot be shown or given to a plugin.
fn headers(map: &HeaderMap) -> Vec<Header> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.iter().map(|(name, value)| Header { name: name.as_str().to_owned(), value: text(value) }).collect()
}
