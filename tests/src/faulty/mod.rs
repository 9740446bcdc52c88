//! A receiver that does everything wrong that a receiver can do, one way of it
//! for each path: see `mode.rs`. By hand over TCP, because no HTTP server would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

mod mode;
mod wire;

pub use mode::{RETRY_AFTER, SHORT_ANSWER};
use wire::Wire;

/// Small, so that what is written to it has gone out.
const SEND_BUFFER: u32 = 16 * 1024;
const BACKLOG: u32 = 4096;

/// What came at one path, and what went out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub requests: u64,
    /// Bytes of answers that the system took.
    pub written: u64,
}

type Book = Arc<Mutex<HashMap<String, Seen>>>;

/// Running, for as long as the test's runtime.
pub struct Faulty {
    address: SocketAddr,
    book: Book,
}

impl Faulty {
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.set_send_buffer_size(SEND_BUFFER).expect("a buffer can be small");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a port");
        let listener = socket.listen(BACKLOG).expect("it is bound");
        let address = listener.local_addr().expect("it is bound");
        let book = Book::default();
        tokio::spawn(accept(listener, book.clone()));
        Self { address, book }
    }

    pub fn url(&self, mode: &str) -> String {
        format!("http://{}/{mode}", self.address)
    }

    /// For a client that speaks TLS, which never hears anything.
    pub fn tls_url(&self) -> String {
        format!("https://{}/silent", self.address)
    }

    pub fn seen(&self, mode: &str) -> Seen {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.get(mode).copied().unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, book: Book) {
    while let Ok((stream, _)) = listener.accept().await {
        let _slower_only = stream.set_nodelay(true);
        tokio::spawn(serve(stream, book.clone()));
    }
}

/// One connection, until its client or its mode ends it.
async fn serve(mut stream: TcpStream, book: Book) {
    let mut number = 0;
    while let Some(request) = Request::read(&mut stream).await {
        number += 1;
        book.lock().unwrap_or_else(PoisonError::into_inner).entry(request.mode.clone()).or_default().requests += 1;
        let mut wire = Wire::new(&mut stream, &book, &request.mode);
        let goes_on = mode::answer(&mut wire, &request, number).await;
        if !goes_on {
            return;
        }
    }
}

/// A request, of which the body may not be read yet.
struct Request {
    /// Its path without the first slash.
    mode: String,
    /// Of the body.
    unread: usize,
}

impl Request {
    /// Nothing once the client has gone, or when it does not speak HTTP: then it
    /// is listened to for as long as it speaks.
    async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        let mode = head.split(' ').nth(1)?.trim_start_matches('/').to_owned();
        let mut lengths =
            head.lines().filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let unread = lengths.next().unwrap_or(0);
        Some(Self { mode, unread })
    }
}
