//! One PostgreSQL server with its data, which can be restarted, stopped and
//! killed.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::enclosure::{Enclosure, send};
use super::programs::psql;
use crate::eventually;

/// What a durable server has by itself is said all the same: this is what the
/// tests' promises rest on.
const USUAL: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "300"),
    ("shared_buffers", "128MB"),
    // In the data directory, so that it goes when that does.
    ("dynamic_shared_memory_type", "mmap"),
    // For a standby that was stopped for a while.
    ("wal_keep_size", "256MB"),
    // A standby that says how far it is only now and then would have tests wait.
    ("wal_receiver_status_interval", "1s"),
];

/// Ports below those that Linux gives to connections, so that none of them takes
/// a cluster's while it is down.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// Each taken in the moment between looking and starting.
const TRIES: usize = 10;

/// Runs until it is dropped, or the test's process ends.
pub struct Cluster {
    pub(super) enclosure: Enclosure,
    port: u16,
    /// None while it is down. A child that was not waited for keeps its number,
    /// so that no signal reaches anybody else.
    postmaster: Mutex<Option<Child>>,
}

impl Cluster {
    /// A fresh one with one user, `postgres`, who needs no password.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these settings of `postgresql.conf` beside the usual ones, or in
    /// their place.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let enclosure = Enclosure::new();
        let plain = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--pgdata=data"];
        enclosure.run("initdb", &plain.map(OsStr::new)).await;
        configure(&enclosure, &[USUAL, settings].concat());
        Self::on(enclosure).await
    }

    /// On a data directory that is there, at a port of its own.
    pub(super) async fn on(enclosure: Enclosure) -> Self {
        let mut cluster = Self { enclosure, port: 0, postmaster: Mutex::default() };
        for _ in 0..TRIES {
            cluster.port = free_port();
            match cluster.up().await {
                Ok(()) => return cluster,
                Err(log) => assert!(log.contains("could not bind"), "PostgreSQL does not start:\n{log}"),
            }
        }
        panic!("{TRIES} ports that were free were taken")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where its data and its log are.
    pub fn directory(&self) -> &Path {
        self.enclosure.path()
    }

    /// Of one of its databases.
    pub fn url(&self, database: &str) -> String {
        url(self.address(), database)
    }

    /// What statements in its database `postgres` answer: one row a line, columns
    /// parted by `|`.
    pub async fn psql(&self, sql: &str) -> String {
        psql(&self.url("postgres"), sql).await
    }

    /// SIGKILL to the server and all its processes: it writes nothing any more,
    /// and nobody can tell that a commit had happened but from the disk. What
    /// the kernel was given stays, as it does when only programs die.
    pub async fn kill(&self) {
        let mut postmaster = self.taken();
        let first = id(&postmaster);
        // Stopped, it neither starts a process that this would miss nor ends one
        // in order.
        send(first, Signal::STOP);
        self.enclosure.processes().into_iter().filter(|process| *process != first).for_each(|process| {
            send(process, Signal::KILL);
        });
        send(first, Signal::KILL);
        postmaster.wait().expect("it is our child");
        // Its data may be used again when the last one has let go of it.
        eventually("the end of its processes", async || self.enclosure.processes().is_empty().then_some(())).await;
    }

    /// As `pg_ctl restart -m immediate` does, or starts what was killed: it
    /// recovers from its log.
    pub async fn restart_immediate(&self) {
        self.restart(Signal::QUIT).await;
    }

    /// As `pg_ctl restart` does: connections are ended, transactions rolled back.
    pub async fn restart_fast(&self) {
        self.restart(Signal::INT).await;
    }

    async fn restart(&self, how: Signal) {
        if self.is_up() {
            let mut postmaster = self.taken();
            send(id(&postmaster), how);
            eventually("an end in order", async || postmaster.try_wait().expect("it is our child")).await;
        }
        self.up().await.unwrap_or_else(|log| panic!("PostgreSQL does not start again:\n{log}"));
    }

    /// Ends all connections, as an administrator does; answers how many there
    /// were.
    pub async fn terminate_backends(&self) -> usize {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.psql(sql).await.parse().expect("a number")
    }

    /// SIGSTOP to all its processes: connections stay, and nobody answers.
    pub fn stop(&self) {
        let postmaster = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner);
        self.enclosure.signal(id(postmaster.as_ref().expect("it runs")), Signal::STOP);
    }

    /// SIGCONT to all its processes.
    pub fn cont(&self) {
        let postmaster = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner);
        self.enclosure.signal(id(postmaster.as_ref().expect("it runs")), Signal::CONT);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("log")).expect("it is there from the first start")
    }

    /// The CPU time that its processes have had so far, those that have ended too.
    pub fn cpu(&self) -> Duration {
        /// The kernel counts in hundredths of a second (`USER_HZ`).
        const TICK: Duration = Duration::from_millis(10);
        let ticks = |process: &Pid| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
            // The name, which may have spaces, ends with the last parenthesis; then
            // utime, stime and those of the children that it has waited for.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
            fields.filter_map(|field| field.parse::<u32>().ok()).sum::<u32>()
        };
        TICK * self.enclosure.processes().iter().map(ticks).sum::<u32>()
    }

    fn is_up(&self) -> bool {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn taken(&self) -> Child {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner).take().expect("it runs")
    }

    /// Starts the server and waits until it takes connections; its log when it
    /// ends instead.
    async fn up(&self) -> Result<(), String> {
        let directory = self.directory();
        let log = fs::File::options().create(true).append(true).open(directory.join("log"));
        let log = log.expect("the temporary directory can be written");
        let mut command = self.enclosure.command("postgres");
        command.args(["-D", "data", "-p", &self.port.to_string(), "-k"]).arg(directory);
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let mut postmaster = command.spawn().expect("initdb is beside it, and ran");
        let own = postmaster.id().to_string();
        let is_up = eventually("the cluster's start", async || {
            if postmaster.try_wait().expect("it is our child").is_some() {
                return Some(false);
            }
            let told = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
            let lines: Vec<&str> = told.lines().map(str::trim).collect();
            // One that was killed has left its own.
            (lines.first() == Some(&own.as_str()) && lines.get(7) == Some(&"ready")).then_some(true)
        });
        match is_up.await {
            true => {
                *self.postmaster.lock().unwrap_or_else(PoisonError::into_inner) = Some(postmaster);
                Ok(())
            }
            false => Err(self.log()),
        }
    }
}

/// The last word on a setting in the file is what counts.
pub(super) fn configure(enclosure: &Enclosure, settings: &[(&str, &str)]) {
    let file = fs::File::options().append(true).open(enclosure.path().join("data/postgresql.conf"));
    let mut file = file.expect("initdb wrote it");
    for (name, value) in settings {
        writeln!(file, "{name} = '{}'", value.replace('\'', "''")).expect("it can be written");
    }
}

pub(super) fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://postgres@{address}/{database}")
}

pub(super) fn free_port() -> u16 {
    loop {
        let drawn = PORTS.start + u16::from_le_bytes(hookyard::clock::random()) % (PORTS.end - PORTS.start);
        if TcpListener::bind(("127.0.0.1", drawn)).is_ok() {
            return drawn;
        }
    }
}

pub(super) fn id(child: &Child) -> Pid {
    Pid::from_child(child)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let postmaster = self.postmaster.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(postmaster) = postmaster {
            let _it_dies_at_once = postmaster.kill();
            let _nobody_else_waits = postmaster.wait();
        }
    }
}
