//! The machine: how many files may be open, and whether its clock runs on.

use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::finding::Finding;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::time::Timestamp;

/// A connection is an open file; a server raises its limit to the hard one.
const FEW_FILES: u64 = 4096;
/// A clock that is adjusted gently stays within this in the time that we look.
const JUMP: Duration = Duration::from_millis(500);

pub(super) fn open_files() -> Finding {
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < FEW_FILES => {
            let said = format!("at most {limit}, which is as many connections less some");
            Finding::warn(
                "open files",
                said,
                "raise it: LimitNOFILE=65536 in the unit, `--ulimit nofile=65536` for Docker",
            )
        }
        Some(limit) => Finding::ok("open files", format!("at most {limit}")),
        None => Finding::ok("open files", "no limit"),
    }
}

/// Whether the clock went as long as time did, since `began`.
pub(super) fn clock_runs_on((began, at): (Instant, Timestamp)) -> Finding {
    let (took, now) = (began.elapsed(), SystemClock.now());
    let went = now.as_millis() - at.as_millis();
    let off = went.abs_diff(i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    let mend = "let one program set it, gently: chrony or systemd-timesyncd";
    match off {
        _ if went < 0 => Finding::fail("clock", format!("it went back by {} ms while we looked", -went), mend),
        off if Duration::from_millis(off) > JUMP => {
            Finding::warn("clock", format!("it jumped by {off} ms while we looked"), mend)
        }
        _ => Finding::ok("clock", format!("{now}, and it runs on")),
    }
}
