//! Backups: a consistent copy of a database that a host may have open, and
//! putting one in its place.
//!
//! A host's lock is its own file, so that a reader may come in: `VACUUM INTO`
//! reads one snapshot and writes a compact copy, while the host goes on writing.
//! Secrets are in the copy as they are in the database, sealed; the master key
//! is in neither.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::open::{self, BUSY_TIMEOUT, MIGRATIONS, OpenError};
use crate::store::seal::Seal;

/// Why there is no backup, or why it was not restored. Nothing is left behind.
#[derive(Debug)]
pub enum BackupError {
    NoDatabase(PathBuf),
    /// Nothing is ever written over.
    Exists(PathBuf),
    /// A database as a host has it open: what is in its log would be missing.
    NotABackup(PathBuf),
    /// What the integrity check says first.
    Damaged(String),
    /// Made by a later version of this program.
    Newer {
        found: i64,
        known: i64,
    },
    WrongMasterKey,
    /// Another host has the place.
    Place(OpenError),
    File(PathBuf, io::Error),
    Database(sqlx::Error),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDatabase(path) => write!(f, "there is no database at {}", path.display()),
            Self::Exists(path) => write!(f, "{} is there already, and nothing is written over", path.display()),
            Self::NotABackup(path) => {
                write!(f, "{} is not a backup: make one of its host's data with `hookyard backup`", path.display())
            }
            Self::Damaged(what) => write!(f, "the backup is damaged: {what}"),
            Self::Newer { found, known } => {
                write!(f, "the backup has schema version {found} and this program knows {known}: use a newer hookyard")
            }
            Self::WrongMasterKey => f.write_str(
                "the backup was made with another master key than the one here; bring the one that belongs to it",
            ),
            Self::Place(error) => write!(f, "{error}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Database(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Copies the database at `path`, as it is at one moment, to a new file.
/// Answers the copy's size in bytes.
pub async fn backup(path: &Path, to: &Path) -> Result<u64, BackupError> {
    if !path.exists() {
        return Err(BackupError::NoDatabase(path.to_owned()));
    }
    let aside = Aside::new(to)?;
    let mut conn = reader(path).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(aside.path.to_string_lossy().into_owned()).execute(&mut conn).await;
    conn.close().await?;
    copied?;
    aside.put(to)
}

/// Puts a backup where a host will find it. With `seal`, only if it was made
/// with that master key. Answers its size in bytes.
pub async fn restore(from: &Path, path: &Path, seal: Option<&Seal>) -> Result<u64, BackupError> {
    let mut source = File::open(from).map_err(|error| BackupError::File(from.to_owned(), error))?;
    // https://sqlite.org/fileformat.html: 2 at offset 18 is a database with a log.
    let mut header = [0; 19];
    match source.read_exact(&mut header).and_then(|()| source.rewind()) {
        Ok(()) if header.starts_with(b"SQLite format 3\0") && header[18] == 1 => {}
        _ => return Err(BackupError::NotABackup(from.to_owned())),
    }
    let _held = open::lock(path).map_err(BackupError::Place)?;
    if let Some(there) = [path.to_owned(), open::log_path(path)].into_iter().find(|path| path.exists()) {
        return Err(BackupError::Exists(there));
    }
    let aside = Aside::new(path)?;
    let mut file = OpenOptions::new().write(true).open(&aside.path).map_err(|error| aside.error(error))?;
    io::copy(&mut source, &mut file).map_err(|error| aside.error(error))?;
    let mut conn = reader(&aside.path).await?;
    let checked = check(&mut conn, from, seal).await;
    conn.close().await?;
    checked?;
    aside.put(path)
}

pub(super) async fn reader(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    options.pragma("trusted_schema", "OFF").pragma("cell_size_check", "ON").disable_statement_logging().connect().await
}

async fn check(conn: &mut SqliteConnection, from: &Path, seal: Option<&Seal>) -> Result<(), BackupError> {
    const HAS_SCHEMA: &str = "SELECT count(*) FROM sqlite_schema WHERE name IN ('_sqlx_migrations', 'meta')";
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut *conn).await.map_err(damaged)?;
    if found != "ok" {
        return Err(BackupError::Damaged(found));
    }
    if sqlx::query_scalar::<_, i64>(HAS_SCHEMA).fetch_one(&mut *conn).await? != 2 {
        return Err(BackupError::NotABackup(from.to_owned()));
    }
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *conn).await?;
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    match newest {
        Some(found) if found > known => return Err(BackupError::Newer { found, known }),
        Some(_) => {}
        None => return Err(BackupError::NotABackup(from.to_owned())),
    }
    match seal {
        Some(seal) if !open::fits(conn, seal).await? => Err(BackupError::WrongMasterKey),
        _ => Ok(()),
    }
}

/// What is so damaged that it cannot even be checked.
fn damaged(error: sqlx::Error) -> BackupError {
    match error {
        sqlx::Error::Database(error) => BackupError::Damaged(error.message().to_owned()),
        other => other.into(),
    }
}

/// A file beside the one that it is to become, for its owner's eyes only; gone
/// when it does not become that.
struct Aside {
    path: PathBuf,
}

impl Aside {
    fn new(target: &Path) -> Result<Self, BackupError> {
        if target.exists() {
            return Err(BackupError::Exists(target.to_owned()));
        }
        let path = open::beside(target, &format!(".{}.new", std::process::id()));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| BackupError::File(path.clone(), error))?;
        Ok(Self { path })
    }

    /// On the disk first, whole, and only then under its name. By a link: a
    /// rename would write over what came there meanwhile.
    fn put(self, target: &Path) -> Result<u64, BackupError> {
        let file = OpenOptions::new().write(true).open(&self.path).map_err(|error| self.error(error))?;
        let bytes = file.sync_all().and_then(|()| file.metadata()).map_err(|error| self.error(error))?.len();
        fs::hard_link(&self.path, target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(target.to_owned()),
            _ => BackupError::File(target.to_owned(), error),
        })?;
        fs::remove_file(&self.path).map_err(|error| self.error(error))?;
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| BackupError::File(directory.to_owned(), error))?;
        Ok(bytes)
    }

    fn error(&self, error: io::Error) -> BackupError {
        BackupError::File(self.path.clone(), error)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Gone already where all went well.
        for path in [self.path.clone(), open::beside(&self.path, "-journal")] {
            let _gone_already = fs::remove_file(path);
        }
    }
}
