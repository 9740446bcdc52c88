//! Opening: what must be true of the server, the database and the master key
//! before anything is accepted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::sql::copy;
use super::sql::meters::Meters;
use super::sql::together::Statements;
use super::writer::Writer;
use super::{MAX_WAITING, MAX_WAITING_KIB, PostgresStore, days, pooler};
use crate::domain::database::{Durability, PostgresUrl};
use crate::store::offline::ResealError;
use crate::store::seal::Seal;
use crate::store::sealed::{CHECK, READ_CHECK};

const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "start", include_str!("../../../migrations/postgres/0001_start.sql"))];

/// The oldest server that has all that the schema is made of.
const OLDEST_SERVER: i32 = 140_000;
const READERS: u32 = 8;
const CLAIMING: u32 = 4;
const CHANGING: u32 = 6;
/// How long one waits for a connection of a pool, and for a server that starts.
pub(super) const WAIT: Duration = Duration::from_secs(5);
/// The schema is brought up to date by one host at a time. Any number that no other
/// lock has.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(7205759403792795)";
const SIZE: &str = "SELECT pg_database_size(current_database())";
/// How often that is asked for.
const SIZE_EVERY: Duration = Duration::from_secs(30);

/// Why the store cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It was made with another master key.
    WrongMasterKey,
    /// It was made with this one, and a value does not open.
    Unopened {
        table: &'static str,
        column: &'static str,
    },
    /// These hosts work on it.
    InUse(Vec<String>),
    /// It is a copy that was cut off.
    Unfinished,
    /// What is in between gives the answers to others' statements.
    Pooler,
    OldServer(String),
    /// A setting with which what was acknowledged can be lost.
    Unsafe {
        name: &'static str,
        found: String,
    },
    Encoding(String),
    /// It is a standby, or writes are forbidden.
    ReadOnly,
    /// The schema is another one than this binary's.
    Schema(MigrateError),
    Database(sqlx::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongMasterKey => f.write_str(
                "the database was made with another master key; every host needs the same one, in master.key or in \
                 HOOKYARD_MASTER_KEY",
            ),
            Self::Unopened { table, column } => {
                write!(f, "a value in {table}.{column} does not open with the master key; nothing was changed")
            }
            Self::InUse(hosts) => {
                write!(f, "these hosts are working on the database: {}; stop them first", hosts.join(", "))
            }
            Self::Unfinished => f.write_str(
                "the database is a copy that was cut off: run the same `hookyard copy` again, which goes on with it",
            ),
            Self::Pooler => f.write_str(
                "the pooler in front of PostgreSQL mixes prepared statements, so that one connection would be given \
                 another's rows; use PgBouncer 1.21 or newer with max_prepared_statements above 0, or pool_mode = \
                 session, or connect to the server itself",
            ),
            Self::OldServer(version) => write!(f, "PostgreSQL {version} is too old; 14 or newer is needed"),
            Self::Unsafe { name, found } => write!(
                f,
                "PostgreSQL's `{name}` is `{found}`: events that were acknowledged could be lost when its machine \
                 fails. Set it to `on`, or say with --allow-unsafe-durability that this is allowed",
            ),
            Self::Encoding(found) => write!(f, "the database's encoding is {found}; it has to be UTF8"),
            Self::ReadOnly => f.write_str(
                "this server takes no writes: it is a standby, or `default_transaction_read_only` is on; name the \
                 primary",
            ),
            Self::Schema(MigrateError::VersionMissing(version)) => write!(
                f,
                "the database's schema has version {version}, which this program does not know: use a newer hookyard"
            ),
            Self::Schema(_) => f.write_str("the database's schema could not be brought up to date"),
            Self::Database(_) => f.write_str("the database cannot be opened"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Schema(error) => Some(error),
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        if pooler::is_mixed_up(&error) { Self::Pooler } else { Self::Database(error) }
    }
}

impl From<ResealError> for OpenError {
    fn from(error: ResealError) -> Self {
        match error {
            ResealError::Unopened { table, column } => Self::Unopened { table, column },
            ResealError::Database(error) => error.into(),
        }
    }
}

/// Brings the schema up to date; hosts that are running go on. Answers the version
/// that it had, none for a database that had nothing, and the version that it has.
pub async fn migrate(url: &PostgresUrl, durability: Durability) -> Result<(Option<i64>, i64), OpenError> {
    let mut conn = connected(url).await?;
    check_server(&mut conn, durability).await?;
    let had = bring_up_to_date(&mut conn, None).await?;
    conn.close().await?;
    Ok((had, known()))
}

/// The version of this program's schema.
pub(super) fn known() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

