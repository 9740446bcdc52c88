//! Erasures: all that is kept of a subject, made to be gone on request.

use serde::Serialize;

use super::id::ErasureId;
use super::time::Timestamp;

/// How far an erasure has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Rows of the subject are being deleted.
    Erasing,
    /// The rows are gone; their bytes are being overwritten in the log.
    Wiping,
    /// Nothing of it is in the files.
    Done,
}

impl Stage {
    /// The word that the API and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erasing => "erasing",
            Self::Wiping => "wiping",
            Self::Done => "done",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Erasing, Self::Wiping, Self::Done].into_iter().find(|stage| stage.as_str() == text)
    }
}

/// What was asked for, and what came of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    pub id: ErasureId,
    #[serde(rename = "state")]
    pub stage: Stage,
    /// Until its rows are gone: it may be somebody's name.
    pub subject: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub erased: Erased,
}

/// How much is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    pub events: u64,
    pub deliveries: u64,
    pub attempts: u64,
    /// Deleted; or emptied, when they also became events of others.
    pub requests: u64,
    /// Values that steps kept under the subject as their key.
    pub state_values: u64,
}
