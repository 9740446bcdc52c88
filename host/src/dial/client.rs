//! Pools of connections: those that anybody shares, and those of endpoints that
//! have a TLS configuration of their own.
//!
//! A connection is driven by the threads of the runtime that dialled it. So each
//! runtime has pools of its own: what is fresh never waits for a connection that
//! yields to others (`dispatch/background.rs`).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio::sync::OnceCell;
use tower::Service;

use super::route::{BoxError, Connecting, Route};
use super::{CONNECT_DEADLINE, IDLE, IDLE_PER_HOST};
use crate::domain::delivery::Unreachable;
use crate::domain::id::EndpointId;
use crate::domain::tls::Tls;

/// This many endpoints' own pools are kept, those that were used last; an endpoint
/// has one for each runtime that dials it.
const KEPT: usize = 1024;

/// What a connection keeps of an answer that nobody has read yet; its head has to
/// fit. Hundreds of receivers that flood must not fill the memory.
const ANSWER_BUFFER: usize = 64 * 1024;

pub(super) type Pool = Client<Connector, Full<Bytes>>;

fn pool(route: Route, tls: ClientConfig) -> Pool {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_buf_size(ANSWER_BUFFER)
        .build(Connector(HttpsConnector::from((route, tls))))
}

/// A connection with TLS where the URL says so, within the deadline.
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<Route>);

/// There was none in time.
#[derive(Debug)]
pub(super) struct NoConnection;

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {} s", CONNECT_DEADLINE.as_secs())
    }
}

impl std::error::Error for NoConnection {}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_DEADLINE, connecting).await {
                Ok(connected) => connected,
                Err(_elapsed) => Err(NoConnection.into()),
            }
        })
    }
}

/// The pools of whoever set up nothing of its own, by runtime.
pub(super) struct SharedPools {
    route: Route,
    tls: ClientConfig,
    pools: RwLock<Vec<(runtime::Id, Pool)>>,
}

impl SharedPools {
    pub(super) fn new(route: Route, tls: ClientConfig) -> Self {
        Self { route, tls, pools: RwLock::default() }
    }

    /// Of the runtime that asks.
    pub(super) fn of_here(&self) -> Pool {
        let here = Handle::current().id();
        let of_here = |pools: &[(runtime::Id, Pool)]| {
            pools.iter().find(|(runtime, _)| *runtime == here).map(|(_, pool)| pool.clone())
        };
        if let Some(pool) = of_here(&self.pools.read().unwrap_or_else(PoisonError::into_inner)) {
            return pool;
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        of_here(&pools).unwrap_or_else(|| {
            let pool = pool(self.route.clone(), self.tls.clone());
            pools.push((here, pool.clone()));
            pool
        })
    }
}

/// Pools of endpoints that have TLS of their own. No two share a connection: what
/// one's certificate opens is not another's.
#[derive(Default)]
pub(super) struct OwnPools(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    pools: HashMap<(EndpointId, runtime::Id), Kept>,
    /// Counts the uses.
    uses: u64,
}

struct Kept {
    /// Of the TLS that it is made with.
    fingerprint: [u8; 32],
    pool: Arc<OnceCell<Pool>>,
    last_use: u64,
}

impl OwnPools {
    /// The endpoint's pool, which is made where it is not there or is another's:
    /// once, and on a thread that may take its time.
    pub(super) async fn of(&self, endpoint: EndpointId, tls: &Tls, route: &Route) -> Result<Pool, Unreachable> {
        let cell = self.cell((endpoint, Handle::current().id()), tls.fingerprint());
        let made = cell.get_or_try_init(|| make(tls.clone(), route.clone())).await;
        made.cloned()
    }

    fn cell(&self, whose: (EndpointId, runtime::Id), fingerprint: [u8; 32]) -> Arc<OnceCell<Pool>> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.uses += 1;
        let last_use = shelf.uses;
        match shelf.pools.get_mut(&whose) {
            Some(kept) if kept.fingerprint == fingerprint => {
                kept.last_use = last_use;
                return kept.pool.clone();
            }
            _ => {}
        }
        let pool = Arc::new(OnceCell::new());
        shelf.pools.insert(whose, Kept { fingerprint, pool: pool.clone(), last_use });
        if shelf.pools.len() > KEPT {
            let oldest = shelf.pools.iter().min_by_key(|(_, kept)| kept.last_use).map(|(whose, _)| *whose);
            oldest.and_then(|oldest| shelf.pools.remove(&oldest));
        }
        pool
    }
}

async fn make(tls: Tls, route: Route) -> Result<Pool, Unreachable> {
    let config = tokio::task::spawn_blocking(move || tls.config()).await;
    match config {
        Ok(Ok(config)) => Ok(pool(route, config)),
        // It worked when it was saved.
        Ok(Err(bad)) => Err(Unreachable::Tls(format!("the endpoint's {}: {}", bad.field, bad.problem))),
        Err(_stopping) => Err(Unreachable::Tls("the server is stopping".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[tokio::test]
    async fn the_pools_that_were_used_last_are_kept() {
        let pools = OwnPools::default();
        let here = Handle::current().id();
        let endpoint =
            |number: usize| (EndpointId::floor(Timestamp::from_millis(i64::try_from(number).unwrap())), here);
        let first = pools.cell(endpoint(0), [0; 32]);
        for number in 1..KEPT {
            pools.cell(endpoint(number), [0; 32]);
        }
        assert!(Arc::ptr_eq(&first, &pools.cell(endpoint(0), [0; 32])), "there is room for all of them");
        let second = pools.cell(endpoint(1), [0; 32]);
        pools.cell(endpoint(KEPT), [0; 32]);
        assert_eq!(pools.0.lock().unwrap().pools.len(), KEPT);
        assert!(Arc::ptr_eq(&first, &pools.cell(endpoint(0), [0; 32])), "it was used since");
        assert!(Arc::ptr_eq(&second, &pools.cell(endpoint(1), [0; 32])), "and so was this");
        assert!(!Arc::ptr_eq(&first, &pools.cell(endpoint(0), [1; 32])), "another certificate has another pool");
    }
}
