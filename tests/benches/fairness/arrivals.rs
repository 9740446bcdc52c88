//! A receiver that only looks at the clock: every event says when it was made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;

/// Milliseconds from publishing to arrival.
#[derive(Clone)]
pub(crate) struct Arrivals {
    began: Instant,
    times: Arc<Mutex<Vec<f64>>>,
    address: std::net::SocketAddr,
}

#[derive(Deserialize)]
struct Envelope {
    data: Made,
}

#[derive(Deserialize)]
struct Made {
    /// Microseconds since the receiver began.
    at: u64,
}

impl Arrivals {
    /// On threads of its own that yield to all others: in life it has its own
    /// processors.
    pub(crate) fn start_elsewhere() -> Self {
        let yielding = || {
            rustix::process::nice(19).expect("anybody may become less important");
        };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let elsewhere = builder.worker_threads(1).on_thread_start(yielding).enable_all().build().expect("a runtime");
        let (started, arrivals) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            elsewhere.block_on(async {
                started.send(Self::start().await).expect("somebody waits for it");
                std::future::pending::<()>().await
            })
        });
        arrivals.recv().expect("it starts")
    }

    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let arrivals = Self { began: Instant::now(), times: Arc::default(), address };
        let router = Router::new().fallback(arrived).with_state(arrivals.clone());
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        arrivals
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn count(&self) -> usize {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What has come since this was asked last, sorted.
    pub(crate) fn take(&self) -> Vec<f64> {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_by(f64::total_cmp);
        times
    }
}

async fn arrived(State(arrivals): State<Arrivals>, body: Bytes) -> StatusCode {
    let Ok(Envelope { data: Made { at } }) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    let took = arrivals.now().saturating_sub(at) as f64 / 1e3;
    arrivals.times.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    StatusCode::NO_CONTENT
}

/// The percentile that is `share` of all.
pub(crate) fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}
