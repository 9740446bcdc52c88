//! Endpoints as tenants write them, and what their fields may be.

use serde::Deserialize;
use utoipa::ToSchema;

use super::super::super::App;
use super::super::super::error::ApiError;
use super::super::super::input::{self, Patch};
use super::super::steps::StepForm;
use super::access::{AuthForm, HeaderForms, TlsForm};
use crate::domain::endpoint::Status;
use crate::domain::event::check_label;
use crate::domain::pace::{Order, Pace, Period, RateLimit};
use crate::domain::retry::RetryPolicy;
use crate::domain::subscription::TypePattern;
use crate::domain::url::DeliveryUrl;

/// At most this many type patterns, accounts or tags in a subscription.
const MAX_SELECTED: usize = 256;

/// `events` and `is_active` are what ConnectGain's API calls two of the fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEndpoint)]
pub(super) struct Form {
    #[schema(min_length = 1, max_length = 256)]
    pub(super) name: String,
    #[schema(format = "uri")]
    pub(super) url: String,
    #[serde(alias = "events")]
    #[schema(value_type = Vec<TypePattern>, min_items = 1, max_items = 256)]
    pub(super) event_types: Vec<String>,
    #[serde(default)]
    pub(super) accounts: Vec<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    pub(super) dialect: Option<String>,
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, super::access::HeaderForm>)]
    pub(super) headers: HeaderForms,
    pub(super) auth: Option<AuthForm>,
    pub(super) tls: Option<TlsForm>,
    #[serde(default)]
    pub(super) steps: Vec<StepForm>,
    pub(super) secret: Option<String>,
    pub(super) signature: Option<String>,
    #[serde(alias = "is_active")]
    pub(super) active: Option<bool>,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) rate_limit: Option<RateForm>,
    pub(super) max_in_flight: Option<u16>,
    pub(super) timeout_seconds: Option<u64>,
    #[serde(default)]
    pub(super) ordered: Order,
}

/// A number is per second.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a number per second, or {\"limit\": 10, \"per\": \"second\", \"minute\" or \"hour\"}")]
#[schema(as = NewRateLimit)]
pub(in super::super) enum RateForm {
    PerSecond(u32),
    Spelt(RateLimit),
}

impl From<RateForm> for RateLimit {
    fn from(form: RateForm) -> Self {
        match form {
            RateForm::PerSecond(limit) => Self { limit, per: Period::Second },
            RateForm::Spelt(rate) => rate,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EndpointChange)]
pub(super) struct Change {
    #[schema(min_length = 1, max_length = 256)]
    pub(super) name: Option<String>,
    #[schema(format = "uri")]
    pub(super) url: Option<String>,
    #[serde(alias = "events")]
    #[schema(value_type = Option<Vec<TypePattern>>, min_items = 1, max_items = 256)]
    pub(super) event_types: Option<Vec<String>>,
    pub(super) accounts: Option<Vec<String>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) dialect: Option<String>,
    #[schema(value_type = Option<std::collections::BTreeMap<String, super::access::HeaderForm>>)]
    pub(super) headers: Option<HeaderForms>,
    #[serde(default)]
    #[schema(value_type = Option<AuthForm>)]
    pub(super) auth: Patch<AuthForm>,
    #[serde(default)]
    #[schema(value_type = Option<TlsForm>)]
    pub(super) tls: Patch<TlsForm>,
    pub(super) steps: Option<Vec<StepForm>>,
    pub(super) signature: Option<String>,
    #[serde(alias = "is_active")]
    pub(super) active: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<RetryPolicy>)]
    pub(super) retry: Patch<RetryPolicy>,
    #[serde(default)]
    #[schema(value_type = Option<RateForm>)]
    pub(super) rate_limit: Patch<RateForm>,
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    pub(super) max_in_flight: Patch<u16>,
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub(super) timeout_seconds: Patch<u64>,
    pub(super) ordered: Option<Order>,
}

pub(super) fn url(app: &App, text: &str) -> Result<DeliveryUrl, ApiError> {
    DeliveryUrl::parse(text, &app.urls).map_err(|problem| ApiError::invalid("url", problem))
}

pub(super) fn patterns(texts: Vec<String>) -> Result<Vec<TypePattern>, ApiError> {
    if texts.is_empty() || texts.len() > MAX_SELECTED {
        return Err(ApiError::invalid("event_types", format!("give 1 to {MAX_SELECTED}, such as [\"order.*\"]")));
    }
    let pattern = |(at, text): (usize, &String)| input::field(&format!("event_types[{at}]"), text);
    texts.iter().enumerate().map(pattern).collect()
}

pub(super) fn labels(field: &str, labels: Vec<String>) -> Result<Vec<String>, ApiError> {
    if labels.len() > MAX_SELECTED {
        return Err(ApiError::invalid(field, format!("at most {MAX_SELECTED} are allowed")));
    }
    match labels.iter().find_map(|label| check_label(label).err()) {
        Some(problem) => Err(ApiError::invalid(field, problem)),
        None => Ok(labels),
    }
}

pub(super) fn schedule(policy: RetryPolicy) -> Result<RetryPolicy, ApiError> {
    policy.check().map_err(|problem| ApiError::invalid("retry.schedule", problem))
}

pub(super) fn pace(pace: Pace) -> Result<Pace, ApiError> {
    pace.check().map_err(|bad| ApiError::invalid(bad.field, bad.problem))
}

pub(super) fn switched_off() -> Status {
    Status::Disabled { reason: "switched off by its owner".to_owned() }
}
