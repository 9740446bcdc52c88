//! A real browser: Debian's Chromium without a window, told what to do over its
//! debugging pipe.
//!
//! Its protocol is JSON with a zero byte behind each message, over two pipes. What
//! tests need of it is some twenty commands, so that no crate is asked: the one that
//! knows all of them is minutes of compiling in every profile.

mod axe;
mod find;
mod keys;
mod page;
mod pipe;
mod tell;
mod views;

pub use find::Role;
pub use page::Page;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::json;
use tokio::process::{Child, Command};

use crate::{TempDir, build, text};
use pipe::Pipe;

const CHROMIUM: &str = "/usr/bin/chromium";

const FLAGS: &[&str] = &[
    "--remote-debugging-pipe",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    // Frames of every site are the page's own, so that one conversation reaches them.
    "--disable-site-isolation-trials",
    // Those of a test's own authority.
    "--ignore-certificate-errors",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A running Chromium, with nothing in it that another one left.
pub struct Browser {
    pipe: Arc<Pipe>,
    /// Ended with this, before its profile goes.
    _running: Child,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = TempDir::new();
        let complaints = profile.path().join("complaints");
        let mut running = Command::new("/bin/sh")
            // The program that becomes Chromium has the pipes where that looks for them.
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, CHROMIUM])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().join("data").display()))
            .arg("about:blank")
            .env("HOME", profile.path())
            .env("LANG", "en_US.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&complaints).expect("the temporary directory can be written"))
            .kill_on_drop(true)
            .spawn()
            .expect("there is a shell");
        let (to, from) = (running.stdin.take().expect("it is piped"), running.stdout.take().expect("it is piped"));
        let pipe = Arc::new(Pipe::over(to, from));
        if let Err(why) = pipe.ask(None, "Browser.getVersion", json!({})).await {
            let complaints = fs::read_to_string(complaints).unwrap_or_default();
            panic!("Chromium does not start ({why}); tests/run installs it:\n{complaints}");
        }
        Self { pipe, _running: running, _profile: profile }
    }

    /// A page in a session of its own: it has nobody else's cookies.
    pub async fn page(&self, base: &str) -> Page {
        let context = self.must("Target.createBrowserContext", json!({})).await;
        let form = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        let target = self.must("Target.createTarget", form).await;
        let form = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.must("Target.attachToTarget", form).await;
        Page::open(self.pipe.clone(), text(&attached["sessionId"]).to_owned(), base.to_owned()).await
    }

    async fn must(&self, method: &str, parameters: serde_json::Value) -> serde_json::Value {
        let answer = self.pipe.ask(None, method, parameters).await;
        answer.unwrap_or_else(|why| panic!("{method}: {why}"))
    }
}

/// Where pictures of pages go.
pub fn screenshots() -> PathBuf {
    let directory = build::target_dir().join("screenshots");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    directory
}
