//! One address that stays the same in front of servers that come and go, as an
//! operator's virtual address does; and a network that fails in the worst moment.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::cluster::url;
use super::talk::{Requests, is_over, message, opening};

/// What the client of a transaction cannot tell apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lost {
    /// Its end never reaches the server: it does not happen.
    Request,
    /// It happens, and nobody is told.
    Reply,
}

/// Takes connections on loopback until the test ends.
pub struct Relay {
    address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    fate: Arc<Fate>,
    is_shut: Arc<AtomicBool>,
}

/// What shall be lost next, and how many were.
#[derive(Default)]
struct Fate {
    next: Mutex<Option<(Lost, String)>>,
    lost: AtomicUsize,
}

/// Whatever goes wrong ends the connection.
type Done = Option<()>;

impl Relay {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let (sender, receiver) = watch::channel(target);
        let fate = Arc::new(Fate::default());
        let is_shut = Arc::new(AtomicBool::new(false));
        let (kept, shut) = (fate.clone(), is_shut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shut.load(Ordering::SeqCst) {
                    continue;
                }
                tokio::spawn(carry(client, receiver.clone(), kept.clone()));
            }
        });
        Self { address, target: sender, fate, is_shut }
    }

    /// Of one of the databases behind it.
    pub fn url(&self, database: &str) -> String {
        url(self.address, database)
    }

    /// From now on another server answers; all connections are cut.
    pub fn switch(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.target.send_modify(|_stays| ());
    }

    /// From now on nobody gets in any more; connections that are there stay.
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
    }

    /// From now on whoever comes gets in again.
    pub fn open(&self) {
        self.is_shut.store(false, Ordering::SeqCst);
    }

    /// Cuts the connection of the next `COMMIT`.
    pub fn lose_commit(&self, what: Lost) {
        self.lose_commit_of(what, "");
    }

    /// Cuts the connection of the next transaction that ends and has a statement
    /// with these words in it, in their case. A statement that stands alone is a
    /// transaction, too.
    pub fn lose_commit_of(&self, what: Lost, words: &str) {
        *self.fate.next.lock().unwrap_or_else(PoisonError::into_inner) = Some((what, words.to_owned()));
    }

    /// How many were lost by now, of those that were asked for.
    pub fn lost(&self) -> usize {
        self.fate.lost.load(Ordering::SeqCst)
    }
}

impl Fate {
    /// What becomes of a request.
    fn of(&self, requests: &Requests) -> Option<Lost> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, _) = next.take_if(|(_, words)| requests.commit(words))?;
        Some(what)
    }

    fn count(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, mut target: watch::Receiver<SocketAddr>, fate: Arc<Fate>) -> Done {
    let to = *target.borrow_and_update();
    let mut server = TcpStream::connect(to).await.ok()?;
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let greeting = opening(&mut client).await?;
    server.write_all(&greeting).await.ok()?;
    let is_mute = AtomicBool::new(false);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        done = ask(from_client, to_server, &fate, &is_mute) => done,
        done = answer(from_server, to_client, &fate, &is_mute) => done,
        _moved = target.changed() => None,
    }
}

/// Carries what the client says, a request at a time.
async fn ask(from: ReadHalf<'_>, mut to: WriteHalf<'_>, fate: &Fate, is_mute: &AtomicBool) -> Done {
    let mut from = BufReader::new(from);
    let mut requests = Requests::default();
    loop {
        if !requests.take(message(&mut from).await?) {
            continue;
        }
        match fate.of(&requests) {
            Some(Lost::Request) => {
                fate.count();
                return None;
            }
            // Before the server can answer.
            Some(Lost::Reply) => is_mute.store(true, Ordering::SeqCst),
            None => {}
        }
        to.write_all(&requests.sent()).await.ok()?;
    }
}

/// Carries what the server says, until it is heard no more; then the connection
/// ends when the transaction has.
async fn answer(from: ReadHalf<'_>, to: WriteHalf<'_>, fate: &Fate, is_mute: &AtomicBool) -> Done {
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
    loop {
        let said = message(&mut from).await?;
        if !is_mute.load(Ordering::SeqCst) {
            to.write_all(&said).await.ok()?;
            if from.buffer().is_empty() {
                to.flush().await.ok()?;
            }
        } else if is_over(&said) {
            fate.count();
            return None;
        }
    }
}
