//! A file as one of the two sides of a copy.

use sqlx::Connection as _;
use tokio::sync::mpsc;

use super::reseal::Offline;
use super::sql::copy;
use crate::domain::time::Timestamp;
use crate::store::copy::{Columns, CopyError, Doing, Marks, Portion, Side, Start, Table, from_schema};

const COLUMNS: &str = "
    SELECT tables.name, columns.name, columns.type, nullif(columns.pk, 0)
    FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
/// A host's log is emptied by a task of the host's. Here nobody would, and it would
/// become as long as all that is copied.
const EMPTY_THE_LOG: &str = "PRAGMA wal_autocheckpoint = 4000";

impl Side for Offline {
    fn tables(&mut self) -> Doing<'_, Vec<Table>> {
        Box::pin(async {
            let columns: Columns = sqlx::query_as(COLUMNS).fetch_all(&mut self.conn).await?;
            from_schema(columns)
        })
    }

    fn marks(&mut self) -> Doing<'_, Marks> {
        Box::pin(copy::marks(&mut self.conn))
    }

    fn count<'a>(&'a mut self, table: &'a Table) -> Doing<'a, u64> {
        Box::pin(copy::count(&mut self.conn, table))
    }

    fn read<'a>(&'a mut self, table: &'a Table, from: Start, into: mpsc::Sender<Portion>) -> Doing<'a, ()> {
        Box::pin(copy::read(&mut self.conn, table, from, into))
    }

    fn begin<'a>(&'a mut self, progress: &'a [u8]) -> Doing<'a, ()> {
        Box::pin(copy::begin(&mut self.conn, progress))
    }

    fn write<'a>(
        &'a mut self,
        table: &'a Table,
        portion: &'a Portion,
        before: &'a [u8],
        progress: &'a [u8],
    ) -> Doing<'a, ()> {
        Box::pin(async move {
            sqlx::query(EMPTY_THE_LOG).execute(&mut self.conn).await?;
            copy::write(&mut self.conn, table, portion, before, progress).await
        })
    }

    fn complete<'a>(&'a mut self, now: Timestamp, before: &'a [u8], progress: &'a [u8]) -> Doing<'a, u64> {
        Box::pin(copy::complete(&mut self.conn, now, before, progress))
    }

    /// Its lock is held.
    fn is_alone(&mut self) -> Doing<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn takes_nul(&self) -> bool {
        true
    }

    fn close(self: Box<Self>) -> Doing<'static, ()> {
        Box::pin(async { self.conn.close().await.map_err(CopyError::from) })
    }
}
