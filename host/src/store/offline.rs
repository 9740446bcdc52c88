//! A database that no host has open: for what must not happen beside one.

use super::engine::OpenError;
use super::seal::Seal;
use super::{postgres, sqlite};
use crate::domain::database::Database;

/// A database, with its schema up to date. SQLite's no host can open while this
/// lives; PostgreSQL's hosts are asked for when it matters.
pub enum Offline {
    Sqlite(sqlite::Offline),
    Postgres(postgres::Offline),
}

/// What sealing anew came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Resealed {
    /// So many values.
    Now(usize),
    /// It was sealed with the new key already.
    Before,
}

/// Why it was not sealed anew. Nothing was changed.
#[derive(Debug)]
pub(crate) enum ResealError {
    /// The old key is the database's, and a value does not open.
    Unopened {
        table: &'static str,
        column: &'static str,
    },
    Database(sqlx::Error),
}

impl From<sqlx::Error> for ResealError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Brings the schema up to date. PostgreSQL's hosts that run go on; SQLite's must not.
/// Answers the version that it had, none for a database that had nothing, and the
/// version that it has.
pub async fn migrate(database: &Database) -> Result<(Option<i64>, i64), OpenError> {
    match database {
        Database::Sqlite(path) => {
            let offline = sqlite::Offline::open(path).await.map_err(OpenError::Sqlite)?;
            let schema = offline.schema();
            offline.close().await.map_err(OpenError::Sqlite)?;
            Ok(schema)
        }
        Database::Postgres(url, durability) => postgres::migrate(url, *durability).await.map_err(OpenError::Postgres),
    }
}

impl Offline {
    /// Opens the database; a file is made when it is missing.
    pub async fn open(database: &Database) -> Result<Self, OpenError> {
        Ok(match database {
            Database::Sqlite(path) => Self::Sqlite(sqlite::Offline::open(path).await.map_err(OpenError::Sqlite)?),
            Database::Postgres(url, durability) => {
                let opened = postgres::Offline::open(url, *durability).await;
                Self::Postgres(opened.map_err(OpenError::Postgres)?)
            }
        })
    }

    /// Lets the next one have it.
    pub async fn close(self) -> Result<(), OpenError> {
        match self {
            Self::Sqlite(offline) => offline.close().await.map_err(OpenError::Sqlite),
            Self::Postgres(offline) => offline.close().await.map_err(OpenError::Postgres),
        }
    }

    /// An error when a host is there.
    pub async fn is_alone(&mut self) -> Result<(), OpenError> {
        match self {
            // Its lock is held.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(offline) => offline.is_alone().await.map_err(OpenError::Postgres),
        }
    }

    /// Whether it is sealed with this key; one that is sealed with none is.
    pub async fn is_sealed_with(&mut self, seal: &Seal) -> Result<bool, OpenError> {
        match self {
            Self::Sqlite(offline) => offline.is_sealed_with(seal).await.map_err(OpenError::Sqlite),
            Self::Postgres(offline) => offline.is_sealed_with(seal).await.map_err(OpenError::Postgres),
        }
    }

    /// All or nothing, and only without a host.
    pub async fn reseal(&mut self, old: &Seal, new: &Seal) -> Result<Resealed, OpenError> {
        match self {
            Self::Sqlite(offline) => offline.reseal(old, new).await.map_err(OpenError::Sqlite),
            Self::Postgres(offline) => offline.reseal(old, new).await.map_err(OpenError::Postgres),
        }
    }

    /// Writes anew what the sealed values stood in: what is given up stays where it
    /// was until it is overwritten, and the old key opens it.
    pub async fn clean(&mut self) -> Result<(), OpenError> {
        match self {
            Self::Sqlite(offline) => offline.clean().await.map_err(OpenError::Sqlite),
            Self::Postgres(offline) => offline.clean().await.map_err(OpenError::Postgres),
        }
    }
}
