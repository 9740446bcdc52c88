//! The journey of one delivery, on one page.

use std::sync::Arc;
use std::time::Duration;

use super::prepare::{Made, prepare};
use super::send::Exchange;
use super::{Dispatch, has_time};
use crate::clock::{mint, random};
use crate::domain::attempt::Attempt;
use crate::domain::claim::Claim;
use crate::domain::delivery::{self, Cause, Next};
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::id::AttemptId;
use crate::domain::message::Message;
use crate::domain::retry::Jitter;
use crate::domain::signed_request::SignedRequest;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{Prepared, Settlement};
use crate::store::picture::SealedEndpoint;

/// When a dialect is not there, the delivery comes back after this long.
const AFTER_MISSING: Duration = Duration::from_secs(60);

/// Carries one claimed delivery to its next resting place.
///
/// No transaction is open here. What keeps others away while a plugin runs or a
/// receiver dawdles is the claim; if this host dies, the claim runs out and the
/// delivery is taken over.
pub async fn attempt(dispatch: &Dispatch, claim: &Claim) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(claim.tenant) else {
        return rest(dispatch, claim, None, Next::Cancelled { reason: "the tenant was deleted".to_owned() }).await;
    };
    let Some(sealed) = tenant.endpoints.get(&claim.endpoint) else {
        return rest(dispatch, claim, None, Next::Cancelled { reason: "the endpoint was deleted".to_owned() }).await;
    };
    match &sealed.endpoint.status {
        Status::Active => {}
        Status::Paused | Status::Unverified { .. } => return hold(dispatch, claim).await,
        Status::Disabled { reason } => {
            let reason = format!("the endpoint is disabled: {reason}");
            return rest(dispatch, claim, None, Next::Cancelled { reason }).await;
        }
    }
    let Some(dialect) = dispatch.dialects.get(&sealed.endpoint.dialect) else {
        // No server starts without the dialects that its endpoints speak; one
        // that was added elsewhere since is waited for.
        return rest(dispatch, claim, None, Next::RetryAt(dispatch.clock.now() + AFTER_MISSING)).await;
    };
    let (prepared, message) = match prepare(dispatch, claim, &tenant, sealed, dialect).await {
        Made::Message { prepared, message } => (prepared, message),
        Made::Nothing { prepared, next } => return rest(dispatch, claim, Some(prepared), next).await,
        Made::Later(next) => return rest(dispatch, claim, None, next).await,
    };
    if !has_time(claim, &*dispatch.clock) {
        // The plugins' queue was long. Whoever claims it next sends what they
        // made; if that has happened already, this settles nothing.
        return rest(dispatch, claim, prepared, Next::RetryAt(dispatch.clock.now())).await;
    }
    send(dispatch, claim, sealed, dialect, prepared, message).await
}

async fn send(
    dispatch: &Dispatch,
    claim: &Claim,
    sealed: &SealedEndpoint,
    dialect: &Dialect,
    prepared: Option<Prepared>,
    message: Arc<Message>,
) -> Result<(), StoreError> {
    let endpoint = &sealed.endpoint;
    let started_at = dispatch.clock.now();
    let url = match endpoint.url.join(message.target.as_deref()) {
        Ok(url) => url,
        Err(error) => {
            let next = Next::Dead(Cause::BadMessage(format!("its target {error}")));
            return rest(dispatch, claim, prepared, next).await;
        }
    };
    let occasion = (dispatch.origin.as_str(), started_at);
    let secrets = sealed.signing(started_at);
    let request = SignedRequest::new(dialect, &claim.event, url, &message, endpoint, secrets, occasion);
    let Some(request) = request else {
        let why = format!("{} cannot sign it with the endpoint's secret; rotate the secret", dialect.title);
        return rest(dispatch, claim, prepared, Next::Dead(Cause::BadMessage(why))).await;
    };
    let Exchange { outcome, answer, duration } = dispatch.sender.send(&request).await;

    let now = dispatch.clock.now();
    let number = claim.attempts + 1;
    let policy = endpoint.retry.as_ref().or(dialect.retry.as_ref()).unwrap_or(&dispatch.default_retry);
    let jitter = Jitter::new(u32::from_le_bytes(random()));
    let next = delivery::settle(&outcome, number, policy, dialect.delivery.believe_gone, now, jitter);
    let is_gone = next == Next::Dead(Cause::Gone);
    let attempt = Attempt {
        id: mint::<AttemptId>(started_at),
        number,
        started_at,
        duration,
        url: request.url.as_str().to_owned(),
        signed_headers: request.signature,
        outcome,
        answer,
    };
    report(claim, &attempt, &next);
    settle(dispatch, claim, prepared, Some(attempt), next, now).await?;
    if is_gone { disable(dispatch, claim, endpoint).await } else { Ok(()) }
}

