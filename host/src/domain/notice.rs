//! Notices: events that tell a tenant what happened in here.

use serde_json::json;
use serde_json::value::to_raw_value;

use super::endpoint::Endpoint;
use super::event::{Draft, Event};
use super::faulting::{FAULTING, Faulting};
use super::id::TenantId;
use super::time::Timestamp;

/// The type of [`Disabled`]'s notice.
pub const DISABLED: &str = "endpoint.disabled";

/// What a tenant is told.
#[derive(Clone, Debug)]
pub enum Notice {
    Faulting(Box<Faulting>),
    Disabled(Box<Disabled>),
}

/// Nothing more is sent to an endpoint, and its owner did not ask for that.
#[derive(Clone, Debug)]
pub struct Disabled {
    pub endpoint: Endpoint,
    pub reason: String,
    pub failing_since: Option<Timestamp>,
}

impl Notice {
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Faulting(faulting) => faulting.tenant,
            Self::Disabled(disabled) => disabled.endpoint.tenant,
        }
    }

    /// The event that tells of it.
    pub fn draft(&self) -> Draft {
        match self {
            Self::Faulting(faulting) => faulting.draft(),
            Self::Disabled(disabled) => disabled.draft(),
        }
    }
}

impl Disabled {
    fn draft(&self) -> Draft {
        let Self { endpoint, reason, failing_since } = self;
        let since = failing_since.map(|since| format!(" Nothing got through since {since}.")).unwrap_or_default();
        let text = format!(
            "Your webhook \"{}\" at {} was disabled: {reason}.{since} No events are sent there until you set it active \
             again; what was missed can be replayed then.",
            endpoint.name,
            endpoint.url.as_str(),
        );
        let data = json!({
            "endpoint": {"id": endpoint.id, "name": endpoint.name, "url": endpoint.url.as_str()},
            "reason": reason, "failing_since": failing_since,
            // As an e-mail would say it.
            "title": format!("Your webhook \"{}\" was disabled", endpoint.name), "text": text,
        });
        Draft {
            event_type: DISABLED.parse().expect("it is a type"),
            occurred_at: None,
            subject: Some(endpoint.id.to_string()),
            account: None,
            tags: Vec::new(),
            data: to_raw_value(&data).expect("it is JSON").into(),
        }
    }
}

/// Whether an event tells of something that happened in here. Such events never
/// cause further ones.
pub fn is_notice(event: &Event) -> bool {
    [FAULTING, DISABLED].contains(&event.event_type.as_str())
}
