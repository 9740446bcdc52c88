//! PostgreSQL's words for what every engine says in its own way. `store/sql` is
//! written in them.

use sqlx::QueryBuilder;

use super::db::Db;
use crate::domain::subscription::TypePattern;

/// Names the index that a table is read through. Here none can be named: statements
/// are written so that no other serves (`spans`, `each!`, `row_by_row!`). Left to
/// itself, the planner takes what it thinks is cheapest of what it knows of each
/// column alone: it looks for a rare thing among all of a tenant's rows because it is
/// common elsewhere, and reads a whole table because it is not large yet.
macro_rules! by {
    ($index:literal) => {
        " "
    };
}

/// The elements of a list of [`texts`], as a table with a column `value`.
macro_rules! among {
    ($list:literal, $name:literal) => {
        concat!("unnest(", $list, "::text[]) AS ", $name, " (value)")
    };
}

/// The elements of a JSON list that is kept.
macro_rules! elements {
    ($column:literal, $name:literal) => {
        concat!("json_array_elements_text(", $column, "::json) AS ", $name, " (value)")
    };
}

/// Whether a column is one of a list of [`texts`]: looked up one by one, in the days
/// that they are of.
macro_rules! is_among {
    ($column:literal, $list:literal) => {
        concat!($column, " = ANY(", $list, "::text[])")
    };
}

/// The same of a column of which that is known: the planner does not see it.
macro_rules! also_among {
    ($column:literal, $list:literal) => {
        concat!(" AND ", $column, " = ANY(", $list, "::text[])")
    };
}

/// Joins row by row. `OFFSET 0` keeps the planner from reading all of the second table
/// instead.
macro_rules! each {
    ($table:literal, $on:literal) => {
        each!($table, "", $on)
    };
    ($table:literal, $index:expr, $on:expr) => {
        concat!(" CROSS JOIN LATERAL (SELECT * FROM ", $table, " WHERE ", $on, " OFFSET 0) AS ", $table)
    };
}

/// The same, with those of the first that have none of the second.
macro_rules! each_maybe {
    ($table:literal, $on:literal) => {
        concat!(" LEFT JOIN LATERAL (SELECT * FROM ", $table, " WHERE ", $on, " OFFSET 0) AS ", $table, " ON TRUE")
    };
}

/// At the end of what is asked of each row of another: so it is asked of each, and
/// not all are found first.
macro_rules! row_by_row {
    () => {
        " OFFSET 0"
    };
}

/// Whether a delivery is of an event of the tenant `$1`, through the index that finds
/// those: of a day that is small the planner would take any. It believes that a ninth
/// of all is found, and would rather read the table, outside a transaction of these.
macro_rules! of_event {
    ($event:literal) => {
        concat!(
            "(event_id, deliveries.tenant_id) >= (",
            $event,
            ", $1) AND (event_id, deliveries.tenant_id) <= (",
            $event,
            ", $1)"
        )
    };
}

/// The rows that are taken of a table, which is not cut into days; not those that
/// somebody else has. By their places, which nothing else has to be read for.
macro_rules! rows {
    ($table:literal, $key:literal, $which:expr) => {
        concat!("ctid = ANY(ARRAY(SELECT ctid FROM ", $table, $which, " FOR UPDATE SKIP LOCKED))")
    };
}

/// The smaller of two values.
macro_rules! least {
    ($one:expr, $other:expr) => {
        concat!("least(", $one, ", ", $other, ")")
    };
}

/// The larger of two values.
macro_rules! greatest {
    ($one:expr, $other:expr) => {
        concat!("greatest(", $one, ", ", $other, ")")
    };
}

/// A field's text of a JSON object.
macro_rules! field {
    ($column:literal, $name:literal) => {
        concat!("(", $column, "::json ->> '", $name, "')")
    };
}

/// An update.
macro_rules! update {
    () => {
        "UPDATE "
    };
}

/// The delivery that waits and has a key. The order is that of the key's own index and
/// of no other: left to itself, the planner takes any index that begins with the tenant
/// as long as next to nothing waits, keeps to it while a backlog grows, and each lookup
/// reads all that the tenant has waiting.
macro_rules! waiting {
    ($what:literal, $key:literal) => {
        concat!(
            "(SELECT ",
            $what,
            " FROM deliveries_pending WHERE tenant_id = ",
            $key,
            ".tenant_id AND id = ",
            $key,
            ".id ORDER BY state LIMIT 1)"
        )
    };
}

/// Joins the deliveries that wait, row by row.
macro_rules! each_waiting {
    ($key:literal) => {
        concat!(" CROSS JOIN LATERAL ", waiting!("*", $key), " AS deliveries")
    };
}

/// What an update of `deliveries` changes: those that wait and are held by the claims
/// in a table. Their places are found first, which `OFFSET 0` sees to: where nothing
/// waited when the plan was made, the planner would begin with all that waits.
macro_rules! held_by {
    ($claims:literal) => {
        concat!(
            " FROM (SELECT ",
            $claims,
            ".*, found.place FROM ",
            $claims,
            " CROSS JOIN LATERAL ",
            waiting!("ctid AS place, claim", $claims),
            " AS found WHERE found.claim = ",
            $claims,
            ".claim OFFSET 0) AS ",
            $claims,
            " WHERE deliveries.ctid = ",
            $claims,
            ".place AND deliveries.state = 'pending' AND deliveries.claim = ",
            $claims,
            ".claim"
        )
    };
}

/// Keeps the rows that are read as they are until the transaction ends; others
/// may do the same.
macro_rules! hold {
    ($table:literal) => {
        concat!(" FOR SHARE OF ", $table)
    };
}

