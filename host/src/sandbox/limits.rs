//! What a plugin may use. Every number has a default here and its reason; the
//! limits on a component's structure are in [`super::gate`].

use std::time::Duration;

use crate::domain::budget::{Budget, Ceilings};

/// Bytes of an uploaded component: room for CPython (18 MiB) and a program of a
/// few megabytes for it.
pub const MAX_COMPONENT: usize = 24 << 20;

/// What one call may use, and what the sandbox accepts as a whole.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Instructions of one call, about one unit each; a byte moved in bulk costs
    /// one too. 200 M is 30 to 100 ms of one core: mapping a document of a
    /// megabyte and a half, or an interpreter that starts and works. (Mapping
    /// 500 bytes takes 0.12 M.)
    pub fuel: u64,
    /// The backstop behind `fuel`, by the wall clock, for what fuel does not
    /// count. Far above what `fuel` lasts, on a busy machine and with the lower
    /// priority of slow calls too, so that it is fuel that decides, and a
    /// preview decides as production does.
    pub deadline: Duration,
    /// Bytes of linear memory in one call, all memories together.
    pub memory: usize,
    /// Table elements in one call, all tables together.
    pub table_elements: usize,
    /// Bytes that may cross from the plugin to the host at once: what a call
    /// returns, or what it logs in one go. Eight times the largest body,
    /// because `{:?}` of a body is four to five times its size.
    pub transfer: usize,
    /// Live resource handles in one call.
    pub handles: usize,
    /// Log lines that are kept of one call; more are counted and dropped.
    pub log_lines: usize,
    /// Bytes that are kept of one log line.
    pub log_line: usize,
    /// Bytes that are kept of one call's whole log.
    pub log_bytes: usize,
    /// Events that one request may become.
    pub drafts: usize,
    /// Bytes of an uploaded component.
    pub component: usize,
    /// How long a component may take to compile, by the wall clock. Its
    /// processor time is limited to the same. CPython takes 16 s of one core,
    /// which was 35 s on a machine with other things to do.
    pub compile_deadline: Duration,
    /// Address space of the process that compiles.
    pub compile_memory: u64,
    /// Plugins whose code is in memory. Each has a file descriptor, and a
    /// process may usually have 1,024.
    pub loaded_plugins: usize,
    /// Bytes of their code.
    pub loaded_bytes: usize,
    /// Calls of one tenant that may wait.
    pub queue_per_owner: usize,
    /// Calls that may wait altogether.
    pub queue: usize,
}

impl Limits {
    /// What a call may use that asks for `budget`, under its tenant's ceilings.
    pub(super) fn within(&self, budget: &Budget, ceilings: &Ceilings) -> Self {
        let bytes = |wanted: Option<u64>, usual: usize, ceiling: u64| wanted.map_or(usual, narrow).min(narrow(ceiling));
        Self {
            fuel: budget.fuel.unwrap_or(self.fuel).min(ceilings.fuel),
            memory: bytes(budget.memory, self.memory, ceilings.memory),
            transfer: bytes(budget.output, self.transfer, ceilings.output),
            log_bytes: bytes(budget.log, self.log_bytes, ceilings.log),
            ..self.clone()
        }
    }
}

fn narrow(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 200_000_000,
            deadline: Duration::from_secs(2),
            memory: 32 << 20,
            table_elements: 100_000,
            transfer: 8 << 20,
            handles: 1_000,
            log_lines: 64,
            log_line: 1 << 10,
            log_bytes: 16 << 10,
            drafts: 64,
            component: MAX_COMPONENT,
            compile_deadline: Duration::from_secs(120),
            compile_memory: 4 << 30,
            loaded_plugins: 400,
            loaded_bytes: 256 << 20,
            queue_per_owner: 1_024,
            queue: 16_384,
        }
    }
}
