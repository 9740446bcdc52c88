//! What the tests and the benchmark stand on: a host, a receiver, and the API
//! as a tenant's program uses it. Real parts throughout.

pub mod api;
pub mod browser;
pub mod build;
pub mod disk;
pub mod faulty;
pub mod host;
pub mod load;
pub mod oracle;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod seed;
pub mod tls;
pub mod wire;

pub use api::{Answer, Api};
pub use browser::{Browser, Page, Role};
pub use host::{Host, TestClock};
pub use process::{HostProcess, LOCAL};
pub use receiver::{Arrived, Receiver};
pub use wire::Wire;

use std::time::Duration;

/// Whatever a test waits for comes within this time or not at all. Long,
/// because a busy machine must not fail a test; nothing ever sleeps for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until `look` finds something.
///
/// For what can only be asked for, such as a row that another task writes. The
/// pause between two questions decides nothing.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(found) => found,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}

/// A number in the environment: how long a run of `tests/soak` is.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Says what a test has reached, for `tests/soak`.
#[expect(clippy::print_stdout, reason = "the runner shows it where it is asked to")]
pub fn figures(reached: std::fmt::Arguments<'_>) {
    println!("reached: {reached}");
}

/// A JSON value that must be text.
#[track_caller]
pub fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A JSON value that must be a list.
#[track_caller]
pub fn list(value: &serde_json::Value) -> &Vec<serde_json::Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// A directory that is gone when this is.
pub struct TempDir(std::path::PathBuf);

impl TempDir {
    /// A new, empty directory.
    pub fn new() -> Self {
        let name: [u8; 8] = hookyard::clock::random();
        let path = std::env::temp_dir().join(format!("hookyard-test-{:016x}", u64::from_le_bytes(name)));
        std::fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _left_for_the_system = std::fs::remove_dir_all(&self.0);
    }
}
