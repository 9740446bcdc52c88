//! HTTP/2 for whoever knows that it is there: requests side by side, and no more
//! than a connection may cost.

use axum::http::{Request, Version};
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use hookyard_tests::{Host, Wire};
use tokio::net::TcpStream;

async fn connect(host: &Host) -> (SendRequest<Bytes>, Connection<TcpStream>) {
    h2::client::handshake(Wire::to(host.address()).await.into_stream()).await.expect("it speaks HTTP/2")
}

#[tokio::test]
async fn a_connection_says_what_it_takes() {
    let host = Host::start().await;
    let (mut client, connection) = connect(&host).await;
    let (told, limits) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut connection = connection;
        let ping = connection.ping_pong().expect("the first to ask");
        tokio::select! {
            _ended = &mut connection => {}
            // Its settings come before the answer to a ping.
            _ = async { let mut ping = ping; ping.ping(h2::Ping::opaque()).await } => {
                let _nobody_asks = told.send(connection.max_concurrent_send_streams());
            }
        }
        let _ended = connection.await;
    });
    assert_eq!(limits.await.expect("it is told"), 100);

    // More headers than it takes.
    let url = format!("http://{}/healthz", host.address());
    let mut request = Request::get(url).version(Version::HTTP_2);
    for number in 0..40 {
        request = request.header(format!("x-{number}"), "x".repeat(500));
    }
    let (answer, _) = client.send_request(request.body(()).expect("a request"), true).expect("it is sent");
    let refused = match answer.await {
        Ok(answer) => answer.status().as_u16() == 431,
        Err(error) => error.is_remote() || error.is_go_away(),
    };
    assert!(refused);
}

fn frame(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let [.., a, b, c] = length.to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes()].concat()
}

/// The preface and empty settings.
fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(0, 4, 0, 0)[..]].concat()
}

/// CVE-2023-44487.
#[tokio::test]
async fn whoever_takes_back_all_requests_is_shown_out() {
    let host = Host::start().await;
    let mut wire = Wire::to(host.address()).await;
    let mut bytes = opening();
    // `GET http://a/`, from HPACK's static table.
    let head = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
    for stream in (1..2000).step_by(2) {
        bytes.extend(frame(head.len(), 1, 0x5, stream));
        bytes.extend(head);
        bytes.extend(frame(4, 3, 0, stream));
        bytes.extend([0, 0, 0, 8]);
    }
    wire.send(bytes).await;
    let said = wire.rest().await;
    assert!(said.contains("too_many_resets"), "it goes away with a reason: {said:?}");
    assert_serves(&host).await;
}

async fn assert_serves(host: &Host) {
    let mut another = Wire::to(host.address()).await;
    another.send("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(another.rest().await.starts_with("HTTP/1.1 200"));
}

/// CVE-2024-27316 and its like: a head without an end.
#[tokio::test]
async fn a_head_without_an_end_ends_the_connection() {
    let host = Host::start().await;
    let mut wire = Wire::to(host.address()).await;
    wire.send(opening()).await;
    // HEADERS without END_HEADERS: `:method: GET`.
    wire.send(frame(1, 1, 0, 1)).await;
    wire.send([0x82]).await;
    // A literal header, again and again.
    let literal = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x07][..], &[b'y'; 1024]].concat();
    let mut sent = 0;
    while sent < 100_000 {
        let continued = [&frame(literal.len(), 9, 0, 1)[..], &literal].concat();
        if wire.try_send(continued).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 100_000, "it takes all of them");
    assert_serves(&host).await;
}
