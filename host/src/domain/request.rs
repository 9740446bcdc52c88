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
}

impl Fate {
    /// The word that the API and the store use.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored { .. } => "ignored",
            Self::Quarantined { .. } => "quarantined",
        }
    }

    /// Why, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted => None,
            Self::Ignored { reason } | Self::Quarantined { reason } => Some(reason),
        }
    }
}
