//! A server goes on on the copy where it was stopped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::MASTER_KEY;
use hookyard_tests::postgres::database;
use hookyard_tests::{Api, HostProcess, Receiver, TempDir, text};
use serde_json::json;

use super::{copied, not_copied, url};

#[tokio::test]
async fn a_server_moves_to_postgresql_and_back_with_all_that_waits() {
    let data = TempDir::new();
    let mut receiver = Receiver::start().await;
    let host = HostProcess::start(data.path()).await;
    let tenant = host.tenant("acme").await;
    let form = json!({"headers": {"x-key": "a-secret-header"}, "steps": [{"plugin": "tag-filter", "config": {"expression": "paid"}}]});
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.publish(json!({"type": "a.b", "data": 1, "tags": ["paid"]})).await;
    receiver.next().await;
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let mut waiting = Vec::new();
    for number in 2..7 {
        waiting.push(tenant.publish(json!({"type": "a.b", "data": number, "tags": ["paid"]})).await);
    }
    let listed = |api: &Api| {
        let api = api.clone();
        async move { api.get("/v1/events?limit=100").await.expect(200) }
    };
    let before = listed(&tenant).await;
    // Without an end in order: what it had begun is nobody's.
    host.kill().await;

    let (file, server) = (data.path().join("hookyard.db"), database().await);
    copied(&url(&file), server.url()).await;
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_DATABASE", server.url())]).await;
    let moved = Api::new(host.operator.base(), Some(tenant.key()));
    assert_eq!(listed(&moved).await, before);
    moved.post(&format!("{path}/resume"), json!({})).await.expect(200);
    while !waiting.is_empty() {
        let request = receiver.next().await;
        assert!(request.is_signed_with(text(&endpoint["secret"])));
        assert_eq!(request.header("x-key"), "a-secret-header");
        waiting.retain(|event| event != request.header("webhook-id"));
    }
    let event = moved.publish(json!({"type": "a.b", "data": 7, "tags": ["paid"]})).await;
    while receiver.next().await.header("webhook-id") != event {}
    moved.delivery_in(&event, "delivered").await;
    let before = listed(&moved).await;
    assert!(host.terminate().await.0);

    let back = TempDir::new();
    copied(server.url(), &url(&back.path().join("hookyard.db"))).await;
    let host = HostProcess::start(back.path()).await;
    let again = Api::new(host.operator.base(), Some(tenant.key()));
    assert_eq!(listed(&again).await, before);
    let event = again.publish(json!({"type": "a.b", "data": 8, "tags": ["paid"]})).await;
    let request = receiver.next().await;
    assert!(request.header("webhook-id") == event && request.is_signed_with(text(&endpoint["secret"])));
}

/// The page's own commands, on a server that was stopped, with its places for theirs.
#[tokio::test]
async fn the_page_on_moving_works_as_written() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../host/docs/moving.md")).expect("a page");
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 4, "{blocks:?}");
    let (data, new, server) = (TempDir::new(), TempDir::new(), database().await);
    let host = HostProcess::start(data.path()).await;
    let tenant = host.tenant("acme").await;
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    assert!(host.terminate().await.0);
    let places = [
        ("postgres://hookyard:password@db.example/hookyard", server.url()),
        ("/var/lib/hookyard-new", new.path().to_str().expect("a path of ours is text")),
        ("/var/lib/hookyard", data.path().to_str().expect("a path of ours is text")),
        ("hookyard doctor", "hookyard doctor --listen 127.0.0.1:0"),
    ];
    let commands = places.iter().fold(blocks.concat(), |commands, (place, ours)| {
        assert!(commands.contains(place), "{place}");
        commands.replace(place, ours)
    });
    let programs = hookyard_tests::build::hookyard().parent().expect("it is in a directory");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("there is one"));
    let mut typed = tokio::process::Command::new("bash");
    typed.args(["-euo", "pipefail", "-c", &commands]).env("PATH", path).current_dir(new.path());
    typed.env("HOOKYARD_MASTER_KEY", STANDARD.encode(MASTER_KEY));
    let (is_well, said) = super::ended(typed).await;
    assert!(is_well, "{said}");
    assert_eq!(said.matches("are the same on both sides").count(), 2, "{said}");
    assert!(said.contains("schema version 1, as before"), "{said}");
    // The same table as the page shows.
    assert!(said.contains("OF THE COPY") && page.contains("OF THE COPY"), "{said}");
    for (place, variables) in [(data.path(), vec![("HOOKYARD_DATABASE", server.url())]), (new.path(), Vec::new())] {
        let host = HostProcess::start_with(place, &variables).await;
        let moved = Api::new(host.operator.base(), Some(tenant.key()));
        moved.get(&format!("/v1/events/{event}")).await.expect(200);
        assert!(host.terminate().await.0);
    }
}

/// A copy that was made to try it, or before its day: the old server went on.
#[tokio::test]
async fn what_an_old_server_took_after_its_copy_was_made_is_told_of() {
    let data = TempDir::new();
    let publish = async |host: HostProcess, name: &str| {
        host.tenant(name).await.publish(json!({"type": "a.b", "data": 1})).await;
        assert!(host.terminate().await.0);
    };
    publish(HostProcess::start(data.path()).await, "acme").await;
    let (file, server) = (data.path().join("hookyard.db"), database().await);
    copied(&url(&file), server.url()).await;
    // The control: what is new in the copy is nothing that it lacks.
    publish(HostProcess::start_with(data.path(), &[("HOOKYARD_DATABASE", server.url())]).await, "globex").await;
    let said = copied(&url(&file), server.url()).await;
    assert!(said.contains("complete copy already"), "{said}");

    publish(HostProcess::start(data.path()).await, "initech").await;
    let said = not_copied(&url(&file), server.url()).await;
    assert!(said.contains("was changed (in ") && said.contains("events"), "{said}");
}