impl PostgresStore {
    /// Opens the database, whose schema is made when it has none, and starts its
    /// writers.
    pub async fn open(url: &PostgresUrl, seal: Seal, durability: Durability) -> Result<Self, OpenError> {
        let options = options(url)?;
        let mut conn = connected(url).await?;
        let version = check_server(&mut conn, durability).await?;
        bring_up_to_date(&mut conn, None).await?;
        if copy::is_cut_off(&mut conn).await? {
            return Err(OpenError::Unfinished);
        }
        check_master_key(&mut conn, &seal).await?;
        days::make_first(&mut conn).await;
        let size: i64 = sqlx::query_scalar(SIZE).fetch_one(&mut conn).await?;
        conn.close().await?;

        let pool = |connections| {
            let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(WAIT);
            pool.test_before_acquire(false).connect_lazy_with(options.clone())
        };
        let (readers, claiming, changing) = (pool(READERS), pool(CLAIMING), pool(CHANGING));
        let (meters, statements) = (Arc::new(Meters::new()), Arc::new(Statements::new()));
        let (mut writers, living) = (JoinSet::new(), Arc::new(AtomicU32::new(1)));
        let (closing, is_closing) = watch::channel(false);
        let mut writer = || {
            let (sender, inbox) = mpsc::channel(MAX_WAITING);
            let writer = Writer {
                options: options.clone(),
                conn: None,
                statements: statements.clone(),
                inbox,
                closing: is_closing.clone(),
                meters: meters.clone(),
                living: living.clone(),
                began: Instant::now(),
                complained: None,
            };
            writers.spawn(writer.run());
            sender
        };
        let (recordings, settlements) = (writer(), writer());
        let bytes = Arc::new(AtomicU64::new(size.unsigned_abs()));
        tokio::spawn(measure(readers.clone(), bytes.clone()));
        Ok(Self {
            recordings,
            settlements,
            room: Arc::new(Semaphore::new(MAX_WAITING_KIB)),
            closing: Arc::new(closing),
            writers: Arc::new(Mutex::new(writers)),
            readers,
            claiming,
            changing,
            seal: Arc::new(seal),
            living,
            resealed: Arc::new(watch::Sender::new(false)),
            version: version.into(),
            bytes,
            meters,
            note: None,
        })
    }
}

fn options(url: &PostgresUrl) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.reveal().parse()?;
    // There are no such digits here, and PgBouncer refuses who asks for some.
    Ok(options.extra_float_digits(None).application_name("hookyard").disable_statement_logging())
}

/// The first connection, of which it is known that it is given its own answers.
pub(super) async fn connected(url: &PostgresUrl) -> Result<PgConnection, OpenError> {
    let options = options(url)?;
    let mut conn = options.connect().await?;
    pooler::check(&mut conn, &options).await?;
    Ok(conn)
}

/// Asks for the database's size now and then, until the pool is closed.
async fn measure(pool: PgPool, bytes: Arc<AtomicU64>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SIZE_EVERY) => {}
            () = pool.close_event() => return,
        }
        // An error is somebody else's to tell of; the size stays what it was.
        if let Ok(size) = sqlx::query_scalar::<_, i64>(SIZE).fetch_one(&pool).await {
            bytes.store(size.unsigned_abs(), Ordering::Relaxed);
        }
    }
}

/// Answers the server's version.
pub(super) async fn check_server(conn: &mut PgConnection, durability: Durability) -> Result<String, OpenError> {
    let version = setting(conn, "server_version").await?;
    if is_too_old(conn).await? {
        return Err(OpenError::OldServer(version));
    }
    let encoding = setting(conn, "server_encoding").await?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding));
    }
    if setting(conn, "transaction_read_only").await? == "on" {
        return Err(OpenError::ReadOnly);
    }
    for (name, found) in unsafe_settings(conn).await? {
        match durability {
            Durability::Required => return Err(OpenError::Unsafe { name, found }),
            Durability::Waived => {
                tracing::warn!(
                    setting = name,
                    value = found,
                    "what is acknowledged can be lost; somebody has allowed it"
                );
            }
        }
    }
    Ok(version)
}

pub(super) async fn is_too_old(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let number = setting(conn, "server_version_num").await?;
    Ok(number.parse().is_ok_and(|number: i32| number < OLDEST_SERVER))
}

/// Settings with which what was acknowledged can be lost, and what they are.
pub(super) async fn unsafe_settings(conn: &mut PgConnection) -> Result<Vec<(&'static str, String)>, sqlx::Error> {
    let mut found = Vec::new();
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value = setting(conn, name).await?;
        // `local` does not wait for the standby that is to take over.
        if matches!(value.as_str(), "off" | "local") {
            found.push((name, value));
        }
    }
    Ok(found)
}

pub(super) async fn setting(conn: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name.to_owned()).fetch_one(conn).await
}

/// All in one transaction and under a lock that ends with it: hosts that start
/// together wait for the first, and one that is killed meanwhile leaves nothing. A
/// schema that is made here has `mark` as a copy's. Answers the version that it had.
pub(super) async fn bring_up_to_date(conn: &mut PgConnection, mark: Option<&[u8]>) -> Result<Option<i64>, OpenError> {
    const HAS_SOME: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
    // Its lock is a session's, and a pooler may give the session to somebody else.
    migrator.set_locking(false);
    let mut transaction = conn.begin().await?;
    sqlx::query(ONE_AT_A_TIME).execute(&mut *transaction).await?;
    let had = match sqlx::query_scalar(HAS_SOME).fetch_one(&mut *transaction).await? {
        true => sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *transaction).await?,
        false => None,
    };
    migrator.run(&mut *transaction).await.map_err(OpenError::Schema)?;
    if let (None, Some(mark)) = (had, mark) {
        copy::mark(&mut transaction, mark).await?;
    }
    transaction.commit().await?;
    Ok(had)
}

/// The first opening stores a value that only the same key opens.
async fn check_master_key(conn: &mut PgConnection, seal: &Seal) -> Result<(), OpenError> {
    const FIRST: &str = "INSERT INTO meta (name, value) VALUES ('master-key', $1) ON CONFLICT (name) DO NOTHING";
    sqlx::query(FIRST).bind(seal.seal(CHECK, b"ok")).execute(&mut *conn).await?;
    let sealed: Vec<u8> = sqlx::query_scalar(READ_CHECK).fetch_one(conn).await?;
    seal.open(CHECK, &sealed).map(drop).map_err(|_| OpenError::WrongMasterKey)
}
