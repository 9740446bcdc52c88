//! Replays: deliveries of the past, made once more.

use serde::{Deserialize, Serialize};

use super::delivery::State;
use super::id::{DeliveryId, EndpointId, ReplayId, TenantId};
use super::subscription::TypePattern;
use super::time::Timestamp;

/// What a replay sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// The message of then, where the pipeline had made one.
    AsSent,
    /// What the endpoint's pipeline makes of the event now.
    Current,
}

/// Which of an endpoint's deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub endpoint: EndpointId,
    pub states: Vec<State>,
    /// Empty: any.
    pub event_types: Vec<TypePattern>,
    /// Of whose events alone; absent: of any.
    pub account: Option<String>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Timestamp,
}

/// A replay, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub id: ReplayId,
    pub tenant: TenantId,
    pub selection: Selection,
    pub through: Through,
    /// How many deliveries it found when it began.
    pub found: u64,
    /// How many it has made anew.
    pub made: u64,
    /// The last one that it came to.
    pub after: Option<DeliveryId>,
    pub progress: Progress,
    pub updated_at: Timestamp,
}

/// Whether a replay goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    Running,
    Done,
    /// What it had made by then is sent.
    Cancelled,
}

impl Progress {
    const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    /// The word that the API and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|progress| progress.as_str() == text)
    }
}
