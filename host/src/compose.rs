//! Makes messages of events: the dialect's envelope, what came before, the
//! pipeline, the dialect's last touch. The one path that production, previews
//! and shadow runs take.

use std::sync::Arc;

use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::pipeline::Pipeline;
use crate::recall::Recall;
use crate::sandbox::{EndpointJob, EndpointResult, EndpointRun, Sandbox};
use crate::store::StoreError;
use crate::store::picture::TenantPicture;

/// Runs endpoints' pipelines.
#[derive(Clone)]
pub struct Composer {
    pub sandbox: Sandbox,
    pub recall: Recall,
}

impl Composer {
    /// What `pipeline` makes of an event. With `trace`, also what each step
    /// made.
    pub async fn compose(
        &self,
        tenant: &TenantPicture,
        dialect: &Dialect,
        pipeline: &Pipeline,
        event: Arc<Event>,
        trace: bool,
    ) -> Result<EndpointRun, StoreError> {
        let message = dialect.envelope(&event);
        if pipeline.steps.is_empty() {
            return Ok(EndpointRun::of_no_steps(dialect.finish(message)));
        }
        let (past, _room) = self.recall.past(tenant, pipeline, &event).await?;
        let ceilings = tenant.tenant.limits;
        let job =
            EndpointJob { tenant: tenant.tenant.id, pipeline: pipeline.clone(), event, message, past, ceilings, trace };
        Ok(finished(dialect, self.sandbox.run_endpoint(job).await))
    }

    /// The same for many events at once, in one visit to the sandbox where no
    /// step asks for the past.
    pub async fn compose_all(
        &self,
        tenant: &TenantPicture,
        dialect: &Dialect,
        pipeline: &Pipeline,
        events: &[Arc<Event>],
    ) -> Result<Vec<EndpointRun>, StoreError> {
        if pipeline.steps.is_empty() || self.recall.is_wanted(tenant, pipeline) {
            let mut runs = Vec::with_capacity(events.len());
            for event in events {
                runs.push(self.compose(tenant, dialect, pipeline, event.clone(), false).await?);
            }
            return Ok(runs);
        }
        let job = |event: &Arc<Event>| EndpointJob {
            tenant: tenant.tenant.id,
            pipeline: pipeline.clone(),
            event: event.clone(),
            message: dialect.envelope(event),
            past: Default::default(),
            ceilings: tenant.tenant.limits,
            trace: false,
        };
        let runs = self.sandbox.run_endpoints(events.iter().map(job).collect()).await;
        Ok(runs.into_iter().map(|run| finished(dialect, run)).collect())
    }
}

fn finished(dialect: &Dialect, run: EndpointRun) -> EndpointRun {
    let result = match run.result {
        EndpointResult::Send(message) => EndpointResult::Send(dialect.finish(message)),
        other => other,
    };
    EndpointRun { result, ..run }
}
