//! A PostgreSQL server, and the database on it that hosts share.

use std::path::Path;
use std::time::Duration;

use super::super::table::bytes;
use super::finding::Finding;
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::domain::database::{Durability, PostgresUrl};
use crate::domain::host::MOST_APART;
use crate::store::postgres::OpenError;
use crate::store::postgres::inspect::{Inspection, Schema, Standbys, inspect};
use crate::store::seal::Seal;
use crate::telemetry::Chain;

/// A name that does not answer is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// A host whose clock is off by more is not ready.
const FAR_OFF: u64 = MOST_APART.as_millis() as u64;
const OFF: u64 = 2_000;
/// Whoever looks for work walks over dead rows: so many are cleaned away every minute
/// where a vacuum comes round.
const MANY_DEAD: i64 = 100_000;

pub(super) async fn findings(data: &Path, url: &PostgresUrl, durability: Durability) -> Vec<Finding> {
    // A key that is not sound was told already.
    let key = config::master_key_there(data).ok().flatten();
    let seal = key.map(|key| Seal::new(key.bytes()));
    let before = SystemClock.now();
    let found = match tokio::time::timeout(PATIENCE, inspect(url, seal.as_ref())).await {
        Ok(Ok(found)) => found,
        Ok(Err(OpenError::Pooler)) => {
            let mend = "PgBouncer 1.21 or newer with max_prepared_statements above 0, or pool_mode = session, or the \
                        server itself in --database";
            return vec![Finding::fail("pooler", "it gives one connection the answers of another's statements", mend)];
        }
        Ok(Err(error)) => {
            let mend = "look at name, port, user, password and pg_hba.conf; `psql` with the same URL says the same";
            return vec![Finding::fail("database", format!("{url}: {}", Chain(&error)), mend)];
        }
        Err(_) => {
            let said = format!("{url}: no answer within {} s", PATIENCE.as_secs());
            return vec![Finding::fail("database", said, "look at the server and the firewall")];
        }
    };
    let mut findings = vec![
        database(url, &found),
        Finding::ok("pooler", "none that mixes prepared statements"),
        durable(&found.unsafe_settings, durability),
        standbys(&found.standbys),
        clock(before.as_millis(), SystemClock.now().as_millis(), found.clock.as_millis()),
    ];
    findings.extend(match &found.schema {
        None => vec![Finding::ok("schema", "none yet; the first start or `hookyard migrate` makes it")],
        Some(schema) => ours(schema, found.known),
    });
    findings.push(match found.is_autovacuum_on {
        true => Finding::ok("autovacuum", "on"),
        false => Finding::fail(
            "autovacuum",
            "off: every delivery leaves dead rows, and each search for work walks over them",
            "autovacuum = on in postgresql.conf, and a reload",
        ),
    });
    findings
}

fn database(url: &PostgresUrl, found: &Inspection) -> Finding {
    let Inspection { version, encoding, .. } = found;
    let said = format!("{url}, {}; PostgreSQL {version}", bytes(found.size.unsigned_abs()));
    if found.is_too_old {
        return Finding::fail("database", format!("{said}, which is too old"), "PostgreSQL 14 or newer");
    }
    if encoding != "UTF8" {
        let mend = "make the database anew: CREATE DATABASE hookyard TEMPLATE template0 ENCODING 'UTF8'";
        return Finding::fail("database", format!("{said}; its encoding is {encoding}"), mend);
    }
    match found.is_read_only {
        true => Finding::fail("database", format!("{said}; it takes no writes"), "name the primary, not a standby"),
        false => Finding::ok("database", said),
    }
}

fn durable(unsafe_settings: &[(&str, String)], durability: Durability) -> Finding {
    let said: Vec<String> = unsafe_settings.iter().map(|(name, value)| format!("{name} is {value}")).collect();
    let said = said.join(", ");
    let mend = "set it to `on`: what was acknowledged can be lost when the server's machine fails";
    match (unsafe_settings, durability) {
        ([], _) => Finding::ok("durability", "fsync, full_page_writes and synchronous_commit are on"),
        (_, Durability::Required) => Finding::fail("durability", said, mend),
        (_, Durability::Waived) => Finding::warn("durability", format!("{said}, which somebody has allowed"), mend),
    }
}

