//! What follows from the cost of an event: for a rate, and in money.

use std::fmt::Write as _;

use crate::measured::Cost;

/// Events a second on average over the day.
const RATES: [f64; 5] = [10.0, 100.0, 1_000.0, 5_000.0, 20_000.0];
const DAY: f64 = 86_400.0;
const MONTH_DAYS: f64 = 30.0;
/// Retention, in days.
const KEPT_DAYS: f64 = 30.0;
/// A machine that is busier than this on average has no room for a peak.
const BUSY: f64 = 0.5;
const HOURS: f64 = 730.0;

/// Machines and disks: dollars, from public lists.
struct Offer {
    name: &'static str,
    /// A virtual processor for an hour: of a host, and of the database with its
    /// standby.
    host: f64,
    database: f64,
    /// A GB of the database for a month, with the standby's.
    disk: f64,
}

const OFFERS: [Offer; 2] = [
    Offer { name: "EC2 m7g, one's own PostgreSQL", host: 0.0408, database: 2.0 * 0.0408, disk: 2.0 * 0.08 },
    Offer { name: "EC2 m7g, RDS m7g Multi-AZ", host: 0.0408, database: 2.0 * 0.0842, disk: 2.0 * 0.115 },
];

/// A processor more than half of what is needed is no use: they come in pairs.
fn processors(per_event: f64, rate: f64) -> f64 {
    let needed = per_event * rate / BUSY;
    (needed / 2.0).ceil().max(1.0) * 2.0
}

pub(crate) fn by_rate(cost: &Cost) -> String {
    let (table, index) = cost.kept();
    let mut said = String::from(
        "| events/s | a day, million | a month, million | WAL, MB/s | WAL a day, GB | disk for 30 days, GB | processors of hosts | of PostgreSQL |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for rate in RATES {
        let day = rate * DAY;
        let _to_a_string = writeln!(
            said,
            "| {rate:.0} | {:.1} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} | {:.2} |",
            day / 1e6,
            day * MONTH_DAYS / 1e6,
            rate * cost.each.wal_bytes / 1e6,
            day * cost.each.wal_bytes / 1e9,
            day * KEPT_DAYS * (table + index) / 1e9,
            rate * cost.each.host,
            rate * cost.each.server,
        );
    }
    said
}

pub(crate) fn in_money(cost: &Cost) -> String {
    let (table, index) = cost.kept();
    let mut said = String::from(
        "| events/s | | processors: hosts, database | disk, GB | dollars a month | of them for the disk | dollars a million events |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for rate in RATES {
        for offer in &OFFERS {
            // Two hosts at least: with one, there is no need of all this.
            let hosts = processors(cost.each.host, rate).max(4.0);
            let database = processors(cost.each.server, rate);
            let disk = rate * DAY * KEPT_DAYS * (table + index) / 1e9;
            let of_disk = disk * offer.disk;
            let month = HOURS * (hosts * offer.host + database * offer.database) + of_disk;
            let _to_a_string = writeln!(
                said,
                "| {rate:.0} | {} | {hosts:.0}, {database:.0} | {disk:.0} | {month:.0} | {of_disk:.0} | {:.2} |",
                offer.name,
                month / (rate * DAY * MONTH_DAYS / 1e6),
            );
        }
    }
    said
}
