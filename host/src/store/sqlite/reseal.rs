//! A database's file that no host has open, and another master key for it: everything
//! goes over in one transaction.

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::open::{self, OpenError};
use super::sql::{copy, reseal};
use super::{log, wipe};
use crate::store::offline::Resealed;
use crate::store::seal::Seal;

/// A database that no host has open, and that none can open while this lives.
pub struct Offline {
    pub(super) conn: SqliteConnection,
    /// The database's file.
    path: PathBuf,
    schema: (Option<i64>, i64),
    _lock: File,
}

impl Offline {
    /// Opens the database at `path`, which is made when it is missing.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_marked(path, None).await
    }

    /// The same; a schema that is made here has the mark of a copy from its first
    /// moment on.
    pub(crate) async fn open_marked(path: &Path, mark: Option<&[u8]>) -> Result<Self, OpenError> {
        let lock = open::lock(path)?;
        open::private_file(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
        let log_path = open::log_path(path);
        log::write_again(&log_path).map_err(|error| OpenError::File(log_path, error))?;
        // Cleaning writes all of it once aside, which need not fit into memory.
        let options = open::options(path).pragma("temp_store", "FILE");
        // A row may have many MiB, and some are read ahead.
        let mut conn = options.row_buffer_size(8).connect().await?;
        open::check_engine(&mut conn).await?;
        let schema = open::migrate(&mut conn, mark).await?;
        Ok(Self { conn, path: path.to_owned(), schema, _lock: lock })
    }

    /// The version that the schema had when this was opened, none for a file that had
    /// none, and the one that it has.
    pub fn schema(&self) -> (Option<i64>, i64) {
        self.schema
    }

    /// Lets the next one have it.
    pub async fn close(self) -> Result<(), OpenError> {
        Ok(self.conn.close().await?)
    }

    /// Whether it is sealed with this key; one that is sealed with none is.
    pub async fn is_sealed_with(&mut self, seal: &Seal) -> Result<bool, OpenError> {
        Ok(reseal::is_sealed_with(&mut self.conn, seal).await?)
    }

    /// All or nothing. [`OpenError::WrongMasterKey`] when neither key opens it.
    pub async fn reseal(&mut self, old: &Seal, new: &Seal) -> Result<Resealed, OpenError> {
        if self.is_sealed_with(new).await? {
            return Ok(Resealed::Before);
        }
        if !self.is_sealed_with(old).await? {
            return Err(OpenError::WrongMasterKey);
        }
        // What is copied later would be sealed with the old key.
        if copy::is_cut_off(&mut self.conn).await? {
            return Err(OpenError::Unfinished);
        }
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.conn).await?;
        match reseal::reseal_all(&mut self.conn, old, new).await {
            Ok(values) => {
                sqlx::query("COMMIT").execute(&mut self.conn).await?;
                Ok(Resealed::Now(values))
            }
            Err(error) => {
                sqlx::query("ROLLBACK").execute(&mut self.conn).await?;
                Err(error.into())
            }
        }
    }

    /// Writes the file anew: what is given up stays in free pages, the gaps of
    /// others and the log until it is overwritten, and the old key opens it.
    /// Needs as much room again as the file has.
    pub async fn clean(&mut self) -> Result<(), OpenError> {
        sqlx::query("VACUUM").execute(&mut self.conn).await?;
        if wipe::log(&mut self.conn, &self.path).await? { Ok(()) } else { Err(OpenError::LogInUse) }
    }
}
