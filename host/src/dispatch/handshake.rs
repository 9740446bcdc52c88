//! Asks a receiver whether it wants what it is about to get, as its dialect
//! says, and writes down what it answered.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::Dispatch;
use super::send::Wire;
use crate::clock::random;
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::handshake::HandshakeKind;
use crate::domain::header::Header;
use crate::handoff::Errand;
use crate::store::StoreError;
use crate::store::picture::SealedEndpoint;

/// Verifies the endpoint that an errand names.
pub(super) async fn run(dispatch: &Dispatch, errand: Errand) {
    if let Err(error) = verify(dispatch, &errand).await {
        tracing::error!(endpoint.id = %errand.endpoint, error = %error, "a verification could not be written down");
    }
    errand.finish();
}

async fn verify(dispatch: &Dispatch, errand: &Errand) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(errand.tenant) else { return Ok(()) };
    let Some(sealed) = tenant.endpoints.get(&errand.endpoint) else { return Ok(()) };
    let Some(dialect) = dispatch.dialects.get(&sealed.endpoint.dialect) else { return Ok(()) };
    let Some(status) = ask(dispatch, dialect, sealed).await else { return Ok(()) };
    tracing::info!(
        tenant.id = %errand.tenant, endpoint.id = %errand.endpoint, state = status.state(), reason = status.reason(),
        "endpoint {}: {}", errand.endpoint, status.state(),
    );
    settle(dispatch, &sealed.endpoint, status).await
}

/// The state that the endpoint's receiver has earned; nothing where the dialect
/// has no handshake.
async fn ask(dispatch: &Dispatch, dialect: &Dialect, sealed: &SealedEndpoint) -> Option<Status> {
    let handshake = dialect.handshake.as_ref()?;
    let endpoint = &sealed.endpoint;
    let token = URL_SAFE_NO_PAD.encode(random::<24>());
    let now = dispatch.clock.now();
    let (body, headers) = dialect.greeting(endpoint.tenant, &token, &dispatch.origin, now)?;
    let (method, body, expected) = match handshake.kind {
        HandshakeKind::Echo => ("POST", Bytes::from(body), token.as_str()),
        HandshakeKind::Options => ("OPTIONS", Bytes::new(), dispatch.origin.as_str()),
    };
    let own = dialect.sign(headers, &body, endpoint.url.as_str(), sealed.signing(now), now);
    let content_type = Header { name: "content-type".to_owned(), value: dialect.envelope.content_type.clone() };
    let typed = (!body.is_empty()).then_some(&content_type);
    let exchange = dispatch
        .sender
        .exchange(&Wire {
            method,
            url: &endpoint.url,
            headers: typed.into_iter().chain(&endpoint.headers).chain(&own).collect(),
            body,
            deadline: handshake.deadline().max(Duration::from_secs(1)),
            sent_at: now,
        })
        .await;
    Some(match handshake.judge(&exchange.outcome, exchange.answer.as_ref(), expected) {
        Ok(()) => Status::Active,
        Err(why) => Status::Unverified { reason: why.to_string() },
    })
}

/// Unless the owner has pointed the endpoint elsewhere or stopped it meanwhile.
async fn settle(dispatch: &Dispatch, asked: &Endpoint, status: Status) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(asked.tenant) else { return Ok(()) };
    let Some(current) = tenant.endpoints.get(&asked.id).map(|sealed| &sealed.endpoint) else { return Ok(()) };
    let stopped = matches!(current.status, Status::Disabled { .. } | Status::Paused);
    if current.url != asked.url || current.dialect != asked.dialect || stopped {
        return Ok(());
    }
    let endpoint = Endpoint { status, ..current.clone() };
    match dispatch.catalog.update_endpoint(&endpoint).await {
        Ok(()) | Err(StoreError::NotFound) => dispatch.picture.refresh(&*dispatch.catalog, asked.tenant).await,
        Err(error) => Err(error),
    }
}