fn standbys(found: &Standbys) -> Finding {
    let Standbys { awaited, connected, synchronous } = found;
    let mend = "set synchronous_standby_names on the primary, such as 'ANY 1 (*)' with two standbys";
    match (awaited.as_str(), connected) {
        ("", 0) => Finding::warn(
            "standbys",
            "none: an event is acknowledged once it is on this one machine, and lost with its disk",
            mend,
        ),
        ("", connected) => Finding::warn(
            "standbys",
            format!("{connected}, and no commit waits for one: a failover can lose what was acknowledged"),
            mend,
        ),
        (awaited, _) => {
            Finding::ok("standbys", format!("a commit waits for {awaited}; {synchronous} of {connected} answer for it"))
        }
    }
}

/// The server's clock was read between two looks at ours.
fn clock(before: i64, after: i64, theirs: i64) -> Finding {
    let off = if theirs < before { before.abs_diff(theirs) } else { (theirs - after).max(0).unsigned_abs() };
    let said = format!("{} s away from this machine's", off / 1000);
    let mend = "let chrony or systemd-timesyncd set both: hosts compare their clocks with the times in the database";
    match off {
        0..OFF => Finding::ok("server's clock", "the same as this machine's"),
        OFF..FAR_OFF => Finding::warn("server's clock", said, mend),
        _ => Finding::fail("server's clock", said, mend),
    }
}

fn ours(found: &Schema, known: i64) -> Vec<Finding> {
    let Schema { version, hosts, pending, dead, .. } = found;
    let mut findings = vec![match version {
        version if *version > known => {
            let said = format!("version {version}, and this program knows {known}");
            Finding::fail("schema", said, "use the hookyard that it was used with last, or a newer one")
        }
        version if *version < known => {
            Finding::ok("schema", format!("version {version}; `hookyard migrate` or a start brings it to {known}"))
        }
        version => Finding::ok("schema", format!("version {version}")),
    }];
    if found.is_cut_off {
        let mend = "run the same `hookyard copy` again: it goes on where it was";
        findings.push(Finding::fail("copy", "the database is a copy that was cut off; no server starts on it", mend));
    }
    findings.push(match (found.opens, found.is_used) {
        (_, false) => Finding::ok("secrets", "none yet"),
        (Some(true), true) => Finding::ok("secrets", "the master key opens them"),
        (Some(false), true) => {
            let mend = "every host needs the key that the database was made with, in master.key or HOOKYARD_MASTER_KEY";
            Finding::fail("secrets", "they were encrypted with another master key", mend)
        }
        (None, true) => {
            let mend = "bring the key that the database was made with, to master.key or HOOKYARD_MASTER_KEY";
            Finding::fail("secrets", "there are some, and no master key is here; a start would make another", mend)
        }
    });
    findings.push(match hosts.as_slice() {
        [] => Finding::ok("hosts", "none is working on it"),
        [one] => Finding::ok("hosts", format!("{one} is working on it")),
        many => Finding::ok("hosts", format!("{} are working on it: {}", many.len(), many.join(", "))),
    });
    let said = format!("{pending} pending deliveries, {dead} dead rows among them");
    findings.push(match dead {
        dead if *dead > MANY_DEAD && dead > pending => Finding::warn(
            "dead rows",
            said,
            "end what has been in a transaction for long (pg_stat_activity, state `idle in transaction`), or look why \
             autovacuum does not come to deliveries_pending",
        ),
        _ => Finding::ok("dead rows", said),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_it_is_off_at_least() {
        for (theirs, grade) in [
            (1_000, Grade::Ok),
            (1_100, Grade::Ok),
            (-900, Grade::Ok),
            (3_099, Grade::Ok),
            (3_100, Grade::Warn),
            (-2_000, Grade::Warn),
            (6_100, Grade::Fail),
            (-60_000, Grade::Fail),
        ] {
            assert_eq!(clock(1_000, 1_100, theirs).grade, grade, "{theirs}");
        }
    }

    #[test]
    fn a_server_without_a_standby_is_told_what_that_means() {
        let found = |awaited: &str, connected| Standbys { awaited: awaited.to_owned(), connected, synchronous: 0 };
        for (found, grade, words) in [
            (found("", 0), Grade::Warn, "lost with its disk"),
            (found("", 2), Grade::Warn, "a failover can lose"),
            (found("ANY 1 (*)", 2), Grade::Ok, "a commit waits for ANY 1 (*)"),
        ] {
            let finding = standbys(&found);
            assert!(finding.grade == grade && finding.said.contains(words), "{}", finding.said);
        }
    }

    #[test]
    fn a_setting_that_loses_events_fails_unless_it_was_allowed() {
        let off = [("fsync", "off".to_owned())];
        assert_eq!(durable(&[], Durability::Required).grade, Grade::Ok);
        assert_eq!(durable(&off, Durability::Required).grade, Grade::Fail);
        assert_eq!(durable(&off, Durability::Waived).grade, Grade::Warn);
    }
}
