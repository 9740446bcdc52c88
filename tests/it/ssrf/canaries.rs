//! Listeners at every address, which remember where each connection went.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::names::Names;

/// Those of the vectors, and what a request would be made to talk to.
const PORTS: [u16; 5] = [80, 443, 8080, 22, 6379];

/// All of them, and the names that lead there.
pub(super) struct Canaries {
    hits: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    pub(super) names: Names,
}

impl Canaries {
    pub(super) async fn listen() -> Self {
        let hits = Arc::new(Mutex::new(BTreeMap::new()));
        for port in PORTS {
            // IPv4 comes there too, as `::ffff:0:0/96`.
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await.expect("the port is free in here");
            tokio::spawn(run(listener, hits.clone()));
        }
        Self { hits, names: Names::serve().await }
    }

    /// What was dialled.
    pub(super) fn hit(&self) -> Vec<IpAddr> {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// How often one address was.
    pub(super) fn hits(&self, address: &str) -> usize {
        let address: IpAddr = address.parse().expect("an address");
        self.hits.lock().unwrap_or_else(PoisonError::into_inner).get(&address).copied().unwrap_or_default()
    }
}

async fn run(listener: TcpListener, hits: Arc<Mutex<BTreeMap<IpAddr, usize>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let dialled = stream.local_addr().expect("it is connected").ip().to_canonical();
        *hits.lock().unwrap_or_else(PoisonError::into_inner).entry(dialled).or_default() += 1;
        tokio::spawn(answer(stream));
    }
}

/// To `/redirect` the way to a metadata service, to all else nothing. No
/// connection is used twice, so that each request is a new decision.
async fn answer(mut stream: TcpStream) {
    let mut read = [0; 4096];
    let Ok(count) = stream.read(&mut read).await else { return };
    let status = match read[..count].windows(9).any(|part| part == b"/redirect") {
        true => "307 Temporary Redirect\r\nlocation: http://169.254.169.254/latest/meta-data/",
        false => "204 No Content",
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _gone = stream.write_all(answer.as_bytes()).await;
    let _gone = stream.shutdown().await;
}
