//! Requests at inbound URLs.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Intake, IntakeError};
use crate::clock::mint;
use crate::domain::event::{Draft, Event, EventType};
use crate::domain::header::Header;
use crate::domain::id::{EventId, RequestId};
use crate::domain::plugin::Job;
use crate::domain::request::{Fate, Request};
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::sandbox::{SourceJob, SourceResult, SourceRun};
use crate::store::ledger::Received;
use crate::store::picture::TenantPicture;

/// What came in, before it has an identity.
pub struct Arrival {
    pub method: String,
    pub query: String,
    pub headers: Vec<Header>,
    pub body: Bytes,
}

/// What a sender is told.
#[derive(Debug)]
pub struct Receipt {
    pub request_id: RequestId,
    pub event_ids: Vec<EventId>,
}

impl Intake {
    /// Keeps a request, whatever it is, and the events that the source's
    /// pipeline makes of it.
    pub async fn receive(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        arrival: Arrival,
    ) -> Result<Receipt, IntakeError> {
        let now = self.clock.now();
        let Arrival { method, query, headers, body } = arrival;
        let request = Request {
            id: mint(now),
            tenant: source.tenant,
            source: source.id,
            received_at: now,
            method,
            query,
            headers,
            body,
        };
        self.run(tenant, source, request, now, false).await
    }

    /// Runs a request that is stored through its source's pipeline as it is
    /// now. The events of an earlier run stay what they are.
    pub async fn rerun(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        request: Request,
    ) -> Result<Receipt, IntakeError> {
        self.run(tenant, source, request, self.clock.now(), true).await
    }

    async fn run(
        &self,
        tenant: &TenantPicture,
        source: &Source,
        request: Request,
        now: Timestamp,
        rerun: bool,
    ) -> Result<Receipt, IntakeError> {
        let run = self.interpret(source, Arc::new(request.clone()), now).await;
        let (events, fate) = match run.result {
            SourceResult::Events(events) => (events.into_iter().map(Arc::new).collect(), Fate::Accepted),
            SourceResult::Ignored { reason } => (Vec::new(), Fate::Ignored { reason }),
            SourceResult::Failed { number, plugin, message } => {
                (Vec::new(), Fate::Quarantined { reason: format!("step {number} ({plugin}): {message}") })
            }
            SourceResult::Unreadable { reason } => (Vec::new(), Fate::Quarantined { reason }),
            SourceResult::Unavailable => return Err(IntakeError::Busy),
        };
        let routed = self.route(tenant, &events, now);
        let (request_id, bytes, deliveries) = (request.id, request.body.len(), routed.deliveries.len());
        let received = Received { request, fate: fate.clone(), steps: run.steps, rerun };
        let event_ids = self.record(source.tenant, Some(received), events, routed, None).await?;
        tracing::info!(
            request.id = %request_id, tenant.id = %source.tenant, source.id = %source.id,
            state = fate.state(), reason = fate.reason(), bytes,
            event.id = event_ids.first().map(ToString::to_string), events = event_ids.len(), deliveries,
            "request {request_id}: {}", fate.state(),
        );
        Ok(Receipt { request_id, event_ids })
    }

    /// What the source's pipeline makes of a request: the one path that
    /// production, reruns and previews share.
    pub async fn interpret(&self, source: &Source, request: Arc<Request>, now: Timestamp) -> SourceRun {
        let maps = source.pipeline.steps.first().is_some_and(|step| step.job == Job::Mapper);
        let drafts = if maps {
            None
        } else {
            match plain_draft(&request.body, source.event_type.as_ref()) {
                Ok(draft) => Some(vec![draft]),
                Err(reason) => {
                    return SourceRun { steps: Vec::new(), result: SourceResult::Unreadable { reason } };
                }
            }
        };
        if let (Some(drafts), true) = (&drafts, source.pipeline.steps.is_empty()) {
            let event = |draft: &Draft| draft.clone().into_event(mint(now), source.tenant, now, Some(request.id));
            let events: Vec<Event> = drafts.iter().map(event).collect();
            return SourceRun { steps: Vec::new(), result: SourceResult::Events(events) };
        }
        self.sandbox
            .run_source(SourceJob {
                tenant: source.tenant,
                pipeline: source.pipeline.clone(),
                request,
                source: source.name.clone(),
                event_type: source.event_type.clone(),
                drafts,
                new_id: Box::new(move || mint(now)),
                now,
            })
            .await
    }
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    event: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<std::borrow::Cow<'a, str>>,
}

/// A source without a mapper: the body is JSON, its `event` or `type` is the
/// type unless the source has one, and all of it is the data.
fn plain_draft(body: &[u8], event_type: Option<&EventType>) -> Result<Draft, String> {
    let data: &RawValue = serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let event_type = match event_type {
        Some(event_type) => event_type.clone(),
        None => {
            let typed: Typed<'_> = serde_json::from_str(data.get()).map_err(|_| no_type())?;
            let text = typed.event.or(typed.event_type).ok_or_else(no_type)?;
            text.parse().map_err(|problem| format!("the body's type `{}`: {problem}", text.escape_debug()))?
        }
    };
    Ok(Draft {
        event_type,
        occurred_at: None,
        subject: None,
        account: None,
        tags: Vec::new(),
        data: data.to_owned().into(),
    })
}

fn no_type() -> String {
    "the body names no event type: it has neither `event` nor `type` with a text; \
     give the source an `event_type` or a mapper"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, event_type: Option<&str>, expected: &str) {
        let event_type = event_type.map(|text| text.parse().unwrap());
        let said = match plain_draft(body.as_bytes(), event_type.as_ref()) {
            Ok(draft) => format!("{} {}", draft.event_type, draft.data.get()),
            Err(reason) => reason,
        };
        assert!(said.starts_with(expected), "{body}: {said}");
    }

    #[test]
    fn a_plain_body_names_its_own_type() {
        check(r#"{"event":"order.placed","a":1.0}"#, None, r#"order.placed {"event":"order.placed","a":1.0}"#);
        check(r#"{"type":"charge.succeeded"}"#, None, "charge.succeeded {");
        check(r#"{"event":"a","type":"b"}"#, None, "a {");
        check("[1, 2]", Some("list.sent"), "list.sent [1, 2]");
        check(r#"{"event":"b"}"#, Some("a"), "a {");
        check("[1]", None, "the body names no event type");
        check(r#"{"event":7}"#, None, "the body names no event type");
        check("{}", None, "the body names no event type");
        check(r#"{"event":"no spaces"}"#, None, "the body's type `no spaces`");
        check("a=b", None, "the body is not JSON");
        check("", None, "the body is not JSON");
    }
}
