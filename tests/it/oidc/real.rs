//! `tests/oidc/provider.mjs`, running.

use std::path::Path;
use std::process::Stdio;

use hookyard_tests::{PATIENCE, build};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::visitor::{Shown, Visitor, link};
use super::{CLIENT, CLIENT_SECRET};

pub(super) struct Provider {
    pub(super) issuer: String,
    told: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed with this. It also ends by itself with its standard input, should the
    /// test be killed.
    _child: Child,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let root = build::target_dir().join("oidc");
        assert!(root.join("node_modules").exists(), "run tests/run once: it installs the provider");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/run installs Node");
        let told = child.stdin.take().expect("it is piped");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // By a name: another site than the host, which goes by its address.
        let issuer = format!("http://localhost:{}", line(&mut lines).await);
        Self { issuer, told, lines, _child: child }
    }

    /// Knows the host from now on, and signs so.
    pub(super) async fn know(&mut self, base: &str, alg: &str, in_token: bool) {
        let told = json!({
            "client_id": CLIENT, "client_secret": CLIENT_SECRET, "redirect_uri": super::redirect_uri(base),
            "alg": alg, "in_token": in_token,
        });
        self.told.write_all(format!("{told}\n").as_bytes()).await.expect("it listens");
        assert_eq!(line(&mut self.lines).await, "ready");
    }
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    match tokio::time::timeout(PATIENCE, lines.next_line()).await {
        Ok(Ok(Some(line))) => line,
        Ok(_) => panic!("the provider has ended; its complaint is above"),
        Err(_) => panic!("the provider said nothing within {PATIENCE:?}"),
    }
}

impl Visitor {
    /// From the page where one signs in to the provider, past its two questions, and
    /// up to the URL that leads back.
    pub(super) async fn vouched(&mut self, page: &Shown, login: &str) -> String {
        let asked = self.go(&link(page)).await;
        let answers: [&[(&str, &str)]; 2] = [&[("login", login), ("password", "any")], &[]];
        let mut shown = asked;
        for answer in answers {
            assert!(shown.url.host_str() == Some("localhost") && shown.status == 200, "{} {}", shown.url, shown.body);
            shown = self.fill(&shown, answer).await;
            shown = self.follow(shown, "/sign-in/oidc/callback").await;
        }
        shown.location.unwrap_or_else(|| panic!("{} does not lead back: {}", shown.url, shown.body)).into()
    }
}