/// Rests a delivery until its endpoint is resumed.
async fn hold(dispatch: &Dispatch, claim: &Claim) -> Result<(), StoreError> {
    rest(dispatch, claim, None, Next::Held).await?;
    // It may have been resumed since it was looked at, and then nobody else
    // would release this one.
    if !dispatch.picture.is_holding(claim.tenant, claim.endpoint) {
        dispatch.ledger.release_held(claim.tenant, claim.endpoint, dispatch.clock.now()).await?;
    }
    Ok(())
}

/// Rests a delivery that was not sent this time.
async fn rest(dispatch: &Dispatch, claim: &Claim, prepared: Option<Prepared>, next: Next) -> Result<(), StoreError> {
    tracing::info!(
        delivery.id = %claim.delivery, event.id = %claim.event.id, tenant.id = %claim.tenant,
        endpoint.id = %claim.endpoint, state = next.state().as_str(), reason = next.reason(),
        "delivery {} not sent", claim.delivery,
    );
    settle(dispatch, claim, prepared, None, next, dispatch.clock.now()).await
}

async fn settle(
    dispatch: &Dispatch,
    claim: &Claim,
    prepared: Option<Prepared>,
    attempt: Option<Attempt>,
    next: Next,
    now: Timestamp,
) -> Result<(), StoreError> {
    let settlement =
        Settlement { tenant: claim.tenant, delivery: claim.delivery, token: claim.token, prepared, attempt, next, now };
    if !dispatch.ledger.settle(settlement).await? {
        tracing::warn!(delivery.id = %claim.delivery, "settled too late: the claim had run out and was taken over");
    }
    Ok(())
}

/// The receiver said that it is gone for good: believing it spares both sides.
/// Unless the owner has pointed the endpoint elsewhere or stopped it meanwhile.
async fn disable(dispatch: &Dispatch, claim: &Claim, sent_to: &Endpoint) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(claim.tenant) else { return Ok(()) };
    let Some(current) = tenant.endpoints.get(&sent_to.id).map(|sealed| &sealed.endpoint) else { return Ok(()) };
    if current.url != sent_to.url || current.status != Status::Active {
        return Ok(());
    }
    let mut endpoint = current.clone();
    endpoint.status = Status::Disabled { reason: format!("the receiver answered 410 Gone to {}", claim.delivery) };
    match dispatch.catalog.update_endpoint(&endpoint).await {
        Ok(()) | Err(StoreError::NotFound) => dispatch.picture.refresh(&*dispatch.catalog, claim.tenant).await,
        Err(error) => Err(error),
    }
}

fn report(claim: &Claim, attempt: &Attempt, next: &Next) {
    tracing::info!(
        delivery.id = %claim.delivery, delivery.attempt = attempt.number, event.id = %claim.event.id,
        tenant.id = %claim.tenant, endpoint.id = %claim.endpoint, outcome = attempt.outcome.name(),
        status = attempt.outcome.status(), next = next.state().as_str(),
        duration_ms = u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "delivery {} attempt {}: {}", claim.delivery, attempt.number, attempt.outcome.name(),
    );
}
