//! Makes a delivery's message: the dialect's envelope, then the pipeline. Runs
//! once per delivery; every retry sends what the first attempt made.

use std::sync::Arc;
use std::time::Duration;

use super::Dispatch;
use crate::domain::claim::Claim;
use crate::domain::delivery::{Cause, Next};
use crate::domain::envelope;
use crate::domain::message::Message;
use crate::sandbox::{EndpointJob, EndpointResult};
use crate::store::ledger::Prepared;
use crate::store::picture::SealedEndpoint;

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

pub(super) async fn prepare(dispatch: &Dispatch, claim: &Claim, sealed: &SealedEndpoint) -> Made {
    if let Some(message) = &claim.message {
        return Made::Message { prepared: None, message: message.clone() };
    }
    let message = envelope::standard_webhooks(&claim.event);
    let pipeline = &sealed.endpoint.pipeline;
    if pipeline.steps.is_empty() {
        return made(Vec::new(), message);
    }
    let job = EndpointJob { tenant: claim.tenant, pipeline: pipeline.clone(), event: claim.event.clone(), message };
    let run = dispatch.sandbox.run_endpoint(job).await;
    let next = match run.result {
        EndpointResult::Send(message) => return made(run.steps, message),
        EndpointResult::Dropped { reason } => Next::Dropped { reason },
        EndpointResult::Failed { number, plugin, message } => Next::Dead(Cause::Step { number, plugin, message }),
        EndpointResult::Unavailable => return Made::Later(Next::RetryAt(dispatch.clock.now() + AFTER_BUSY)),
    };
    Made::Nothing { prepared: Prepared { steps: run.steps, message: None }, next }
}

fn made(steps: Vec<crate::domain::pipeline::StepReport>, message: Message) -> Made {
    let message = Arc::new(message);
    Made::Message { prepared: Some(Prepared { steps, message: Some(message.clone()) }), message }
}
