//! One command and at most three clicks to a delivered event.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::MASTER_KEY;
use hookyard_tests::{Browser, PATIENCE, Role, TempDir, build};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn three_clicks_after_the_demos_link_an_event_of_ones_own_is_delivered() {
    let data = TempDir::new();
    // A newcomer waits for the compiler; here somebody else has.
    build::compiled_into(data.path());
    let mut demo = Command::new(build::hookyard())
        .args(["demo", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .env("HOOKYARD_MASTER_KEY", STANDARD.encode(MASTER_KEY))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program was built");
    let mut lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines();
    let printed = async {
        loop {
            let line = lines.next_line().await.expect("it is text").expect("it tells its story");
            if line.contains("/link/") {
                break line.trim().to_owned();
            }
        }
    };
    let link = tokio::time::timeout(PATIENCE, printed).await.expect("the demo comes to its end");
    let base = link.split("/link/").next().unwrap_or_default();
    let browser = Browser::start().await;
    let page = browser.page(base).await;

    page.goto(&link).await;
    page.click(Role::Button, "Not now, just look").await;
    page.see("order.placed").await;
    page.see("delivered").await;
    page.screenshot("demo").await;
    page.click(Role::Link, "My receiver").await;
    page.click(Role::Button, "Send a test event").await;
    page.see("Attempt 1 delivered 204").await;
}
