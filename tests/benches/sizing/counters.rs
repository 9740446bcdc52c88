//! What the server and the kernel count, at one moment.

use std::collections::BTreeMap;
use std::ops::Sub;
use std::time::Duration;

use hookyard_tests::postgres::{Cluster, Database};

/// A process of the server's that is idle tells what it did after ten seconds.
pub(crate) const FLUSH: Duration = Duration::from_secs(11);

/// Of a table with all its days: the columns below, in their order.
pub(crate) type Table = [f64; 5];
pub(crate) const TABLE_BYTES: usize = 0;
pub(crate) const INDEX_BYTES: usize = 1;
pub(crate) const INSERTED: usize = 2;
pub(crate) const UPDATED: usize = 3;
pub(crate) const DELETED: usize = 4;

#[derive(Clone, Default)]
pub(crate) struct Counters {
    pub(crate) wal_bytes: f64,
    pub(crate) wal_records: f64,
    /// Whole pages in the log, and their bytes are in `wal_bytes`.
    pub(crate) whole_pages: f64,
    pub(crate) transactions: f64,
    pub(crate) statements: f64,
    /// CPU seconds.
    pub(crate) host: f64,
    pub(crate) server: f64,
    pub(crate) tables: BTreeMap<String, Table>,
}

impl Counters {
    pub(crate) async fn read(cluster: &Cluster, database: &Database, host: u32) -> Self {
        const OF_THE_SERVER: &str = "
            SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, wal_records, wal_fpi FROM pg_stat_wal";
        const OF_TABLES: &str = "
            SELECT regexp_replace(leaf.relname, '(_[0-9]{4}_[0-9]{2}_[0-9]{2}|_other_days)$', '') AS family,
                sum(pg_table_size(leaf.oid)), sum(pg_indexes_size(leaf.oid)),
                sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del)
            FROM pg_class AS leaf JOIN pg_stat_user_tables AS counted ON counted.relid = leaf.oid
            WHERE leaf.relkind = 'r' GROUP BY family";
        let of_database = format!(
            "SELECT xact_commit, (SELECT sum(calls) FROM pg_stat_statements WHERE dbid = datid)
             FROM pg_stat_database WHERE datname = '{}'",
            database.name()
        );
        // Asked in another database, so that asking is not counted.
        let [server, counted] = [cluster.psql(OF_THE_SERVER).await, cluster.psql(&of_database).await];
        let (server, counted) = (numbers(&server), numbers(&counted));
        let tables = database.psql(OF_TABLES).await;
        let tables = tables.lines().filter_map(|line| {
            let (name, rest) = line.split_once('|')?;
            Some((name.to_owned(), numbers(rest).try_into().expect("five columns")))
        });
        Self {
            wal_bytes: server[0],
            wal_records: server[1],
            whole_pages: server[2],
            transactions: counted[0],
            statements: counted[1],
            host: cpu(host),
            server: cluster.cpu().as_secs_f64(),
            tables: tables.collect(),
        }
    }

    /// What it all comes to when each number is made of the two.
    pub(crate) fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let tables = self.tables.iter().map(|(name, table)| {
            let others = other.tables.get(name).copied().unwrap_or_default();
            (name.clone(), std::array::from_fn(|at| f(table[at], others[at])))
        });
        Self {
            wal_bytes: f(self.wal_bytes, other.wal_bytes),
            wal_records: f(self.wal_records, other.wal_records),
            whole_pages: f(self.whole_pages, other.whole_pages),
            transactions: f(self.transactions, other.transactions),
            statements: f(self.statements, other.statements),
            host: f(self.host, other.host),
            server: f(self.server, other.server),
            tables: tables.collect(),
        }
    }
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        self.with(&before, |after, before| after - before)
    }
}

fn numbers(row: &str) -> Vec<f64> {
    row.trim().split('|').map(|number| number.parse().unwrap_or(0.0)).collect()
}

/// A process's CPU seconds so far, user and system.
fn cpu(process: u32) -> f64 {
    /// The kernel counts in hundredths of a second (`USER_HZ`).
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it still runs");
    // The name, which may have spaces, ends with the last parenthesis.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}
