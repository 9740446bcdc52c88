//! What can be said of a server's database without changing it: for `hookyard doctor`.

use sqlx::{Connection as _, PgConnection, Row as _};

use super::offline::{CLOCK, LIVING};
use super::open::{OpenError, connected, is_too_old, known, setting, unsafe_settings};
use super::sql::{copy, reseal};
use crate::domain::database::PostgresUrl;
use crate::domain::time::Timestamp;
use crate::store::seal::Seal;

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// The server's version.
    pub version: String,
    pub is_too_old: bool,
    pub encoding: String,
    /// It is a standby, or writes are forbidden.
    pub is_read_only: bool,
    /// Settings with which what was acknowledged can be lost, and what they are.
    pub unsafe_settings: Vec<(&'static str, String)>,
    pub standbys: Standbys,
    pub is_autovacuum_on: bool,
    /// The server's clock, some time between the question and its answer.
    pub clock: Timestamp,
    /// In bytes.
    pub size: i64,
    /// Nothing where the database has no schema of ours.
    pub schema: Option<Schema>,
    /// The version of this program's schema.
    pub known: i64,
}

/// Who else has what is committed.
#[derive(Debug)]
pub struct Standbys {
    /// `synchronous_standby_names`: a commit waits for these.
    pub awaited: String,
    /// How many are connected, and how many of them a commit can wait for. Without the
    /// right to know it, the second is 0.
    pub connected: i64,
    pub synchronous: i64,
}

/// What a database of ours says.
#[derive(Debug)]
pub struct Schema {
    pub version: i64,
    /// Whether the master key opens it; none where none was given.
    pub opens: Option<bool>,
    /// Whether it was made with a master key at all.
    pub is_used: bool,
    /// It is a copy that was cut off.
    pub is_cut_off: bool,
    /// Hosts that work on it.
    pub hosts: Vec<String>,
    /// Rows of `deliveries_pending`, and those that are dead and not cleaned away.
    pub pending: i64,
    pub dead: i64,
}

/// Looks at a server. The error says when there is a pooler in between that mixes
/// statements.
pub async fn inspect(url: &PostgresUrl, seal: Option<&Seal>) -> Result<Inspection, OpenError> {
    const SIZE: &str = "SELECT pg_database_size(current_database())";
    const HAS_SCHEMA: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL AND to_regclass('meta') IS NOT NULL";
    let mut conn = connected(url).await?;
    let is_ours = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut conn).await?;
    let found = Inspection {
        version: setting(&mut conn, "server_version").await?,
        encoding: setting(&mut conn, "server_encoding").await?,
        is_read_only: setting(&mut conn, "transaction_read_only").await? == "on",
        is_too_old: is_too_old(&mut conn).await?,
        unsafe_settings: unsafe_settings(&mut conn).await?,
        standbys: standbys(&mut conn).await?,
        is_autovacuum_on: setting(&mut conn, "autovacuum").await? == "on",
        clock: Timestamp::from_millis(sqlx::query_scalar(CLOCK).fetch_one(&mut conn).await?),
        size: sqlx::query_scalar(SIZE).fetch_one(&mut conn).await?,
        schema: if is_ours { Some(schema(&mut conn, seal).await?) } else { None },
        known: known(),
    };
    conn.close().await?;
    Ok(found)
}

async fn standbys(conn: &mut PgConnection) -> Result<Standbys, sqlx::Error> {
    const CONNECTED: &str = "
        SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) FROM pg_stat_replication";
    let awaited = setting(conn, "synchronous_standby_names").await?;
    let row = sqlx::query(CONNECTED).fetch_one(conn).await?;
    Ok(Standbys { awaited, connected: row.try_get(0)?, synchronous: row.try_get(1)? })
}

async fn schema(conn: &mut PgConnection, seal: Option<&Seal>) -> Result<Schema, sqlx::Error> {
    const VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    const PENDING: &str = "
        SELECT n_live_tup, n_dead_tup FROM pg_stat_user_tables WHERE relid = to_regclass('deliveries_pending')";
    let marks = copy::marks(conn).await;
    let is_used = marks.is_ok_and(|marks| marks.check.is_some());
    let opens = match seal {
        Some(seal) => Some(reseal::is_sealed_with(conn, seal).await?),
        None => None,
    };
    let pending = sqlx::query(PENDING).fetch_optional(&mut *conn).await?;
    let (pending, dead) = match pending {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (0, 0),
    };
    Ok(Schema {
        version: sqlx::query_scalar(VERSION).fetch_one(&mut *conn).await?,
        opens,
        is_used,
        is_cut_off: copy::is_cut_off(conn).await?,
        hosts: sqlx::query_scalar(LIVING).fetch_all(conn).await?,
        pending,
        dead,
    })
}
