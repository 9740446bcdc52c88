//! Requests at inbound URLs.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{Intake, IntakeError, Routed, Stored};
use crate::clock::{Ids, mint};
use crate::domain::event::{Draft, Event};
use crate::domain::evidence::Evidence;
use crate::domain::header::Header;
use crate::domain::id::{EventId, RequestId};
use crate::domain::pipeline::StepReport;
use crate::domain::place::PlaceId;
use crate::domain::plain;
use crate::domain::plugin::Job;
use crate::domain::request::{Fate, Request};
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::domain::trace::{self, Begun, Side, Span, SpanId, TraceParent};
use crate::domain::verification::{Judgement, Reply, Rules};
use crate::gate::Passage;
use crate::sandbox::{Outside, SourceJob, SourceResult, SourceRun};
use crate::store::ledger::{Idempotency, Received, StoredRequest};
use crate::store::picture::TenantPicture;

/// At most this many bytes are kept of the body of a request that proved
/// nothing: enough to see what it was, too little to fill a disk with.
const KEPT_OF_UNPROVEN: usize = 16 * 1024;

/// What came in, before it has an identity.
pub struct Arrival {
    pub method: String,
    /// As the sender was given it, with the query.
    pub url: String,
    pub query: String,
    pub headers: Vec<Header>,
    pub body: Bytes,
}

/// What a sender is told.
#[derive(Debug)]
pub struct Receipt {
    pub request_id: RequestId,
    pub event_ids: Vec<EventId>,
    /// Why it is kept and led to nothing.
    pub quarantined: Option<String>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Taken {
    In(Receipt),
    /// It asked for a word.
    Answered(Reply),
    Refused {
        request_id: RequestId,
        reason: String,
    },
}

impl Intake {
    /// Whether a source may take another request, before anything is known of
    /// it.
    pub fn let_in(&self, tenant: &TenantPicture, source: &Source) -> Result<Passage, IntakeError> {
        let rate = source.rate_limit.map(|rate| (source.id, rate));
        Ok(self.gate.admit(source.tenant, &tenant.tenant.limits.intake, rate, 1, self.clock.now())?)
    }

    /// Keeps a request, whatever it is, and the events that the source's
    /// pipeline makes of it, if it proves who sent it.
    pub async fn receive(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        arrival: Arrival,
        passage: Passage,
    ) -> Result<Taken, IntakeError> {
        let now = self.clock.now();
        let rules = source.verification.rules(&self.senders);
        let evidence = Evidence::new(&arrival.headers, &arrival.query, &arrival.url, &arrival.body);
        let evidence = evidence.with_method(&arrival.method);
        let judgement = rules.judge(&arrival.method, &evidence, now);
        let request = stored(source, &rules, arrival, now);
        let once = match judgement {
            Judgement::Accept { once } => once,
            Judgement::Answer(reply) => {
                self.keep(source, cut(request), Fate::Answered).await?;
                return Ok(Taken::Answered(reply));
            }
            Judgement::Refuse(reason) => return self.refuse(source, request, reason).await,
        };
        let once = once.map(|proof| Idempotency::once(source.id, proof, now));
        // To be kept as refused, should it have come before.
        let spare = once.is_some().then(|| request.clone());
        match (self.interpret_and_record(tenant, source, request, now, Again::No(once)).await?, spare) {
            (Some(receipt), _) => {
                passage.stored(receipt.event_ids.len() as u64, &tenant.tenant.limits.intake, now);
                Ok(Taken::In(receipt))
            }
            (None, None) => Err(IntakeError::KeyReused),
            (None, Some(request)) => {
                let reason = "it came before: the same signature over the same timestamp is taken once".to_owned();
                self.refuse(source, request, reason).await
            }
        }
    }

    /// Keeps a request that leads to nothing.
    async fn keep(&self, source: &Source, request: Request, fate: Fate) -> Result<(), IntakeError> {
        tracing::info!(
            request.id = %request.id, tenant.id = %source.tenant, source.id = %source.id,
            state = fate.state(), reason = fate.reason(), bytes = request.body.len(),
            "request {}: {}", request.id, fate.state(),
        );
        let request_at = request.received_at;
        let received = Received { request, fate, steps: Vec::new(), rerun_of: None };
        let routed = Routed::at(request_at);
        self.record(source.tenant, Some(received), Vec::new(), routed, None).await.map(|_no_events| ())
    }

