//! A directory and the processes that work in it, which end together, and with
//! the test's own process at the latest, however that ends.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::programs::{owner, program, unprivileged};
use crate::TempDir;

/// Waits until nobody holds the other end of its input, which no end of a
/// process can avoid letting go, and clears up. What is killed without warning
/// leaves the piece of shared memory by which PostgreSQL knows a directory in
/// use, so that is removed by its number.
const GUARD: &str = r#"
trap '' HUP INT TERM
read -r nothing
while
    members=$(find /proc -maxdepth 2 -name cwd \( -lname "$0" -o -lname "$0/*" \) 2>/dev/null | cut -d / -f 3)
    [ -n "$members" ]
do
    kill -KILL $members 2>/dev/null
done
set -- $(sed -n 7p "$0/data/postmaster.pid" 2>/dev/null)
[ $# -ne 2 ] || ipcrm -m "$2"
rm -rf "$0"
"#;

pub(super) struct Enclosure {
    directory: TempDir,
    guard: Child,
}

impl Enclosure {
    /// A new, empty one, which belongs to whom PostgreSQL runs as.
    pub(super) fn new() -> Self {
        let directory = TempDir::new();
        if let Some((user, group)) = owner() {
            chown(directory.path(), Some(user), Some(group)).expect("root may give it away");
        }
        let guard = Command::new("/bin/sh")
            .args([OsStr::new("-c"), OsStr::new(GUARD), directory.path().as_os_str()])
            .current_dir("/")
            // Not ended along with the test by what is sent to its group.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        Self { directory, guard }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A program that works in it, with nothing to read.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = unprivileged(&program(name));
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a program to its end.
    pub(super) async fn run(&self, name: &str, arguments: &[&OsStr]) {
        let mut command = self.command(name);
        let ended = tokio::process::Command::from({
            command.args(arguments);
            command
        })
        .kill_on_drop(true)
        .output()
        .await;
        let ended = ended.unwrap_or_else(|error| panic!("{name} cannot be run: {error}; tests/run installs it"));
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Whoever works in it now. Children of a server that is gone are found, too.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let numbers = std::fs::read_dir("/proc").expect("it is mounted").flatten();
        let numbered = numbers.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
        // What has ended works nowhere, even before it is waited for.
        let ours = numbered.filter(|(_, path)| {
            std::fs::read_link(path.join("cwd")).is_ok_and(|directory| directory.starts_with(self.path()))
        });
        ours.filter_map(|(number, _)| Pid::from_raw(number)).collect()
    }

    /// To all of them, but to this one first.
    pub(super) fn signal(&self, first: Pid, signal: Signal) {
        send(first, signal);
        self.processes().into_iter().filter(|process| *process != first).for_each(|process| send(process, signal));
    }
}

/// A process may have ended of itself by then.
pub(super) fn send(process: Pid, signal: Signal) {
    let _or_is_gone = kill_process(process, signal);
}

impl Drop for Enclosure {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _it_did_what_it_could = self.guard.wait();
    }
}
