//! A connection spoken to byte by byte.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::PATIENCE;

/// A TCP connection.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("somebody listens"))
    }

    /// From an address of this machine's.
    pub async fn from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(own, 0)).expect("all of 127.0.0.0/8 is this machine's");
        Self(socket.connect(address).await.expect("somebody listens"))
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// Sends, to whoever is still there.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _hung_up = self.try_send(bytes).await;
    }

    /// All that comes until the other side hangs up.
    pub async fn rest(mut self) -> String {
        let mut read = Vec::new();
        let reading = self.0.read_to_end(&mut read);
        // A reset is an end like another.
        let _reset = tokio::time::timeout(PATIENCE, reading).await.expect("the other side hangs up");
        String::from_utf8_lossy(&read).into_owned()
    }

    /// What comes until `end` has.
    pub async fn until(&mut self, end: &str) -> String {
        let mut read = String::new();
        let mut piece = [0; 4096];
        while !read.contains(end) {
            let reading = tokio::time::timeout(PATIENCE, self.0.read(&mut piece)).await.expect("something comes");
            match reading {
                Ok(1..) => {}
                _ => panic!("the other side hung up after {read:?}"),
            }
            let count = reading.unwrap_or_default();
            read.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        read
    }

    pub fn into_stream(self) -> TcpStream {
        self.0
    }
}
