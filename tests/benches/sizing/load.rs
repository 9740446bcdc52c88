//! Keep-alive connections that each send an event, wait for its answer, and send the
//! next; as fast as answers come, or so many a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

use crate::receiver::message_in;
use crate::shape::Shape;

const CONNECTIONS: u64 = 64;
/// Where they come slowly.
const SLOW_CONNECTIONS: u64 = 8;

/// What is sent where: heads of requests, one a tenant, which connections take in turn.
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) heads: Vec<String>,
    pub(crate) shape: Shape,
    /// Numbers every event that is ever sent.
    pub(crate) sent: AtomicU64,
}

/// Sends events; every one of them is acknowledged when this returns.
pub(crate) async fn send(target: Arc<Target>, events: u64, rate: Option<u64>) {
    let connections = if rate.is_some() { SLOW_CONNECTIONS } else { CONNECTIONS };
    let left = Arc::new(AtomicU64::new(events));
    let mut sending = JoinSet::new();
    for at in 0..connections {
        let pause = rate.map(|rate| Duration::from_secs(1) * u32::try_from(connections).unwrap_or(1) / rate as u32);
        // Spread over the pause, so that they do not come in bursts.
        let offset = pause.unwrap_or_default() * at as u32 / connections as u32;
        sending.spawn(connection(target.clone(), left.clone(), pause.map(|pause| (offset, pause)), at as usize));
    }
    while let Some(sent) = sending.join_next().await {
        sent.expect("a connection does not panic");
    }
}

async fn connection(target: Arc<Target>, left: Arc<AtomicU64>, pace: Option<(Duration, Duration)>, at: usize) {
    let mut stream = TcpStream::connect(&target.address).await.expect("it listens");
    let _slower_only = stream.set_nodelay(true);
    let head = &target.heads[at % target.heads.len()];
    let mut buffer = Vec::with_capacity(4096);
    let mut ticks = pace.map(|(offset, pause)| interval_at(Instant::now() + offset, pause));
    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let body = target.shape.body(target.sent.fetch_add(1, Ordering::SeqCst));
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.expect("it still listens");
        let whole = loop {
            match message_in(&buffer) {
                Some(whole) => break whole,
                None => assert!(stream.read_buf(&mut buffer).await.expect("it answers") > 0, "it hung up"),
            }
        };
        let answer = String::from_utf8_lossy(&buffer[..whole]);
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        buffer.drain(..whole);
    }
}
