//! What can be said of a database without touching it: for `hookyard doctor`.
//! Whoever has it open is not disturbed, and nothing is written.

use std::path::Path;

use sqlx::Connection as _;

use super::backup::reader;
use super::open::{self, MIGRATIONS};
use crate::store::seal::Seal;

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// Of the library in this program.
    pub sqlite: String,
    /// What SQLite's check says first; `ok` when it finds nothing.
    pub integrity: String,
    /// The schema's version; none where it is no database of ours.
    pub schema: Option<i64>,
    /// And this program's.
    pub known: i64,
    /// Whether the master key opens it; none where none was given.
    pub opens: Option<bool>,
}

/// Reads the database at `path`, which must be there.
pub async fn inspect(path: &Path, seal: Option<&Seal>) -> Result<Inspection, sqlx::Error> {
    let mut conn = reader(path).await?;
    let sqlite = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut conn).await?;
    let integrity = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut conn).await?;
    const HAS_SCHEMA: &str = "SELECT count(*) FROM sqlite_schema WHERE name IN ('_sqlx_migrations', 'meta')";
    let is_ours = sqlx::query_scalar::<_, i64>(HAS_SCHEMA).fetch_one(&mut conn).await? == 2;
    let (mut schema, mut opens) = (None, None);
    if is_ours {
        schema = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut conn).await?;
        if let Some(seal) = seal {
            opens = Some(open::fits(&mut conn, seal).await?);
        }
    }
    conn.close().await?;
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    Ok(Inspection { sqlite, integrity, schema, known, opens })
}

/// The file of the database's log.
pub fn log_path(path: &Path) -> std::path::PathBuf {
    open::log_path(path)
}

/// The file whose lock a host holds.
pub fn lock_path(path: &Path) -> std::path::PathBuf {
    open::beside(path, ".lock")
}
