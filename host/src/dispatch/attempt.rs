//! The journey of one delivery, on one page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{SemaphorePermit, watch};

use super::prepare::{Made, prepare};
use super::send::Exchange;
use super::{Carried, Dispatch, spans};
use crate::activity;
use crate::clock::{mint, random};
use crate::domain::attempt::Attempt;
use crate::domain::audit::{self, Action, Author, Entry};
use crate::domain::claim::{Claim, LEASE};
use crate::domain::delivery::{self, Cause, Next};
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::health::GIVEN_UP_AFTER;
use crate::domain::id::AttemptId;
use crate::domain::message::Message;
use crate::domain::notice::{Disabled, Failing, Notice};
use crate::domain::retry::Jitter;
use crate::domain::signed_request::SignedRequest;
use crate::domain::time::Timestamp;
use crate::domain::user::Whose;
use crate::handoff::lanes::{News, Noted, Turn};
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::store::ledger::{Prepared, Settlement};
use crate::store::picture::{SealedEndpoint, TenantPicture};

/// When a dialect is not there, the delivery comes back after this long.
const AFTER_MISSING: Duration = Duration::from_secs(60);

/// Carries one claimed delivery to its next resting place.
///
/// No transaction is open here. What keeps others away while a plugin runs or a
/// receiver dawdles is the claim; if this host dies, the claim runs out and the
/// delivery is taken over.
///
/// With the exchange ends what `permit` is for: while its outcome is written down, the
/// next may be sent.
pub async fn attempt(
    dispatch: &Dispatch,
    claim: &Claim,
    permit: SemaphorePermit<'_>,
    stop: &watch::Receiver<bool>,
) -> Result<Carried, StoreError> {
    let Some(tenant) = set_up(dispatch, claim).await? else {
        return rest(dispatch, claim, None, Next::Cancelled { reason: "the tenant was deleted".to_owned() }).await;
    };
    let Some(sealed) = tenant.endpoints.get(&claim.endpoint) else {
        return rest(dispatch, claim, None, Next::Cancelled { reason: "the endpoint was deleted".to_owned() }).await;
    };
    match &sealed.endpoint.status {
        Status::Active => {}
        // It is due, and nobody claims it until the endpoint is resumed.
        Status::Paused | Status::Unverified { .. } => {
            return rest(dispatch, claim, None, Next::RetryAt(dispatch.clock.now())).await;
        }
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
    match dispatch.lanes.turn(&sealed.endpoint, dispatch.clock.now()) {
        Turn::At(at) if wait_until(dispatch, at, stop).await => {}
        Turn::At(_) => return Ok(Carried::NotBegun),
        Turn::NotBefore(at) => return rest(dispatch, claim, None, Next::RetryAt(at)).await,
    }
    let began = dispatch.clock.now();
    let made = prepare(dispatch, claim, &tenant, sealed, dialect).await;
    spans::steps(dispatch, claim, &made, began);
    let (prepared, message) = match made {
        Made::Message { prepared, message } => (prepared, message),
        Made::Nothing { prepared, next } => return rest(dispatch, claim, Some(prepared), next).await,
        Made::Later(next) => return rest(dispatch, claim, None, next).await,
    };
    if !dispatch.has_time(claim) {
        // The plugins' queue was long. Whoever claims it next sends what they
        // made; if that has happened already, this settles nothing.
        return rest(dispatch, claim, prepared, Next::RetryAt(dispatch.clock.now())).await;
    }
    send(dispatch, claim, permit, sealed, dialect, prepared, message).await
}

/// What the tenant has set up. Where nothing could be sent, it is not older than the
/// claim: another host may have made the endpoint, or resumed it, and stored the
/// delivery, and this one has not heard of it yet.
async fn set_up(dispatch: &Dispatch, claim: &Claim) -> Result<Option<Arc<TenantPicture>>, StoreError> {
    let part = dispatch.picture.tenant(claim.tenant);
    let endpoint = part.as_ref().and_then(|part| part.endpoints.get(&claim.endpoint));
    let is_active = endpoint.is_some_and(|sealed| matches!(sealed.endpoint.status, Status::Active));
    if is_active || dispatch.lanes.is_alone() {
        return Ok(part);
    }
    let left = claim.until.since(dispatch.clock.now());
    let claimed = Instant::now().checked_sub(LEASE.saturating_sub(left)).unwrap_or_else(Instant::now);
    dispatch.picture.refresh_since(&*dispatch.catalog, claim.tenant, claimed).await?;
    Ok(dispatch.picture.tenant(claim.tenant))
}

async fn send(
    dispatch: &Dispatch,
    claim: &Claim,
    permit: SemaphorePermit<'_>,
    sealed: &SealedEndpoint,
    dialect: &Dialect,
    prepared: Option<Prepared>,
    message: Arc<Message>,
) -> Result<Carried, StoreError> {
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
    let request = match claim.event.traceparent {
        Some(parent) => request.traced(spans::attempt(claim, parent)),
        None => request,
    };
    let in_flight = dispatch.activity.begins();
    let Exchange { outcome, answer, duration } = dispatch.sender.send(&request).await;
    drop((in_flight, permit));

    let now = dispatch.clock.now();
    let number = claim.attempts + 1;
    let policy = endpoint.retry.as_ref().or(dialect.retry.as_ref()).unwrap_or(&dispatch.default_retry);
    let jitter = Jitter::new(u32::from_le_bytes(random()));
    let next = delivery::settle(&outcome, number, policy, dialect.delivery.believe_gone, now, jitter);
    let Noted { is_given_up, is_warned } = dispatch.lanes.note(endpoint.id, &outcome, now);
    let news = dispatch.lanes.news(endpoint.id);
    let warning = is_warned.then(|| outcome.in_words());
    let ends = match &next {
        Next::Dead(cause) if cause.ends_endpoint() => Some(format!("{cause} to {}", claim.delivery)),
        _ if is_given_up => Some(format!("every attempt has failed for {} days", GIVEN_UP_AFTER.as_secs() / 86_400)),
        _ => None,
    };
    let attempt = Attempt {
        id: mint::<AttemptId>(started_at),
        number,
        started_at,
        duration,
        url: request.url.as_str().to_owned(),
        signed_headers: request.into_own_headers(),
        outcome,
        answer,
    };
    report(claim, &attempt, &next);
    spans::attempted(dispatch, claim, &attempt);
    let settlement = Settlement {
        tenant: claim.tenant,
        delivery: claim.delivery,
        token: claim.token,
        has_line: claim.has_line,
        prepared,
        attempt: Some(attempt),
        next,
        health: news.as_ref().map(|news| (endpoint.id, news.health())),
        now,
    };
    settle(dispatch, claim, settlement, news).await?;
    tell_the_rest(dispatch, claim).await?;
    match (ends, warning) {
        (Some(reason), _) => disable(dispatch, endpoint, reason).await?,
        (None, Some(last)) => warn(dispatch, endpoint, last),
        (None, None) => {}
    }
    Ok(Carried::Over)
}

/// Waits for a turn that is near. Answers whether it has come: a host that stops
/// does not wait.
async fn wait_until(dispatch: &Dispatch, at: Timestamp, stop: &watch::Receiver<bool>) -> bool {
    let wait = at.since(dispatch.clock.now());
    if wait.is_zero() {
        return true;
    }
    let mut stop = stop.clone();
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = stopped(&mut stop) => false,
    }
}

