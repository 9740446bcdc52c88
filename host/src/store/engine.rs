//! The engine that keeps everything, whichever it is.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::postgres::{self, PostgresStore};
use super::seal::Seal;
use super::sqlite::{self, SqliteStore};
use super::{Catalog, Hosts, Ledger, People};
use crate::domain::database::Database;

/// Something that happens some time later and cannot fail.
type Later<'a, T = ()> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why an engine does not go on: nothing can be trusted before a new process has read
/// it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What was written may not be on the disk.
    Disk,
    /// The database was sealed with another master key meanwhile.
    MasterKey,
}

/// Every store trait, and the end.
pub trait Engine: Catalog + Ledger + People + Hosts {
    /// Writes what is waiting and closes everything. Every later write is
    /// [`super::StoreError::Closed`].
    fn close(&self) -> Later<'_>;

    /// Over once the engine has failed.
    fn failed(&self) -> Later<'_, Failure>;
}

/// Why an engine cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    Sqlite(sqlite::OpenError),
    Postgres(postgres::OpenError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "{error}"),
            Self::Postgres(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sqlite(error) => std::error::Error::source(error),
            Self::Postgres(error) => std::error::Error::source(error),
        }
    }
}

/// Opens the engine of a database, which is made when there is none.
pub async fn open(database: &Database, seal: Seal) -> Result<Arc<dyn Engine>, OpenError> {
    Ok(match database {
        Database::Sqlite(path) => Arc::new(SqliteStore::open(path, seal).await.map_err(OpenError::Sqlite)?),
        Database::Postgres(url, durability) => {
            Arc::new(PostgresStore::open(url, seal, *durability).await.map_err(OpenError::Postgres)?)
        }
    })
}

impl Engine for SqliteStore {
    fn close(&self) -> Later<'_> {
        Box::pin(SqliteStore::close(self))
    }

    fn failed(&self) -> Later<'_, Failure> {
        Box::pin(async {
            SqliteStore::failed(self).await;
            Failure::Disk
        })
    }
}

impl Engine for PostgresStore {
    fn close(&self) -> Later<'_> {
        Box::pin(PostgresStore::close(self))
    }

    /// Never the disk: the server is another's to look after, and another takes its
    /// place.
    fn failed(&self) -> Later<'_, Failure> {
        Box::pin(async {
            PostgresStore::was_resealed(self).await;
            Failure::MasterKey
        })
    }
}
