//! Whole tables, out of a database and into one. What is copied, how far it has come
//! and how it is checked is in `store/copy`.

use std::future::poll_fn;

use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::mpsc::Sender;

use super::bulk::{Many, Values};
use super::db::{Connection, Row};
use super::upkeep;
use crate::domain::time::Timestamp;
use crate::store::copy::{CopyError, Kind, MARK, Marks, Portion, Start, Table, Value, is_unfinished};
use crate::store::sealed::READ_CHECK;

/// What a copy says of itself is not copied.
const BUT_THE_MARK: &str = "name <> 'copy'";

pub(crate) async fn marks(conn: &mut Connection) -> Result<Marks, CopyError> {
    let check = sqlx::query_scalar(READ_CHECK).fetch_optional(&mut *conn).await?;
    Ok(Marks { check, progress: progress(conn).await? })
}

/// Whether the database is a copy that was cut off.
pub(crate) async fn is_cut_off(conn: &mut Connection) -> Result<bool, sqlx::Error> {
    Ok(progress(conn).await?.is_some_and(|progress| is_unfinished(&progress)))
}

async fn progress(conn: &mut Connection) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE name = $1").bind(MARK).fetch_optional(conn).await
}

pub(crate) async fn count(conn: &mut Connection, table: &Table) -> Result<u64, CopyError> {
    let mut text = format!("SELECT count(*) FROM {}", table.name);
    if table.name == "meta" {
        text += &format!(" WHERE {BUT_THE_MARK}");
    }
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(conn).await?;
    Ok(rows.unsigned_abs())
}

/// One statement for all of a table, whose rows come as they are taken: there is
/// never more in memory than a portion.
pub(crate) async fn read(
    conn: &mut Connection,
    table: &Table,
    from: Start,
    into: Sender<Portion>,
) -> Result<(), CopyError> {
    let text = selection(table, &from);
    let mut query = sqlx::query(AssertSqlSafe(text));
    if let Start::After(Some(after)) = from {
        for value in after {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Bytes(bytes) => query.bind(bytes),
                Value::Null => query.bind(None::<String>),
            };
        }
    }
    let mut rows = query.fetch(conn);
    let mut portion = Portion::default();
    while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
        portion.push(values(&row?, table)?);
        // Who does not take it has failed, and says so.
        if portion.is_full() && into.send(std::mem::take(&mut portion)).await.is_err() {
            return Ok(());
        }
    }
    if !portion.rows.is_empty() {
        let _who_does_not_take_it_says_so = into.send(portion).await;
    }
    Ok(())
}

fn selection(table: &Table, from: &Start) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
    let mut text = format!("SELECT {} FROM {}", names.join(", "), table.name);
    let mut conditions = Vec::new();
    if table.name == "meta" {
        conditions.push(BUT_THE_MARK.to_owned());
    }
    let key: Vec<&str> = table.key.iter().map(|at| names[*at]).collect();
    let key = key.join(", ");
    if let Start::After(Some(after)) = from {
        let places: Vec<String> = (1..=after.len()).map(|number| format!("${number}")).collect();
        conditions.push(format!("({key}) > ({})", places.join(", ")));
    }
    if !conditions.is_empty() {
        text += &format!(" WHERE {}", conditions.join(" AND "));
    }
    if let Start::After(_) = from {
        text += &format!(" ORDER BY {key}");
    }
    text
}

fn values(row: &Row, table: &Table) -> Result<Vec<Value>, CopyError> {
    let mut values = Vec::with_capacity(table.columns.len());
    for (at, column) in table.columns.iter().enumerate() {
        let value = match column.kind {
            Kind::Text => row.try_get::<Option<String>, _>(at).map(|text| text.map(Value::Text)),
            Kind::Int => row.try_get::<Option<i64>, _>(at).map(|number| number.map(Value::Int)),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at).map(|bytes| bytes.map(Value::Bytes)),
        };
        let value = value.map_err(|error| CopyError::Value {
            table: table.name.clone(),
            column: column.name.clone(),
            error,
        })?;
        values.push(value.unwrap_or(Value::Null));
    }
    Ok(values)
}

pub(crate) async fn begin(conn: &mut Connection, progress: &[u8]) -> Result<(), CopyError> {
    if mark(conn, progress).await? { Ok(()) } else { Err(CopyError::Overtaken) }
}

