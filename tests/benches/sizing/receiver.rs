//! The receiver: answers 204 to everything and counts. By hand over TCP, so that it
//! takes as little as can be of the processors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Takes connections until the program ends.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    count: Arc<AtomicU64>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let count = Arc::<AtomicU64>::default();
        let kept = count.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Self { address, count }
    }

    /// How many requests came by now.
    pub(crate) fn came(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, count: Arc<AtomicU64>) {
    let _slower_only = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(32 * 1024);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while let Some(whole) = message_in(&buffer) {
            buffer.drain(..whole);
            count.fetch_add(1, Ordering::SeqCst);
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
        }
    }
}

/// Where a request or an answer ends, once it is whole.
pub(crate) fn message_in(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).expect("a head is ASCII").to_ascii_lowercase();
    let length = text.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    (buffer.len() >= head + length).then_some(head + length)
}
