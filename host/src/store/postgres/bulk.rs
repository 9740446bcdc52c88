//! Many rows in one statement, whatever their number: each column is one array,
//! and the server makes rows of them. And many statements in one: a trip to the server
//! and back costs more than writing a row does. What the rows mean is
//! `sql/record.rs`'s and `sql/settle.rs`'s business.

use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, PgConnection};

use crate::store::text::pairs;

/// The largest chunk of a statement of its own: one answer of the largest pipelines,
/// and not so many that their bytes fill a message.
const LARGEST: usize = 2048;

/// A statement that takes any number of rows.
pub(super) struct Many {
    rows: Rows,
    statement: Arc<str>,
    text: Arc<str>,
}

/// The rows as a table in the statement.
struct Rows {
    name: String,
    names: String,
    kinds: Vec<Kind>,
}

impl Rows {
    fn bound_from(&self, first: usize) -> String {
        let Self { name, names, kinds } = self;
        let arrays: Vec<String> =
            kinds.iter().zip(first..).map(|(kind, at)| format!("${at}::{}", kind.array())).collect();
        format!("{name} AS (SELECT * FROM unnest({}) AS {name} ({names}))", arrays.join(", "))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Bytes,
}

impl Kind {
    fn array(self) -> &'static str {
        match self {
            Self::Text => "text[]",
            Self::Int => "bigint[]",
            Self::Bytes => "bytea[]",
        }
    }
}

impl Many {
    /// Inserts rows. `columns` are names with `text`, `int` or `bytes` behind each,
    /// in the order in which they are bound; `fixed` are names with the value that
    /// they always have; `after` is what stands behind the rows.
    pub(super) fn insert(table: &str, columns: &str, fixed: &str, after: &str) -> Self {
        let fixed: Vec<(&str, &str)> = pairs(fixed).collect();
        let all: Vec<&str> = pairs(columns).chain(fixed.iter().copied()).map(|(name, _)| name).collect();
        let values: Vec<&str> = std::iter::once("given.*").chain(fixed.iter().map(|(_, value)| *value)).collect();
        let (all, values) = (all.join(", "), values.join(", "));
        Self::with("given", columns, &format!("INSERT INTO {table} ({all}) SELECT {values} FROM given {after}"))
    }

    /// Runs `statement` with the rows as a table of this name; `columns` as above.
    pub(super) fn with(name: &str, columns: &str, statement: &str) -> Self {
        let (names, kinds) = columns_of(columns);
        let rows = Rows { name: name.to_owned(), names: names.join(", "), kinds };
        let text = format!("WITH {} {statement}", rows.bound_from(1)).into();
        Self { rows, statement: statement.into(), text }
    }

