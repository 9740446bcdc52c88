//! A receiver that answers each request when it is told to.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hookyard_tests::PATIENCE;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Listens until the test ends.
pub(crate) struct Holding {
    url: String,
    requests: mpsc::UnboundedReceiver<Held>,
}

/// A request that waits for its answer.
pub(crate) struct Held {
    /// The event's.
    pub(crate) id: String,
    pub(crate) body: Value,
    answer: oneshot::Sender<StatusCode>,
}

impl Held {
    /// Answers whether somebody was still there to hear it.
    pub(crate) fn answer(self, status: u16) -> bool {
        self.answer.send(StatusCode::from_u16(status).expect("a status")).is_ok()
    }
}

impl Holding {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("it is bound"));
        let (arrived, requests) = mpsc::unbounded_channel();
        let router = Router::new().fallback(take).with_state(arrived);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next request, once it comes.
    pub(crate) async fn next(&mut self) -> Held {
        self.next_within(PATIENCE).await
    }

    /// The same, where it may take longer than anything else.
    pub(crate) async fn next_within(&mut self, patience: Duration) -> Held {
        match tokio::time::timeout(patience, self.requests.recv()).await {
            Ok(Some(held)) => held,
            _ => panic!("nothing was delivered within {patience:?}"),
        }
    }

    /// A request that has come and was not asked for yet.
    pub(crate) fn another(&mut self) -> Option<Held> {
        self.requests.try_recv().ok()
    }
}

async fn take(State(arrived): State<mpsc::UnboundedSender<Held>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let id = headers["webhook-id"].to_str().expect("an id").to_owned();
    let body = serde_json::from_slice(&body).expect("the body is JSON");
    let (answer, answered) = oneshot::channel();
    let _the_test_may_be_over = arrived.send(Held { id, body, answer });
    // A request that nobody answers is one that nobody took.
    answered.await.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
