//! Requests: what a source received, kept byte for byte, also when it led to
//! nothing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::header::Header;
use super::id::{RequestId, SourceId, TenantId};
use super::time::Timestamp;

/// One HTTP request to an inbound URL.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: RequestId,
    pub tenant: TenantId,
    pub source: SourceId,
    pub received_at: Timestamp,
    pub method: String,
    /// As it came, without the question mark.
    pub query: String,
    pub headers: Vec<Header>,
    pub body: Bytes,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Fate {
    /// It became events.
    Accepted,
    /// The source's pipeline understood it and wanted nothing of it.
    Ignored { reason: String },
    /// The source's pipeline could not make events of it. It can be run again.
    Quarantined { reason: String },
    /// It was its sender's handshake and got its answer. It is no event.
    Answered,
    /// It did not prove who sent it. Nothing was made of it, and nothing will be.
    Refused { reason: String },
}

impl Fate {
    /// What the store's two columns mean.
    pub fn from_parts(state: &str, reason: Option<String>) -> Option<Self> {
        let reason = reason.unwrap_or_default();
        match state {
            "accepted" => Some(Self::Accepted),
            "ignored" => Some(Self::Ignored { reason }),
            "quarantined" => Some(Self::Quarantined { reason }),
            "answered" => Some(Self::Answered),
            "refused" => Some(Self::Refused { reason }),
            _ => None,
        }
    }

    /// The word that the API and the store use.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored { .. } => "ignored",
            Self::Quarantined { .. } => "quarantined",
            Self::Answered => "answered",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted | Self::Answered => None,
            Self::Ignored { reason } | Self::Quarantined { reason } | Self::Refused { reason } => Some(reason),
        }
    }
}