/// Rests a delivery that was not sent this time.
async fn rest(
    dispatch: &Dispatch,
    claim: &Claim,
    prepared: Option<Prepared>,
    next: Next,
) -> Result<Carried, StoreError> {
    tracing::info!(
        delivery.id = %claim.delivery, event.id = %claim.event.id, tenant.id = %claim.tenant,
        endpoint.id = %claim.endpoint, trace.id = spans::trace_id(claim), state = next.state().as_str(),
        reason = next.reason(),
        "delivery {} not sent", claim.delivery,
    );
    let settlement = Settlement {
        tenant: claim.tenant,
        delivery: claim.delivery,
        token: claim.token,
        has_line: claim.has_line,
        prepared,
        attempt: None,
        next,
        health: None,
        now: dispatch.clock.now(),
    };
    settle(dispatch, claim, settlement, None).await?;
    Ok(Carried::Over)
}

async fn settle(
    dispatch: &Dispatch,
    claim: &Claim,
    settlement: Settlement,
    news: Option<News>,
) -> Result<(), StoreError> {
    let (made, state, now) =
        (settlement.attempt.as_ref().map(activity::Made::of), settlement.next.state(), settlement.now);
    if dispatch.ledger.settle(settlement).await? {
        dispatch.activity.settled(claim.tenant, made, state, now);
        if let Some(news) = news {
            news.told();
        }
    } else {
        tracing::warn!(delivery.id = %claim.delivery, "settled too late: the claim had run out and was taken over");
    }
    Ok(())
}