    async fn refuse(&self, source: &Source, request: Request, reason: String) -> Result<Taken, IntakeError> {
        let request_id = request.id;
        let kept = match request.body.len() {
            bytes if bytes > KEPT_OF_UNPROVEN => {
                format!("{reason} (of its {bytes} bytes, the first {KEPT_OF_UNPROVEN} are kept)")
            }
            _ => reason.clone(),
        };
        self.keep(source, cut(request), Fate::Refused { reason: kept }).await?;
        Ok(Taken::Refused { request_id, reason })
    }

    /// Runs a request that is stored through its source's pipeline as it is
    /// now. The events of an earlier run stay what they are, and nothing is
    /// stored when the request is no longer in the state that it was read in.
    pub async fn rerun(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        stored: StoredRequest,
    ) -> Result<Receipt, IntakeError> {
        let StoredRequest { request, fate, .. } = stored;
        let (request_id, now) = (request.id, self.clock.now());
        let receipt = self.interpret_and_record(tenant, source, request, now, Again::Yes(fate)).await?;
        Ok(receipt.unwrap_or(Receipt { request_id, event_ids: Vec::new(), quarantined: None }))
    }

    /// Nothing when the request must not come twice and did.
    async fn interpret_and_record(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        request: Request,
        now: Timestamp,
        again: Again,
    ) -> Result<Option<Receipt>, IntakeError> {
        let begun = self.begin(&request, now, &again);
        let began = Instant::now();
        let place = PlaceId::Source(source.id);
        let outside = self.reach.run(source.tenant, place);
        let run = self.interpret(tenant, source, Arc::new(request.clone()), now, outside).await;
        self.notices.saw(source.tenant, place, request.id, &run.steps, now);
        let (events, fate) = match run.result {
            SourceResult::Events(events) => self.fitting(tenant, events).await?,
            SourceResult::Ignored { reason } => (Vec::new(), Fate::Ignored { reason }),
            SourceResult::Failed { number, plugin, message } => {
                (Vec::new(), Fate::Quarantined { reason: format!("step {number} ({plugin}): {message}") })
            }
            SourceResult::Unreadable { reason } => (Vec::new(), Fate::Quarantined { reason }),
            SourceResult::Unavailable => return Err(IntakeError::Busy),
        };
        let traced = |event: Event| Event { traceparent: begun.map(|begun| begun.here), ..event };
        let events: Vec<Arc<Event>> = events.into_iter().map(traced).map(Arc::new).collect();
        let routed = self.route(tenant, &events, now);
        let (request_id, bytes, deliveries) = (request.id, request.body.len(), routed.deliveries.len());
        let (rerun_of, once) = match again {
            Again::Yes(before) => (Some(before), None),
            Again::No(once) => (None, once),
        };
        if let Some(begun) = begun.filter(|begun| self.tracer.wants(begun.here)) {
            self.trace(source, &request, begun, (now, began), &run.steps, &fate);
        }
        let received = Received { request, fate: fate.clone(), steps: run.steps, rerun_of };
        let Stored::Now(event_ids) = self.record(source.tenant, Some(received), events, routed, once).await? else {
            return Ok(None);
        };
        tracing::info!(
            request.id = %request_id, tenant.id = %source.tenant, source.id = %source.id,
            trace.id = begun.map(|begun| tracing::field::display(begun.here.trace)),
            state = fate.state(), reason = fate.reason(), bytes,
            event.id = event_ids.first().map(ToString::to_string), events = event_ids.len(), deliveries,
            "request {request_id}: {}", fate.state(),
        );
        let quarantined = match fate {
            Fate::Quarantined { reason } => Some(reason),
            _ => None,
        };
        Ok(Some(Receipt { request_id, event_ids, quarantined }))
    }

