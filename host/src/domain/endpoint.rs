//! Endpoints: outbound webhooks.

use std::sync::Arc;

use serde::Serialize;

use super::access::Access;
use super::header::Header;
use super::id::{EndpointId, TenantId};
use super::pace::Pace;
use super::pipeline::Pipeline;
use super::retry::RetryPolicy;
use super::subscription::Subscription;
use super::time::Timestamp;
use super::url::DeliveryUrl;

/// Where events go, which, in what shape. Its secret is kept apart: an
/// `Endpoint` can be printed.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: EndpointId,
    pub tenant: TenantId,
    pub name: String,
    pub url: DeliveryUrl,
    pub subscription: Subscription,
    /// Sent with every message.
    pub headers: Vec<Header>,
    /// How it proves who is calling.
    pub access: Arc<Access>,
    pub pipeline: Pipeline,
    /// The default's, when absent.
    pub retry: Option<RetryPolicy>,
    pub pace: Pace,
    pub dialect: String,
    pub status: Status,
    /// Counts its changes; the store's.
    pub revision: u32,
    pub created_at: Timestamp,
}

/// Whether deliveries are made and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Status {
    Active,
    /// Deliveries are made and held.
    Paused,
    /// No deliveries are made, and what there are is held, until the receiver has
    /// passed its dialect's handshake.
    Unverified {
        reason: String,
    },
    /// No deliveries are made.
    Disabled {
        reason: String,
    },
}

impl Status {
    /// The word that the API and the store use.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Unverified { .. } => "unverified",
            Self::Disabled { .. } => "disabled",
        }
    }

    /// Deliveries that exist are held.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Paused | Self::Unverified { .. })
    }

    /// Why, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Active | Self::Paused => None,
            Self::Unverified { reason } | Self::Disabled { reason } => Some(reason),
        }
    }

    /// What the store's two columns mean.
    pub fn from_parts(state: &str, reason: Option<String>) -> Option<Self> {
        match state {
            "active" => Some(Self::Active),
            "paused" => Some(Self::Paused),
            "unverified" => Some(Self::Unverified { reason: reason.unwrap_or_default() }),
            "disabled" => Some(Self::Disabled { reason: reason.unwrap_or_default() }),
            _ => None,
        }
    }
}