/// Makes a copy of the database. False when it is one already.
pub(crate) async fn mark(conn: &mut Connection, progress: &[u8]) -> Result<bool, sqlx::Error> {
    let begin = sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    Ok(begin.bind(MARK).bind(progress).execute(conn).await?.rows_affected() == 1)
}

pub(crate) async fn write(
    conn: &mut Connection,
    table: &Table,
    portion: &Portion,
    before: &[u8],
    progress: &[u8],
) -> Result<(), CopyError> {
    let mut writing = conn.begin().await?;
    advance(&mut writing, before, progress).await?;
    if !portion.rows.is_empty() {
        insert(&mut writing, table, &portion.rows).await?;
    }
    writing.commit().await?;
    Ok(())
}

/// All rows as they are. The line of a delivery that is pending comes after it: what
/// joins a line would be judged by those that are in it already, and here they come
/// in another order.
async fn insert(conn: &mut Connection, table: &Table, rows: &[Vec<Value>]) -> Result<(), CopyError> {
    let kinds: Vec<String> = table
        .columns
        .iter()
        .map(|column| match column.kind {
            Kind::Text => format!("{} text", column.name),
            Kind::Int => format!("{} int", column.name),
            Kind::Bytes => format!("{} bytes", column.name),
        })
        .collect();
    let lines = Lines::of(table)?;
    let many = Many::insert(&table.name, &kinds.join(", "), "", "");
    let bind = |row: &Vec<Value>, values: &mut Values| {
        let later = lines.as_ref().filter(|lines| lines.are_in(row)).map(|lines| lines.line);
        for (at, value) in row.iter().enumerate() {
            match if later == Some(at) { &Value::Null } else { value } {
                Value::Null => values.maybe(None::<i64>, Values::int),
                Value::Text(text) => values.text(text),
                Value::Int(number) => values.int(*number),
                Value::Bytes(bytes) => values.bytes(bytes),
            };
        }
    };
    many.write(&mut *conn, rows, bind).await?;
    if let Some(lines) = lines {
        lines.set(conn, rows).await?;
    }
    Ok(())
}

/// Where a delivery has what its place in a line depends on.
struct Lines {
    tenant: usize,
    id: usize,
    state: usize,
    line: usize,
}

impl Lines {
    fn of(table: &Table) -> Result<Option<Self>, CopyError> {
        if table.name != "deliveries" {
            return Ok(None);
        }
        let column = |name| {
            let missing = || CopyError::Schema(format!("`deliveries` has no `{name}`"));
            table.column(name).ok_or_else(missing)
        };
        let (tenant, id) = (column("tenant_id")?, column("id")?);
        Ok(Some(Self { tenant, id, state: column("state")?, line: column("line")? }))
    }

    /// The triggers look at those that are pending.
    fn are_in(&self, row: &[Value]) -> bool {
        matches!(&row[self.state], Value::Text(state) if state == "pending") && row[self.line] != Value::Null
    }

    async fn set(&self, conn: &mut Connection, rows: &[Vec<Value>]) -> Result<(), CopyError> {
        const SET: &str = "
            UPDATE deliveries SET line = joined.line FROM joined
            WHERE deliveries.tenant_id = joined.tenant_id AND deliveries.id = joined.id AND state = 'pending'";
        let joined: Vec<&Vec<Value>> = rows.iter().filter(|row| self.are_in(row)).collect();
        let bind = |row: &&Vec<Value>, values: &mut Values| {
            for at in [self.tenant, self.id, self.line] {
                match &row[at] {
                    Value::Text(text) => values.text(text),
                    _ => values.maybe(None::<i64>, Values::int),
                };
            }
        };
        Many::with("joined", "tenant_id text, id text, line text", SET).write(conn, &joined, bind).await?;
        Ok(())
    }
}

pub(crate) async fn complete(
    conn: &mut Connection,
    now: Timestamp,
    before: &[u8],
    progress: &[u8],
) -> Result<u64, CopyError> {
    let mut writing = conn.begin().await?;
    advance(&mut writing, before, progress).await?;
    let released = upkeep::take_over(&mut writing, now).await?;
    writing.commit().await?;
    Ok(released)
}

/// Whoever copies to the same database at the same time finds another progress than
/// its own.
async fn advance(conn: &mut Connection, before: &[u8], progress: &[u8]) -> Result<(), CopyError> {
    let advance = sqlx::query("UPDATE meta SET value = $1 WHERE name = $2 AND value = $3");
    match advance.bind(progress).bind(MARK).bind(before).execute(conn).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(CopyError::Overtaken),
    }
}
