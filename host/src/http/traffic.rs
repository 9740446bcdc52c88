//! What is counted of everybody who calls: connections, and answers by the route
//! that was taken, whose template has no identifier in it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use crate::domain::meter::{Counter, Histogram};

const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Of calls that no route takes.
const NO_ROUTE: &str = "none";

/// Statuses by their first digit.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

type ByClass = [u64; CLASSES.len()];

pub struct Traffic {
    /// Connections.
    open: AtomicUsize,
    /// How many there may be.
    most: AtomicUsize,
    /// That found no place.
    pub(super) refused: Counter,
    routes: Mutex<HashMap<String, ByClass>>,
    pub(super) seconds: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            refused: Counter::default(),
            routes: Mutex::default(),
            seconds: Histogram::new(SECONDS),
        }
    }
}

/// A connection that is open, until it is dropped.
pub(super) struct Open(Arc<Traffic>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    pub(super) fn opens(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    pub(super) fn allows(&self, connections: usize) {
        self.most.store(connections, Ordering::Relaxed);
    }

    /// Connections, and how many there may be.
    pub(super) fn connections(&self) -> (usize, usize) {
        (self.open.load(Ordering::Relaxed), self.most.load(Ordering::Relaxed))
    }

    /// Answers by route and class, in the routes' order.
    pub(super) fn answers(&self) -> Vec<(String, ByClass)> {
        let mut answers: Vec<_> = self.lock().iter().map(|(route, classes)| (route.clone(), *classes)).collect();
        answers.sort();
        answers
    }

    fn answered(&self, route: &str, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        let mut routes = self.lock();
        match routes.get_mut(route) {
            Some(classes) => classes[class] += 1,
            None => routes.entry(route.to_owned()).or_default()[class] += 1,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, ByClass>> {
        // Counting cannot panic half-way.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Around every route.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();
    let response = next.run(request).await;
    app.traffic.answered(route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str), response.status());
    app.traffic.seconds.note(began.elapsed().as_secs_f64());
    response
}
