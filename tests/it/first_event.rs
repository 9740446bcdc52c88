//! The README's first event, pasted into a terminal block after block, as a
//! newcomer does it: a real server, Python for a receiver, and `hookyard` by name.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::{env, fs};

use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{Api, HostProcess, PATIENCE, TempDir, build, eventually};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Printed when a block has been carried out.
const DONE: &str = "-- done --";

/// What the README has under a heading, up to the next of its rank.
fn section(heading: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("it is there");
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The blocks that open with this fence, whole.
fn blocks(section: &str, fence: &str) -> Vec<String> {
    section.split(fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// A shell that is typed into.
struct Terminal {
    _shell: Child,
    typed: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    shown: String,
}

impl Terminal {
    /// Ends at the first command that fails.
    async fn open(directory: &Path, server: &str) -> Self {
        let programs = build::hookyard().parent().expect("it is in a directory");
        let paths = env::var_os("PATH").unwrap_or_default();
        let paths = env::join_paths([programs.to_owned()].into_iter().chain(env::split_paths(&paths)));
        let mut shell = Command::new("bash")
            .args(["-eu", "-o", "pipefail"])
            .env("PATH", paths.expect("paths without a colon"))
            .env("HOOKYARD_SERVER", server)
            .env_remove("HOOKYARD_KEY")
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
    async fn paste(&mut self, block: &str) -> String {
        self.typed.write_all(format!("{block}\necho '{DONE}'\n").as_bytes()).await.expect("the shell reads");
        self.until(DONE, 1).await
    }

    /// Reads on until words have been shown so often; answers what was shown so far.
    async fn until(&mut self, words: &str, times: usize) -> String {
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

#[tokio::test]
async fn the_readmes_first_event_is_what_happens() {
    let section = section("## Your first event, on this machine");
    let place = TempDir::new();
    let directory = place.path().join("first-event");
    let data = directory.join("data");
    fs::create_dir_all(&data).expect("the temporary directory can be written");
    // As a first start leaves it; the harness gives the key by a variable.
    fs::write(data.join("operator.key"), OPERATOR_KEY).expect("it can be written");
    let set_up = blocks(&section, "\n```\n").swap_remove(0);
    let serve = set_up.lines().find_map(|line| line.strip_prefix("hookyard serve --data ./data ")).expect("it serves");
    let flags: Vec<&str> = serve.split_whitespace().collect();
    let host = HostProcess::start_flagged(&data, "info", &flags).await;

    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|port| port.local_addr());
    let port = free.expect("loopback has a port").port().to_string();
    let here = directory.display().to_string();
    let own = [("9000", port.as_str()), ("http://127.0.0.1:8400", host.operator.base()), ("~/first-event", &here)];
    let blocks = blocks(&section, "\n```sh\n").into_iter();
    let blocks = blocks.map(|block| own.iter().fold(block, |block, (said, ours)| block.replace(said, ours)));
    let blocks: [String; 9] = blocks.collect::<Vec<_>>().try_into().expect("nine blocks");
    let [tenant, receiver, set_up, order, look, broken, mended, retry, replay] = blocks;
    let mut terminal = Terminal::open(place.path(), host.operator.base()).await;

    terminal.paste(&tenant).await;
    let key = terminal.paste("echo \"key=$TENANT.\"").await;
    let key = key.split_once("key=").and_then(|(_, rest)| rest.split_once('.')).expect("the tenant has a key").0;
    let api = host.operator.with_key(Some(key));
    terminal.paste(&receiver).await;
    terminal.until("the receiver is up", 1).await;
    let made = terminal.paste(&set_up).await;
    assert!(made.contains("\"secret\": \"whsec_"), "{made}");

    terminal.paste(&order).await;
    let came = terminal.until("ORD-1", 1).await;
    assert!(came.contains("\"phone\":\"+12025551234\""), "the message was mapped: {came}");
    all(&api, 1, "delivered", 1).await;
    let looked = terminal.paste(&look).await;
    assert!(looked.contains("delivered") && looked.contains("crm"), "{looked}");

    let (kill, send) = broken.split_once('\n').expect("several commands");
    terminal.paste(kill).await;
    // It is gone once the port is free.
    eventually("the receiver's end", async || TcpListener::bind(format!("127.0.0.1:{port}")).ok()).await;
    terminal.paste(send).await;
    // The third attempt is five minutes away: it is not what delivers it.
    all(&api, 1, "pending", 2).await;

    terminal.paste(&mended).await;
    terminal.until("the receiver is up", 2).await;
    terminal.paste(&retry).await;
    terminal.until("ORD-2", 1).await;
    all(&api, 2, "delivered", 1).await;

    terminal.paste(&replay).await;
    terminal.until("ORD-1", 2).await;
    let shown = terminal.until("ORD-2", 2).await;
    let ids = shown.lines().filter(|line| line.contains("ORD-1")).filter_map(|line| line.split(' ').nth(1));
    let ids: Vec<&str> = ids.collect();
    assert_eq!(ids[0], ids[1], "a receiver can tell that it has seen it");
    terminal.paste("kill $RECEIVER").await;
}

/// Waits until so many deliveries are in a state, each after that many attempts at least.
async fn all(api: &Api, count: usize, state: &str, attempts: u64) {
    eventually(state, async || {
        let list = api.get(&format!("/v1/deliveries?state={state}")).await.expect(200);
        let items = list["items"].as_array().expect("a list");
        let tried = items.iter().filter(|item| item["attempt_count"].as_u64() >= Some(attempts)).count();
        (tried == count).then_some(())
    })
    .await;
}
