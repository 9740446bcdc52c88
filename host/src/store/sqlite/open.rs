//! Opening: what must be true of the file, the machine and the master key
//! before anything is accepted.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::bulk::Many;
use super::sql::copy;
use super::sql::meters::Meters;
use super::sql::together::Statements;
use super::writer::Writer;
use super::{MAX_WAITING, MAX_WAITING_KIB, SqliteStore, checkpoint, log, wipe};
use crate::store::offline::ResealError;
use crate::store::seal::Seal;
use crate::store::sealed::{CHECK, READ_CHECK};

/// The first version whose log survives a checkpoint by one connection while
/// another writes (<https://sqlite.org/wal.html#walresetbug>). 3.52.0, which
/// has the fault again, was withdrawn.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);
const WITHDRAWN_SQLITE: (u32, u32, u32) = (3, 52, 0);

const PAGE_BYTES: u32 = 4096;
const READERS: u32 = 4;
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) const MIGRATIONS: [(i64, &str, &str); 17] = [
    (1, "start", include_str!("../../../migrations/sqlite/0001_start.sql")),
    (2, "dialects", include_str!("../../../migrations/sqlite/0002_dialects.sql")),
    (3, "plugins", include_str!("../../../migrations/sqlite/0003_plugins.sql")),
    (4, "capabilities", include_str!("../../../migrations/sqlite/0004_capabilities.sql")),
    (5, "pace", include_str!("../../../migrations/sqlite/0005_pace.sql")),
    (6, "keys", include_str!("../../../migrations/sqlite/0006_keys.sql")),
    (7, "receiver_auth", include_str!("../../../migrations/sqlite/0007_receiver_auth.sql")),
    (8, "retention", include_str!("../../../migrations/sqlite/0008_retention.sql")),
    (10, "door", include_str!("../../../migrations/sqlite/0010_door.sql")),
    (11, "lines", include_str!("../../../migrations/sqlite/0011_lines.sql")),
    (12, "replays", include_str!("../../../migrations/sqlite/0012_replays.sql")),
    (13, "people", include_str!("../../../migrations/sqlite/0013_people.sql")),
    (14, "delivery_log", include_str!("../../../migrations/sqlite/0014_delivery_log.sql")),
    (15, "activity", include_str!("../../../migrations/sqlite/0015_activity.sql")),
    (16, "request_log", include_str!("../../../migrations/sqlite/0016_request_log.sql")),
    (17, "portals", include_str!("../../../migrations/sqlite/0017_portals.sql")),
    (18, "sessions_by_key", include_str!("../../../migrations/sqlite/0018_sessions_by_key.sql")),
];