    /// The trace that a request is part of; each run of it is a span of its own.
    fn begin(&self, request: &Request, now: Timestamp, again: &Again) -> Option<Begun> {
        let whose = request.id.bytes();
        let span = match again {
            Again::No(_) => SpanId::of("receive", whose, 0),
            Again::Yes(_) => SpanId::of("rerun", whose, u32::try_from(now.as_secs()).unwrap_or_default()),
        };
        Begun::new(TraceParent::of(&request.headers), whose, span, self.tracer.is_on())
    }

    fn trace(
        &self,
        source: &Source,
        request: &Request,
        begun: Begun,
        (now, began): (Timestamp, Instant),
        reports: &[StepReport],
        fate: &Fate,
    ) {
        let run = u32::try_from(now.as_secs()).unwrap_or_default();
        trace::steps(begun.here, request.id.bytes(), run, now, reports)
            .into_iter()
            .for_each(|span| self.tracer.tell(span));
        self.tracer.tell(Span {
            trace: begun.here.trace,
            id: begun.here.parent,
            parent: begun.led_by,
            name: "receive".to_owned(),
            side: Side::Server,
            began: now,
            took: began.elapsed(),
            fields: vec![
                ("tenant.id", source.tenant.to_string()),
                ("source.id", source.id.to_string()),
                ("request.id", request.id.to_string()),
                ("state", fate.state().to_owned()),
            ],
            error: fate.reason().map(str::to_owned),
        });
    }

    /// All of a request's events, or none and why: half a request would be
    /// worse than one that can be run again.
    async fn fitting(&self, tenant: &TenantPicture, events: Vec<Event>) -> Result<(Vec<Event>, Fate), IntakeError> {
        for event in &events {
            match self.check(tenant, &Draft::of(event)).await {
                Ok(()) => {}
                Err(IntakeError::Misfit(misfit)) => {
                    return Ok((Vec::new(), Fate::Quarantined { reason: misfit.to_string() }));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((events, Fate::Accepted))
    }

    /// What the source's pipeline makes of a request: the one path that
    /// production, reruns and previews share, each with what its steps reach.
    pub async fn interpret(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        request: Arc<Request>,
        now: Timestamp,
        outside: Arc<dyn Outside>,
    ) -> SourceRun {
        let maps = source.pipeline.steps.first().is_some_and(|step| step.job == Job::Mapper);
        let drafts = if maps {
            None
        } else {
            let trusts_headers = source.verification.rules(&self.senders).trusts_headers();
            match plain::drafts(&request.headers, &request.body, source.event_type.as_ref(), trusts_headers) {
                Ok(drafts) => Some(drafts),
                Err(reason) => {
                    return SourceRun { steps: Vec::new(), result: SourceResult::Unreadable { reason } };
                }
            }
        };
        if let (Some(drafts), true) = (&drafts, source.pipeline.steps.is_empty()) {
            let mut ids = Ids::at(now);
            let event = |draft: &Draft| draft.clone().into_event(ids.mint(), source.tenant, now, Some(request.id));
            let events: Vec<Event> = drafts.iter().map(event).collect();
            return SourceRun { steps: Vec::new(), result: SourceResult::Events(events) };
        }
        let mut ids = Ids::at(now);
        self.sandbox
            .run_source(SourceJob {
                tenant: source.tenant,
                pipeline: source.pipeline.clone(),
                request,
                source: source.name.clone(),
                event_type: source.event_type.clone(),
                drafts,
                new_id: Box::new(move || ids.mint()),
                now,
                ceilings: tenant.tenant.limits.ceilings,
                outside,
            })
            .await
    }
}

fn cut(mut request: Request) -> Request {
    request.body.truncate(KEPT_OF_UNPROVEN);
    request
}

/// Whether a request is stored already.
enum Again {
    /// With the fate that it had.
    Yes(Fate),
    No(Option<Idempotency>),
}

/// The request as it is kept: secrets that were sent along are not.
fn stored(source: &Source, rules: &Rules<'_>, arrival: Arrival, now: Timestamp) -> Request {
    Request {
        id: mint(now),
        tenant: source.tenant,
        source: source.id,
        received_at: now,
        method: arrival.method,
        query: rules.query_without_secrets(arrival.query),
        headers: rules.without_secrets(arrival.headers),
        body: arrival.body,
    }
}
