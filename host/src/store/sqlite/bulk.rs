//! Many rows in few statements. Each statement crosses a channel to the
//! connection's thread and back, which costs more than writing a row does.
//!
//! There is a statement for each number of rows up to [`LARGEST`]. They are
//! prepared when they first come up and stay prepared, some tens of KiB each:
//! one trip to the connection's thread is worth more than that memory. What the
//! rows mean is `batch.rs`'s business.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use crate::domain::time::Timestamp;

/// The largest chunk. Longer statements would save few trips and take long to
/// prepare.
const LARGEST: usize = 64;

/// A statement that takes any number of rows.
pub(super) struct Many {
    columns: usize,
    /// For 1 row, for 2 and so on.
    texts: Vec<Arc<str>>,
}

impl Many {
    /// `row` is one row, a question mark for each value; `before` and `after`
    /// are what stands around the rows.
    ///
    /// Let what it writes be `OR FAIL`: the rows before a failed one then stay,
    /// which is right because whoever runs these takes the whole transaction or
    /// savepoint back, and it spares SQLite a copy of each page it changes.
    pub(super) fn new(before: &str, row: &str, after: &str) -> Self {
        let text = |rows| format!("{before} {} {after}", vec![row; rows].join(",")).into();
        Self { columns: row.matches('?').count(), texts: (1..=LARGEST).map(text).collect() }
    }

    /// How many statements of this kind a connection keeps prepared.
    pub(super) const SIZES: usize = LARGEST;

    /// Runs the statement for all of `rows`; answers how many it changed.
    pub(super) async fn write<R>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        let mut rest = rows;
        while !rest.is_empty() {
            let (text, chunk);
            (text, chunk, rest) = self.chunk(rest);
            let values = self.values(chunk, &bind);
            changed += sqlx::query_with(AssertSqlSafe(text), values).execute(&mut *conn).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs the statement for all of `rows`; answers the rows it found.
    pub(super) async fn read<R, T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        let mut found = Vec::new();
        let mut rest = rows;
        while !rest.is_empty() {
            let (text, chunk);
            (text, chunk, rest) = self.chunk(rest);
            let values = self.values(chunk, &bind);
            found.extend(sqlx::query_as_with::<_, T, _>(AssertSqlSafe(text), values).fetch_all(&mut *conn).await?);
        }
        Ok(found)
    }

    /// The largest chunk of `rows`, the statement for it, and what is left.
    fn chunk<'r, R>(&self, rows: &'r [R]) -> (Arc<str>, &'r [R], &'r [R]) {
        let (chunk, rest) = rows.split_at(rows.len().min(LARGEST));
        (self.texts[chunk.len() - 1].clone(), chunk, rest)
    }

    fn values<R>(&self, rows: &[R], bind: impl Fn(&R, &mut Values)) -> SqliteArguments {
        let mut values = Values::default();
        values.0.reserve(rows.len() * self.columns, 0);
        for row in rows {
            bind(row, &mut values);
        }
        // A forgotten value would be NULL without a word.
        assert_eq!(values.0.len(), rows.len() * self.columns, "each column has a value");
        values.0
    }
}

/// What is bound to a statement, in the order of its question marks.
#[derive(Default)]
pub(super) struct Values(SqliteArguments);

impl Values {
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.add(Arc::<str>::from(text))
    }

    /// A text that several rows share.
    pub(super) fn shared(&mut self, text: &Arc<str>) -> &mut Self {
        self.add(text.clone())
    }

    pub(super) fn id(&mut self, id: &impl fmt::Display) -> &mut Self {
        self.add(id_text(id))
    }

    pub(super) fn json(&mut self, value: &impl Serialize) -> &mut Self {
        self.add(json(value))
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        self.add(number)
    }

    pub(super) fn at(&mut self, at: Timestamp) -> &mut Self {
        self.add(at.as_millis())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.add(bytes)
    }

    /// NULL where there is nothing.
    pub(super) fn maybe<T>(
        &mut self,
        value: Option<T>,
        bind: impl for<'v> FnOnce(&'v mut Self, T) -> &'v mut Self,
    ) -> &mut Self {
        match value {
            Some(value) => bind(self, value),
            None => self.add(None::<i64>),
        }
    }

    fn add<'v>(&mut self, value: impl sqlx::Encode<'v, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>) -> &mut Self {
        self.0.add(value).expect("texts, numbers and bytes always encode");
        self
    }
}

/// JSON of the house's own types.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the house's own types have string keys and no failing serialiser")
}

/// An identifier's text, in one allocation: there are a dozen per event.
pub(super) fn id_text(id: &impl fmt::Display) -> Arc<str> {
    struct Short([u8; 64], usize);

    impl fmt::Write for Short {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = self.1 + text.len();
            self.0.get_mut(self.1..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
            self.1 = end;
            Ok(())
        }
    }

    let mut short = Short([0; 64], 0);
    match write!(short, "{id}") {
        Ok(()) => std::str::from_utf8(&short.0[..short.1]).expect("it was written as text").into(),
        Err(fmt::Error) => id.to_string().into(),
    }
}
