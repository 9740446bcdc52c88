//! A name server with a zone of traps (RFC 1035, as far as a stub asks).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// Names that lead somewhere, or seem to.
pub(super) const TRAPS: [&str; 15] = [
    "zero.test",
    "loopback.test",
    "metadata.test",
    "private.test",
    "loopback6.test",
    "mapped.test",
    "translated.test",
    "sixtofour.test",
    "unique.test",
    "mixed.test",
    "mixed6.test",
    "many.test",
    "alias.test",
    "rebinding.test",
    "rebinding6.test",
];

/// The server, on port 53 of loopback.
pub(super) struct Names {
    turned: Arc<AtomicBool>,
    asked: Asked,
}

/// How often, by name and type.
type Asked = Arc<Mutex<HashMap<(String, u16), usize>>>;

impl Names {
    pub(super) async fn serve() -> Self {
        let turned = Arc::new(AtomicBool::new(false));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).await.expect("port 53 is free in here");
        let asked = Asked::default();
        let (turns, counts) = (turned.clone(), asked.clone());
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
                if let Some(answer) = reply(&packet[..length], &counts, turns.load(Ordering::SeqCst)) {
                    let _gone = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self { turned, asked }
    }

    pub(super) fn was_asked(&self, name: &str) -> bool {
        lock(&self.asked).contains_key(&(name.to_owned(), A))
    }

    /// From now on `later.test`, which was public, is a metadata service.
    pub(super) fn turn(&self) {
        self.turned.store(true, Ordering::SeqCst);
    }
}

fn lock(asked: &Asked) -> MutexGuard<'_, HashMap<(String, u16), usize>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked: the name, in lower case, and the type.
fn question(packet: &[u8]) -> Option<(String, u16, &[u8])> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]);
    Some((labels.join("."), kind, packet.get(12..at + 4)?))
}

fn reply(packet: &[u8], asked: &Asked, turned: bool) -> Option<Vec<u8>> {
    let (name, kind, question) = question(packet)?;
    let times = {
        let mut asked = lock(asked);
        let times = asked.entry((name.clone(), kind)).or_default();
        *times += 1;
        *times
    };
    let addresses = addresses(&name, times, turned);
    let of_kind = |address: &&IpAddr| matches!((kind, address), (A, IpAddr::V4(_)) | (AAAA, IpAddr::V6(_)));
    let mut records: Vec<Vec<u8>> = addresses.iter().filter(of_kind).map(|address| record(kind, address)).collect();
    if name == "alias.test" {
        records.insert(0, alias());
    }
    let mut answer = packet[..2].to_vec();
    // A response, recursion desired and available, no error; no time to live.
    answer.extend([0x81, 0x80, 0, 1]);
    answer.extend(u16::try_from(records.len()).expect("a few").to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(question);
    records.iter().for_each(|record| answer.extend(record));
    Some(answer)
}

fn record(kind: u16, address: &IpAddr) -> Vec<u8> {
    let bytes = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    // The name is the one at offset 12, the question's.
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(bytes.len()).expect("4 or 16")]);
    record.extend(bytes);
    record
}

/// `localhost`, whose address follows.
fn alias() -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend(CNAME.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0, 0, 11, 9]);
    record.extend(b"localhost\0");
    record
}

/// What a name stands for when it is asked for the `times`th time.
fn addresses(name: &str, times: usize, turned: bool) -> Vec<IpAddr> {
    let many: Vec<String> = (0..20).map(|_| super::PUBLIC.to_owned()).chain(["10.0.0.2".to_owned()]).collect();
    let metadata = "169.254.169.254";
    let texts: Vec<&str> = match name {
        "public.test" | "example.com" => vec![super::PUBLIC],
        "later.test" if !turned => vec![super::PUBLIC],
        "later.test" | "metadata.test" => vec![metadata],
        "zero.test" => vec!["0.0.0.0"],
        "private.test" => vec!["10.0.0.1"],
        "loopback6.test" => vec!["::1"],
        "mapped.test" => vec!["::ffff:10.0.0.1"],
        "translated.test" => vec!["64:ff9b::a9fe:a9fe"],
        "sixtofour.test" => vec!["2002:a9fe:a9fe::1"],
        "unique.test" => vec!["fd00:ec2::254"],
        "mixed.test" => vec![super::PUBLIC, "10.0.0.1"],
        "mixed6.test" => vec![super::PUBLIC, "::1"],
        "many.test" => many.iter().map(String::as_str).collect(),
        "rebinding.test" => vec![if times % 2 == 1 { super::PUBLIC } else { metadata }],
        "rebinding6.test" => vec![super::PUBLIC, if times % 2 == 1 { "2606:2800:220:1::1" } else { "fd00:ec2::254" }],
        // Everything else is inside.
        _ => vec!["127.0.0.1"],
    };
    texts.into_iter().map(|text| text.parse().expect("an address")).collect()
}
