//! A terminal into which what the README shows is pasted, block after block, as a
//! newcomer does it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::{env, fs};

use hookyard_tests::{PATIENCE, build};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Printed when a block has been carried out.
const DONE: &str = "-- done --";

/// What the README has under a heading, up to the next of its rank.
pub(crate) fn section(heading: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("it is there");
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The blocks that open with this fence, whole.
pub(crate) fn blocks(section: &str, fence: &str) -> Vec<String> {
    section.split(fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// A shell that is typed into.
pub(crate) struct Terminal {
    _shell: Child,
    typed: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    shown: String,
}

impl Terminal {
    /// With these variables, and programs of these directories before all others. Ends
    /// at the first command that fails.
    pub(crate) async fn open(directory: &Path, variables: &[(&str, &str)], programs: &[&Path]) -> Self {
        let own = build::hookyard().parent().expect("it is in a directory");
        let paths = env::var_os("PATH").unwrap_or_default();
        let first = programs.iter().copied().chain([own]).map(Path::to_owned);
        let paths = env::join_paths(first.chain(env::split_paths(&paths)));
        let mut shell = Command::new("bash")
            .args(["-eu", "-o", "pipefail"])
            .env("PATH", paths.expect("paths without a colon"))
            .env_remove("HOOKYARD_KEY")
            .envs(variables.iter().copied())
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let typed = shell.stdin.take().expect("it is piped");
        let lines = BufReader::new(shell.stdout.take().expect("it is piped")).lines();
        let mut terminal = Self { _shell: shell, typed, lines, shown: String::new() };
        // A shell that nobody types into any more ends by itself, and its receiver with it.
        terminal.paste("exec 2>&1; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT").await;
        terminal
    }

    /// Types a block and waits until it has been carried out; answers what was shown so far.
    pub(crate) async fn paste(&mut self, block: &str) -> String {
        self.typed.write_all(format!("{block}\necho '{DONE}'\n").as_bytes()).await.expect("the shell reads");
        self.until(DONE, 1).await
    }

    /// Reads on until words have been shown so often; answers what was shown so far.
    pub(crate) async fn until(&mut self, words: &str, times: usize) -> String {
        let reading = async {
            while self.shown.matches(words).count() < times {
                let line = self.lines.next_line().await.expect("it is text");
                let line = line.unwrap_or_else(|| panic!("a command failed:\n{}", self.shown));
                self.shown.push_str(&line);
                self.shown.push('\n');
            }
        };
        if tokio::time::timeout(PATIENCE, reading).await.is_err() {
            panic!("{words} did not come {times} times:\n{}", self.shown);
        }
        let shown = self.shown.clone();
        // Only what ended a block is used up: the receiver prints whenever it likes.
        self.shown = self.shown.replace(DONE, "");
        shown
    }
}

/// In the place of one that the README names. Nobody keeps it meanwhile.
pub(crate) fn free_port() -> String {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|port| port.local_addr());
    free.expect("loopback has a port").port().to_string()
}
