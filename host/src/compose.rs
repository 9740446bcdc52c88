//! Makes messages of events: the dialect's envelope, what came before, the
//! pipeline, the dialect's last touch. The one path that production, previews
//! and shadow runs take.

use std::sync::Arc;

use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::pipeline::Pipeline;
use crate::domain::place::PlaceId;
use crate::reach::Reach;
use crate::recall::Recall;
use crate::sandbox::{EndpointJob, EndpointResult, EndpointRun, Outside, Past, Sandbox};
use crate::store::StoreError;
use crate::store::picture::TenantPicture;

/// Runs endpoints' pipelines.
#[derive(Clone)]
pub struct Composer {
    pub sandbox: Sandbox,
    pub recall: Recall,
    pub reach: Reach,
}

/// What a run may do outside, and what it tells.
struct Manner {
    outside: Arc<dyn Outside>,
    /// Whether what each step made is wanted.
    trace: bool,
}

impl Composer {
    /// What `pipeline`, which stands at `place`, makes of an event.
    pub async fn compose(
        &self,
        tenant: &TenantPicture,
        dialect: &Dialect,
        pipeline: &Pipeline,
        place: PlaceId,
        event: Arc<Event>,
    ) -> Result<EndpointRun, StoreError> {
        let outside = self.reach.run(tenant.tenant.id, place);
        self.run(tenant, dialect, pipeline, event, Manner { outside, trace: false }).await
    }

    /// The same without a trace of it, told step by step: with the state of
    /// `place`, if there is one, and other hosts if `http`.
    pub async fn preview(
        &self,
        tenant: &TenantPicture,
        dialect: &Dialect,
        pipeline: &Pipeline,
        (place, http): (Option<PlaceId>, bool),
        event: Arc<Event>,
    ) -> Result<EndpointRun, StoreError> {
        let outside = self.reach.preview(tenant.tenant.id, place, http);
        self.run(tenant, dialect, pipeline, event, Manner { outside, trace: true }).await
    }

    /// The same for many events at once, in one visit to the sandbox where no
    /// step asks for the past.
    pub async fn preview_all(
        &self,
        tenant: &TenantPicture,
        dialect: &Dialect,
        pipeline: &Pipeline,
        place: PlaceId,
        events: &[Arc<Event>],
    ) -> Result<Vec<EndpointRun>, StoreError> {
        let manner = || Manner { outside: self.reach.preview(tenant.tenant.id, Some(place), false), trace: false };
        if pipeline.steps.is_empty() || self.recall.is_wanted(tenant, pipeline) {
            let mut runs = Vec::with_capacity(events.len());
            for event in events {
                runs.push(self.run(tenant, dialect, pipeline, event.clone(), manner()).await?);
            }
            return Ok(runs);
        }
        let job = |event: &Arc<Event>| job(tenant, dialect, pipeline, event.clone(), Past::default(), manner());
        let runs = self.sandbox.run_endpoints(events.iter().map(job).collect()).await;
        Ok(runs.into_iter().map(|run| finished(dialect, run)).collect())
    }

    async fn run(
        &self,
        tenant: &TenantPicture,
        dialect: &Dialect,
        pipeline: &Pipeline,
        event: Arc<Event>,
        manner: Manner,
    ) -> Result<EndpointRun, StoreError> {
        if pipeline.steps.is_empty() {
            return Ok(EndpointRun::of_no_steps(dialect.finish(dialect.envelope(&event))));
        }
        let (past, _room) = self.recall.past(tenant, pipeline, &event).await?;
        let run = self.sandbox.run_endpoint(job(tenant, dialect, pipeline, event, past, manner)).await;
        Ok(finished(dialect, run))
    }
}

fn job(
    tenant: &TenantPicture,
    dialect: &Dialect,
    pipeline: &Pipeline,
    event: Arc<Event>,
    past: Past,
    Manner { outside, trace }: Manner,
) -> EndpointJob {
    EndpointJob {
        tenant: tenant.tenant.id,
        pipeline: pipeline.clone(),
        message: dialect.envelope(&event),
        event,
        past,
        ceilings: tenant.tenant.limits.ceilings,
        trace,
        outside,
    }
}

fn finished(dialect: &Dialect, run: EndpointRun) -> EndpointRun {
    let result = match run.result {
        EndpointResult::Send(message) => EndpointResult::Send(dialect.finish(message)),
        other => other,
    };
    EndpointRun { result, ..run }
}
