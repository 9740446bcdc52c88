//! Everything of a stopped server's into another database, of either engine: what is
//! copied, how far it has come, and whether both sides have the same at the end.
//!
//! Table by table, in the order of the primary key, some thousand rows in one
//! transaction with how far they go. So what was cut off goes on where it was, and
//! nothing is written twice. Which tables there are is asked of the schemas. How an
//! engine reads and writes rows is in its own folder and in `store/sql/copy.rs`.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::StoreError;
use super::engine::OpenError;
use super::seal::Seal;
use super::sealed::CHECK;
use crate::domain::database::Database;
use crate::domain::time::Timestamp;

mod progress;
mod side;
mod sum;
mod table;

use progress::{Progress, Reached};
use side::{open_source, open_target};
use sum::Sum;

pub(crate) use progress::{MARK, is_unfinished};
pub(crate) use side::{Doing, Marks, Part, Side, Start};
pub(crate) use table::{Columns, Kind, Portion, Table, Value, from_schema};

/// What a copy came to.
#[derive(Debug)]
pub enum Copied {
    /// It is complete, and both sides have the same.
    Now {
        tables: Vec<Compared>,
        /// Deliveries that the old server had begun: they are due.
        released: u64,
        /// Texts with U+0000, for which there is U+FFFD in the copy.
        replaced: u64,
    },
    /// It was complete before, and the source has what it had then.
    Before,
}

/// A table of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    pub table: String,
    pub from: Counted,
    pub to: Counted,
}

/// What one side has in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub rows: u64,
    /// Of all rows and columns, in hexadecimal.
    pub checksum: String,
}

impl Compared {
    pub fn is_same(&self) -> bool {
        self.from == self.to
    }
}

/// Who wants to see how it goes on.
pub trait Watch: Sync {
    /// So many rows of a table are copied.
    fn copied(&self, table: &str, rows: u64, of: u64);
    /// So many of its rows are read from both sides, to be compared.
    fn compared(&self, table: &str, rows: u64, of: u64);
}

