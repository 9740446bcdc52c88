//! Tables and rows, whichever engine has them.

use serde::{Deserialize, Serialize};

use super::CopyError;

/// Tables that say something about a database and nothing about what is kept in it.
const OWN: [&str; 4] = ["_sqlx_migrations", "catalogue_changes", "duties", "hosts"];

/// A portion is written when it has so many rows, or so many bytes.
const ROWS: usize = 2_000;
const BYTES: usize = 4 * 1024 * 1024;

/// A table that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// By their names' order: the engines have them in different ones.
    pub(crate) columns: Vec<Column>,
    /// Where the primary key's columns are among them.
    pub(crate) key: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a column has, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    Null,
    Text(String),
    Int(i64),
    Bytes(Vec<u8>),
}

/// Rows that are written together, each with a value for every column.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    pub(crate) rows: Vec<Vec<Value>>,
    bytes: usize,
}

/// A schema's columns as an engine tells of them: the table, the column, its type and
/// its place in the primary key.
pub(crate) type Columns = Vec<(String, String, String, Option<i64>)>;

/// The tables of a schema that are copied, in the order of their names.
pub(crate) fn from_schema(mut all: Columns) -> Result<Vec<Table>, CopyError> {
    all.retain(|(table, ..)| !OWN.contains(&&**table));
    all.sort();
    let mut tables = Vec::new();
    for columns in all.chunk_by(|one, next| one.0 == next.0) {
        let name = columns[0].0.clone();
        let mut key: Vec<(i64, usize)> =
            columns.iter().zip(0..).filter_map(|((.., place), at)| Some(((*place)?, at))).collect();
        key.sort_unstable();
        if key.is_empty() {
            return Err(CopyError::Schema(format!("`{name}` has no primary key to be copied by")));
        }
        let columns = columns.iter().map(|(_, column, kind, _)| {
            let kind = Kind::parse(kind)
                .ok_or_else(|| CopyError::Schema(format!("`{name}.{column}` is `{kind}`, which is not copied")))?;
            Ok(Column { name: column.clone(), kind })
        });
        let columns = columns.collect::<Result<_, CopyError>>()?;
        tables.push(Table { name, columns, key: key.into_iter().map(|(_, at)| at).collect() });
    }
    Ok(tables)
}

impl Kind {
    /// As either engine calls it.
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Some(Self::Text),
            "bigint" => Some(Self::Int),
            "blob" | "bytea" => Some(Self::Bytes),
            _ => None,
        }
    }
}

impl Table {
    /// Whether rows of one can be rows of the other. PostgreSQL asks for more in some
    /// primary keys.
    pub(crate) fn has_same_columns(&self, other: &Self) -> bool {
        self.name == other.name && self.columns == other.columns
    }

    pub(crate) fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().map(|at| row[*at].clone()).collect()
    }

    /// Where a column is.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

impl Portion {
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        self.bytes += row.iter().map(Value::len).sum::<usize>();
        self.rows.push(row);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.bytes >= BYTES
    }

    /// PostgreSQL's texts cannot have U+0000. Answers in how many it was.
    pub(super) fn replace_nul(&mut self) -> u64 {
        let mut replaced = 0;
        for value in self.rows.iter_mut().flatten() {
            if let Value::Text(text) = value
                && text.contains('\0')
            {
                *text = text.replace('\0', "\u{fffd}");
                replaced += 1;
            }
        }
        replaced
    }
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(table: &str, name: &str, kind: &str, place: Option<i64>) -> (String, String, String, Option<i64>) {
        (table.to_owned(), name.to_owned(), kind.to_owned(), place)
    }

    #[test]
    fn two_engines_tables_are_the_same_whatever_their_columns_order() {
        let sqlite = from_schema(vec![
            column("events", "tenant_id", "TEXT", Some(1)),
            column("events", "id", "TEXT", Some(2)),
            column("events", "body", "BLOB", None),
            column("_sqlx_migrations", "version", "BIGINT", Some(1)),
        ])
        .unwrap();
        let postgres = from_schema(vec![
            column("hosts", "id", "text", Some(0)),
            column("events", "body", "bytea", None),
            column("events", "id", "text", Some(1)),
            column("events", "tenant_id", "text", Some(0)),
        ])
        .unwrap();
        assert_eq!(sqlite, postgres);
        assert_eq!(sqlite[0].key, [2, 1], "the tenant first");
    }

    #[test]
    fn what_cannot_be_copied_is_told() {
        let no_key = from_schema(vec![column("events", "id", "TEXT", None)]);
        assert!(matches!(no_key, Err(CopyError::Schema(what)) if what.contains("no primary key")));
        let unknown = from_schema(vec![column("events", "id", "REAL", Some(1))]);
        assert!(matches!(unknown, Err(CopyError::Schema(what)) if what.contains("`REAL`")));
    }

    #[test]
    fn a_portion_is_full_by_rows_or_by_bytes() {
        let mut portion = Portion::default();
        (1..ROWS).for_each(|_| portion.push(vec![Value::Null]));
        assert!(!portion.is_full());
        portion.push(vec![Value::Null]);
        assert!(portion.is_full());
        let mut portion = Portion::default();
        portion.push(vec![Value::Bytes(vec![0; BYTES])]);
        assert!(portion.is_full());
    }

    #[test]
    fn what_a_text_cannot_have_is_replaced_and_counted() {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut portion = Portion::default();
        portion.push(vec![text("a\0b\0"), text("c"), Value::Bytes(vec![0])]);
        assert_eq!(portion.replace_nul(), 1);
        assert_eq!(portion.rows[0], [text("a\u{fffd}b\u{fffd}"), text("c"), Value::Bytes(vec![0])]);
    }
}
