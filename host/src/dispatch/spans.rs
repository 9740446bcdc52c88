//! What is told of a delivery to whoever follows its event's trace.

use tracing::field::{DisplayValue, display};

use super::Dispatch;
use super::prepare::Made;
use crate::domain::attempt::Attempt;
use crate::domain::claim::Claim;
use crate::domain::delivery::Outcome;
use crate::domain::time::Timestamp;
use crate::domain::trace::{self, Side, Span, SpanId, TraceId, TraceParent};

/// For log lines.
pub(super) fn trace_id(claim: &Claim) -> Option<DisplayValue<TraceId>> {
    claim.event.traceparent.map(|parent| display(parent.trace))
}

/// Where the attempt that is about to be made is in the trace; the receiver is
/// told so.
pub(super) fn attempt(claim: &Claim, parent: TraceParent) -> TraceParent {
    parent.child(SpanId::of("attempt", claim.delivery.bytes(), claim.attempts + 1))
}

/// The pipeline's run, when this attempt had it run.
pub(super) fn steps(dispatch: &Dispatch, claim: &Claim, made: &Made, began: Timestamp) {
    let prepared = match made {
        Made::Message { prepared: Some(prepared), .. } | Made::Nothing { prepared, .. } => prepared,
        Made::Message { prepared: None, .. } | Made::Later(_) => return,
    };
    let Some(parent) = wanted(dispatch, claim) else { return };
    let spans = trace::steps(parent, claim.delivery.bytes(), claim.attempts + 1, began, &prepared.steps);
    spans.into_iter().for_each(|span| dispatch.tracer.tell(span));
}

/// An attempt that was made.
pub(super) fn attempted(dispatch: &Dispatch, claim: &Claim, attempt: &Attempt) {
    let Some(parent) = wanted(dispatch, claim) else { return };
    let mut fields = vec![
        ("tenant.id", claim.tenant.to_string()),
        ("event.id", claim.event.id.to_string()),
        ("event.type", claim.event.event_type.to_string()),
        ("endpoint.id", claim.endpoint.to_string()),
        ("delivery.id", claim.delivery.to_string()),
        ("delivery.attempt", attempt.number.to_string()),
        ("outcome", attempt.outcome.name().to_owned()),
    ];
    fields.extend(attempt.outcome.status().map(|status| ("http.response.status_code", status.to_string())));
    let is_accepted = matches!(attempt.outcome, Outcome::Accepted { .. });
    dispatch.tracer.tell(Span {
        trace: parent.trace,
        id: self::attempt(claim, parent).parent,
        parent: Some(parent.parent),
        name: "attempt".to_owned(),
        side: Side::Client,
        began: attempt.started_at,
        took: attempt.duration,
        fields,
        error: (!is_accepted).then(|| attempt.outcome.in_words()),
    });
}

fn wanted(dispatch: &Dispatch, claim: &Claim) -> Option<TraceParent> {
    claim.event.traceparent.filter(|parent| dispatch.tracer.wants(*parent))
}
