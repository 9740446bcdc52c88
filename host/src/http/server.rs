//! The accept loop: our own, because `axum::serve` installs no timer, which
//! leaves hyper's header deadline inert and the door open to a slow-loris.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use super::error::ApiError;
use crate::shutdown::stopped;

/// A client has this long for the head of each request; also how long an idle
/// connection is kept.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// And this long for a whole exchange, the body included.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(60);
/// An upload is larger than other bodies and is compiled before it is answered.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(180);
/// More headers than this are answered with 431.
const MAX_HEADERS: usize = 100;
/// The head of a request fits in here; hyper answers 431 to a larger one.
const HEAD_BUFFER: usize = 64 * 1024;
/// More connections than this wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
/// After the process ran out of file descriptors.
const AFTER_ACCEPT_FAILURE: Duration = Duration::from_millis(50);
/// How long open exchanges may take to end once the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop` says true, then lets open exchanges end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let connection = connection(stream, router.clone());
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    // A client that goes away in the middle is nobody's failure.
                    let _client_gone = watched.await;
                    drop(permit);
                });
            }
            Err(error) => after_failure(&error).await,
        }
    }
    drop(listener);
    let _cut_off = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

fn connection(
    stream: TcpStream,
    router: Router,
) -> hyper::server::conn::http1::Connection<
    TokioIo<TcpStream>,
    impl hyper::service::HttpService<Incoming, ResBody = Body, Future: Send, Error = std::convert::Infallible>,
> {
    // Answers are small and complete: waiting to fill a packet only delays them.
    let _without_is_slower_only = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move { answer(router, request.map(Body::new)).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HEAD_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
}

async fn answer(
    router: Router,
    request: hyper::Request<Body>,
) -> Result<hyper::Response<Body>, std::convert::Infallible> {
    // A task of its own goes on when the client hangs up or the deadline comes:
    // what is written must also be shown in the picture, and handed over.
    let deadline = deadline(request.method(), request.uri().path());
    let handling = tokio::spawn(router.oneshot(request));
    match tokio::time::timeout(deadline, handling).await {
        Ok(Ok(response)) => response,
        Ok(Err(panicked)) => {
            tracing::error!(error = %panicked, "answering a call failed");
            Ok(ApiError::Crashed.into_response())
        }
        Err(_elapsed) => Ok(ApiError::TimedOut.into_response()),
    }
}

fn deadline(method: &hyper::Method, path: &str) -> Duration {
    match (method, path) {
        (&hyper::Method::POST, "/v1/plugins") => UPLOAD_DEADLINE,
        _ => EXCHANGE_DEADLINE,
    }
}

async fn after_failure(error: &io::Error) {
    // One connection's fault concerns that connection only.
    let of_one = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused];
    if !of_one.contains(&error.kind()) {
        tracing::error!(%error, "accepting a connection failed");
        tokio::time::sleep(AFTER_ACCEPT_FAILURE).await;
    }
}
