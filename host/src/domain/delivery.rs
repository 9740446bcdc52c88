//! Deliveries: one event for one endpoint, and what an attempt means for it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::retry::{Jitter, RetryPolicy};
use super::time::Timestamp;

/// Why a delivery was cancelled by hand.
pub const CANCELLED_BY_OWNER: &str = "cancelled by its owner";

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Due now or later.
    Pending,
    Delivered,
    /// A filter did not want it.
    Dropped,
    /// Given up, with a cause. It can be retried by hand or replayed.
    Dead,
    Cancelled,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Pending, Self::Delivered, Self::Dropped, Self::Dead, Self::Cancelled];

    /// The word that the API and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What one HTTP try came to. Failure is an answer here, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted { status: u16 },
    Refused { status: u16, retry_after: Option<Duration>, word: Option<Word> },
    Unreachable(Unreachable),
}

/// What a receiver may say with its refusal, in the header `webhook-delivery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// This delivery will never be taken: do not try it again.
    Abort,
    /// Nothing more is to be sent here.
    Disable,
}

impl Word {
    /// As the header has it; `abort-message` is what Svix calls the first.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "abort" | "abort-message" => Some(Self::Abort),
            "disable" => Some(Self::Disable),
            _ => None,
        }
    }
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The name did not resolve.
    Unresolved(String),
    /// The token that the receiver wants could not be had.
    NoToken(String),
    /// Policy forbids the address.
    Forbidden(String),
    Connect(String),
    Tls(String),
    /// The one deadline over everything ran out.
    TimedOut(Duration),
    /// The connection broke, or what came back was not HTTP.
    Broken(String),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(cause) => write!(f, "the host name did not resolve: {cause}"),
            Self::NoToken(cause) => write!(f, "no access token for the receiver: {cause}"),
            Self::Forbidden(cause) => write!(f, "not dialled: {cause}"),
            Self::Connect(cause) => write!(f, "could not connect: {cause}"),
            Self::Tls(cause) => write!(f, "TLS failed: {cause}"),
            Self::TimedOut(limit) => write!(f, "no complete answer within {} s", limit.as_secs()),
            Self::Broken(cause) => write!(f, "the exchange broke off: {cause}"),
        }
    }
}

impl Outcome {
    /// Every [`name`](Self::name).
    pub const NAMES: [&str; 9] =
        ["accepted", "refused", "unresolved", "no-token", "forbidden", "connect", "tls", "timeout", "broken"];

    /// A word for logs and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Unreachable(Unreachable::Unresolved(_)) => "unresolved",
            Self::Unreachable(Unreachable::NoToken(_)) => "no-token",
            Self::Unreachable(Unreachable::Forbidden(_)) => "forbidden",
            Self::Unreachable(Unreachable::Connect(_)) => "connect",
            Self::Unreachable(Unreachable::Tls(_)) => "tls",
            Self::Unreachable(Unreachable::TimedOut(_)) => "timeout",
            Self::Unreachable(Unreachable::Broken(_)) => "broken",
        }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        match self {
            // The place that it points to was not judged, and not asked.
            Self::Refused { status: status @ 300..400, .. } => {
                format!("status {status}: redirects are not followed, so give the endpoint the URL that it points to")
            }
            Self::Accepted { status } | Self::Refused { status, .. } => format!("status {status}"),
            Self::Unreachable(cause) => cause.to_string(),
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted { status } | Self::Refused { status, .. } => Some(*status),
            Self::Unreachable(_) => None,
        }
    }
}

/// Where a delivery rests next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Delivered,
    RetryAt(Timestamp),
    Dropped { reason: String },
    Dead(Cause),
    Cancelled { reason: String },
}

/// Why a delivery was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The receiver answered 410: it is gone for good.
    Gone,
    /// The receiver said that it will never take it.
    Aborted { status: u16 },
    /// The receiver said that it wants nothing more.
    Unwanted { status: u16 },
    /// The last scheduled attempt failed.
    GaveUp { attempts: u32, last: String },
    /// A step of the pipeline refused the event or misbehaved.
    Step { number: usize, plugin: String, message: String },
    /// What the pipeline made cannot be sent.
    BadMessage(String),
    /// The event was larger than plugins are given, or its like.
    Host(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the receiver answered 410 Gone"),
            Self::Aborted { status } => write!(f, "the receiver answered {status} with `webhook-delivery: abort`"),
            Self::Unwanted { status } => write!(f, "the receiver answered {status} with `webhook-delivery: disable`"),
            Self::GaveUp { attempts, last } => write!(f, "gave up after {attempts} attempts; the last: {last}"),
            Self::Step { number, plugin, message } => write!(f, "step {number} ({plugin}): {message}"),
            Self::BadMessage(problem) => write!(f, "the pipeline's message cannot be sent: {problem}"),
            Self::Host(problem) => f.write_str(problem),
        }
    }
}

