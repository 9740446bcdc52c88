//! Connections that begin a request and send a byte of it now and then; whoever
//! is cut off comes again at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

const DRIP: Duration = Duration::from_secs(3);

/// All of them, until it is dropped.
pub(crate) struct Slow {
    tasks: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    again: AtomicUsize,
}

impl Slow {
    pub(crate) fn start(handle: &Handle, address: SocketAddr, count: usize) -> Self {
        let counts = Arc::new(Counts::default());
        let drip = |number| handle.spawn(drip(address, number, counts.clone()));
        let tasks = (0..count).map(drip).collect();
        Self { tasks, counts }
    }

    pub(crate) fn connected(&self) -> usize {
        self.counts.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn again(&self) -> usize {
        self.counts.again.load(Ordering::Relaxed)
    }

    /// All but those that are coming again.
    pub(crate) async fn all_there(&self) {
        while self.connected() * 20 < self.tasks.len() * 19 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn drip(address: SocketAddr, number: usize, counts: Arc<Counts>) {
    // Not all in the same moment.
    tokio::time::sleep(Duration::from_micros(number as u64 * 200)).await;
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            counts.connected.fetch_add(1, Ordering::Relaxed);
            until_cut_off(stream).await;
            counts.connected.fetch_sub(1, Ordering::Relaxed);
            counts.again.fetch_add(1, Ordering::Relaxed);
        } else {
            tokio::time::sleep(DRIP).await;
        }
    }
}

async fn until_cut_off(mut stream: TcpStream) {
    let mut byte = [0];
    if stream.write_all(b"GET /v1/endpoints HTTP/1.1\r\nx-slow: ").await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            _hung_up = stream.read(&mut byte) => return,
            () = tokio::time::sleep(DRIP) => {}
        }
        if stream.write_all(b"x").await.is_err() {
            return;
        }
    }
}