/// Why it was not copied, or not to the end.
#[derive(Debug)]
pub enum CopyError {
    NoDatabase(PathBuf),
    /// No server has ever used the one that is to be copied.
    Unused,
    /// The one that is to be copied is a copy that was cut off.
    Unfinished,
    /// The master key here is not that of this one.
    WrongMasterKey(Part),
    /// Something else is in the one that is copied to.
    NotEmpty {
        table: String,
    },
    /// What is in the one that is copied to was begun from another.
    OtherSource,
    /// The two schemas are not the same.
    Schema(String),
    /// A value is not of its column's kind.
    Value {
        table: String,
        column: String,
        error: sqlx::Error,
    },
    /// Another copy to the same database goes on, too.
    Overtaken,
    /// All was copied before, and the source has something else in these tables since.
    Changed(Vec<String>),
    /// All was copied, and these are not the same.
    Differ(Vec<Compared>),
    Open(Part, OpenError),
    Database(Box<sqlx::Error>),
    Store(StoreError),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDatabase(path) => write!(f, "there is no database at {}", path.display()),
            Self::Unused => f.write_str("no server has ever used the database to be copied: there is nothing in it"),
            Self::Unfinished => f.write_str("the database to be copied is itself a copy that was cut off"),
            Self::WrongMasterKey(part) => write!(
                f,
                "{part} was made with another master key than the one here; a copy keeps its key: bring it, in \
                 HOOKYARD_MASTER_KEY or in the data directory's master.key"
            ),
            Self::NotEmpty { table } => write!(
                f,
                "there is something in the database to be copied to already (in `{table}`), and nothing is written \
                 over: give an empty one"
            ),
            Self::OtherSource => f.write_str(
                "the database to be copied to has a part of another database in it; make it empty and begin again",
            ),
            Self::Schema(what) => write!(f, "the two databases have different schemas: {what}"),
            Self::Value { table, column, .. } => write!(f, "a value in {table}.{column} is of another kind"),
            Self::Changed(tables) => write!(
                f,
                "the copy was complete, and since then the database to be copied was changed (in {}): what is new \
                 there is not in the copy. To copy it as it is now, make the copy empty and begin again",
                tables.join(", ")
            ),
            Self::Overtaken => f.write_str("another copy to the same database is going on"),
            Self::Differ(tables) => {
                let names: Vec<&str> =
                    tables.iter().filter(|table| !table.is_same()).map(|table| &*table.table).collect();
                write!(
                    f,
                    "the copy is not the same in {}: no server starts on it. Somebody has changed one of the two \
                     since it was begun; make the copy empty and begin again",
                    names.join(", ")
                )
            }
            Self::Open(part, error) => write!(f, "{part}: {error}"),
            Self::Database(_) => f.write_str("the database failed; the same command goes on where it was"),
            Self::Store(error) => write!(f, "{error}; the same command goes on where it was"),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Value { error, .. } => Some(error),
            Self::Open(_, error) => std::error::Error::source(error),
            Self::Database(error) => Some(error.as_ref()),
            Self::Store(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Copies everything in `from`, which no host may have open, to `to`, which has to be
/// empty or what an earlier call has left. No host starts on `to` before it is
/// complete. Neither side's secrets are opened; `seal` shows whose they are.
pub async fn copy(
    (from, to): (&Database, &Database),
    seal: &Seal,
    now: Timestamp,
    watch: &dyn Watch,
) -> Result<Copied, CopyError> {
    let mut source = open_source(from).await?;
    let first = Progress::begin(&source_check(&mut *source, seal).await?);
    let mut target = open_target(to, &first.to_bytes()).await?;
    let tables = same_tables(&mut *source, &mut *target).await?;
    let mut progress = match begun(&mut *target, &tables, first, seal).await? {
        progress if progress.is_complete => {
            let takes_nul = target.takes_nul();
            return unchanged(&tables, &mut *source, takes_nul, &progress, watch).await;
        }
        progress => progress,
    };

    for table in &tables {
        copy_table(table, &mut *source, &mut *target, &mut progress, watch).await?;
    }
    let mut compared = Vec::with_capacity(tables.len());
    for table in &tables {
        let of = progress.tables.get(&table.name).map_or(0, |reached| reached.rows);
        let watch = |rows| watch.compared(&table.name, rows, of);
        compared.push(compare(table, &mut *source, &mut *target, &watch).await?);
    }
    if !compared.iter().all(Compared::is_same) {
        return Err(CopyError::Differ(compared));
    }
    // Whoever came meanwhile has perhaps written what was compared already.
    source.is_alone().await?;

    let before = progress.to_bytes();
    progress.complete(&compared);
    let released = target.complete(now, &before, &progress.to_bytes()).await?;
    let replaced = progress.tables.values().map(|reached| reached.replaced).sum();
    source.close().await?;
    target.close().await?;
    Ok(Copied::Now { tables: compared, released, replaced })
}

/// The value by which the source knows its master key.
async fn source_check(source: &mut dyn Side, seal: &Seal) -> Result<Vec<u8>, CopyError> {
    let Marks { check, progress } = source.marks().await?;
    if progress.is_some_and(|progress| is_unfinished(&progress)) {
        return Err(CopyError::Unfinished);
    }
    let check = check.ok_or(CopyError::Unused)?;
    seal.open(CHECK, &check).map_err(|_| CopyError::WrongMasterKey(Part::From))?;
    Ok(check)
}

/// The tables, if both sides have the same.
async fn same_tables(source: &mut dyn Side, target: &mut dyn Side) -> Result<Vec<Table>, CopyError> {
    let (from, to) = (source.tables().await?, target.tables().await?);
    let only = |some: &[Table], other: &[Table]| {
        let lacks = |table: &&Table| !other.iter().any(|there| there.has_same_columns(table));
        some.iter().find(lacks).map(|table| table.name.clone())
    };
    match only(&from, &to).or_else(|| only(&to, &from)) {
        Some(table) => Err(CopyError::Schema(format!("`{table}` is not in both with the same columns"))),
        None => Ok(from),
    }
}

/// How far the target has come; it is begun when it is empty.
async fn begun(target: &mut dyn Side, tables: &[Table], first: Progress, seal: &Seal) -> Result<Progress, CopyError> {
    let Marks { check, progress } = target.marks().await?;
    if check.is_some_and(|check| seal.open(CHECK, &check).is_err()) {
        return Err(CopyError::WrongMasterKey(Part::To));
    }
    if let Some(progress) = progress {
        let progress = Progress::from_bytes(&progress)?;
        return if progress.source == first.source { Ok(progress) } else { Err(CopyError::OtherSource) };
    }
    for table in tables {
        if target.count(table).await? > 0 {
            return Err(CopyError::NotEmpty { table: table.name.clone() });
        }
    }
    target.begin(&first.to_bytes()).await?;
    Ok(first)
}

/// Copies what is not copied of a table. What is read and not written yet is a few
/// portions at most.
async fn copy_table(
    table: &Table,
    source: &mut dyn Side,
    target: &mut dyn Side,
    progress: &mut Progress,
    watch: &dyn Watch,
) -> Result<(), CopyError> {
    let reached: Reached = progress.tables.get(&table.name).cloned().unwrap_or_default();
    if reached.is_done {
        return Ok(());
    }
    let of = source.count(table).await?;
    let (into, portions) = mpsc::channel::<Portion>(1);
    let reading = source.read(table, Start::After(reached.after.clone()), into);
    let takes_nul = target.takes_nul();
    let writing = async {
        // Gone when this fails, which ends the reading.
        let mut portions = portions;
        let mut reached = reached;
        while let Some(mut portion) = portions.recv().await {
            // As the source has it: there the reading goes on.
            reached.after = portion.rows.last().map(|row| table.key_of(row));
            reached.rows += portion.rows.len() as u64;
            if !takes_nul {
                reached.replaced += portion.replace_nul();
            }
            write(table, &portion, target, progress, &reached).await?;
            watch.copied(&table.name, reached.rows, of);
        }
        Ok::<_, CopyError>(reached)
    };
    let (read, written) = tokio::join!(reading, writing);
    let mut reached = written?;
    read?;
    reached.is_done = true;
    write(table, &Portion::default(), target, progress, &reached).await
}

async fn write(
    table: &Table,
    portion: &Portion,
    target: &mut dyn Side,
    progress: &mut Progress,
    reached: &Reached,
) -> Result<(), CopyError> {
    let before = progress.to_bytes();
    progress.tables.insert(table.name.clone(), reached.clone());
    target.write(table, portion, &before, &progress.to_bytes()).await
}

async fn compare(
    table: &Table,
    source: &mut dyn Side,
    target: &mut dyn Side,
    watch: &(dyn Fn(u64) + Sync),
) -> Result<Compared, CopyError> {
    let takes_nul = target.takes_nul();
    let (from, to) = tokio::try_join!(sum(table, source, takes_nul, watch), sum(table, target, true, &|_| ()))?;
    Ok(Compared { table: table.name.clone(), from: from.counted(), to: to.counted() })
}

/// Whether the source still has what it had when the copy was complete. The copy may
/// have been used since.
async fn unchanged(
    tables: &[Table],
    source: &mut dyn Side,
    takes_nul: bool,
    progress: &Progress,
    watch: &dyn Watch,
) -> Result<Copied, CopyError> {
    let mut changed = Vec::new();
    for table in tables {
        let had = progress.found.get(&table.name);
        let of = had.map_or(0, |had| had.rows);
        let has = sum(table, source, takes_nul, &|rows| watch.compared(&table.name, rows, of)).await?.counted();
        if had != Some(&has) {
            changed.push(table.name.clone());
        }
    }
    if changed.is_empty() { Ok(Copied::Before) } else { Err(CopyError::Changed(changed)) }
}

/// Of what a side has, with U+0000 replaced where the other cannot have it.
async fn sum(
    table: &Table,
    side: &mut dyn Side,
    keeps_nul: bool,
    watch: &(dyn Fn(u64) + Sync),
) -> Result<Sum, CopyError> {
    let (into, mut portions) = mpsc::channel::<Portion>(1);
    let summing = async {
        let mut sum = Sum::default();
        while let Some(mut portion) = portions.recv().await {
            if !keeps_nul {
                portion.replace_nul();
            }
            portion.rows.iter().for_each(|row| sum.add(row));
            watch(sum.rows);
        }
        sum
    };
    let (read, sum) = tokio::join!(side.read(table, Start::Anywhere, into), summing);
    read.map(|()| sum)
}
