//! Endpoints as they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::super::steps::{self, StepView};
use super::access_view::{self, AuthView, HeaderView, TlsView};
use super::signing::SigningView;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::health::{Circuit, Health};
use crate::domain::id::EndpointId;
use crate::domain::pace::{Order, RateLimit};
use crate::domain::retry::RetryPolicy;
use crate::domain::subscription::TypePattern;
use crate::domain::time::Timestamp;

#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(super) struct View<'a> {
    id: EndpointId,
    name: &'a str,
    url: &'a str,
    event_types: &'a [TypePattern],
    accounts: &'a [String],
    tags: &'a [String],
    dialect: &'a str,
    #[serde(flatten)]
    signing: SigningView,
    headers: BTreeMap<&'a str, HeaderView<'a>>,
    auth: Option<AuthView<'a>>,
    tls: Option<TlsView<'a>>,
    steps: Vec<StepView<'a>>,
    retry: Option<&'a RetryPolicy>,
    rate_limit: Option<RateLimit>,
    max_in_flight: Option<u16>,
    timeout_seconds: Option<u64>,
    ordered: Order,
    active: bool,
    state: &'static str,
    reason: Option<&'a str>,
    health: HealthView,
    created_at: Timestamp,
}

/// How its receiver does.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
struct HealthView {
    /// `closed`: all is well. `open`: nothing is sent before `open_until`.
    /// `half-open`: one attempt at a time, until one succeeds.
    circuit: &'static str,
    open_until: Option<Timestamp>,
    /// The first failure since the last success.
    failing_since: Option<Timestamp>,
}

impl HealthView {
    fn of(health: Health, now: Timestamp) -> Self {
        let circuit = health.circuit(now);
        let open_until = match circuit {
            Circuit::Open { until } => Some(until),
            Circuit::HalfOpen | Circuit::Closed => None,
        };
        Self { circuit: circuit.as_str(), open_until, failing_since: health.failing_since }
    }
}

/// The one view that has a secret in it.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedEndpoint)]
pub(super) struct Created<'a> {
    #[serde(flatten)]
    pub(super) endpoint: View<'a>,
    /// Shown once; null where the dialect signs nothing, or with a key pair that
    /// was made here.
    pub(super) secret: Option<&'a str>,
    /// What is allowed and may not be meant.
    pub(super) warnings: Vec<String>,
}

impl<'a> View<'a> {
    pub(super) fn of(endpoint: &'a Endpoint, signing: SigningView, health: Health, now: Timestamp) -> Self {
        Self {
            id: endpoint.id,
            name: &endpoint.name,
            url: endpoint.url.as_str(),
            event_types: &endpoint.subscription.event_types,
            accounts: &endpoint.subscription.accounts,
            tags: &endpoint.subscription.tags,
            dialect: &endpoint.dialect,
            signing,
            headers: access_view::headers(endpoint),
            auth: endpoint.access.auth.as_ref().map(AuthView::of),
            tls: endpoint.access.tls.as_ref().map(TlsView::of),
            steps: steps::views(&endpoint.pipeline),
            retry: endpoint.retry.as_ref(),
            rate_limit: endpoint.pace.rate_limit,
            max_in_flight: endpoint.pace.max_in_flight,
            timeout_seconds: endpoint.pace.timeout_seconds,
            ordered: endpoint.pace.ordered,
            active: !matches!(endpoint.status, Status::Disabled { .. }),
            state: endpoint.status.state(),
            reason: endpoint.status.reason(),
            health: HealthView::of(health, now),
            created_at: endpoint.created_at,
        }
    }
}