    /// Runs the statement for all of `rows`; answers how many it changed.
    pub(super) async fn write<R>(
        &self,
        conn: &mut PgConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for chunk in rows.chunks(LARGEST) {
            let values = self.values(chunk, &bind);
            let query = sqlx::query_with(AssertSqlSafe(self.text.clone()), values);
            changed += query.execute(&mut *conn).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs the statement for all of `rows`; answers the rows it found.
    pub(super) async fn read<R, T>(
        &self,
        conn: &mut PgConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut found = Vec::new();
        for chunk in rows.chunks(LARGEST) {
            let values = self.values(chunk, &bind);
            let query = sqlx::query_as_with::<_, T, _>(AssertSqlSafe(self.text.clone()), values);
            found.extend(query.fetch_all(&mut *conn).await?);
        }
        Ok(found)
    }

    fn values<R>(&self, rows: &[R], bind: impl Fn(&R, &mut Values)) -> PgArguments {
        let mut arguments = PgArguments::default();
        self.bind(rows, bind, &mut arguments);
        arguments
    }

    fn bind<R>(&self, rows: &[R], bind: impl Fn(&R, &mut Values), arguments: &mut PgArguments) {
        let column = |kind: &Kind| Column::with_capacity(*kind, rows.len());
        let mut values = Values { columns: self.rows.kinds.iter().map(column).collect(), next: 0 };
        for row in rows {
            bind(row, &mut values);
            // A forgotten value would move all that are behind it.
            assert_eq!(values.next, values.columns.len(), "each column has a value");
            values.next = 0;
        }
        for column in values.columns {
            let added = match column {
                Column::Text(texts) => arguments.add(texts),
                Column::Int(numbers) => arguments.add(numbers),
                Column::Bytes(bytes) => arguments.add(bytes),
            };
            added.expect("texts, numbers and bytes always encode");
        }
    }
}

/// Statements that are run as one, none of which needs what another has written: all
/// of them see the tables as they were before. Not in chunks: how much waits to be
/// written is bounded where it is taken in.
#[derive(Default)]
pub(super) struct Together {
    parts: Vec<(String, Arc<str>)>,
    arguments: PgArguments,
    bound: usize,
}

impl Together {
    /// Nothing where there are no rows.
    pub(super) fn add<R>(&mut self, many: &Many, rows: &[R], bind: impl Fn(&R, &mut Values)) {
        if rows.is_empty() {
            return;
        }
        self.parts.push((many.rows.bound_from(self.bound + 1), many.statement.clone()));
        many.bind(rows, bind, &mut self.arguments);
        self.bound += many.rows.kinds.len();
    }

    /// Runs all, and another, which answers how many rows it changed.
    pub(super) async fn and_change<R>(
        mut self,
        conn: &mut PgConnection,
        (many, rows): (&Many, &[R]),
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        self.add(many, rows, bind);
        let is_asked = !rows.is_empty();
        let Some((rows, statement)) = self.parts.pop() else { return Ok(0) };
        let before = self.parts.iter().enumerate();
        let mut tables: Vec<String> =
            before.map(|(number, (rows, statement))| format!("part_{number} AS (WITH {rows} {statement})")).collect();
        tables.push(rows);
        let text = format!("WITH {} {statement}", tables.join(", "));
        let done = sqlx::query_with(AssertSqlSafe(text), self.arguments).execute(conn).await?;
        Ok(if is_asked { done.rows_affected() } else { 0 })
    }

    /// Runs all, and another, which answers how many rows it found.
    pub(super) async fn and_find<R>(
        self,
        conn: &mut PgConnection,
        asked: (&Many, &[R]),
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        // It counts those as well.
        self.and_change(conn, asked, bind).await
    }
}

enum Column {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    fn with_capacity(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(Vec::with_capacity(rows)),
            Kind::Int => Self::Int(Vec::with_capacity(rows)),
            Kind::Bytes => Self::Bytes(Vec::with_capacity(rows)),
        }
    }
}

/// What is bound to a statement: a row's values in the order of its columns.
pub(super) struct Values {
    columns: Vec<Column>,
    next: usize,
}

impl Values {
    /// U+0000, which no text of the server's can have, becomes U+FFFD: somebody's
    /// plugin or receiver says it in a reason or an error.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.owned(text.replace('\0', "\u{fffd}"))
    }

    /// A text that several rows share.
    pub(super) fn shared(&mut self, text: &Arc<str>) -> &mut Self {
        self.owned((**text).to_owned())
    }

    pub(super) fn owned(&mut self, text: String) -> &mut Self {
        let Column::Text(texts) = self.column() else { panic!("a text is bound to a column of texts") };
        texts.push(Some(text));
        self
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        let Column::Int(numbers) = self.column() else { panic!("a number is bound to a column of numbers") };
        numbers.push(Some(number));
        self
    }

    pub(super) fn bytes(&mut self, some: &[u8]) -> &mut Self {
        let Column::Bytes(bytes) = self.column() else { panic!("bytes are bound to a column of bytes") };
        bytes.push(Some(some.to_vec()));
        self
    }

    pub(super) fn null(&mut self) -> &mut Self {
        match self.column() {
            Column::Text(texts) => texts.push(None),
            Column::Int(numbers) => numbers.push(None),
            Column::Bytes(bytes) => bytes.push(None),
        }
        self
    }

    fn column(&mut self) -> &mut Column {
        self.next += 1;
        &mut self.columns[self.next - 1]
    }
}

fn columns_of(columns: &str) -> (Vec<&str>, Vec<Kind>) {
    let kind = |kind| match kind {
        "text" => Kind::Text,
        "int" => Kind::Int,
        "bytes" => Kind::Bytes,
        other => panic!("`{other}` is no kind of column"),
    };
    pairs(columns).map(|(name, of)| (name, kind(of))).unzip()
}
