//! The data directory: is it there, ours, private; has it room; how fast is it;
//! and are the keys in it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::table::{bytes, duration};
use super::finding::Finding;
use super::middle;
use crate::config;

/// Below this, a busy day fills it.
const LITTLE_ROOM: u64 = 2 * 1024 * 1024 * 1024;
/// Below this, the database cannot be tidied any more.
const NO_ROOM: u64 = 200 * 1024 * 1024;
/// A commit waits for one sync. Beyond this, a disk is no disk for a database.
const SLOW_SYNC: Duration = Duration::from_millis(25);
const SYNCS: usize = 15;
/// What the test writes, a page of the database.
const PAGE: [u8; 4096] = [0; 4096];

pub(super) fn findings(data: &Path) -> Vec<Finding> {
    let shown = data.display();
    let about = match fs::metadata(data) {
        Ok(about) if about.is_dir() => about,
        Ok(_) => {
            let mend = "--data, HOOKYARD_DATA or `data` in hookyard.toml must name a directory";
            return vec![Finding::fail("data directory", format!("{shown} is no directory"), mend)];
        }
        Err(error) => {
            let mend = "give --data where it is; `hookyard serve` makes it on the first start";
            return vec![Finding::fail("data directory", format!("{shown}: {error}"), mend)];
        }
    };
    let mode = about.permissions().mode() & 0o777;
    let (owner, we) = (about.uid(), rustix::process::getuid().as_raw());
    let directory = match (mode & 0o077, owner == we || we == 0) {
        (0, true) => Finding::ok("data directory", format!("{shown}, mode {mode:o}")),
        (_, false) => {
            let said = format!("{shown} belongs to user {owner}, and this is user {we}");
            Finding::warn("data directory", said, "run this as the user that the server runs as")
        }
        (_, true) => {
            let said = format!("{shown} has mode {mode:o}: others on this machine can look into it");
            Finding::warn("data directory", said, format!("chmod 700 {shown}"))
        }
    };
    vec![directory, writes(data), room(data)]
}

/// Whether it can be written to, and how long a sync takes.
fn writes(data: &Path) -> Finding {
    let path = data.join(format!(".doctor.{}", std::process::id()));
    let measured = syncs(&path);
    // What was made goes, whatever came of it.
    let _was_not_made = fs::remove_file(&path);
    match measured.map(middle) {
        Ok(time) if time <= SLOW_SYNC => Finding::ok("disk", format!("a sync takes {}", in_ms(time))),
        Ok(time) => {
            let mend = "put the data directory on a local SSD: an event is accepted once a sync is done";
            Finding::warn("disk", format!("a sync takes {}", in_ms(time)), mend)
        }
        Err(error) => {
            let mend = "let the user that the server runs as write there (chown, chmod 700), or mount it writable";
            Finding::fail("disk", format!("{} cannot be written to: {error}", data.display()), mend)
        }
    }
}

fn syncs(path: &Path) -> io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // In place, as the database's log is written.
    file.write_all(&PAGE)?;
    file.sync_all()?;
    let once = || {
        let began = Instant::now();
        file.write_all_at(&PAGE, 0)?;
        file.sync_data()?;
        Ok(began.elapsed())
    };
    std::iter::repeat_with(once).take(SYNCS).collect()
}

fn in_ms(time: Duration) -> String {
    duration(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn room(data: &Path) -> Finding {
    let space = match rustix::fs::statvfs(data) {
        Ok(space) => space,
        Err(error) => return Finding::warn("disk space", error.to_string(), "look with `df`"),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let said = format!("{} free of {}", bytes(free), bytes(space.f_blocks.saturating_mul(space.f_frsize)));
    let mend = "make room, or keep less: --keep-events, --keep-requests, --keep-bodies";
    match free {
        0..NO_ROOM => Finding::fail("disk space", said, mend),
        NO_ROOM..LITTLE_ROOM => Finding::warn("disk space", said, mend),
        _ if space.f_files > 0 && space.f_favail == 0 => {
            Finding::fail("disk space", "no inode is free", "remove files that nobody needs; `df -i` shows it")
        }
        _ => Finding::ok("disk space", said),
    }
}

/// The two keys, wherever the server takes them from.
pub(super) fn keys(data: &Path) -> Vec<Finding> {
    if !data.is_dir() {
        return Vec::new();
    }
    let both = [
        ("master key", "HOOKYARD_MASTER_KEY", "master.key"),
        ("operator key", "HOOKYARD_OPERATOR_KEY", "operator.key"),
    ];
    both.map(|(about, variable, file)| key(about, variable, &data.join(file), data)).into()
}

fn key(about: &'static str, variable: &str, file: &Path, data: &Path) -> Finding {
    if std::env::var_os(variable).is_some() {
        return sound(about, format!("in {variable}"), data);
    }
    let shown = file.display();
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !data.join("hookyard.db").exists() => {
            Finding::ok(about, "none yet; the first start makes it")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mend =
                format!("put the one that belongs to the database into {shown} or {variable}; a backup has none");
            let said = format!("{shown} is missing, and there is a database");
            match about {
                "master key" => Finding::fail(about, said, mend),
                _ => {
                    Finding::warn(about, said, "the next start makes another one, which is the operator's from then on")
                }
            }
        }
        Err(error) => Finding::fail(about, format!("{shown}: {error}"), "let the server's user read it"),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let said = format!("{shown} can be read by others on this machine");
            Finding::warn(about, said, format!("chmod 600 {shown}"))
        }
        Ok(_) => sound(about, format!("in {shown}"), data),
    }
}

/// A master key has a form.
fn sound(about: &'static str, said: String, data: &Path) -> Finding {
    match about {
        "master key" => match config::master_key_there(data) {
            Ok(_) => Finding::ok(about, said),
            Err(error) => Finding::fail(about, error.to_string(), "bring the one that belongs to the database"),
        },
        _ => Finding::ok(about, said),
    }
}
