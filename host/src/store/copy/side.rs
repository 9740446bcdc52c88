//! One of the two databases, whichever engine it is of.

use std::fmt;
use std::pin::Pin;

use tokio::sync::mpsc;

use super::CopyError;
use super::table::{Portion, Table, Value};
use crate::domain::database::Database;
use crate::domain::time::Timestamp;
use crate::store::engine::OpenError;
use crate::store::{postgres, sqlite};

/// What a side does, some time later.
pub(crate) type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, CopyError>> + Send + 'a>>;

/// Which of the two a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    From,
    To,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::From => "the database to be copied",
            Self::To => "the database to be copied to",
        })
    }
}

/// Where the reading of a table begins.
pub(crate) enum Start {
    /// Behind a primary key, in the key's order.
    After(Option<Vec<Value>>),
    /// All of it, as is quickest.
    Anywhere,
}

/// What a database says of itself in `meta`.
pub(crate) struct Marks {
    /// What its master key opens.
    pub(crate) check: Option<Vec<u8>>,
    /// How far it has come, when it is a copy.
    pub(crate) progress: Option<Vec<u8>>,
}

/// A database that no host has open.
pub(crate) trait Side: Send {
    fn tables(&mut self) -> Doing<'_, Vec<Table>>;
    fn marks(&mut self) -> Doing<'_, Marks>;
    fn count<'a>(&'a mut self, table: &'a Table) -> Doing<'a, u64>;
    /// Sends a table's rows, until there are no more or nobody takes them.
    fn read<'a>(&'a mut self, table: &'a Table, from: Start, into: mpsc::Sender<Portion>) -> Doing<'a, ()>;
    /// Writes down that a copy is begun, where there was a schema already.
    fn begin<'a>(&'a mut self, progress: &'a [u8]) -> Doing<'a, ()>;
    /// Writes a portion and `progress` in one transaction, if the progress is still
    /// `before`.
    fn write<'a>(
        &'a mut self,
        table: &'a Table,
        portion: &'a Portion,
        before: &'a [u8],
        progress: &'a [u8],
    ) -> Doing<'a, ()>;
    /// Releases what is claimed, of which it answers the number, and writes down that
    /// the copy is complete.
    fn complete<'a>(&'a mut self, now: Timestamp, before: &'a [u8], progress: &'a [u8]) -> Doing<'a, u64>;
    /// An error when a host is there.
    fn is_alone(&mut self) -> Doing<'_, ()>;
    /// Whether a text can have U+0000 in it.
    fn takes_nul(&self) -> bool;
    fn close(self: Box<Self>) -> Doing<'static, ()>;
}

/// Opens what is copied, with its schema up to date. It has no host.
pub(super) async fn open_source(database: &Database) -> Result<Box<dyn Side>, CopyError> {
    let failed = |error| CopyError::Open(Part::From, OpenError::Postgres(error));
    // What was mistyped gets no schema.
    match database {
        Database::Sqlite(path) if !path.exists() => return Err(CopyError::NoDatabase(path.clone())),
        Database::Postgres(url, _) if !postgres::Copying::is_there(url).await.map_err(failed)? => {
            return Err(CopyError::Unused);
        }
        _ => {}
    }
    open(Part::From, database, None).await
}

/// Opens what is copied to, with its schema up to date. One that has no schema gets it
/// together with `mark`, or neither: whatever it is cut off at, no host takes it for a
/// database of its own.
pub(super) async fn open_target(database: &Database, mark: &[u8]) -> Result<Box<dyn Side>, CopyError> {
    open(Part::To, database, Some(mark)).await
}

async fn open(part: Part, database: &Database, mark: Option<&[u8]>) -> Result<Box<dyn Side>, CopyError> {
    let failed = |error| CopyError::Open(part, error);
    match database {
        Database::Sqlite(path) => {
            let opened = sqlite::Offline::open_marked(path, mark).await;
            Ok(Box::new(opened.map_err(|error| failed(OpenError::Sqlite(error)))?))
        }
        Database::Postgres(url, durability) => {
            let opened = postgres::Copying::open(url, *durability, mark).await;
            Ok(Box::new(opened.map_err(|error| failed(OpenError::Postgres(error)))?))
        }
    }
}
