//! Connections to receivers, and who drives them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use bytes::Bytes;
use hookyard::dial::{Dialler, SystemNames};
use hookyard::domain::url::DeliveryUrl;
use hookyard_tests::host::local;
use tokio::runtime::{Builder, Runtime};

/// Where requests came from, since this was asked last.
#[derive(Clone, Default)]
struct Callers(Arc<Mutex<HashSet<SocketAddr>>>);

impl Callers {
    fn take(&self) -> HashSet<SocketAddr> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn note(State(callers): State<Callers>, ConnectInfo(from): ConnectInfo<SocketAddr>) -> StatusCode {
    callers.0.lock().unwrap_or_else(PoisonError::into_inner).insert(from);
    StatusCode::NO_CONTENT
}

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Threads that yield to others drive connections of their own: what is fresh
/// never waits for them, also where they dialled first.
#[test]
fn no_two_runtimes_share_a_connection() {
    const REQUESTS: usize = 20;
    let (serving, fresh, background) = (threads(), threads(), threads());
    let callers = Callers::default();
    let router = Router::new().fallback(note).with_state(callers.clone());
    let listener = serving.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    serving
        .spawn(async move { axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await });

    let policy = local();
    let url = DeliveryUrl::parse(&format!("http://{address}/"), &policy).expect("it may be dialled");
    let dialler = Arc::new(Dialler::new(Arc::new(policy), Arc::new(SystemNames), None));
    let sent_by = |runtime: &Runtime| {
        let (dialler, url) = (dialler.clone(), url.clone());
        let sending = runtime.spawn(async move {
            for _ in 0..REQUESTS {
                let reply = dialler.send("POST", &url, &[], Bytes::new()).await.expect("it listens");
                assert_eq!(reply.status(), StatusCode::NO_CONTENT);
            }
        });
        runtime.block_on(sending).expect("it does not panic");
        callers.take()
    };
    let by_background = sent_by(&background);
    let by_fresh = sent_by(&fresh);
    let again = sent_by(&background);
    assert!(by_background.is_disjoint(&by_fresh), "{by_background:?} {by_fresh:?}");
    // The control: a runtime uses its own again.
    assert!(!by_background.is_disjoint(&again), "{by_background:?} {again:?}");
}
