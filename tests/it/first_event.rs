//! The README's first event, pasted into a terminal block after block, as a
//! newcomer does it: a real server, Python for a receiver, and `hookyard` by name.

use std::fs;
use std::net::TcpListener;

use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{Api, HostProcess, TempDir, eventually};

use crate::terminal::{Terminal, blocks, free_port, section};

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

    let port = free_port();
    let here = directory.display().to_string();
    let own = [("9000", port.as_str()), ("http://127.0.0.1:8400", host.operator.base()), ("~/first-event", &here)];
    let blocks = blocks(&section, "\n```sh\n").into_iter();
    let blocks = blocks.map(|block| own.iter().fold(block, |block, (said, ours)| block.replace(said, ours)));
    let blocks: [String; 9] = blocks.collect::<Vec<_>>().try_into().expect("nine blocks");
    let [tenant, receiver, set_up, order, look, broken, mended, retry, replay] = blocks;
    let mut terminal = Terminal::open(place.path(), &[("HOOKYARD_SERVER", host.operator.base())], &[]).await;

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
