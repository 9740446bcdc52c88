//! PostgreSQL as operators have it: clusters of the tests' own on loopback, as
//! durable as a real one, with standbys, and what stands in front of them.
//!
//! Nothing here knows the product's schema.

mod bouncer;
mod cluster;
mod database;
mod enclosure;
mod programs;
mod relay;
mod standby;
mod talk;

pub use bouncer::PgBouncer;
pub use cluster::Cluster;
pub use database::{Database, database, shared};
pub use programs::program;
pub use relay::{Lost, Relay};
