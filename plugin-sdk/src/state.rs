//! A few values that outlive the call. A plugin that keeps some declares it:
//! `Description::capability("state")`; and whoever configures it grants it:
//! `"grants": {"state": true}`.
//!
//! They belong to one step of one endpoint or source and to the plugin by its
//! name; 64 keys of 1 to 128 bytes, 4096 bytes a value, 128 operations a call.
//! Examples have none. Outside a component they are kept for each thread: see
//! [`native::clear_state`](crate::native::clear_state).
//!
//! Calls of one step run at the same time, and one that was cut short may be
//! made again. Count like this:
//!
//! ```
//! use hookyard_plugin::state::{self, StateError};
//!
//! fn count(key: &str) -> Result<u32, StateError> {
//!     loop {
//!         let (count, revision) = match state::get(key)? {
//!             Some(entry) => (entry.text().parse().unwrap_or(0), entry.revision),
//!             None => (0, 0), // 0: there must still be none when it is written
//!         };
//!         match state::put(key, (count + 1).to_string(), Some(revision)) {
//!             Ok(_) => return Ok(count + 1),
//!             Err(StateError::Conflict) => {} // somebody was faster; look again
//!             Err(error) => return Err(error),
//!         }
//!     }
//! }
//!
//! assert_eq!((count("seen"), count("seen")), (Ok(1), Ok(2)));
//! ```

use std::fmt;

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was put there.
    pub value: Vec<u8>,
    /// Another one after each change, never 0.
    pub revision: u32,
}

impl Entry {
    /// The value as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// The entry's revision is not the one that was expected.
    Conflict,
    /// Over a limit, and which.
    Quota(String),
    /// Not granted, or not to be had at the moment, and why.
    Unavailable(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the value has changed meanwhile"),
            Self::Quota(which) => write!(f, "over the quota: {which}"),
            Self::Unavailable(why) => write!(f, "not available: {why}"),
        }
    }
}

impl std::error::Error for StateError {}

/// What is kept under `key`, if anything.
pub fn get(key: &str) -> Result<Option<Entry>, StateError> {
    #[cfg(target_arch = "wasm32")]
    return match host::get(key) {
        Ok(entry) => Ok(entry.map(|host::Entry { value, revision }| Entry { value, revision })),
        Err(error) => Err(error.into()),
    };
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::state(|state| state.get(key))
}

/// Keeps `value` under `key` and answers its revision. `expected` is the
/// revision that is to be replaced, 0 when there must be none; `None` replaces
/// whatever is there.
pub fn put(key: &str, value: impl AsRef<[u8]>, expected: Option<u32>) -> Result<u32, StateError> {
    #[cfg(target_arch = "wasm32")]
    return host::put(key, value.as_ref(), expected).map_err(StateError::from);
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::state(|state| state.put(key, value.as_ref(), expected))
}

/// Forgets what is kept under `key`; `expected` as with [`put`].
pub fn delete(key: &str, expected: Option<u32>) -> Result<(), StateError> {
    #[cfg(target_arch = "wasm32")]
    return host::delete(key, expected).map_err(StateError::from);
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::state(|state| state.delete(key, expected))
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::state::hookyard::plugin::state as host;

#[cfg(target_arch = "wasm32")]
impl From<host::StateError> for StateError {
    fn from(error: host::StateError) -> Self {
        match error {
            host::StateError::Conflict => Self::Conflict,
            host::StateError::Quota(which) => Self::Quota(which),
            host::StateError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