impl Cause {
    /// Whether the receiver has said that nothing more is to be sent to it.
    pub fn ends_endpoint(&self) -> bool {
        matches!(self, Self::Gone | Self::Unwanted { .. })
    }
}

impl Next {
    pub fn state(&self) -> State {
        match self {
            Self::Delivered => State::Delivered,
            Self::RetryAt(_) => State::Pending,
            Self::Dropped { .. } => State::Dropped,
            Self::Dead(_) => State::Dead,
            Self::Cancelled { .. } => State::Cancelled,
        }
    }

    /// Why, where there is something to say.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Delivered | Self::RetryAt(_) => None,
            Self::Dropped { reason } | Self::Cancelled { reason } => Some(reason.clone()),
            Self::Dead(cause) => Some(cause.to_string()),
        }
    }

    /// When it is due again.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::RetryAt(at) => Some(*at),
            _ => None,
        }
    }
}

/// Decides what an outcome means. Pure, so the whole retry table is one test.
/// `believe_gone`: whether 410 is the end, or a failure like any other.
pub fn settle(
    outcome: &Outcome,
    attempt: u32,
    policy: &RetryPolicy,
    believe_gone: bool,
    now: Timestamp,
    jitter: Jitter,
) -> Next {
    let asked = match outcome {
        Outcome::Accepted { .. } => return Next::Delivered,
        // Believing the receiver spares both sides (Standard Webhooks).
        Outcome::Refused { status, word: Some(Word::Abort), .. } => {
            return Next::Dead(Cause::Aborted { status: *status });
        }
        Outcome::Refused { status, word: Some(Word::Disable), .. } => {
            return Next::Dead(Cause::Unwanted { status: *status });
        }
        Outcome::Refused { status: 410, .. } if believe_gone => return Next::Dead(Cause::Gone),
        Outcome::Refused { retry_after, .. } => *retry_after,
        Outcome::Unreachable(_) => None,
    };
    match policy.after(attempt, asked, now, jitter) {
        Some(at) => Next::RetryAt(at),
        None => Next::Dead(Cause::GaveUp { attempts: attempt, last: outcome.in_words() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, attempt: u32, expected: &str) {
        let next = settle(&outcome, attempt, &RetryPolicy::default(), true, Timestamp::from_millis(0), Jitter::NONE);
        let said = match &next {
            Next::RetryAt(at) => format!("retry in {} s", at.as_secs()),
            other => format!("{}: {}", other.state().as_str(), other.reason().unwrap_or_default()),
        };
        assert_eq!(said, expected);
    }

    fn refused(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Refused { status, retry_after: retry_after.map(Duration::from_secs), word: None }
    }

    fn with_word(status: u16, word: &str) -> Outcome {
        Outcome::Refused { status, retry_after: None, word: Word::parse(word) }
    }

    #[test]
    fn an_outcome_says_where_a_delivery_rests() {
        check(Outcome::Accepted { status: 204 }, 1, "delivered: ");
        check(refused(500, None), 1, "retry in 5 s");
        check(refused(302, None), 1, "retry in 5 s");
        check(refused(429, Some(120)), 1, "retry in 120 s");
        check(refused(503, Some(1)), 2, "retry in 300 s");
        check(refused(410, None), 1, "dead: the receiver answered 410 Gone");
        check(with_word(422, "Abort"), 1, "dead: the receiver answered 422 with `webhook-delivery: abort`");
        check(with_word(500, "disable"), 1, "dead: the receiver answered 500 with `webhook-delivery: disable`");
        check(with_word(500, "later"), 1, "retry in 5 s");
        check(refused(500, Some(60)), 10, "dead: gave up after 10 attempts; the last: status 500");
        let timed_out = Outcome::Unreachable(Unreachable::TimedOut(Duration::from_secs(15)));
        check(timed_out.clone(), 3, "retry in 1800 s");
        check(timed_out, 10, "dead: gave up after 10 attempts; the last: no complete answer within 15 s");
    }

    #[test]
    fn a_state_survives_its_word() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("lost"), None);
    }
}
