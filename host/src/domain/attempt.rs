//! Attempts: one HTTP exchange, what was sent, what came back, how long it
//! took.

use std::time::Duration;

use super::delivery::Outcome;
use super::header::Header;
use super::id::AttemptId;
use super::time::Timestamp;

/// At most this many bytes of an answer's body are kept.
pub const KEPT_ANSWER: usize = 16 * 1024;

/// One HTTP exchange.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub id: AttemptId,
    /// From 1.
    pub number: u32,
    pub started_at: Timestamp,
    pub duration: Duration,
    pub url: String,
    /// What was sent beside the message's own headers: where it is in a trace, and
    /// the signature.
    pub signed_headers: Vec<Header>,
    pub outcome: Outcome,
    pub answer: Option<Answer>,
}

/// What came back, cut to what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    /// The body went on.
    pub cut: bool,
}
