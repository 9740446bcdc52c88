//! Another master key: everything that is sealed is opened with the old key and
//! sealed with the new one, in one transaction, while no host has the file.

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::open::{self, OpenError};
use super::{log, wipe};
use crate::store::seal::{Label, Seal};
use crate::store::sealed::{CHECK, READ_CHECK, SEALED, SealedColumn};

/// A database that no host has open, and that none can open while this lives.
pub struct Offline {
    conn: SqliteConnection,
    /// The database's file.
    path: PathBuf,
    _lock: File,
}

/// What sealing anew came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Resealed {
    /// So many values.
    Now(usize),
    /// It was sealed with the new key already.
    Before,
}

impl Offline {
    /// Opens the database at `path`, which is made when it is missing.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = open::lock(path)?;
        open::private_file(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
        let log_path = open::log_path(path);
        log::write_again(&log_path).map_err(|error| OpenError::File(log_path, error))?;
        // Cleaning writes all of it once aside, which need not fit into memory.
        let mut conn = open::options(path).pragma("temp_store", "FILE").connect().await?;
        open::check_engine(&mut conn).await?;
        open::migrate(&mut conn).await?;
        Ok(Self { conn, path: path.to_owned(), _lock: lock })
    }

    /// Lets the next one have it.
    pub async fn close(self) -> Result<(), OpenError> {
        Ok(self.conn.close().await?)
    }

    /// Whether it is sealed with this key; one that is sealed with none is.
    pub async fn is_sealed_with(&mut self, seal: &Seal) -> Result<bool, OpenError> {
        let check: Option<Vec<u8>> = sqlx::query_scalar(READ_CHECK).fetch_optional(&mut self.conn).await?;
        Ok(check.is_none_or(|sealed| seal.open(CHECK, &sealed).is_ok()))
    }

    /// All or nothing. [`OpenError::WrongMasterKey`] when neither key opens it.
    pub async fn reseal(&mut self, old: &Seal, new: &Seal) -> Result<Resealed, OpenError> {
        if self.is_sealed_with(new).await? {
            return Ok(Resealed::Before);
        }
        if !self.is_sealed_with(old).await? {
            return Err(OpenError::WrongMasterKey);
        }
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.conn).await?;
        match reseal_all(&mut self.conn, old, new).await {
            Ok(values) => {
                sqlx::query("COMMIT").execute(&mut self.conn).await?;
                Ok(Resealed::Now(values))
            }
            Err(error) => {
                sqlx::query("ROLLBACK").execute(&mut self.conn).await?;
                Err(error)
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

async fn reseal_all(conn: &mut SqliteConnection, old: &Seal, new: &Seal) -> Result<usize, OpenError> {
    let mut values = 0;
    for column in &SEALED {
        values += reseal_column(conn, column, old, new).await?;
    }
    sqlx::query("UPDATE meta SET value = ? WHERE name = 'master-key'")
        .bind(new.seal(CHECK, b"ok"))
        .execute(conn)
        .await?;
    Ok(values)
}

async fn reseal_column(
    conn: &mut SqliteConnection,
    column: &SealedColumn,
    old: &Seal,
    new: &Seal,
) -> Result<usize, OpenError> {
    let SealedColumn { table, column: name, key, .. } = column;
    let keys: Vec<String> = key.iter().map(|key| format!("CAST({key} AS TEXT)")).collect();
    let whose = column.whose.join(" || ' ' || ");
    let select =
        format!("SELECT {name}, CAST({whose} AS TEXT), {} FROM {table} WHERE {name} IS NOT NULL", keys.join(", "));
    let is: Vec<String> = key.iter().map(|key| format!("{key} = ?")).collect();
    let update = format!("UPDATE {table} SET {name} = ? WHERE {}", is.join(" AND "));
    let rows: Vec<SqliteRow> = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *conn).await?;
    for row in &rows {
        let whose: String = row.try_get(1)?;
        let label = Label { what: column.what, whose: &whose };
        let plain = old.open(label, row.try_get(0)?).map_err(|_| OpenError::Unopened { table, column: name })?;
        let mut query = sqlx::query(AssertSqlSafe(update.clone())).bind(new.seal(label, &plain));
        for at in 0..key.len() {
            query = query.bind(row.try_get::<String, _>(2 + at)?);
        }
        let updated = query.execute(&mut *conn).await?;
        if updated.rows_affected() != 1 {
            return Err(OpenError::Unopened { table, column: name });
        }
    }
    Ok(rows.len())
}
