//! Other people's code, asked for its opinion: the SDKs in Python, the
//! platforms' recipes in Node, and a receiver as a platform's page describes it.
//! What each can be asked stands at the top of its file in `tests/oracles`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::PATIENCE;

const TESTS: &str = env!("CARGO_MANIFEST_DIR");

/// Asks `tests/oracles/oracle.py`.
pub async fn python(request: Value) -> Value {
    let python = Path::new(TESTS).join("../target/oracles/bin/python");
    assert!(python.exists(), "run tests/run once: it installs the oracles");
    ask(Command::new(python).arg(script("oracle.py")), request).await
}

/// Asks `tests/oracles/platforms.mjs`.
pub async fn node(request: Value) -> Value {
    ask(Command::new("node").arg(script("platforms.mjs")), request).await
}

/// `tests/oracles/receiver.mjs`, running.
pub struct NodeReceiver {
    port: String,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed with this. It also ends by itself with its standard input, should
    /// the test be killed.
    _child: Child,
}

impl NodeReceiver {
    /// Of a platform, by its name in `platforms.mjs`. Without a secret it takes
    /// everything.
    pub async fn start(platform: &str, secret: Option<&str>) -> Self {
        let mut child = Command::new("node")
            .arg(script("receiver.mjs"))
            .arg(platform)
            .args(secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/run installs Node");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = line(&mut lines).await;
        Self { port, lines, _child: child }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// The next request, once it comes: `method`, `path`, `headers`, `body` and
    /// `valid`, which is null without a secret.
    pub async fn next(&mut self) -> Value {
        let line = line(&mut self.lines).await;
        serde_json::from_str(&line).expect("it prints JSON")
    }
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    match tokio::time::timeout(PATIENCE, lines.next_line()).await {
        Ok(Ok(Some(line))) => line,
        Ok(_) => panic!("the receiver has ended; its complaint is above"),
        Err(_) => panic!("nothing came to the receiver within {PATIENCE:?}"),
    }
}

async fn ask(oracle: &mut Command, request: Value) -> Value {
    let mut child = oracle
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tests/run installs Python and Node");
    let asking = async {
        let mut stdin = child.stdin.take().expect("it is piped");
        // One that died before it read says why on its standard error.
        let _read_or_dead = stdin.write_all(request.to_string().as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.expect("it can be waited for")
    };
    let output = tokio::time::timeout(PATIENCE, asking).await.expect("an oracle answers soon");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the oracle failed: {complaint}");
    serde_json::from_slice(&output.stdout).expect("an oracle prints JSON")
}

fn script(name: &str) -> PathBuf {
    Path::new(TESTS).join("oracles").join(name)
}
