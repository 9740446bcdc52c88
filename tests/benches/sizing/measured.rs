//! What an event costs, and the tables that say it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::counters::{Counters, DELETED, INDEX_BYTES, INSERTED, TABLE_BYTES, Table, UPDATED};
use crate::shape::Shape;

/// Tables that grow with what happens; the others are as large as what waits or is set
/// up.
const GROW: [&str; 5] = ["requests", "events", "deliveries_rested", "messages", "attempts"];

/// What was used up between two looks.
pub(crate) struct Spent {
    pub(crate) counters: Counters,
    pub(crate) events: u64,
    /// From the first event until everything was at rest.
    pub(crate) busy: Duration,
    /// From one look to the other.
    pub(crate) whole: Duration,
}

/// What one event costs.
pub(crate) struct Cost {
    pub(crate) each: Counters,
    /// Events a second, delivered.
    pub(crate) rate: f64,
}

impl Cost {
    /// Without what a host does at rest.
    pub(crate) fn of(spent: &Spent, rest: &Spent) -> Self {
        let share = spent.whole.as_secs_f64() / rest.whole.as_secs_f64();
        let own = spent.counters.with(&rest.counters, |spent, rest| (spent - rest * share).max(0.0));
        let events = spent.events as f64;
        Self { each: own.with(&own, |all, _| all / events), rate: events / spent.busy.as_secs_f64() }
    }

    /// Bytes that stay until retention takes them: of tables, and of their indexes.
    pub(crate) fn kept(&self) -> (f64, f64) {
        let grown = GROW.iter().filter_map(|name| self.each.tables.get(*name));
        grown.fold((0.0, 0.0), |(table, index), of| (table + of[TABLE_BYTES], index + of[INDEX_BYTES]))
    }

    fn rows(&self) -> f64 {
        self.each.tables.values().map(changes).sum()
    }
}

fn changes(table: &Table) -> f64 {
    table[INSERTED] + table[UPDATED] + table[DELETED]
}

/// A host with nothing to do, by the second.
pub(crate) fn at_rest(rest: &Spent) -> String {
    let seconds = rest.whole.as_secs_f64();
    let each = |count: f64| count / seconds;
    let of = &rest.counters;
    format!(
        "A host at rest: {:.0} transactions and {:.1} KB of WAL a second, {:.3} of a processor and {:.3} of PostgreSQL's.\n",
        each(of.transactions),
        each(of.wal_bytes) / 1e3,
        each(of.host),
        each(of.server)
    )
}

/// Shapes against each other.
pub(crate) fn of_shapes(usual: &Cost, others: &[(Shape, Cost)]) -> String {
    let mut said = String::from(
        "| an event of | rows written | WAL, KB | kept on disk, KB: rows + indexes | host, CPU s per 1,000 | PostgreSQL, CPU s per 1,000 |\n\
         |---|---|---|---|---|---|\n",
    );
    let all = std::iter::once((&Shape::USUAL, usual)).chain(others.iter().map(|(shape, cost)| (shape, cost)));
    for (shape, cost) in all {
        let (table, index) = cost.kept();
        let _to_a_string = writeln!(
            said,
            "| {} | {:.1} | {:.1} | {:.1} + {:.1} | {:.2} | {:.2} |",
            shape.name,
            cost.rows(),
            cost.each.wal_bytes / 1e3,
            table / 1e3,
            index / 1e3,
            cost.each.host * 1e3,
            cost.each.server * 1e3,
        );
    }
    said
}

/// The usual event, as it comes.
pub(crate) fn by_pace(paces: &[(&str, &Cost)], rate: u64) -> String {
    let mut said = String::from(
        "| 500 bytes, 1 delivery | events/s | transactions | statements | WAL, KB | whole pages in it | host, CPU s per 1,000 | PostgreSQL, CPU s per 1,000 |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (pace, cost) in paces {
        let of = &cost.each;
        let shown = if *pace == "slowly" { format!("{rate} a second") } else { (*pace).to_owned() };
        let _to_a_string = writeln!(
            said,
            "| {shown} | {:.0} | {:.2} | {:.1} | {:.1} | {:.3} | {:.2} | {:.2} |",
            cost.rate,
            of.transactions,
            of.statements,
            of.wal_bytes / 1e3,
            of.whole_pages,
            of.host * 1e3,
            of.server * 1e3,
        );
    }
    said
}

/// Where the rows are that an event writes, and what stays of them.
pub(crate) fn by_table(usual: &Cost) -> String {
    let mut said = String::from(
        "| 500 bytes, 1 delivery: table | rows inserted | updated | deleted | bytes kept | of indexes |\n\
         |---|---|---|---|---|---|\n",
    );
    for (name, table) in &usual.each.tables {
        if changes(table) < 0.01 {
            continue;
        }
        let kept = |at: usize| if GROW.contains(&name.as_str()) { format!("{:.0}", table[at]) } else { "-".to_owned() };
        let _to_a_string = writeln!(
            said,
            "| `{name}` | {:.2} | {:.2} | {:.2} | {} | {} |",
            table[INSERTED],
            table[UPDATED],
            table[DELETED],
            kept(TABLE_BYTES),
            kept(INDEX_BYTES)
        );
    }
    said
}
