//! Many rows in few statements. Each statement crosses a channel to the
//! connection's thread and back, which costs more than writing a row does.
//!
//! There is a statement for each number of rows up to [`LARGEST`]. They are
//! prepared when they first come up and stay prepared, some tens of KiB each:
//! one trip to the connection's thread is worth more than that memory. What the
//! rows mean is `batch.rs`'s business.

use std::sync::Arc;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use crate::store::text::pairs;

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
    /// Inserts rows. `columns` are names with `text`, `int` or `bytes` behind each,
    /// in the order in which they are bound; `fixed` are names with the value that
    /// they always have; `after` is what stands behind the rows.
    ///
    /// `OR FAIL`: the rows before a failed one stay, which is right because whoever
    /// runs these takes the whole transaction or savepoint back, and it spares
    /// SQLite a copy of each page it changes.
    pub(super) fn insert(table: &str, columns: &str, fixed: &str, after: &str) -> Self {
        let (names, fixed) = (first_words(columns), pairs(fixed).collect::<Vec<_>>());
        let values = std::iter::repeat_n("?", names.len()).chain(fixed.iter().map(|(_, value)| *value));
        let row = format!("({})", values.collect::<Vec<_>>().join(","));
        let all: Vec<&str> = names.iter().copied().chain(fixed.iter().map(|(name, _)| *name)).collect();
        let before = format!("INSERT OR FAIL INTO {table} ({}) VALUES", all.join(", "));
        Self::of(names.len(), &before, &row, after)
    }

    /// Runs `statement` with the rows as a table of this name; `columns` as above.
    pub(super) fn with(name: &str, columns: &str, statement: &str) -> Self {
        let names = first_words(columns);
        let row = format!("({})", vec!["?"; names.len()].join(","));
        let before = format!("WITH {name} ({}) AS (VALUES", names.join(", "));
        Self::of(names.len(), &before, &row, &format!(") {statement}"))
    }

    fn of(columns: usize, before: &str, row: &str, after: &str) -> Self {
        let text = |rows| format!("{before} {} {after}", vec![row; rows].join(",")).into();
        Self { columns, texts: (1..=LARGEST).map(text).collect() }
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
        for (text, values) in self.statements(rows, bind) {
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
        for (text, values) in self.statements(rows, bind) {
            found.extend(sqlx::query_as_with::<_, T, _>(AssertSqlSafe(text), values).fetch_all(&mut *conn).await?);
        }
        Ok(found)
    }

    /// The statements for all of `rows`, with what is bound to each.
    fn statements<R>(&self, rows: &[R], bind: impl Fn(&R, &mut Values)) -> Vec<(Arc<str>, SqliteArguments)> {
        rows.chunks(LARGEST).map(|chunk| (self.texts[chunk.len() - 1].clone(), self.values(chunk, &bind))).collect()
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

/// Statements that are run one after the other, none of which needs what another has
/// written.
#[derive(Default)]
pub(super) struct Together {
    statements: Vec<(Arc<str>, SqliteArguments)>,
}

impl Together {
    /// Nothing where there are no rows.
    pub(super) fn add<R>(&mut self, many: &Many, rows: &[R], bind: impl Fn(&R, &mut Values)) {
        self.statements.extend(many.statements(rows, bind));
    }

    /// Runs all, and another, which answers how many rows it changed.
    pub(super) async fn and_change<R>(
        self,
        conn: &mut SqliteConnection,
        (many, rows): (&Many, &[R]),
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        self.run(conn).await?;
        many.write(conn, rows, bind).await
    }

    /// Runs all, and another, which answers how many rows it found.
    pub(super) async fn and_find<R>(
        self,
        conn: &mut SqliteConnection,
        (many, rows): (&Many, &[R]),
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        self.run(conn).await?;
        let mut found = 0;
        for (text, values) in many.statements(rows, bind) {
            found += sqlx::query_with(AssertSqlSafe(text), values).fetch_all(&mut *conn).await?.len() as u64;
        }
        Ok(found)
    }

    async fn run(self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for (text, values) in self.statements {
            sqlx::query_with(AssertSqlSafe(text), values).execute(&mut *conn).await?;
        }
        Ok(())
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

    pub(super) fn owned(&mut self, text: String) -> &mut Self {
        self.add(text)
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        self.add(number)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.add(bytes)
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.add(None::<i64>)
    }

    fn add<'v>(&mut self, value: impl sqlx::Encode<'v, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>) -> &mut Self {
        self.0.add(value).expect("texts, numbers and bytes always encode");
        self
    }
}

fn first_words(columns: &str) -> Vec<&str> {
    pairs(columns).map(|(name, _)| name).collect()
}
