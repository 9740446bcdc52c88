//! Notices: events that tell a tenant what happened in here.

use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::event::{Draft, Event};
use super::faulting::{FAULTING, Faulting};
use super::health::GIVEN_UP_AFTER;
use super::id::TenantId;
use super::time::Timestamp;

/// The type of [`Disabled`]'s notice.
pub const DISABLED: &str = "endpoint.disabled";

/// The type of [`Failing`]'s notice.
pub const FAILING: &str = "endpoint.failing";

/// What a tenant is told.
#[derive(Clone, Debug)]
pub enum Notice {
    Faulting(Box<Faulting>),
    Failing(Box<Failing>),
    Disabled(Box<Disabled>),
}

/// An endpoint only fails, and will be disabled if that goes on.
#[derive(Clone, Debug)]
pub struct Failing {
    pub endpoint: Endpoint,
    pub failing_since: Timestamp,
    /// What the last attempt came to.
    pub last: String,
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
            Self::Failing(failing) => failing.endpoint.tenant,
            Self::Disabled(disabled) => disabled.endpoint.tenant,
        }
    }

    /// The event that tells of it.
    pub fn draft(&self) -> Draft {
        match self {
            Self::Faulting(faulting) => faulting.draft(),
            Self::Failing(failing) => failing.draft(),
            Self::Disabled(disabled) => disabled.draft(),
        }
    }
}

impl Failing {
    fn draft(&self) -> Draft {
        let Self { endpoint, failing_since, last } = self;
        let disabled_at = *failing_since + GIVEN_UP_AFTER;
        let text = format!(
            "Nothing that we send to your webhook \"{}\" at {} gets through since {failing_since}. The last attempt: \
             {last}. If this goes on, the webhook is disabled on {disabled_at}.",
            endpoint.name,
            endpoint.url.as_str(),
        );
        let title = format!("Your webhook \"{}\" is failing", endpoint.name);
        let more = json!({"failing_since": failing_since, "last": last, "disabled_at": disabled_at});
        about(endpoint, FAILING, (&title, &text), more)
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
        let title = format!("Your webhook \"{}\" was disabled", endpoint.name);
        about(endpoint, DISABLED, (&title, &text), json!({"reason": reason, "failing_since": failing_since}))
    }
}

/// A notice about an endpoint; `title` and `text` are as an e-mail would say it.
fn about(endpoint: &Endpoint, event_type: &str, (title, text): (&str, &str), more: Value) -> Draft {
    let mut data = json!({
        "endpoint": {"id": endpoint.id, "name": endpoint.name, "url": endpoint.url.as_str()},
        "title": title, "text": text,
    });
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    Draft {
        event_type: event_type.parse().expect("it is a type"),
        occurred_at: None,
        deliver_at: None,
        subject: Some(endpoint.id.to_string()),
        account: None,
        tags: Vec::new(),
        data: to_raw_value(&data).expect("it is JSON").into(),
    }
}

/// Whether an event tells of something that happened in here. Such events never
/// cause further ones.
pub fn is_notice(event: &Event) -> bool {
    [FAULTING, FAILING, DISABLED].contains(&event.event_type.as_str())
}
