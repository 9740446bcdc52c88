//! The load: keep-alive connections that each send an event, wait for its
//! answer, and send the next; flat out or at a fixed rate. By hand over TCP, for
//! the same reason as the receiver. Several hosts share them by turns.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::receiver::{nanoseconds, request_in};

/// What one connection does.
struct Plan {
    address: String,
    head: String,
    duration: Duration,
    /// Between two events; absent: as fast as answers come.
    pause: Option<Duration>,
}

/// Prints how many events were accepted.
pub(crate) async fn run() {
    let given = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is given"));
    let connections: u32 = given("CONNECTIONS").parse().expect("a number");
    let rate: Option<u32> = std::env::var("RATE").ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_secs_f64(given("SECONDS").parse().expect("a number"));
    let pause = rate.map(|rate| Duration::from_secs(1) * connections / rate);
    // Addresses, each with the head of a request to it.
    let targets: Vec<(String, String)> = serde_json::from_str(&given("TARGETS")).expect("a list of pairs");
    let tasks: Vec<_> = (0..connections)
        .zip(targets.into_iter().cycle())
        .map(|(at, (address, head))| {
            // Spread over the pause, so that they do not come in bursts.
            let offset = pause.unwrap_or_default() * at / connections;
            tokio::spawn(connection(Plan { address, head, duration, pause }, offset))
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        accepted += task.await.expect("a connection does not panic");
    }
    println!("{accepted}");
}

async fn connection(plan: Plan, offset: Duration) -> u64 {
    let mut stream = TcpStream::connect(&plan.address).await.expect("it listens");
    let _slower_only = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(4096);
    let started = Instant::now();
    let mut ticks = plan.pause.map(|pause| {
        tokio::time::interval_at(tokio::time::Instant::now() + offset.max(Duration::from_millis(1)), pause)
    });
    let mut accepted = 0;
    while started.elapsed() < plan.duration {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        stream.write_all(&request(&plan.head)).await.expect("it still listens");
        let whole = loop {
            match request_in(&buffer) {
                Some((_, whole)) => break whole,
                None => assert!(stream.read_buf(&mut buffer).await.expect("it answers") > 0, "it hung up"),
            }
        };
        if buffer.starts_with(b"HTTP/1.1 202") {
            accepted += 1;
        }
        buffer.drain(..whole);
    }
    accepted
}

/// An event of 550 bytes whose `data` says when it was sent.
fn request(head: &str) -> Vec<u8> {
    let body = event(nanoseconds());
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn event(now: u64) -> String {
    let data = data(now);
    format!(r#"{{"type":"order.paid","subject":"+12025551234","tags":["paid","vip"],"data":{data}}}"#)
}

/// The order that the plugin maps.
pub(crate) fn data(now: u64) -> String {
    format!(
        r#"{{"t":{now},"customer":{{"phone":"+1 (202) 555-1234","email":"customer@example.com","name":"Jane Smith","address":{{"street":"12 Long Road","city":"Springfield","country":"US"}}}},"order":{{"id":"ORD-789","total":49.99,"currency":"USD","items":[{{"sku":"A-1","quantity":2,"price":9.99}},{{"sku":"B-7","quantity":1,"price":30.01}}]}},"note":"Please leave the parcel with the neighbour at number fourteen if nobody opens the door, thank you very much."}}"#
    )
}

/// The mapping of the benchmark: nine rules, two conversions, one list.
pub(crate) fn mapping() -> serde_json::Value {
    serde_json::json!({"rules": [
        {"to": "t", "from": "t"},
        {"to": "contact.phone", "from": "customer.phone", "convert": "phone"},
        {"to": "contact.email", "from": "customer.email"},
        {"to": "contact.name", "from": "customer.name"},
        {"to": "contact.city", "from": "customer.address.city", "convert": "uppercase"},
        {"to": "order_id", "from": "order.id"},
        {"to": "total", "from": "order.total"},
        {"to": "skus", "from": "order.items[].sku"},
        {"to": "event", "from": "$event.type"},
    ]})
}
