//! The database, looked into beside whoever has it open.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::super::table::bytes;
use super::finding::Finding;
use crate::config;
use crate::store::seal::Seal;
use crate::store::sqlite::inspect::{Inspection, inspect, lock_path, log_path};
use crate::telemetry::Chain;

/// A check reads the whole file; nobody waits longer than this for it.
const PATIENCE: Duration = Duration::from_secs(300);
/// A log of this length was not taken over for long: somebody reads for hours.
const LONG_LOG: u64 = 1024 * 1024 * 1024;

pub(super) async fn findings(data: &Path, database: &Path) -> Vec<Finding> {
    let about = match fs::metadata(database) {
        Ok(about) => about,
        Err(_) if !data.is_dir() => return Vec::new(),
        Err(_) => {
            let said = format!("none at {} yet; the first start makes it", database.display());
            return vec![Finding::ok("database", said)];
        }
    };
    // A key that is not sound was told already.
    let key = config::master_key_there(data).ok().flatten();
    let seal = key.map(|key| Seal::new(key.bytes()));
    let looked = tokio::time::timeout(PATIENCE, inspect(database, seal.as_ref())).await;
    let mut findings = match looked {
        Err(_) => {
            let said = format!("{}: the check takes longer than {} s", bytes(about.len()), PATIENCE.as_secs());
            vec![Finding::warn(
                "database",
                said,
                "check a backup: `hookyard backup`, then `hookyard restore` elsewhere",
            )]
        }
        Ok(Err(error)) => {
            let mend = "let the server's user read and write it and its directory; if it is damaged, restore a backup";
            vec![Finding::fail("database", format!("{}: {}", database.display(), Chain(&error)), mend)]
        }
        Ok(Ok(found)) => judged(&found, about.len()),
    };
    findings.push(log(database));
    findings.push(lock(database));
    findings
}

fn judged(found: &Inspection, size: u64) -> Vec<Finding> {
    let Inspection { sqlite, integrity, schema, known, opens } = found;
    let mut findings = vec![match integrity.as_str() {
        "ok" => Finding::ok("database", format!("{}, sound; SQLite {sqlite}", bytes(size))),
        wrong => Finding::fail("database", wrong, "stop the server, keep the file, and restore the last backup"),
    }];
    findings.push(match schema {
        None => Finding::fail("schema", "this is no database of Hookyard's", "--data or --database says where it is"),
        Some(version) if version > known => {
            let said = format!("version {version}, and this program knows {known}");
            Finding::fail("schema", said, "use the hookyard that it was used with last, or a newer one")
        }
        Some(version) if version < known => Finding::ok(
            "schema",
            format!("version {version}; the next start brings it to {known}: make a backup before"),
        ),
        Some(version) => Finding::ok("schema", format!("version {version}")),
    });
    findings.push(match opens {
        Some(true) => Finding::ok("secrets", "the master key opens them"),
        Some(false) => {
            let mend = "put the key that it was made with into master.key or HOOKYARD_MASTER_KEY";
            Finding::fail("secrets", "they were encrypted with another master key", mend)
        }
        None => Finding::skip("secrets", "not tried without a master key"),
    });
    findings
}

fn log(database: &Path) -> Finding {
    match fs::metadata(log_path(database)) {
        Ok(log) if log.len() > LONG_LOG => {
            let mend = "end what reads the database for long, such as a backup that hangs; the server then shortens it";
            Finding::warn("log", bytes(log.len()), mend)
        }
        Ok(log) => Finding::ok("log", bytes(log.len())),
        Err(_) => Finding::ok("log", "none: the last end was in order, or there was no start"),
    }
}

/// As the kernel says, without trying it: a server that starts just now would
/// find it taken.
fn lock(database: &Path) -> Finding {
    let held = || {
        let file = fs::metadata(lock_path(database)).ok()?;
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let inode = format!(":{}", file.ino());
        Some(locks.lines().any(|lock| lock.split_whitespace().any(|word| word.ends_with(&inode))))
    };
    match held() {
        Some(true) => Finding::ok("lock", "a server has the database open"),
        Some(false) | None => Finding::ok("lock", "no server has the database open"),
    }
}
