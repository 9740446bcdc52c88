//! Makes a delivery's message, once: every retry sends what the first attempt
//! made.

use std::sync::Arc;
use std::time::Duration;

use super::Dispatch;
use crate::domain::claim::Claim;
use crate::domain::delivery::{Cause, Next};
use crate::domain::dialect::Dialect;
use crate::domain::message::Message;
use crate::domain::notice::is_notice;
use crate::domain::place::PlaceId;
use crate::sandbox::EndpointResult;
use crate::store::ledger::Prepared;
use crate::store::picture::{SealedEndpoint, TenantPicture};

/// When the sandbox has no room, the delivery comes back after this long.
const AFTER_BUSY: Duration = Duration::from_secs(1);

/// What there is to send, or why there is nothing.
pub(super) enum Made {
    /// `prepared` is to be kept, when this attempt made it.
    Message {
        prepared: Option<Prepared>,
        message: Arc<Message>,
    },
    Nothing {
        prepared: Prepared,
        next: Next,
    },
    /// The host's own trouble; the plugin was not asked.
    Later(Next),
}

pub(super) async fn prepare(
    dispatch: &Dispatch,
    claim: &Claim,
    tenant: &TenantPicture,
    sealed: &SealedEndpoint,
    dialect: &Dialect,
) -> Made {
    if let Some(message) = &claim.message {
        return Made::Message { prepared: None, message: message.clone() };
    }
    let later = || Made::Later(Next::RetryAt(dispatch.clock.now() + AFTER_BUSY));
    let pipeline = &sealed.endpoint.pipeline;
    let place = PlaceId::Endpoint(claim.endpoint);
    let run = match dispatch.composer.compose(tenant, dialect, pipeline, place, claim.event.clone()).await {
        Ok(run) => run,
        Err(error) => {
            tracing::warn!(delivery.id = %claim.delivery, error = %error, "the subject's history could not be read");
            return later();
        }
    };
    if !is_notice(&claim.event) {
        dispatch.notices.saw(claim.tenant, place, claim.event.id, &run.steps, dispatch.clock.now());
    }
    let next = match run.result {
        EndpointResult::Send(message) => {
            let message = Arc::new(message);
            let prepared = Prepared { steps: run.steps, message: Some(message.clone()) };
            return Made::Message { prepared: Some(prepared), message };
        }
        EndpointResult::Dropped { reason } => Next::Dropped { reason },
        EndpointResult::Failed { number, plugin, message } => Next::Dead(Cause::Step { number, plugin, message }),
        EndpointResult::Unavailable => return later(),
    };
    Made::Nothing { prepared: Prepared { steps: run.steps, message: None }, next }
}
