//! Where PostgreSQL's programs are, and as whom they run.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian keeps the programs of each version in a directory of its own, most of
/// them not in PATH.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The newest of that name that is installed, or whatever an administrator's
/// PATH has.
pub fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let programs = numbered.map(|(version, path)| (version, path.join("bin").join(name)));
    let newest = programs.filter(|(_, path)| path.is_file()).max();
    let elsewhere = || Some(Path::new("/usr/sbin").join(name)).filter(|path| path.is_file());
    newest.map(|(_, path)| path).or_else(elsewhere).unwrap_or_else(|| name.into())
}

/// To be run as somebody who is not root, which PostgreSQL and PgBouncer refuse to be.
pub(super) fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner() {
        command.uid(user).gid(group);
    }
    // Variables such as PGPORT and PGOPTIONS are the developer's, not the test's.
    let foreign = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("PG"));
    foreign.for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// The user and group of what they write, where that is not ourselves.
pub(super) fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("every Linux has it");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line = line.expect("the package postgresql makes a user of that name; tests/run installs it");
    let number = |place| line.split(':').nth(place)?.parse().ok();
    Some(number(2).zip(number(3)).expect("a user has a number and a group"))
}

/// What the statements answer, one row a line, columns parted by `|`.
pub(super) async fn psql(url: &str, sql: &str) -> String {
    let mut command = tokio::process::Command::from(asking(url, sql));
    let answer = command.kill_on_drop(true).output().await;
    let answer = answer.unwrap_or_else(|error| panic!("psql cannot be run: {error}; tests/run installs it"));
    assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).expect("it is UTF-8").trim_end().to_owned()
}

/// The program that asks; it has no part in any cluster's directory.
pub(super) fn asking(url: &str, sql: &str) -> Command {
    let mut command = unprivileged(&program("psql"));
    command.current_dir("/").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url]);
    command
}
