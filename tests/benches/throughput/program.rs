//! A program that runs beside the benchmark, with what it costs.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// This very executable in another role.
    pub(crate) async fn itself(role: &str, arguments: &[(&str, String)]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
        command.env(super::ROLE, role);
        for (name, value) in arguments {
            command.env(name, value);
        }
        Self::start(command)
    }

    fn start(command: Command) -> Self {
        Self::spawn(command, Stdio::inherit())
    }

    /// With its log in a file.
    pub(crate) fn start_logging(command: Command, log: std::fs::File) -> Self {
        Self::spawn(command, log.into())
    }

    fn spawn(mut command: Command, stderr: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, lines }
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        self.lines.next_line().await.expect("it is text").expect("it still runs")
    }

    /// All that it prints until it ends.
    pub(crate) async fn finish(mut self) -> String {
        let mut text = String::new();
        self.lines.get_mut().read_to_string(&mut text).await.expect("it is text");
        let ended = self.child.wait().await.expect("it can be waited for");
        assert!(ended.success(), "{text}");
        text
    }

    /// SIGTERM, and its end.
    pub(crate) async fn terminate(mut self) {
        let id = self.child.id().expect("it still runs").to_string();
        Command::new("kill").arg(id).status().await.expect("kill runs");
        self.child.wait().await.expect("it can be waited for");
    }

    /// CPU time so far, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // The name, which may have spaces, ends with the last parenthesis.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a count of ticks");
        Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib / 1024.0
    }

    fn proc(&self, file: &str) -> String {
        let id = self.child.id().expect("it still runs");
        std::fs::read_to_string(format!("/proc/{id}/{file}")).expect("it still runs")
    }
}
