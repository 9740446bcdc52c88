//! What is kept. Small traits, [`Catalog`] (what tenants set up), [`Ledger`] (what
//! happened), [`People`] (who may sign in) and [`Hosts`] (who else has the
//! database), an engine that keeps their promises, and the in-memory [`Picture`]
//! that routing decisions use.
//!
//! No transaction is open while a plugin runs or a request is in flight: claim
//! (short), work, settle (short), fenced by the claim.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

mod access;
pub mod catalog;
pub mod copy;
pub mod engine;
pub mod figures;
pub mod hosts;
pub mod keeping;
pub mod ledger;
pub mod offline;
pub mod people;
pub mod picture;
pub mod postgres;
pub mod seal;
mod sealed;
pub mod sqlite;
mod text;

pub use catalog::Catalog;
pub use engine::Engine;
pub use figures::Figures;
pub use hosts::Hosts;
pub use keeping::Keeping;
pub use ledger::Ledger;
pub use people::People;
pub use picture::Picture;
pub use sealed::{SEALED, SealedColumn};

/// What a store method answers, some time later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why the store did not do it. Nothing was written.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// Another thing of the tenant has the name.
    NameTaken,
    /// It would be one more than the tenant may have.
    OverLimit,
    /// There is no such row in this tenant.
    NotFound,
    /// It is not what it was when the caller looked.
    Changed,
    /// Something of the tenant uses it.
    InUse,
    /// The tenant would have no admin key that is valid, or the operator nobody who
    /// can sign in.
    LastAdmin,
    /// What it would be made of is not kept any more.
    Gone,
    /// As much is waiting to be written as may; try again in a moment.
    Full,
    /// The store is closing or has failed, and takes no more writes.
    Closed,
    /// The disk is full, read-only or failing, or the database is away: it starts
    /// again, or another takes its place. The store itself logs it, so that not
    /// everybody who wants to write has to.
    Unwritable(Arc<sqlx::Error>),
    /// A row does not mean anything: written by a newer version, or damaged.
    Corrupt(String),
    /// Shared, because callers whose writes were one transaction share its end.
    Database(Arc<sqlx::Error>),
}

impl StoreError {
    /// The operation itself was refused, for what it asked: others that are written with
    /// it are not concerned.
    fn is_refusal(&self) -> bool {
        match self {
            Self::NameTaken
            | Self::OverLimit
            | Self::NotFound
            | Self::Changed
            | Self::InUse
            | Self::LastAdmin
            | Self::Gone
            | Self::Corrupt(_) => true,
            Self::Full | Self::Closed | Self::Unwritable(_) | Self::Database(_) => false,
        }
    }
}

/// Of a column whose value means nothing.
pub(crate) fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt(column.to_owned())
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken => f.write_str("the name is taken"),
            Self::OverLimit => f.write_str("the tenant has as many as it may"),
            Self::NotFound => f.write_str("there is no such row"),
            Self::Changed => f.write_str("it has changed since it was looked at"),
            Self::InUse => f.write_str("something uses it"),
            Self::LastAdmin => f.write_str("no admin would be left who can come in"),
            Self::Gone => f.write_str("what it would be made of is not kept any more"),
            Self::Full => f.write_str("the write queue is full"),
            Self::Closed => f.write_str("the store takes no more writes"),
            Self::Unwritable(_) => f.write_str("the store takes no writes, or is away"),
            Self::Corrupt(what) => write!(f, "a row cannot be read: {what}"),
            Self::Database(_) => f.write_str("the database failed"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(error) | Self::Unwritable(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) { Self::Unwritable(Arc::new(error)) } else { Self::Database(Arc::new(error)) }
    }
}

/// The database's server cannot be reached, is starting or ending, has no room, or is
/// not the one that takes writes. It may be, a moment later.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html; SQLite's codes
    // are other numbers.
    const CLASSES: [&str; 4] = ["08", "53", "57", "58"];
    const NO_ROOM_FOR_LOCKS: &str = "53200";
    const READ_ONLY: &str = "25006";
    const WAS_IDLE: &str = "25P03";
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.len() == 5
                && code != NO_ROOM_FOR_LOCKS
                && (CLASSES.iter().any(|class| code.starts_with(class)) || [READ_ONLY, WAS_IDLE].contains(&&*code))
        }),
        _ => false,
    }
}
