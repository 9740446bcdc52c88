//! The nouns of the house and the decisions that need no I/O.
//!
//! Pure and synchronous: nothing here looks at a clock, draws a random number
//! or waits. What changes with time or chance is an argument.

pub mod address;
pub mod attempt;
pub mod audit;
pub mod budget;
pub mod canonical;
pub mod chat;
pub mod claim;
pub mod cloudevents;
pub mod delivery;
pub mod dialect;
pub mod diff;
pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod event_type;
pub mod evidence;
pub mod explain;
pub mod faulting;
pub mod grants;
pub mod handshake;
pub mod header;
pub mod health;
pub mod id;
pub mod key;
pub mod message;
pub mod named_secret;
pub mod notice;
pub mod outgoing;
mod own_scheme;
pub mod pace;
pub mod pipeline;
pub mod place;
pub mod plain;
pub mod plugin;
pub mod replay;
pub mod request;
pub mod retry;
pub mod role;
pub mod secret;
pub mod sender;
pub mod signature;
pub mod signed_request;
pub mod signing;
pub mod source;
pub mod state;
pub mod subscription;
pub mod template;
pub mod tenant;
pub mod time;
pub mod upgrade;
pub mod url;
pub mod usage;
pub mod verification;
