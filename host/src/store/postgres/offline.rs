//! A server's database on which no host works, and another master key for it:
//! everything goes over in one transaction.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::open::{self, OpenError};
use super::sql::{copy, reseal};
use crate::domain::database::{Durability, PostgresUrl};
use crate::domain::time::Timestamp;
use crate::store::offline::Resealed;
use crate::store::seal::Seal;
use crate::store::sealed::SEALED;

/// The server's own clock, in milliseconds.
pub(super) const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// Hosts that have not said that they stop, and are not dead by the server's clock.
pub(super) const LIVING: &str = "
    SELECT id FROM hosts WHERE lives_until > (extract(epoch FROM clock_timestamp()) * 1000)::bigint ORDER BY id";
/// A host that starts meanwhile cannot say that it lives before this is over.
const NOBODY_COMES: &str = "LOCK TABLE hosts, meta IN SHARE ROW EXCLUSIVE MODE";

/// A database whose hosts, if it has some, are told of and not kept out.
pub struct Offline {
    pub(super) conn: PgConnection,
}

impl Offline {
    /// Opens the database, whose schema is made when it has none.
    pub async fn open(url: &PostgresUrl, durability: Durability) -> Result<Self, OpenError> {
        Self::open_marked(url, durability, None).await
    }

    /// The same; a schema that is made here has the mark of a copy from its first
    /// moment on.
    pub(super) async fn open_marked(
        url: &PostgresUrl,
        durability: Durability,
        mark: Option<&[u8]>,
    ) -> Result<Self, OpenError> {
        let mut conn = open::connected(url).await?;
        open::check_server(&mut conn, durability).await?;
        open::bring_up_to_date(&mut conn, mark).await?;
        Ok(Self { conn })
    }

    pub async fn close(self) -> Result<(), OpenError> {
        Ok(self.conn.close().await?)
    }

    /// [`OpenError::InUse`] when hosts live.
    pub async fn is_alone(&mut self) -> Result<(), OpenError> {
        is_alone(&mut self.conn).await
    }

    /// What time it is there.
    pub(super) async fn clock(&mut self) -> Result<Timestamp, sqlx::Error> {
        sqlx::query_scalar(CLOCK).fetch_one(&mut self.conn).await.map(Timestamp::from_millis)
    }

    /// Whether it is sealed with this key; one that is sealed with none is.
    pub async fn is_sealed_with(&mut self, seal: &Seal) -> Result<bool, OpenError> {
        Ok(reseal::is_sealed_with(&mut self.conn, seal).await?)
    }

    /// All or nothing. [`OpenError::WrongMasterKey`] when neither key opens it,
    /// [`OpenError::InUse`] when a host lives that has the old one.
    pub async fn reseal(&mut self, old: &Seal, new: &Seal) -> Result<Resealed, OpenError> {
        let mut resealing = self.conn.begin().await?;
        sqlx::query(NOBODY_COMES).execute(&mut *resealing).await?;
        if reseal::is_sealed_with(&mut resealing, new).await? {
            return Ok(Resealed::Before);
        }
        if !reseal::is_sealed_with(&mut resealing, old).await? {
            return Err(OpenError::WrongMasterKey);
        }
        // What is copied later would be sealed with the old key.
        if copy::is_cut_off(&mut resealing).await? {
            return Err(OpenError::Unfinished);
        }
        is_alone(&mut resealing).await?;
        let values = reseal::reseal_all(&mut resealing, old, new).await?;
        resealing.commit().await?;
        Ok(Resealed::Now(values))
    }

    /// Writes the tables anew that have sealed values. The server's log and its
    /// archive have the old ones for as long as they are kept.
    pub async fn clean(&mut self) -> Result<(), OpenError> {
        let tables: BTreeSet<&str> = SEALED.iter().map(|column| column.table).chain(["meta"]).collect();
        for table in tables {
            sqlx::raw_sql(AssertSqlSafe(format!("VACUUM (FULL) {table}"))).execute(&mut self.conn).await?;
        }
        Ok(())
    }
}

async fn is_alone(conn: &mut PgConnection) -> Result<(), OpenError> {
    let hosts: Vec<String> = sqlx::query_scalar(LIVING).fetch_all(conn).await?;
    if hosts.is_empty() { Ok(()) } else { Err(OpenError::InUse(hosts)) }
}
