//! A host in a process of its own, which can be killed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::api::Api;
use crate::host::{MASTER_KEY, OPERATOR_KEY};
use crate::{TempDir, build};

/// `hookyard serve`, running.
pub struct HostProcess {
    pub operator: Api,
    child: Child,
    /// For whoever comes first, where nobody has come yet.
    link: Option<String>,
    /// The lines of its log, from the start.
    log: tokio::task::JoinHandle<Vec<Value>>,
    /// Where that is nobody else's.
    _own_data: Option<TempDir>,
}

/// It may send to this machine.
pub const LOCAL: &[&str] = &["--allow-http", "--allow-addresses", "127.0.0.0/8"];

impl HostProcess {
    /// On the data directory, ready when this returns.
    pub async fn start(data: &Path) -> Self {
        Self::start_logging(data, "info").await
    }

    /// On a server's database, which others may have too; with a data directory of
    /// its own, and what is worth a warning in its log.
    pub async fn start_on(database: &str) -> Self {
        let data = TempDir::new();
        let variables = [("HOOKYARD_DATABASE", database), ("HOOKYARD_LOG", "hookyard=warn,hookyard::cli=info")];
        let host = Self::start_with(data.path(), &variables).await;
        Self { _own_data: Some(data), ..host }
    }

    /// With another `HOOKYARD_LOG`, which must let the line "ready" through.
    pub async fn start_logging(data: &Path, filter: &str) -> Self {
        Self::start_with(data, &[("HOOKYARD_LOG", filter)]).await
    }

    /// With these variables beside the usual ones, or in their place.
    pub async fn start_with(data: &Path, variables: &[(&str, &str)]) -> Self {
        let key = STANDARD.encode(MASTER_KEY);
        let usual = [("HOOKYARD_LOG", "info"), ("HOOKYARD_MASTER_KEY", &key)];
        Self::start_from(data, LOCAL, &[&usual, variables].concat()).await
    }

    /// With these flags and no others.
    pub async fn start_flagged(data: &Path, filter: &str, flags: &[&str]) -> Self {
        let key = STANDARD.encode(MASTER_KEY);
        Self::start_from(data, flags, &[("HOOKYARD_LOG", filter), ("HOOKYARD_MASTER_KEY", &key)]).await
    }

    /// With these flags and variables and no others, but for the operator's key;
    /// without a master key among them, it is the data directory's.
    pub async fn start_from(data: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        if !data.join("compiled").exists() {
            build::compiled_into(data);
        }
        let mut child = Command::new(build::hookyard())
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(flags)
            .env("HOOKYARD_OPERATOR_KEY", OPERATOR_KEY)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program was built");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut log = Vec::new();
        let address = loop {
            let line = lines.next_line().await.expect("its log can be read").expect("it starts");
            let line = parsed(line);
            let address = (line["message"] == "ready").then(|| line["address"].as_str().map(str::to_owned)).flatten();
            log.push(line);
            match address {
                Some(address) => break address,
                None => assert!(log.len() < 1000, "it does not start: {log:?}"),
            }
        };
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                log.push(parsed(line));
            }
            log
        });
        let operator = Api::new(format!("http://{address}"), Some(OPERATOR_KEY));
        let link = std::fs::read_to_string(data.join("operator.link")).ok().map(|text| text.trim().to_owned());
        Self { operator, child, link, log, _own_data: None }
    }

    /// What the program says when it does not start with these variables.
    pub async fn refused(data: &Path, variables: &[(&str, &str)]) -> String {
        let running = Command::new(build::hookyard())
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("HOOKYARD_OPERATOR_KEY", OPERATOR_KEY)
            .env("HOOKYARD_MASTER_KEY", STANDARD.encode(MASTER_KEY))
            .envs(variables.iter().copied())
            .kill_on_drop(true)
            .output();
        let ended = tokio::time::timeout(crate::PATIENCE, running).await.expect("it ends by itself");
        let ended = ended.expect("the program was built");
        assert!(!ended.status.success(), "it should not have started");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    }

    /// A new tenant's API.
    pub async fn tenant(&self, name: &str) -> Api {
        let tenant = self.operator.post("/v1/tenants", json!({"name": name})).await.expect(201);
        self.operator.with_key(tenant["key"].as_str())
    }

    /// The link that a first start writes down, with which somebody becomes its
    /// operator.
    pub fn first_link(&self) -> &str {
        self.link.as_deref().expect("nobody is its operator yet, and a file has the link")
    }

    pub fn address(&self) -> SocketAddr {
        let address = self.operator.base().trim_start_matches("http://");
        address.parse().expect("it listens at an address")
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// Waits until it ends by itself; answers how, and its log.
    pub async fn ended(mut self) -> (std::process::ExitStatus, Vec<Value>) {
        let ended = tokio::time::timeout(crate::PATIENCE, self.child.wait()).await;
        let status = ended.expect("it ends by itself").expect("it can be waited for");
        (status, self.log.await.expect("the log is read to its end"))
    }

    /// SIGSTOP: it is there, and does nothing.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on where it was.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().cast_signed()).expect("a process has a number");
        kill_process(id, signal).expect("it was not waited for");
    }

    /// SIGKILL; answers its log.
    pub async fn kill(mut self) -> Vec<Value> {
        self.child.kill().await.expect("it is ours to kill");
        self.log.await.expect("the log is read to its end")
    }

    /// SIGTERM; answers whether it ended well, and its log.
    pub async fn terminate(mut self) -> (bool, Vec<Value>) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = ended.expect("it ends by itself").expect("it can be waited for");
        (status.success(), self.log.await.expect("the log is read to its end"))
    }
}

/// A line of the log, in which nobody's bytes may move a terminal's cursor or
/// begin another line.
fn parsed(line: String) -> Value {
    assert!(!line.chars().any(char::is_control), "a control character in the log: {line:?}");
    serde_json::from_str(&line).unwrap_or(Value::String(line))
}
