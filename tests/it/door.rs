//! The front door: who gets in beside whom, and how long anybody may take.

mod framing;
mod h2;

use hookyard::config::Door;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, PATIENCE, Receiver, Wire, eventually};
use serde_json::json;

fn door(max_connections: usize) -> Door {
    Door { max_connections: Some(max_connections), ..Door::default() }
}

async fn host(door: Door) -> Host {
    Host::start_as(local(), Extra { door, ..Extra::default() }).await
}

/// Whether somebody new is answered, over a connection of their own.
async fn is_served(host: &Host) -> bool {
    let mut wire = Wire::to(host.address()).await;
    wire.send("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    wire.rest().await.starts_with("HTTP/1.1 200")
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let host = host(door(64)).await;
    let mut silent = Vec::new();
    for number in 0..400 {
        let mut wire = Wire::to(host.address()).await;
        // Half say nothing at all, half begin a request and never end it.
        if number % 2 == 0 {
            wire.send("GET /healthz HTTP/1.1\r\nx-slow: ").await;
        }
        silent.push(wire);
        if number % 50 == 49 {
            assert!(is_served(&host).await, "beside {number}");
        }
    }
    // The first had to go, the last is still there.
    assert_eq!(silent.swap_remove(0).rest().await, "");
    let mut last = silent.pop().expect("the last one");
    last.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(last.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}

/// The control of the test above: where nobody can be sent away, because all are
/// being served, a cap does keep people out.
#[tokio::test]
async fn nobody_who_is_being_served_has_to_go() {
    let host = host(door(4)).await;
    let tenant = host.tenant_of("dmtolead").await;
    // It is asked for a word and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let url = format!("http://{}/", silent.local_addr().expect("it is bound"));
    let head = format!("POST /v1/endpoints HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}", tenant.key());
    let mut served = Vec::new();
    let mut held = Vec::new();
    for number in 0..4 {
        let form = json!({"name": format!("a{number}"), "url": url, "event_types": ["*"]}).to_string();
        let mut wire = Wire::to(host.address()).await;
        wire.send(format!("{head}\r\ncontent-length: {}\r\n\r\n{form}", form.len())).await;
        served.push(wire);
        let asked = tokio::time::timeout(PATIENCE, silent.accept()).await;
        held.push(asked.expect("it is asked").expect("a connection"));
    }
    assert!(!is_served(&host).await);
    drop((held, silent));
    for mut wire in served {
        assert!(wire.until("\r\n\r\n").await.starts_with("HTTP/1.1 "));
    }
    assert!(is_served(&host).await);
}

#[tokio::test]
async fn one_address_has_its_share_and_a_proxy_has_none() {
    let [one, other] = ["127.0.0.2", "127.0.0.3"].map(|text| text.parse().expect("an address"));
    let limited = Door { max_connections_per_address: Some(2), proxies: Vec::new(), ..door(64) };
    let proxied = Door { proxies: vec!["127.0.0.2/32".parse().expect("a network")], ..limited.clone() };
    for (door, third) in [(limited, ""), (proxied, "HTTP/1.1 200")] {
        let host = host(door).await;
        let ask = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut kept = Vec::new();
        for own in [one, one, other] {
            let mut wire = Wire::from(own, host.address()).await;
            wire.send(ask).await;
            wire.until("\r\n\r\n").await;
            kept.push(wire);
        }
        let mut wire = Wire::from(one, host.address()).await;
        wire.send("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        let said = wire.rest().await;
        assert!(said.starts_with(third) && said.is_empty() == third.is_empty(), "{said}");
    }
}

#[tokio::test]
async fn whoever_drips_is_told_or_cut_off() {
    let host = host(door(64)).await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let key = tenant.key();
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
    let body = async {
        let mut wire = Wire::to(host.address()).await;
        wire.send(format!("{head}content-length: 1000\r\n\r\n{{\"type\": ")).await;
        wire.rest().await
    };
    let chunks = async {
        let mut wire = Wire::to(host.address()).await;
        wire.send(format!("{head}transfer-encoding: chunked\r\n\r\n9\r\n{{\"type\": \r\n")).await;
        wire.rest().await
    };
    let half_a_head = async {
        let mut wire = Wire::to(host.address()).await;
        wire.send(&head).await;
        wire.rest().await
    };
    let (body, chunks, half_a_head) = tokio::join!(body, chunks, half_a_head);
    for said in [body, chunks] {
        assert!(said.starts_with("HTTP/1.1 408") && said.contains("problem:too-slow"), "{said}");
    }
    assert_eq!(half_a_head, "");
    assert!(tenant.get("/v1/events").await.expect(200)["items"].as_array().is_some_and(Vec::is_empty));
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_server_that_stops_waits_for_no_silent_connection() {
    let mut host = host(door(64)).await;
    let mut idle = Wire::to(host.address()).await;
    idle.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.until("\r\n\r\n").await;
    host.stop().await;
    idle.rest().await;
    let address = host.address();
    let gone = eventually("an end", async || tokio::net::TcpStream::connect(address).await.err()).await;
    assert_eq!(gone.kind(), std::io::ErrorKind::ConnectionRefused);
}
