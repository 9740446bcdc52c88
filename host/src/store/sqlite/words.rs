//! SQLite's words for what every engine says in its own way. `store/sql` is
//! written in them.

use sqlx::QueryBuilder;

use super::db::Db;
use crate::domain::subscription::TypePattern;

/// Names the index that a table is read through, where the planner might take
/// another.
macro_rules! by {
    ($index:literal) => {
        concat!(" INDEXED BY ", $index, " ")
    };
}

/// The elements of a list of [`texts`], as a table with a column `value`.
macro_rules! among {
    ($list:literal, $name:literal) => {
        concat!("json_each(", $list, ") AS ", $name)
    };
}

/// The elements of a JSON list that is kept.
macro_rules! elements {
    ($column:literal, $name:literal) => {
        concat!("json_each(", $column, ") AS ", $name)
    };
}

/// Whether a column is one of a list of [`texts`].
macro_rules! is_among {
    ($column:literal, $list:literal) => {
        concat!($column, " IN (SELECT value FROM json_each(", $list, "))")
    };
}

/// The same of a column of which that is known: PostgreSQL's planner does not see it.
macro_rules! also_among {
    ($column:literal, $list:literal) => {
        ""
    };
}

/// Joins, row by row and in the order in which the tables are written: the planner
/// would read every row of the second to find those of a short list.
macro_rules! each {
    ($table:literal, $on:literal) => {
        each!($table, "", $on)
    };
    ($table:literal, $index:expr, $on:expr) => {
        concat!(" CROSS JOIN ", $table, $index, " ON ", $on)
    };
}

/// The same, with those of the first that have none of the second.
macro_rules! each_maybe {
    ($table:literal, $on:literal) => {
        concat!(" LEFT JOIN ", $table, " ON ", $on)
    };
}

/// At the end of what is asked of each row of another: so it is asked of each, and
/// not all are found first.
macro_rules! row_by_row {
    () => {
        ""
    };
}

/// Whether a delivery is of an event of the tenant `$1`.
macro_rules! of_event {
    ($event:literal) => {
        concat!("event_id = ", $event, " AND deliveries.tenant_id = $1")
    };
}

/// The rows that are taken of a table, by its key.
macro_rules! rows {
    ($table:literal, $key:literal, $which:expr) => {
        concat!("(", $key, ") IN (SELECT ", $key, " FROM ", $table, $which, ")")
    };
}

/// The smaller of two values.
macro_rules! least {
    ($one:expr, $other:expr) => {
        concat!("min(", $one, ", ", $other, ")")
    };
}

/// The larger of two values.
macro_rules! greatest {
    ($one:expr, $other:expr) => {
        concat!("max(", $one, ", ", $other, ")")
    };
}

/// A field's text of a JSON object.
macro_rules! field {
    ($column:literal, $name:literal) => {
        concat!("json_extract(", $column, ", '$.", $name, "')")
    };
}

/// An update that keeps no copy for the case that it fails half-way: whoever runs
/// it takes the whole transaction back.
macro_rules! update {
    () => {
        "UPDATE OR FAIL "
    };
}

/// Joins the deliveries that wait, row by row.
macro_rules! each_waiting {
    ($key:literal) => {
        concat!(
            " CROSS JOIN deliveries ON deliveries.tenant_id = ",
            $key,
            ".tenant_id AND deliveries.id = ",
            $key,
            ".id AND state = 'pending'"
        )
    };
}

/// What an update of `deliveries` changes: those that wait and are held by the claims
/// in a table.
macro_rules! held_by {
    ($claims:literal) => {
        concat!(
            " FROM ",
            $claims,
            " WHERE deliveries.tenant_id = ",
            $claims,
            ".tenant_id
                AND deliveries.id = ",
            $claims,
            ".id AND deliveries.state = 'pending'
                AND deliveries.claim = ",
            $claims,
            ".claim"
        )
    };
}

/// Keeps the rows that are read as they are until the transaction ends. There is
/// one writer.
macro_rules! hold {
    ($table:literal) => {
        ""
    };
}

/// Keeps the rows that are read for this transaction alone.
macro_rules! hold_alone {
    ($table:literal) => {
        ""
    };
}

/// As `each_maybe!`, with values in the condition.
pub(super) fn each_maybe(query: &mut QueryBuilder<Db>, table: &str, on: impl FnOnce(&mut QueryBuilder<Db>)) {
    query.push(" LEFT JOIN ").push(table).push(" ON ");
    on(query);
}

/// Whether lists are found by their order: see `spans`. An index is named here.
pub(super) const BY_ORDER: bool = false;

/// Binds a list of texts.
pub(super) fn texts(texts: &[String]) -> String {
    serde_json::json!(texts).to_string()
}

/// Whether a type of event fits a [`pattern`].
pub(super) const FITS: &str = " GLOB ";

/// A text that has another in it, whatever the case of its letters.
pub(super) const LIKE: &str = " LIKE ";

/// What [`FITS`] takes. Of what GLOB reads as a sign, a pattern has the star alone.
pub(super) fn pattern(pattern: &TypePattern) -> String {
    pattern.as_str().to_owned()
}

/// Begins a transaction that writes: it waits for its turn now, not at its first
/// write.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// The same where each row is looked up by its key.
pub(super) const BEGIN_LOOKING_UP: &str = BEGIN;

/// Begins a transaction whose statements all see the same moment.
pub(super) const BEGIN_READING: &str = "BEGIN";

/// The same for a list, whose order is that of an index.
pub(super) const BEGIN_LISTING: &str = BEGIN_READING;

/// Waits for whoever has the turn of a name (`$1`), and has it until the transaction
/// ends. There is one writer.
pub(super) const TURN: Option<&str> = None;

/// The same for keys, of which there is a table `asked`.
pub(super) const TURNS: Option<&str> = None;

/// The same for lines, of which there is a table `asked`.
pub(super) const LINES: Option<&str> = None;

/// The same for the lines of deliveries, of which there is a table `asked`.
pub(super) const LINES_OF: Option<&str> = None;

/// Whether rows have to be held until the transaction ends.
pub(super) const HOLDS: bool = false;

/// Of a deleted tenant: nothing writes any more what it saw it for.
pub(super) const RIPE: &str = "SELECT id FROM tenants WHERE deleted_at IS NOT NULL ORDER BY id";
