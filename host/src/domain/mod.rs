//! The nouns of the house and the decisions that need no I/O.
//!
//! Pure and synchronous: nothing here looks at a clock, draws a random number
//! or waits. What changes with time or chance is an argument.

pub mod address;
pub mod attempt;
pub mod claim;
pub mod delivery;
pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod header;
pub mod id;
pub mod key;
pub mod message;
pub mod pipeline;
pub mod plugin;
pub mod request;
pub mod retry;
pub mod signature;
pub mod source;
pub mod subscription;
pub mod tenant;
pub mod time;
pub mod url;
