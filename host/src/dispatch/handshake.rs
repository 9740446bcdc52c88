//! Asks a receiver whether it wants what it is about to get, as its dialect
//! says, and writes down what it answered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::Dispatch;
use super::send::Wire;
use crate::clock::{mint, random};
use crate::domain::audit::{self, Action, Author, Entry};
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::handshake::{HandshakeKind, NotVerified};
use crate::domain::header::Header;
use crate::domain::health::Health;
use crate::domain::signing::Unsigned;
use crate::domain::user::Whose;
use crate::handoff::Errand;
use crate::store::StoreError;
use crate::store::picture::SealedEndpoint;

/// Verifies the endpoint that an errand brings.
pub(super) async fn run(dispatch: &Dispatch, errand: Errand) {
    let endpoint = &errand.endpoint;
    if let Err(error) = verify(dispatch, endpoint, &errand.by).await {
        tracing::error!(endpoint.id = %endpoint.id, error = %error, "a verification could not be written down");
    }
    errand.finish();
}

async fn verify(dispatch: &Dispatch, asked: &Endpoint, by: &Author) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(asked.tenant) else { return Ok(()) };
    let Some(before) = tenant.endpoints.get(&asked.id) else { return Ok(()) };
    let Some(dialect) = dispatch.dialects.get(&asked.dialect) else { return Ok(()) };
    let Some(judged) = ask(dispatch, dialect, asked, before).await else { return Ok(()) };
    let (state, reason) = match &judged {
        Ok(()) => ("verified", None),
        Err(why) => ("not verified", Some(why.to_string())),
    };
    tracing::info!(
        tenant.id = %asked.tenant, endpoint.id = %asked.id, state, reason, "endpoint {}: {state}", asked.id,
    );
    settle(dispatch, &before.endpoint, (asked, by), judged).await
}

/// What the receiver of `asked` says; nothing where the dialect has no
/// handshake.
async fn ask(
    dispatch: &Dispatch,
    dialect: &Dialect,
    asked: &Endpoint,
    sealed: &SealedEndpoint,
) -> Option<Result<(), NotVerified>> {
    let handshake = dialect.handshake.as_ref()?;
    let token = URL_SAFE_NO_PAD.encode(random::<24>());
    let now = dispatch.clock.now();
    let (body, headers) = dialect.greeting(asked.tenant, &token, &dispatch.origin, now)?;
    let (method, body, expected) = match handshake.kind {
        HandshakeKind::Echo => ("POST", Bytes::from(body), token.as_str()),
        HandshakeKind::Options => ("OPTIONS", Bytes::new(), dispatch.origin.as_str()),
    };
    let content_type = Header { name: "content-type".to_owned(), value: dialect.envelope.content_type.clone() };
    let typed = (!body.is_empty()).then_some(&content_type);
    let beside = typed.into_iter().chain(&asked.headers).collect();
    let unsigned = Unsigned { method, url: asked.url.as_str(), body: &body, beside };
    // A signature over what only an event has cannot be made here.
    let (own, _all_signed) = dialect.sign(headers, &unsigned, sealed.signing(now), now);
    let wire = Wire {
        method,
        url: &asked.url,
        endpoint: asked,
        headers: typed.into_iter().chain(&asked.headers).chain(&own).collect(),
        signature: &own,
        body,
        deadline: handshake.deadline(),
        sent_at: now,
    };
    let exchange = dispatch.sender.exchange(&wire).await;
    Some(handshake.judge(&exchange.outcome, exchange.answer.as_ref(), expected))
}

/// Writes down what was asked for with what came of it, unless the owner has
/// changed the endpoint meanwhile.
async fn settle(
    dispatch: &Dispatch,
    before: &Endpoint,
    (asked, by): (&Endpoint, &Author),
    judged: Result<(), NotVerified>,
) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(asked.tenant) else { return Ok(()) };
    let Some(current) = tenant.endpoints.get(&asked.id).map(|sealed| &sealed.endpoint) else { return Ok(()) };
    if (&current.url, &current.dialect, &current.status) != (&before.url, &before.dialect, &before.status) {
        return Ok(());
    }
    let status = match (judged, &before.status) {
        // What its owner stopped stays stopped.
        (Ok(()), Status::Paused) => Status::Paused,
        (Ok(()), _) => Status::Active,
        (Err(why), _) => Status::Unverified { reason: why.to_string() },
    };
    // Where nothing but the state is new, it goes with what there is by now.
    let is_move = (&asked.url, &asked.dialect) != (&before.url, &before.dialect);
    let (base, was) = if is_move { (asked, before) } else { (current, current) };
    let endpoint = Endpoint { status, ..base.clone() };
    let entry = entry(dispatch, was, &endpoint, by.clone());
    let written = match dispatch.catalog.noting(entry).update_endpoint(&endpoint, was).await {
        Ok(()) => true,
        Err(StoreError::NotFound | StoreError::Changed) => false,
        Err(error) => return Err(error),
    };
    dispatch.picture.refresh(&*dispatch.catalog, asked.tenant).await?;
    if !written {
        return Ok(());
    }
    if endpoint.url != before.url || endpoint.status != before.status {
        // What was known of the receiver is of the one before.
        dispatch.ledger.remember_health(asked.tenant, asked.id, Health::default()).await?;
        dispatch.lanes.forget(asked.id);
    }
    if endpoint.status == Status::Active {
        dispatch.lanes.nudge().notify_one();
    }
    Ok(())
}

/// Of whoever had it verified: it is their change that is written down with what
/// the receiver said.
fn entry(dispatch: &Dispatch, before: &Endpoint, after: &Endpoint, by: Author) -> Entry {
    let action = match &after.status {
        _ if (&before.url, &before.dialect) != (&after.url, &after.dialect) => Action::EndpointUpdated,
        Status::Unverified { .. } => Action::EndpointNotVerified,
        Status::Active | Status::Paused | Status::Disabled { .. } => Action::EndpointVerified,
    };
    Entry {
        id: mint(dispatch.clock.now()),
        whose: Whose::Tenant(after.tenant),
        by,
        action,
        target: after.id.to_string(),
        changes: audit::updated(before, after),
    }
}
