//! PostgreSQL's protocol (version 3), as far as the end of a transaction can be
//! seen in it.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Asked before the first message: whether the server speaks TLS or GSSAPI.
const CAN_ENCRYPT: [u32; 2] = [80_877_103, 80_877_104];

/// The client's first message, which has no kind. Encryption is declined.
pub(super) async fn opening(client: &mut TcpStream) -> Option<Vec<u8>> {
    loop {
        let length = client.read_u32().await.ok()?;
        let mut message = length.to_be_bytes().to_vec();
        message.resize(usize::try_from(length).ok()?.max(8), 0);
        client.read_exact(&mut message[4..]).await.ok()?;
        let code = u32::from_be_bytes(message[4..8].try_into().expect("four bytes"));
        if !CAN_ENCRYPT.contains(&code) {
            return Some(message);
        }
        client.write_all(b"N").await.ok()?;
    }
}

/// Any later message, whole: its kind, its length without the kind, its body.
pub(super) async fn message(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let kind = from.read_u8().await.ok()?;
    let length = from.read_u32().await.ok()?;
    let mut message = vec![kind];
    message.extend(length.to_be_bytes());
    message.resize(usize::try_from(length).ok()?.checked_add(1)?.max(5), 0);
    from.read_exact(&mut message[5..]).await.ok()?;
    Some(message)
}

/// Whether the server says that it waits for a request outside of any
/// transaction.
pub(super) fn is_over(said: &[u8]) -> bool {
    said[0] == b'Z' && said[5..] == *b"I"
}

/// What a client asks for.
#[derive(Default)]
pub(super) struct Requests {
    /// Not sent yet. A server carries out each message as it comes, but a client
    /// expects nothing before it has said that its request is complete.
    waiting: Vec<u8>,
    /// The statements of that.
    asked: Vec<String>,
    /// Those of the transaction before.
    earlier: Vec<String>,
    is_open: bool,
    prepared: HashMap<String, String>,
}

impl Requests {
    /// Takes the client's next message in; whether what waits must be sent.
    pub(super) fn take(&mut self, message: Vec<u8>) -> bool {
        let mut texts = message[5..].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut text = || texts.next().unwrap_or_default();
        match message[0] {
            b'Q' => self.asked.push(text()),
            b'P' => {
                self.prepared.insert(text(), text());
            }
            b'B' => {
                let (_portal, statement) = (text(), text());
                self.asked.extend(self.prepared.get(&statement).cloned());
            }
            _ => {}
        }
        let is_part = b"PBDEC".contains(&message[0]);
        self.waiting.extend(message);
        !is_part
    }

    /// Whether what waits ends a transaction that has a statement with these
    /// words. No words are in every one that ends by `COMMIT`.
    pub(super) fn commit(&self, words: &str) -> bool {
        let commits = self.asked.iter().any(|sql| ["COMMIT", "END"].contains(&verb(sql).as_str()));
        let stands_alone = !self.is_open && !words.is_empty() && !self.asked.iter().any(|sql| begins(sql));
        (commits || stands_alone) && self.earlier.iter().chain(&self.asked).any(|sql| sql.contains(words))
    }

    /// What waited, which is sent now.
    pub(super) fn sent(&mut self) -> Vec<u8> {
        for sql in std::mem::take(&mut self.asked) {
            match verb(&sql).as_str() {
                _ if begins(&sql) => self.is_open = true,
                "COMMIT" | "END" => self.is_open = false,
                "ROLLBACK" | "ABORT" if !sql.to_uppercase().contains(" TO ") => self.is_open = false,
                _ => {}
            }
            self.earlier.push(sql);
        }
        if !self.is_open {
            self.earlier.clear();
        }
        std::mem::take(&mut self.waiting)
    }
}

fn begins(sql: &str) -> bool {
    ["BEGIN", "START"].contains(&verb(sql).as_str())
}

fn verb(sql: &str) -> String {
    let letters = sql.trim_start().chars().take_while(char::is_ascii_alphabetic);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}
