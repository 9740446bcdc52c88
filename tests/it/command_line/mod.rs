//! The command line, typed as an operator or a tenant's developer types it: the
//! real program against a real server.

mod configuration;
mod doctor;
mod following;
mod looking;
mod server;

use std::process::{Output, Stdio};

use hookyard_tests::{Api, PATIENCE, build};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// A command, not yet run.
pub(super) struct Typed(Command);

/// What a command printed, and how it ended.
pub(super) struct Ended {
    code: i32,
    printed: String,
    complaint: String,
}

/// `hookyard` with these arguments, without settings from outside.
pub(super) fn hookyard(arguments: &[&str]) -> Typed {
    let mut command = Command::new(build::hookyard());
    for variable in ["HOOKYARD_KEY", "HOOKYARD_SERVER", "HOOKYARD_DATA", "HOOKYARD_MASTER_KEY", "HOOKYARD_OPERATOR_KEY"]
    {
        command.env_remove(variable);
    }
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
    Typed(command)
}

impl Typed {
    /// With the server and the key of a tenant.
    pub(super) fn by(self, tenant: &Api) -> Self {
        self.with("HOOKYARD_SERVER", tenant.base()).with("HOOKYARD_KEY", tenant.key())
    }

    pub(super) fn with(mut self, variable: &str, value: &str) -> Self {
        self.0.env(variable, value);
        self
    }

    async fn ended(mut self) -> Ended {
        let running = tokio::time::timeout(PATIENCE, self.0.output());
        let Output { status, stdout, stderr } = running.await.expect("it ends").expect("the program was built");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
        Ended { code: status.code().expect("it ends by itself"), printed: text(stdout), complaint: text(stderr) }
    }

    /// What it prints when all is well.
    pub(super) async fn well(self) -> String {
        let Ended { code, printed, complaint } = self.ended().await;
        assert_eq!(code, 0, "{printed}{complaint}");
        printed
    }

    /// The JSON that it prints when all is well.
    pub(super) async fn json(self) -> Value {
        let printed = self.well().await;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// What it prints although something is wrong, of which it says these words.
    pub(super) async fn badly(self, words: &str) -> String {
        let Ended { code, printed, complaint } = self.ended().await;
        assert_eq!(code, 1, "{printed}{complaint}");
        assert!(complaint.starts_with("hookyard: ") && complaint.contains(words), "{words}: {complaint}");
        printed
    }

    /// Goes on until it is dropped.
    pub(super) async fn running(self, ready: &str) -> Running {
        let mut running = self.running_at_once();
        running.notes_until(ready).await;
        running
    }

    /// The same, whether it is ready or not.
    pub(super) fn running_at_once(mut self) -> Running {
        self.0.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.0.spawn().expect("the program was built");
        let notes = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let printed = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let keys = child.stdin.take().expect("it is piped");
        Running { printed, notes, keys, child }
    }
}

/// A command that follows something.
pub(super) struct Running {
    printed: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
    keys: ChildStdin,
    child: Child,
}

impl Running {
    /// The first line that has these words in it.
    pub(super) async fn prints(&mut self, words: &str) -> String {
        let looking = async {
            loop {
                let line = self.printed.next_line().await.expect("it can be read").expect("it goes on");
                if line.contains(words) {
                    return line;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("`{words}` was not printed"))
    }

    /// Waits until it says these words beside what it prints.
    pub(super) async fn notes_until(&mut self, words: &str) {
        let looking = async {
            while let Some(line) = self.notes.next_line().await.expect("it can be read") {
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended without `{words}`");
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("it says so");
    }

    /// As Ctrl-C does it.
    pub(super) async fn interrupt(&self) {
        let pid = self.child.id().expect("it has not ended").to_string();
        let killed = Command::new("kill").args(["-INT", &pid]).status().await.expect("there is a `kill`");
        assert!(killed.success());
    }

    pub(super) async fn types(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\n").as_bytes()).await.expect("it reads what is typed");
    }
}
