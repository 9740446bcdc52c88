//! Publishing, looking and acting: each command does what the API does, and says
//! what is wrong in the API's words.

use hookyard_tests::{Host, Receiver, list, text};
use serde_json::json;
use tokio::net::TcpListener;

use super::hookyard;

#[tokio::test]
async fn an_event_is_sent_and_found_again() {
    let (host, mut receiver) = (Host::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"name": "crm"})).await;
    let send = ["send", "order.paid", "--data", r#"{ "order": 7 }"#, "--subject", "jane", "--tag", "paid"];
    let once = [&send[..], &["--idempotency-key", "order-7", "--at", "2h"]].concat();
    let id = hookyard(&once).by(&tenant).well().await;
    assert_eq!(hookyard(&once).by(&tenant).ended().await.code, 1, "`2h` is another instant, so it is another request");
    let id = id.trim();
    assert_eq!(receiver.next().await.json()["data"], json!({"order": 7}));

    let found = hookyard(&["events", "list", "--type", "order.paid", "--json"]).by(&tenant).json().await;
    assert_eq!((list(&found).len(), text(&found[0]["id"])), (1, id));
    assert_eq!(hookyard(&["events", "list", "--after", "3h"]).by(&tenant).well().await.lines().count(), 2);
    let table = hookyard(&["events"]).by(&tenant).well().await;
    assert!(table.starts_with("ID ") && table.contains(id) && table.contains("jane"), "{table}");
    let shown = hookyard(&["events", "show", id]).by(&tenant).json().await;
    assert_eq!(shown["data"], json!({"order": 7}));
    let story = hookyard(&["events", "explain", id]).by(&tenant).well().await;
    assert!(story.contains("crm"), "{story}");

    let delivery = tenant.delivery_in(id, "delivered").await;
    let deliveries = hookyard(&["deliveries", "list", "--endpoint", "crm", "--json"]).by(&tenant).json().await;
    assert_eq!(deliveries[0]["id"], delivery["id"]);
    let shown = hookyard(&["deliveries", "show", text(&delivery["id"])]).by(&tenant).well().await;
    for words in ["delivered", "Message", "content-type: application/json", "Attempts", "204"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let refused = hookyard(&["deliveries", "retry", text(&delivery["id"])]).by(&tenant);
    refused.badly("only a pending or a dead one can be retried").await;
}

#[tokio::test]
async fn endpoints_and_sources_are_set_up_and_taken_down() {
    let (host, mut receiver) = (Host::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    let url = receiver.url();
    let made = hookyard(&["endpoints", "create", "crm", "--url", &url, "--type", "order.*"]).by(&tenant).well().await;
    assert!(made.contains("active") && made.contains("secret  whsec_"), "{made}");
    let tested = hookyard(&["endpoints", "test", "crm", "--type", "order.paid"]).by(&tenant).well().await;
    assert!(tested.starts_with("sent order.paid as dlv_"), "{tested}");
    receiver.next().await;
    let paused = hookyard(&["endpoints", "pause", "crm", "--json"]).by(&tenant).json().await;
    assert_eq!(paused["state"], "paused");
    hookyard(&["endpoints", "test", "crm"]).by(&tenant).badly("the endpoint is paused; resume it first").await;
    assert!(hookyard(&["endpoints", "resume", "crm"]).by(&tenant).well().await.contains("active"));
    let rotated = hookyard(&["endpoints", "rotate-secret", "crm", "--overlap", "60"]).by(&tenant).well().await;
    assert!(rotated.contains("whsec_") && rotated.contains("the old one signs until"), "{rotated}");
    hookyard(&["endpoints", "verify", "crm"]).by(&tenant).badly("there is nothing to verify").await;
    assert!(hookyard(&["endpoints", "show", "crm"]).by(&tenant).well().await.contains(&url));
    hookyard(&["endpoints", "delete", "crm"]).by(&tenant).badly("give --yes").await;
    hookyard(&["endpoints", "delete", "crm", "--yes"]).by(&tenant).well().await;
    assert_eq!(hookyard(&["endpoints", "--json"]).by(&tenant).json().await, json!([]));

    let made = hookyard(&["sources", "create", "shop", "--event-type", "order.placed"]).by(&tenant).well().await;
    let url = made.lines().nth(1).expect("its URL").to_owned();
    let taken = tenant.post(&url, json!({"order": 7})).await.expect(202);
    let requests = hookyard(&["requests", "list", "--source", "shop", "--json"]).by(&tenant).json().await;
    assert_eq!(requests[0]["id"], taken["request_id"]);
    let shown = hookyard(&["requests", "show", text(&taken["request_id"])]).by(&tenant).well().await;
    assert!(shown.contains("accepted") && shown.contains(r#"{"order":7}"#), "{shown}");
    let again = hookyard(&["requests", "rerun", text(&taken["request_id"])]).by(&tenant);
    again.badly("the request became events already").await;
    assert!(hookyard(&["sources"]).by(&tenant).well().await.contains("shop"));
    hookyard(&["sources", "delete", "shop", "--yes"]).by(&tenant).well().await;
    hookyard(&["sources", "show", "shop"]).by(&tenant).badly("there is nothing called `shop`").await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    hookyard(&["events"]).badly("HOOKYARD_KEY is not set").await;
    let stranger = tenant.with_key(Some("hky_of_nobody"));
    hookyard(&["events"]).by(&stranger).badly("the server does not take the key in HOOKYARD_KEY").await;
    hookyard(&["send", "order.paid", "--data", "{"]).by(&tenant).badly("--data: that is no JSON").await;
    hookyard(&["send", "order paid"]).by(&tenant).badly("hookyard: type: ").await;
    hookyard(&["endpoints", "create", "x", "--url", "ftp://x"]).by(&tenant).badly("hookyard: url: ").await;
    hookyard(&["deliveries", "list", "--state", "lost"]).by(&tenant).badly("state: give one of pending").await;
    let nobody = "evt_00000000000000000000000000";
    hookyard(&["events", "show", nobody]).by(&tenant).badly(&format!("events/{nobody}: nothing of yours")).await;

    let free = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let nowhere = format!("http://{}", free.local_addr().expect("it is bound"));
    drop(free);
    let lost = hookyard(&["events", "--server", &nowhere]).by(&tenant);
    lost.badly("is the server running? --server says where").await;
}

#[tokio::test]
async fn past_deliveries_are_counted_and_made_again() {
    let (host, mut receiver) = (Host::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"name": "crm"})).await;
    for order in 0..3 {
        let id = tenant.publish(json!({"type": "order.paid", "data": {"order": order}})).await;
        tenant.delivery_in(&id, "delivered").await;
        receiver.next().await;
    }
    let replay = ["replay", "crm", "--since", "1h", "--state", "delivered"];
    let counted = hookyard(&[&replay[..], &["--dry-run"]].concat()).by(&tenant).well().await;
    assert_eq!(counted, "3 deliveries would be made again\n");
    hookyard(&replay).by(&tenant).badly("give --yes").await;
    assert!(receiver.so_far().is_empty());
    let made = hookyard(&[&replay[..], &["--yes", "--json"]].concat()).by(&tenant).json().await;
    assert_eq!((made["state"].as_str(), made["made"].as_u64()), (Some("done"), Some(3)));
    for _ in 0..3 {
        receiver.next().await;
    }
}

#[tokio::test]
async fn a_running_server_is_measured() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let bench = ["bench", "--events", "55", "--in-flight", "4", "--batch", "10"];
    let report = hookyard(&[&bench[..], &["--json"]].concat()).by(&tenant).json().await;
    assert_eq!((report["events"].as_u64(), report["calls"].as_u64()), (Some(55), Some(6)), "{report}");
    let published = tenant.get("/v1/events?type=hookyard.bench&limit=250").await.expect(200);
    assert_eq!(list(&published["items"]).len(), 55);
    assert!(hookyard(&bench).by(&tenant).well().await.contains("events a second"));
}

#[tokio::test]
async fn shells_and_man_are_told_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = hookyard(&["completions", shell]).well().await;
        assert!(script.contains("rotate-secret") && script.contains("idempotency-key"), "{shell}");
    }
    let page = hookyard(&["man"]).well().await;
    assert!(page.contains(".TH hookyard 1") && page.contains("hookyard\\-deliveries(1)"), "{page}");
    let dir = hookyard_tests::TempDir::new();
    let to = dir.path().join("man1");
    hookyard(&["man", "--to", to.to_str().expect("a path of ours is text")]).well().await;
    let page = std::fs::read_to_string(to.join("hookyard-deliveries-tail.1")).expect("a page for each command");
    assert!(page.contains("Ctrl") || page.contains("newest"), "{page}");
}
