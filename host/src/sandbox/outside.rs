//! What lies outside the sandbox, as far as steps may reach it. Implemented
//! elsewhere: in here there is no secret, no store and no network.

use crate::domain::outgoing::{HttpError, Incoming, Outgoing};
use crate::domain::state::{Entry, StateError, StepRef};

/// What the steps of one run can reach, if they are granted it: whether they
/// are has been decided before any of this is called. A call may take its time,
/// but comes to its end within seconds.
pub trait Outside: Send + Sync {
    /// HMAC-SHA-256 of `data` with the tenant's secret of this name, if there
    /// is one.
    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Option<[u8; 32]>;

    /// What `step` keeps under `key`.
    fn get(&self, step: &StepRef, key: &str) -> Result<Option<Entry>, StateError>;

    /// Keeps a value, where what is there is what was expected; answers its
    /// revision.
    fn put(&self, step: &StepRef, key: &str, value: Vec<u8>, expected: Option<u32>) -> Result<u32, StateError>;

    fn delete(&self, step: &StepRef, key: &str, expected: Option<u32>) -> Result<(), StateError>;

    /// The answer to a request to a host that was granted.
    fn send(&self, request: Outgoing) -> Result<Incoming, HttpError>;
}

/// Where there is nothing to be reached.
pub struct Nowhere;

impl Outside for Nowhere {
    fn hmac_sha256(&self, _: &str, _: &[u8]) -> Option<[u8; 32]> {
        None
    }

    fn get(&self, _: &StepRef, _: &str) -> Result<Option<Entry>, StateError> {
        Err(no_state())
    }

    fn put(&self, _: &StepRef, _: &str, _: Vec<u8>, _: Option<u32>) -> Result<u32, StateError> {
        Err(no_state())
    }

    fn delete(&self, _: &StepRef, _: &str, _: Option<u32>) -> Result<(), StateError> {
        Err(no_state())
    }

    fn send(&self, _: Outgoing) -> Result<Incoming, HttpError> {
        Err(HttpError::Denied("nothing can be reached from here".to_owned()))
    }
}

fn no_state() -> StateError {
    StateError::Unavailable("nothing is kept here".to_owned())
}