/// Why the store cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another host has it.
    InUse(PathBuf),
    /// Somebody reads what is in the log, and it cannot be emptied.
    LogInUse,
    /// It was made with another master key.
    WrongMasterKey,
    /// It was made with this one, and a value does not open.
    Unopened {
        table: &'static str,
        column: &'static str,
    },
    /// It is a copy that was cut off.
    Unfinished,
    /// The SQLite in this binary could lose what it was given.
    UnfitSqlite(String),
    /// A setting that durability rests on did not hold.
    Setting {
        name: &'static str,
        found: String,
    },
    /// The schema is another one than this binary's.
    Schema(MigrateError),
    File(PathBuf, io::Error),
    Database(sqlx::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => {
                write!(f, "a Hookyard server or another command has {} open; stop it first", path.display())
            }
            Self::LogInUse => f.write_str("somebody is reading the database, such as a backup"),
            Self::WrongMasterKey => f.write_str(
                "the database was made with another master key; put that one back into master.key or \
                 HOOKYARD_MASTER_KEY, or, to go over to this one, give that one as HOOKYARD_MASTER_KEY_OLD",
            ),
            Self::Unopened { table, column } => {
                write!(f, "a value in {table}.{column} does not open with the master key; nothing was changed")
            }
            Self::Unfinished => f.write_str(
                "the database is a copy that was cut off: run the same `hookyard copy` again, which goes on with it",
            ),
            Self::UnfitSqlite(version) => write!(f, "SQLite {version} can lose data; 3.51.3 or newer is needed"),
            Self::Setting { name, found } => write!(f, "SQLite did not take the setting `{name}`: it is `{found}`"),
            Self::Schema(_) => f.write_str("the database's schema could not be brought up to date"),
            Self::File(path, _) => write!(f, "cannot open {}", path.display()),
            Self::Database(_) => f.write_str("the database cannot be opened"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Schema(error) => Some(error),
            Self::File(_, error) => Some(error),
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<ResealError> for OpenError {
    fn from(error: ResealError) -> Self {
        match error {
            ResealError::Unopened { table, column } => Self::Unopened { table, column },
            ResealError::Database(error) => Self::Database(error),
        }
    }
}

impl SqliteStore {
    /// Opens the database at `path`, which is made when it is missing, and
    /// starts its writer.
    pub async fn open(path: &Path, seal: Seal) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        private_file(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
        let log_path = log_path(path);
        log::write_again(&log_path).map_err(|error| OpenError::File(log_path.clone(), error))?;
        // Every size of every statement that takes many rows, and then some.
        let mut conn = options(path).statement_cache_capacity(10 * Many::SIZES).connect().await?;
        check_engine(&mut conn).await?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut conn).await?;
        migrate(&mut conn, None).await?;
        if copy::is_cut_off(&mut conn).await? {
            return Err(OpenError::Unfinished);
        }
        check_master_key(&mut conn, &seal).await?;
        // What was deleted before a crash is still in the log. Nobody reads it yet.
        wipe::log(&mut conn, path).await?;
        log::grow(&log_path).map_err(|error| OpenError::File(log_path, error))?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(1)
            .test_before_acquire(false)
            .connect_with(options(path).read_only(true))
            .await?;
        let claiming = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .test_before_acquire(false)
            .connect_with(options(path).read_only(true))
            .await?;
        let (writer, inbox) = mpsc::channel(MAX_WAITING);
        let written = Arc::new(Notify::new());
        let checkpoints = options(path).connect().await?;
        let (alive, ended) = oneshot::channel();
        let checkpoints = tokio::spawn(checkpoint::run(checkpoints, written.clone(), writer.downgrade(), ended));
        let statements = Box::new(Statements::new());
        let (failed, has_failed) = watch::channel(false);
        let (complained, unsettled) = (None, Vec::new());
        let meters = Arc::new(Meters::new());
        let writer_task = Writer {
            conn,
            path: path.to_owned(),
            statements,
            inbox,
            written,
            checkpoints,
            alive,
            failed,
            complained,
            unsettled,
            meters: meters.clone(),
        };
        tokio::spawn(writer_task.run());
        let room = Arc::new(Semaphore::new(MAX_WAITING_KIB));
        let (seal, lock) = (Arc::new(seal), Arc::new(lock));
        let (path, version) = (path.into(), version.into());
        Ok(Self { writer, has_failed, room, readers, claiming, seal, lock, path, version, meters, note: None })
    }
}

/// What every connection is opened with.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses what was committed since the last checkpoint when the
        // power fails.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // A database that somebody has tampered with runs no code of its own.
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        // What is deleted is overwritten, for whoever asks for it to be erased.
        .pragma("secure_delete", "ON")
        // `checkpoint.rs` does it.
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let beside = beside(path, ".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&beside);
    let file = file.map_err(|error| OpenError::File(beside.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::File(beside, error)),
    }
}

/// Makes the file, for its owner's eyes only; the log's file takes after it.
pub(super) fn private_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

pub(super) async fn check_engine(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut *conn).await?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    let numbers = (part(), part(), part());
    if numbers < OLDEST_SQLITE || numbers == WITHDRAWN_SQLITE {
        return Err(OpenError::UnfitSqlite(version));
    }
    let settings: [(&str, &str, &str); 3] = [
        ("journal_mode", "SELECT journal_mode FROM pragma_journal_mode", "wal"),
        ("synchronous", "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("trusted_schema", "SELECT CAST(trusted_schema AS TEXT) FROM pragma_trusted_schema", "0"),
    ];
    for (name, query, wanted) in settings {
        let found: String = sqlx::query_scalar(query).fetch_one(&mut *conn).await?;
        if found != wanted {
            return Err(OpenError::Setting { name, found });
        }
    }
    Ok(())
}

/// Brings the schema up to date, all in one transaction. One that is made here has
/// `mark` as a copy's. Answers the version that it had, none for a file that had none,
/// and the one that it has.
pub(super) async fn migrate(conn: &mut SqliteConnection, mark: Option<&[u8]>) -> Result<(Option<i64>, i64), OpenError> {
    const HAS_SOME: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    let had = match sqlx::query_scalar(HAS_SOME).fetch_one(&mut *transaction).await? {
        true => sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *transaction).await?,
        false => None,
    };
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
    migrator.run(&mut *transaction).await.map_err(OpenError::Schema)?;
    if let (None, Some(mark)) = (had, mark) {
        copy::mark(&mut transaction, mark).await?;
    }
    transaction.commit().await?;
    Ok((had, MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)))
}

/// The first opening stores a value that only the same key opens.
async fn check_master_key(conn: &mut SqliteConnection, seal: &Seal) -> Result<(), OpenError> {
    let stored: Option<Vec<u8>> = sqlx::query_scalar(READ_CHECK).fetch_optional(&mut *conn).await?;
    match stored {
        Some(sealed) => seal.open(CHECK, &sealed).map(drop).map_err(|_| OpenError::WrongMasterKey),
        None => {
            sqlx::query("INSERT INTO meta (name, value) VALUES ('master-key', ?)")
                .bind(seal.seal(CHECK, b"ok"))
                .execute(conn)
                .await?;
            Ok(())
        }
    }
}

/// Whether the database was made with this master key.
pub(super) async fn fits(conn: &mut SqliteConnection, seal: &Seal) -> Result<bool, sqlx::Error> {
    Ok(sealed_check(conn).await?.is_none_or(|sealed| seal.open(CHECK, &sealed).is_ok()))
}

async fn sealed_check(conn: &mut SqliteConnection) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE name = 'master-key'").fetch_optional(conn).await
}

pub(super) fn log_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever the disk is full, a copy's schema is there with its mark or not at all.
    #[tokio::test]
    async fn a_schema_that_is_cut_off_anywhere_is_not_there_without_its_mark() {
        const TABLES: &str = "SELECT count(*) FROM sqlite_schema";
        // Of many pages, so that the room ends within it, too.
        let mark = vec![b'x'; 64 * 1024];
        let mut cut_off = 0;
        for pages in 1.. {
            let options = SqliteConnectOptions::new().in_memory(true).pragma("max_page_count", pages.to_string());
            let mut conn = options.connect().await.unwrap();
            if migrate(&mut conn, Some(&mark)).await.is_ok() {
                assert!(copy::is_cut_off(&mut conn).await.unwrap());
                break;
            }
            let tables: i64 = sqlx::query_scalar(TABLES).fetch_one(&mut conn).await.unwrap();
            assert_eq!(tables, 0, "with {pages} pages");
            cut_off += 1;
        }
        assert!(cut_off > 50, "{cut_off} times");
    }
}