/// Keeps the rows that are read for this transaction alone.
macro_rules! hold_alone {
    ($table:literal) => {
        concat!(" FOR UPDATE OF ", $table)
    };
}

/// As `each_maybe!`, with values in the condition.
pub(super) fn each_maybe(query: &mut QueryBuilder<Db>, table: &str, on: impl FnOnce(&mut QueryBuilder<Db>)) {
    query.push(" LEFT JOIN LATERAL (SELECT * FROM ").push(table).push(" WHERE ");
    on(query);
    query.push(" OFFSET 0) AS ").push(table).push(" ON TRUE");
}

/// Whether lists are found by their order: see `spans`.
pub(super) const BY_ORDER: bool = true;

/// Binds a list of texts.
pub(super) fn texts(texts: &[String]) -> Vec<String> {
    texts.to_vec()
}

/// Whether a type of event fits a [`pattern`].
pub(super) const FITS: &str = " LIKE ";

/// A text that has another in it, whatever the case of its letters.
pub(super) const LIKE: &str = " ILIKE ";

/// What [`FITS`] takes.
pub(super) fn pattern(pattern: &TypePattern) -> String {
    pattern.as_str().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%")
}

/// Begins a transaction.
///
/// A host that is suspended within it would keep others from its locks, and the server
/// from cleaning up, for as long as it is: what it has begun is rolled back when it has
/// been silent for 5 s, as the others do not count it any more by then.
///
/// Whatever grows has an index for each statement. A day is small when it begins, and a
/// plan that reads all of it would be kept while it grows. To compile a plan with forty
/// days in it takes a second, where what it finds is read in milliseconds.
macro_rules! begin {
    ($mode:literal) => {
        concat!(
            "BEGIN ISOLATION LEVEL ",
            $mode,
            "; SET LOCAL idle_in_transaction_session_timeout = 5000; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
        )
    };
}

/// Begins a transaction that writes. Each statement sees what was committed before
/// it, so that what is asked after a lock was waited for is true.
pub(super) const BEGIN: &str = begin!("READ COMMITTED");

/// The same where each row is looked up by its key or its place. Left to itself, the
/// planner reads a whole index instead, where a row's place is known and costs one page.
/// Plans are made once: with the number of rows in sight the planner would make one for
/// each batch.
pub(super) const BEGIN_LOOKING_UP: &str = concat!(
    begin!("READ COMMITTED"),
    "; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
     SET LOCAL enable_mergejoin = off; SET LOCAL enable_material = off; SET LOCAL cpu_index_tuple_cost = 1000; \
     SET LOCAL plan_cache_mode = force_generic_plan"
);

/// Begins a transaction whose statements all see the same moment.
pub(super) const BEGIN_READING: &str = begin!("REPEATABLE READ READ ONLY");

/// The same for a list, whose order is that of an index (`spans`). The planner believes
/// that a span holds few rows, and would read all of it and put them in order.
pub(super) const BEGIN_LISTING: &str = concat!(begin!("REPEATABLE READ READ ONLY"), "; SET LOCAL enable_sort = off");

/// Waits for whoever has the turn of a name (`$1`), and has it until the transaction
/// ends.
pub(super) const TURN: Option<&str> = Some("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))");

/// The same for keys, of which there is a table `asked`; in one order, because two
/// that have the same would wait for each other. There is room for so many locks and
/// no more, and whoever shares a number with another's key only waits for it.
pub(super) const TURNS: Option<&str> = Some(
    "SELECT count(pg_advisory_xact_lock(turn)) FROM (
        SELECT DISTINCT (hashtextextended(tenant_id || ' ' || key, 2) & 1023) + 7205759403810000 AS turn
        FROM asked ORDER BY turn OFFSET 0) AS turns",
);

/// The same for lines, of which there is a table `asked`: the triggers take them as
/// rows come, in any order.
pub(super) const LINES: Option<&str> = Some(
    "SELECT count(pg_advisory_xact_lock(turn)) FROM (
        SELECT DISTINCT line_key(endpoint_id, line) AS turn FROM asked ORDER BY turn OFFSET 0) AS turns",
);

/// The same for the lines of deliveries, of which there is a table `asked`.
pub(super) const LINES_OF: Option<&str> = Some(concat!(
    "SELECT count(pg_advisory_xact_lock(turn)) FROM (
        SELECT DISTINCT line_key(waiting.endpoint_id, waiting.line) AS turn FROM asked CROSS JOIN LATERAL ",
    waiting!("endpoint_id, line", "asked"),
    " AS waiting WHERE waiting.line IS NOT NULL ORDER BY turn OFFSET 0) AS turns",
));

/// Whether rows have to be held until the transaction ends.
pub(super) const HOLDS: bool = true;

/// Of a deleted tenant: nothing writes any more what it saw it for. A transaction of a
/// writer's ends within its twenty seconds.
pub(super) const RIPE: &str = "
    SELECT id FROM tenants WHERE deleted_at < (extract(epoch FROM now()) * 1000)::bigint - 60000 ORDER BY id";

#[cfg(test)]
mod tests {
    use super::super::sql::{figures, people, remove, sweep};

    #[test]
    fn no_statement_is_said_in_another_engines_words() {
        let counted = [figures::DEAD, figures::QUARANTINED, figures::FORGET, figures::SINCE];
        let all = sweep::STATEMENTS.into_iter().chain(remove::STATEMENTS).chain(people::END_OLDEST).chain(counted);
        for statement in all {
            for word in ["?", "INDEXED BY", "json_each", "rowid", "GLOB", "OR FAIL"] {
                assert!(!statement.contains(word), "{word} in {statement}");
            }
            assert!(statement.contains("$1"), "{statement}");
        }
    }
}
