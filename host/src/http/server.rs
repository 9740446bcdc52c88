//! The accept loop: our own, because `axum::serve` installs no timer, which
//! leaves the door open to a slow-loris. HTTP/1.1, and HTTP/2 for whoever knows
//! that it is there; `room.rs` says who is let in and who has to go.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::IntoResponse as _;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tower::ServiceExt as _;

use super::error::ApiError;
use super::exchange::{BODIES, HANDS, Leaving, Ticket, lock};
use super::files;
use super::guesses::Peer;
use super::room::{Caps, Cut, Room};
use super::traffic::Traffic;
use crate::config::Door;
use crate::shutdown::stopped;

/// And this long for a whole exchange, the body included.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(60);
/// An upload is larger than other bodies and is compiled before it is answered.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(180);
/// More headers than this are answered with 431.
const MAX_HEADERS: usize = 100;
/// The head of a request fits in here; hyper answers 431 to a larger one.
const HEAD_BUFFER: usize = 64 * 1024;
/// After the process ran out of file descriptors.
const AFTER_ACCEPT_FAILURE: Duration = Duration::from_millis(50);
/// How often it is looked who stayed too long. Often, so that few go at a time:
/// thousands of slow clients that are cut off come again at once, and whoever
/// has something to say would wait behind all of them.
const SWEEP: Duration = Duration::from_millis(20);
/// How long open exchanges may take to end once the server stops, and once a
/// client was told to go.
const DRAIN: Duration = Duration::from_secs(10);

/// What one HTTP/2 connection may hold: requests at once (RFC 9113, section
/// 6.5.2, wants 100 at least), and bytes that nobody has read yet.
const STREAMS: u32 = HANDS as u32;
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
const HEADER_LIST: u32 = 16 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
/// Requests that were taken back before they were looked at (CVE-2023-44487):
/// beyond that many the connection ends.
const TAKEN_BACK: usize = 20;
/// And faults that are answered by a reset (CVE-2025-8671). More, because a client
/// in a hurry may have more requests begun than it was told, which are refused.
const RESETS: usize = 1024;
/// Whoever does not answer a ping in that time is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_DEADLINE: Duration = Duration::from_secs(10);

/// Serves until `stop` says true, then lets open exchanges end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    door: Door,
    traffic: Arc<Traffic>,
    mut stop: watch::Receiver<bool>,
) {
    let proxies = door.proxies.clone();
    let caps = caps(door);
    traffic.allows(caps.total);
    let room = Arc::new(Mutex::new(Room::new(caps)));
    let bodies = Arc::new(Semaphore::new(BODIES));
    let protocols = Arc::new(protocols());
    // Nothing is sent: it closes when the last connection is gone.
    let (open, mut last_gone) = mpsc::channel::<Infallible>(1);
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = sweep.tick() => {
                lock(&room).sweep(Instant::now());
                continue;
            }
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Whoever has no place is told by the connection's end.
                let Some((ticket, cut)) = Ticket::take(&room, &bodies, peer.ip()) else {
                    traffic.refused.add(1);
                    continue;
                };
                let counted = traffic.opens();
                let address = peer.ip().to_canonical();
                let peer = Peer { address, is_proxy: proxies.iter().any(|net| net.contains(&address)) };
                let (protocols, router, stop, open) = (protocols.clone(), router.clone(), stop.clone(), open.clone());
                tokio::spawn(async move {
                    let ticket = Arc::new(ticket);
                    hold(stream, &protocols, router, (ticket.clone(), peer), cut, stop).await;
                    ticket.leave();
                    drop((counted, open));
                });
            }
            Err(error) => after_failure(&error, &room).await,
        }
    }
    drop((listener, open));
    let all_gone = async {
        loop {
            tokio::select! {
                _ = last_gone.recv() => return,
                _ = sweep.tick() => lock(&room).sweep(Instant::now()),
            }
        }
    };
    let _cut_off = tokio::time::timeout(DRAIN, all_gone).await;
}

fn caps(door: Door) -> Caps {
    let possible = files::room_for_connections();
    let total = door.max_connections.unwrap_or(possible);
    if total > possible {
        tracing::warn!(total, possible, "max-connections is more than the limit of open files leaves room for");
    }
    let per_address = door.max_connections_per_address.unwrap_or(total / 4).max(1);
    Caps { total, per_address, proxies: door.proxies }
}

fn protocols() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // Heads are timed by the room, from their first byte.
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).max_headers(MAX_HEADERS).max_buf_size(HEAD_BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(RESETS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_DEADLINE);
    http
}

/// Serves one connection to its end.
async fn hold(
    stream: TcpStream,
    protocols: &Builder<TokioExecutor>,
    router: Router,
    (ticket, peer): (Arc<Ticket>, Peer),
    cut: oneshot::Receiver<Cut>,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are small and complete: waiting to fill a packet only delays them.
    let _without_is_slower_only = stream.set_nodelay(true);
    let heard = ticket.clone();
    let service = hyper::service::service_fn(move |request| {
        let (router, ticket) = (router.clone(), ticket.clone());
        async move { answer(router, &ticket, peer, request).await }
    });
    let io = TokioIo::new(Heard { stream, ticket: heard });
    let mut connection = pin!(protocols.serve_connection(io, service));
    // A client that goes away in the middle is nobody's failure.
    tokio::select! {
        _client_gone = connection.as_mut() => return,
        cut = cut => if cut != Ok(Cut::Gently) { return },
        () = stopped(&mut stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _cut_off = tokio::time::timeout(DRAIN, connection).await;
}

async fn answer(
    router: Router,
    ticket: &Arc<Ticket>,
    peer: Peer,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Leaving>, Infallible> {
    // Whatever a proxy in front took the request's end to be, nothing behind it is
    // read as another request (RFC 9112, section 6.3).
    let ends = request.headers().contains_key(TRANSFER_ENCODING);
    let is_ambiguous = ticket.is_ambiguous();
    let (mut request, exchange) = ticket.begin(request);
    request.extensions_mut().insert(peer);
    if is_ambiguous {
        return Ok(exchange.answer(ApiError::TwoEnds.into_response()));
    }
    // A task of its own goes on when the client hangs up or the deadline comes:
    // what is written must also be shown in the picture, and handed over.
    let deadline = deadline(request.method(), request.uri().path());
    let hand = ticket.hand().await;
    let handling = tokio::spawn(async move {
        let answer = router.oneshot(request).await;
        drop(hand);
        answer
    });
    let mut response = match tokio::time::timeout(deadline, handling).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panicked)) => {
            tracing::error!(error = %panicked, "answering a call failed");
            ApiError::Crashed.into_response()
        }
        Err(_elapsed) => ApiError::TimedOut.into_response(),
    };
    if ends {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(exchange.answer(response))
}

fn deadline(method: &hyper::Method, path: &str) -> Duration {
    match (method, path) {
        (&hyper::Method::POST, "/v1/plugins" | "/ask") => UPLOAD_DEADLINE,
        _ => EXCHANGE_DEADLINE,
    }
}

async fn after_failure(error: &io::Error, room: &Mutex<Room>) {
    // One connection's fault concerns that connection only.
    let of_one = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused];
    if !of_one.contains(&error.kind()) {
        let made_room = lock(room).evict();
        tracing::error!(%error, made_room, "accepting a connection failed");
        tokio::time::sleep(AFTER_ACCEPT_FAILURE).await;
    }
}

/// A stream that says when it is heard from.
struct Heard {
    stream: TcpStream,
    ticket: Arc<Ticket>,
}

impl AsyncRead for Heard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_ready() && buf.filled().len() > before {
            this.ticket.heard(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
