//! What a mode can do with its connection. Errors mean that the client has gone,
//! which ends the mode.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Book;

const DRIP: Duration = Duration::from_secs(1);

pub(super) struct Wire<'a> {
    stream: &'a mut TcpStream,
    book: &'a Book,
    mode: &'a str,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: &'a mut TcpStream, book: &'a Book, mode: &'a str) -> Self {
        Self { stream, book, mode }
    }

    pub(super) async fn read(&mut self, bytes: usize) -> io::Result<()> {
        self.stream.read_exact(&mut vec![0; bytes]).await.map(drop)
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() {
            let written = self.stream.write(bytes).await?;
            bytes = &bytes[written..];
            let mut book = self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            book.entry(self.mode.to_owned()).or_default().written += written as u64;
        }
        Ok(())
    }

    /// The same again and again, until the client has enough.
    pub(super) async fn flood(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            self.send(bytes).await?;
        }
    }

    /// A byte a second, as long as the client listens.
    pub(super) async fn drip(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes.iter().cycle() {
            self.send([*byte]).await?;
            tokio::time::sleep(DRIP).await;
        }
        Ok(())
    }

    /// Says nothing until the client has gone.
    pub(super) async fn silence(&mut self) -> io::Result<()> {
        let mut ignored = [0; 1024];
        while self.stream.read(&mut ignored).await? > 0 {}
        Ok(())
    }

    /// RST instead of FIN.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }
}
