//! A server's database as one of the two sides of a copy.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use tokio::sync::mpsc;

use super::days;
use super::offline::Offline;
use super::open::{self, OpenError};
use super::sql::copy;
use crate::domain::database::{Durability, PostgresUrl};
use crate::domain::id::{DeliveryId, EventId, RequestId};
use crate::domain::time::Timestamp;
use crate::domain::usage::{self, Day};
use crate::store::StoreError;
use crate::store::copy::{Columns, CopyError, Doing, Marks, Portion, Side, Start, Table, Value, from_schema};

/// Parts of tables are read and written through the whole.
const COLUMNS: &str = "
    SELECT tables.relname::text, columns.attname::text, format_type(columns.atttypid, NULL),
        array_position(keys.indkey::int2[], columns.attnum)::bigint
    FROM pg_class AS tables
    JOIN pg_attribute AS columns ON columns.attrelid = tables.oid AND columns.attnum > 0 AND NOT columns.attisdropped
    LEFT JOIN pg_index AS keys ON keys.indrelid = tables.oid AND keys.indisprimary
    WHERE tables.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND tables.relkind IN ('r', 'p') AND NOT tables.relispartition";
/// One moment for all of a table.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Rows come as they are taken, which is as fast as the other side writes, and from
/// the index: sorted, all of a table would be written to the disk first.
const READ_SLOWLY: &str = "
    SET LOCAL enable_sort = off; SET LOCAL jit = off;
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
/// Tables that are cut into days, and the column that says of which a row is.
const CUT: [(&str, &str); 5] = [
    ("requests", "id"),
    ("events", "id"),
    ("deliveries", "id"),
    ("messages", "delivery_id"),
    ("attempts", "delivery_id"),
];
/// Rows that are older share one part, and so does what a wrong clock has dated: each
/// day that has a part of its own makes every list a little slower.
const OLDEST_DAYS: Day = 400;

/// The database, and the days that were made in it.
pub(crate) struct Copying {
    offline: Offline,
    days: BTreeSet<Day>,
}

impl Copying {
    /// The schema is made where there is none, with `mark` in it.
    pub(crate) async fn open(
        url: &PostgresUrl,
        durability: Durability,
        mark: Option<&[u8]>,
    ) -> Result<Self, OpenError> {
        let mut offline = Offline::open_marked(url, durability, mark).await?;
        offline.is_alone().await?;
        Ok(Self { offline, days: BTreeSet::new() })
    }

    /// Whether there is a schema of ours. Nothing is made.
    pub(crate) async fn is_there(url: &PostgresUrl) -> Result<bool, OpenError> {
        let mut conn = open::connected(url).await?;
        let is_there = sqlx::query_scalar("SELECT to_regclass('meta') IS NOT NULL").fetch_one(&mut conn).await?;
        conn.close().await?;
        Ok(is_there)
    }

    /// Makes the days of a portion's rows. One that cannot be made is no harm: its rows
    /// are found a little slower.
    async fn make_days(&mut self, table: &Table, portion: &Portion) -> Result<(), StoreError> {
        let cut = CUT.iter().find(|(name, _)| *name == table.name);
        let Some(column) = cut.and_then(|(_, column)| table.column(column)) else { return Ok(()) };
        let ids = portion.rows.iter().filter_map(|row| match &row[column] {
            Value::Text(id) => minted_at(id).map(usage::day),
            _ => None,
        });
        let days: BTreeSet<Day> = ids.collect();
        let today = usage::day(self.offline.clock().await?);
        for day in days.into_iter().filter(|day| (today - OLDEST_DAYS..=today + 1).contains(day)) {
            if self.days.insert(day) {
                days::make(&mut self.offline.conn, day, 1).await?;
            }
        }
        Ok(())
    }
}

fn minted_at(id: &str) -> Option<Timestamp> {
    let event = id.parse().map(|id: EventId| id.minted_at());
    let delivery = || id.parse().map(|id: DeliveryId| id.minted_at());
    let request = || id.parse().map(|id: RequestId| id.minted_at());
    event.or_else(|_| delivery()).or_else(|_| request()).ok()
}

impl Side for Copying {
    fn tables(&mut self) -> Doing<'_, Vec<Table>> {
        Box::pin(async {
            let columns: Columns = sqlx::query_as(COLUMNS).fetch_all(&mut self.offline.conn).await?;
            from_schema(columns)
        })
    }

    fn marks(&mut self) -> Doing<'_, Marks> {
        Box::pin(copy::marks(&mut self.offline.conn))
    }

    fn count<'a>(&'a mut self, table: &'a Table) -> Doing<'a, u64> {
        Box::pin(copy::count(&mut self.offline.conn, table))
    }

    fn read<'a>(&'a mut self, table: &'a Table, from: Start, into: mpsc::Sender<Portion>) -> Doing<'a, ()> {
        Box::pin(async move {
            let mut reading = self.offline.conn.begin_with(BEGIN).await?;
            sqlx::raw_sql(READ_SLOWLY).execute(&mut *reading).await?;
            copy::read(&mut reading, table, from, into).await?;
            Ok(reading.commit().await?)
        })
    }

    fn begin<'a>(&'a mut self, progress: &'a [u8]) -> Doing<'a, ()> {
        Box::pin(copy::begin(&mut self.offline.conn, progress))
    }

    fn write<'a>(
        &'a mut self,
        table: &'a Table,
        portion: &'a Portion,
        before: &'a [u8],
        progress: &'a [u8],
    ) -> Doing<'a, ()> {
        Box::pin(async move {
            self.make_days(table, portion).await?;
            copy::write(&mut self.offline.conn, table, portion, before, progress).await
        })
    }

    fn complete<'a>(&'a mut self, now: Timestamp, before: &'a [u8], progress: &'a [u8]) -> Doing<'a, u64> {
        Box::pin(copy::complete(&mut self.offline.conn, now, before, progress))
    }

    fn is_alone(&mut self) -> Doing<'_, ()> {
        Box::pin(async {
            let error = match self.offline.is_alone().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            Err(CopyError::Open(crate::store::copy::Part::From, crate::store::engine::OpenError::Postgres(error)))
        })
    }

    fn takes_nul(&self) -> bool {
        false
    }

    fn close(self: Box<Self>) -> Doing<'static, ()> {
        Box::pin(async { self.offline.conn.close().await.map_err(CopyError::from) })
    }
}