/// What was learnt of the receiver while somebody was telling something older, or was
/// told with what came too late: others would not hear of it before the next attempt.
async fn tell_the_rest(dispatch: &Dispatch, claim: &Claim) -> Result<(), StoreError> {
    while let Some(news) = dispatch.lanes.news(claim.endpoint) {
        dispatch.ledger.remember_health(claim.tenant, claim.endpoint, news.health()).await?;
        news.told();
    }
    Ok(())
}

/// Tells the owner while there is time to mend it.
fn warn(dispatch: &Dispatch, endpoint: &Endpoint, last: String) {
    let Some(failing_since) = dispatch.lanes.health(endpoint.id).failing_since else { return };
    let failing = Failing { endpoint: endpoint.clone(), failing_since, last };
    dispatch.notices.tell(Notice::Failing(Box::new(failing)));
}

/// Sends no more there: the receiver has said so, or never takes anything.
/// Unless the owner has pointed the endpoint elsewhere or stopped it meanwhile.
async fn disable(dispatch: &Dispatch, sent_to: &Endpoint, reason: String) -> Result<(), StoreError> {
    let Some(tenant) = dispatch.picture.tenant(sent_to.tenant) else { return Ok(()) };
    let Some(current) = tenant.endpoints.get(&sent_to.id).map(|sealed| &sealed.endpoint) else { return Ok(()) };
    if current.url != sent_to.url || current.status != Status::Active {
        return Ok(());
    }
    let failing_since = dispatch.lanes.health(sent_to.id).failing_since;
    let mut endpoint = current.clone();
    endpoint.status = Status::Disabled { reason: reason.clone() };
    let entry = Entry {
        id: mint(dispatch.clock.now()),
        whose: Whose::Tenant(endpoint.tenant),
        by: Author::Hookyard,
        action: Action::EndpointDisabled,
        target: endpoint.id.to_string(),
        changes: audit::updated(current, &endpoint),
    };
    let written = match dispatch.catalog.noting(entry).update_endpoint(&endpoint, current).await {
        Ok(()) => true,
        // The next answer says the same.
        Err(StoreError::NotFound | StoreError::Changed) => false,
        Err(error) => return Err(error),
    };
    dispatch.picture.refresh(&*dispatch.catalog, sent_to.tenant).await?;
    if written {
        dispatch.notices.tell(Notice::Disabled(Box::new(Disabled { endpoint, reason, failing_since })));
    }
    Ok(())
}

fn report(claim: &Claim, attempt: &Attempt, next: &Next) {
    tracing::info!(
        delivery.id = %claim.delivery, delivery.attempt = attempt.number, event.id = %claim.event.id,
        tenant.id = %claim.tenant, endpoint.id = %claim.endpoint, trace.id = spans::trace_id(claim),
        outcome = attempt.outcome.name(),
        status = attempt.outcome.status(), next = next.state().as_str(),
        duration_ms = u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "delivery {} attempt {}: {}", claim.delivery, attempt.number, attempt.outcome.name(),
    );
}
