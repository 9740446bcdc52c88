//! `GET /live?of=/v1/deliveries`: tells whoever looks that an answer of the API
//! is another now, as server-sent events. The page is then asked for again.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Desk;
use super::client::Visitor;
use super::page::query_of;
use crate::http::session;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(300);
/// An answer ends after so many looks, before the door would end it; browsers
/// come back, and say what they saw last.
const LOOKS: u32 = 160;
/// Every so many it is asked whether the session is still there, and something
/// is sent, so that whoever is gone is noticed.
const SESSION_EVERY: u32 = 16;
/// At most this many look at once, and of one session.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 8;

/// How many look, by session.
#[derive(Default)]
pub(super) struct Viewers(Arc<Mutex<HashMap<String, usize>>>);

/// One who looks, until it is dropped.
struct Seat {
    all: Arc<Mutex<HashMap<String, usize>>>,
    session: String,
}

impl Viewers {
    fn sit(&self, session: &str) -> Option<Seat> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.values().sum::<usize>() >= MOST || all.get(session).is_some_and(|of_one| *of_one >= MOST_OF_ONE) {
            return None;
        }
        *all.entry(session.to_owned()).or_default() += 1;
        Some(Seat { all: self.0.clone(), session: session.to_owned() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.session) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.session)),
        }
    }
}

pub(super) async fn watch(State(desk): State<Desk>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(visitor) = session::visitor(&desk.app, &headers).await else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let mut query = query_of(query.as_deref());
    let of = query.remove("of").filter(|of| of.starts_with("/v1/"));
    let Some(of) = of else { return StatusCode::BAD_REQUEST.into_response() };
    // No content: a browser does not ask again.
    let Some(seat) = desk.viewers.sit(&visitor.session) else { return StatusCode::NO_CONTENT.into_response() };
    // What the page was made of, so that nothing is missed until the first look.
    let shown = query.remove("seen").filter(|seen| !seen.is_empty());
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(shown);
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(look(desk, visitor, headers, of, (seat, seen), tell));
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (head, Body::new(Told(told))).into_response()
}

/// Looks until nobody listens, the session or the server ends, or it is time to
/// come back.
async fn look(
    desk: Desk,
    visitor: Visitor,
    headers: HeaderMap,
    of: String,
    (_seat, mut seen): (Seat, Option<String>),
    tell: mpsc::Sender<Bytes>,
) {
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0..LOOKS {
        tokio::select! {
            _ = clock.tick() => {}
            () = tell.closed() => return,
        }
        let is_asked_for = round % SESSION_EVERY == SESSION_EVERY - 1;
        if !desk.app.ready.load(Ordering::Acquire)
            || is_asked_for && session::visitor(&desk.app, &headers).await.is_none()
        {
            return;
        }
        let answer = desk.client.get(&visitor, &of).await;
        if answer.status == StatusCode::UNAUTHORIZED {
            return;
        }
        let now = fingerprint(&answer.body);
        let is_another = seen.as_ref() != Some(&now);
        let is_first = seen.is_none() || round == 0 && !is_another;
        let word = match (is_first, is_another) {
            // So that a browser that comes back says what it saw.
            (true, _) => format!("retry: 300\nid: {now}\nevent: here\ndata:\n\n"),
            (false, true) => format!("retry: 300\nid: {now}\nevent: changed\ndata:\n\n"),
            (false, false) if is_asked_for => ":\n\n".to_owned(),
            (false, false) => continue,
        };
        // Whoever has not taken the last word is told later.
        if tell.try_send(word.into()).is_ok() {
            seen = Some(now);
        }
    }
}

/// Tells answers apart.
pub(super) fn fingerprint(answer: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    answer.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What is told, as a body.
struct Told(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Told {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|word| word.map(|word| Ok(Frame::data(word))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_few_and_of_one_session_fewer() {
        let viewers = Viewers::default();
        let mut seats: Vec<Seat> = (0..MOST_OF_ONE).map(|_| viewers.sit("one").unwrap()).collect();
        assert!(viewers.sit("one").is_none());
        let others = (MOST_OF_ONE..MOST).map(|at| viewers.sit(&format!("session {}", at / 4)).unwrap());
        seats.extend(others);
        assert!(viewers.sit("another").is_none());
        seats.pop();
        assert!(viewers.sit("another").is_some());
        drop(seats);
        assert!(viewers.0.lock().unwrap().is_empty());
    }
}
