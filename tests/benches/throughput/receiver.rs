//! The receiver: answers 204 to everything, counts, and takes the time that
//! each event needed from the `"t":nanoseconds` in its body. By hand over TCP,
//! so that it takes as little as can be of the two cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Book {
    count: AtomicU64,
    latencies: Mutex<Vec<u64>>,
}

#[expect(clippy::disallowed_methods, reason = "two processes compare their clocks")]
pub(crate) fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(since.as_nanos()).expect("it is before 2554")
}

pub(crate) async fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    println!("{}", listener.local_addr().expect("it is bound"));
    let book = Arc::<Book>::default();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(serve(stream, book.clone()));
    }
}

async fn serve(mut stream: TcpStream, book: Arc<Book>) {
    let _slower_only = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut answer = Vec::new();
    loop {
        while let Some((head, whole)) = request_in(&buffer) {
            take(&buffer[..whole], head, &book, &mut answer);
            buffer.drain(..whole);
        }
        if !answer.is_empty() {
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            answer.clear();
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn take(request: &[u8], head: usize, book: &Book, answer: &mut Vec<u8>) {
    if request.starts_with(b"GET /count") {
        return respond(answer, &book.count.load(Ordering::SeqCst).to_string());
    }
    if request.starts_with(b"GET /latencies") {
        let mut latencies = std::mem::take(&mut *book.latencies.lock().expect("nobody panics"));
        latencies.sort_unstable();
        let at = |share: f64| latencies.get(((latencies.len() as f64) * share) as usize).copied().unwrap_or(0);
        return respond(answer, &format!("{} {}", at(0.5), at(0.99)));
    }
    book.count.fetch_add(1, Ordering::SeqCst);
    if let Some(sent) = sent_at(&request[head..]) {
        book.latencies.lock().expect("nobody panics").push(nanoseconds().saturating_sub(sent));
    }
    answer.extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n");
}

fn respond(answer: &mut Vec<u8>, text: &str) {
    answer.extend_from_slice(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).as_bytes());
}

/// Where the head ends and where the whole request does, once it is whole.
pub(crate) fn request_in(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).expect("a head is ASCII").to_ascii_lowercase();
    let length = text.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    (buffer.len() >= head + length).then_some((head, head + length))
}

fn sent_at(body: &[u8]) -> Option<u64> {
    let at = body.windows(4).position(|four| four == b"\"t\":")? + 4;
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&body[at..at + digits]).ok()?.parse().ok()
}
