//! Inbound URLs: any sender, any body, kept byte for byte.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;

use super::App;
use super::error::ApiError;
use super::input::{MAX_BODY, read_body};
use crate::domain::header::Header;
use crate::domain::id::{EventId, RequestId};
use crate::domain::key::SourceToken;
use crate::intake::receive::Arrival;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/in/{token}", post(receive))
}

/// Where a source is reached.
pub(super) fn url_of(app: &App, token: &SourceToken) -> String {
    format!("{}/in/{}", app.public_url, token.as_str())
}

#[derive(Serialize)]
pub(super) struct Received {
    request_id: RequestId,
    event_ids: Vec<EventId>,
}

/// 202 means: the request, its events and their deliveries are on the disk.
async fn receive(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Received>), ApiError> {
    let (tenant, source) = app.picture.source_by_token(&SourceToken::given(token)).ok_or(ApiError::NotFound)?;
    let source = tenant.sources.get(&source).ok_or(ApiError::NotFound)?;
    let (parts, body) = request.into_parts();
    let arrival = Arrival {
        method: parts.method.as_str().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers(&parts.headers),
        body: read_body(body, MAX_BODY).await?,
    };
    let receipt = app.intake.receive(&tenant, source, arrival).await?;
    let received = Received { request_id: receipt.request_id, event_ids: receipt.event_ids };
    Ok((StatusCode::ACCEPTED, Json(received)))
}

/// As text: a header byte that is no UTF-8 cannot be shown or given to a plugin.
fn headers(map: &axum::http::HeaderMap) -> Vec<Header> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.iter().map(|(name, value)| Header { name: name.as_str().to_owned(), value: text(value) }).collect()
}
