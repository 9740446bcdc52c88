//! What the process takes, under the names that every Prometheus client uses.
//! Where `/proc` does not say, the number is 0.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::domain::time::Timestamp;
use crate::telemetry::exposition::Exposition;

/// Linux counts a process's time in this many ticks a second on each
/// architecture that we are built for.
const TICKS: f64 = 100.0;

pub(super) fn write(page: &mut Exposition, started_at: Timestamp) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    page.gauge("process_resident_memory_bytes", "Resident memory.", field(&status, "VmRSS:") * 1024.0);
    page.gauge("process_threads", "Threads.", field(&status, "Threads:"));
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    page.counter("process_cpu_seconds_total", "Time on processors, user and system.", processor_seconds(&stat));
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    page.gauge("process_open_fds", "Open files.", open as f64);
    let most = getrlimit(Resource::Nofile).current.unwrap_or(0);
    page.gauge("process_max_fds", "Files that may be open.", most as f64);
    page.gauge("process_start_time_seconds", "When it started, since 1970.", started_at.as_millis() as f64 / 1000.0);
}

/// The number in the line that begins with `name`.
fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// Fields 14 and 15; the second is a name that may have spaces, in brackets.
fn processor_seconds(stat: &str) -> f64 {
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0.0 };
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_linux_writes_it() {
        assert_eq!(field("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t7\n", "VmRSS:"), 2048.0);
        let stat = "1 (a ) b) S 1 1 1 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 1 1 1";
        assert_eq!(processor_seconds(stat), 2.0);
        assert_eq!((field("", "VmRSS:"), processor_seconds("")), (0.0, 0.0));
    }
}
