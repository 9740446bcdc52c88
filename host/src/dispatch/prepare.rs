//! Makes a delivery's message: the dialect's envelope, then the pipeline. Runs
//! once per delivery; every retry sends what the first attempt made.

use std::sync::Arc;
use std::time::Duration;

use super::Dispatch;
use crate::domain::claim::Claim;
use crate::domain::delivery::{Cause, Next};
use crate::domain::dialect::Dialect;
use crate::domain::message::Message;
use crate::domain::pipeline::StepReport;
use crate::sandbox::{EndpointJob, EndpointResult};
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
    let message = dialect.envelope(&claim.event);
    let pipeline = &sealed.endpoint.pipeline;
    if pipeline.steps.is_empty() {
        return made(Vec::new(), dialect.finish(message));
    }
    let (past, _room) = match dispatch.recall.past(tenant, pipeline, &claim.event).await {
        Ok(past) => past,
        Err(error) => {
            tracing::warn!(delivery.id = %claim.delivery, error = %error, "the subject's history could not be read");
            return Made::Later(Next::RetryAt(dispatch.clock.now() + AFTER_BUSY));
        }
    };
    let job = EndpointJob {
        tenant: claim.tenant,
        pipeline: pipeline.clone(),
        event: claim.event.clone(),
        message,
        past,
        ceilings: tenant.tenant.limits,
    };
    let run = dispatch.sandbox.run_endpoint(job).await;
    let next = match run.result {
        EndpointResult::Send(message) => return made(run.steps, dialect.finish(message)),
        EndpointResult::Dropped { reason } => Next::Dropped { reason },
        EndpointResult::Failed { number, plugin, message } => Next::Dead(Cause::Step { number, plugin, message }),
        EndpointResult::Unavailable => return Made::Later(Next::RetryAt(dispatch.clock.now() + AFTER_BUSY)),
    };
    Made::Nothing { prepared: Prepared { steps: run.steps, message: None }, next }
}

fn made(steps: Vec<StepReport>, message: Message) -> Made {
    let message = Arc::new(message);
    Made::Message { prepared: Some(Prepared { steps, message: Some(message.clone()) }), message }
}
