//! `GET /live?of=/v1/deliveries`: tells whoever looks that an answer of the API
//! is another now, as server-sent events. The page is then asked for again.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
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
use tokio::time::{Instant, MissedTickBehavior};

use super::Desk;
use super::client::Visitor;
use super::page::query_of;
use crate::http::session;

mod seats;

use seats::Seat;
pub(super) use seats::Viewers;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(300);
/// And not before so many times as long as the last look took.
const REST: u32 = 20;
/// An answer ends then, before the door would end it; browsers come back, and say
/// what they saw last.
const LASTS: Duration = Duration::from_secs(48);
/// This often it is asked whether the session is still there, and something is
/// sent, so that whoever is gone is noticed.
const SESSION_EVERY: Duration = Duration::from_secs(5);
/// What is said to whoever finds no seat: a browser asks again after ten seconds.
const LATER: &str = "retry: 10000\n\n";

pub(super) async fn watch(State(desk): State<Desk>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(visitor) = session::visitor(&desk.app, &headers).await else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let mut query = query_of(query.as_deref());
    let of = query.remove("of").filter(|of| of.starts_with("/v1/"));
    let Some(of) = of else { return StatusCode::BAD_REQUEST.into_response() };
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    let Some(seat) = desk.viewers.sit(&visitor) else { return (head, LATER).into_response() };
    // What the page was made of, so that nothing is missed until the first look.
    let shown = query.remove("seen").filter(|seen| !seen.is_empty());
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(shown);
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(look(desk, visitor, headers, of, (seat, seen), tell));
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
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    let (mut look_at, mut ask_at, mut is_first_look) = (begun, begun + SESSION_EVERY, true);
    while begun.elapsed() < LASTS {
        tokio::select! {
            _ = clock.tick() => {}
            () = tell.closed() => return,
        }
        let now = Instant::now();
        if desk.app.retired.get().is_some() {
            return;
        }
        if ask_at <= now {
            if session::visitor(&desk.app, &headers).await.is_none() {
                return;
            }
            let _told_or_late = tell.try_send(Bytes::from_static(b":\n\n"));
            ask_at = now + SESSION_EVERY;
        }
        if now < look_at {
            continue;
        }
        let began = Instant::now();
        let answer = desk.client.get(&visitor, &of).await;
        look_at = Instant::now() + rest(began.elapsed());
        if answer.status == StatusCode::UNAUTHORIZED {
            return;
        }
        let now = fingerprint(&answer.body);
        let is_another = seen.as_ref() != Some(&now);
        let is_first = seen.is_none() || is_first_look && !is_another;
        is_first_look = false;
        let word = match (is_first, is_another) {
            // So that a browser that comes back says what it saw.
            (true, _) => format!("retry: 300\nid: {now}\nevent: here\ndata:\n\n"),
            (false, true) => format!("retry: 300\nid: {now}\nevent: changed\ndata:\n\n"),
            (false, false) => continue,
        };
        // Whoever has not taken the last word is told later.
        if tell.try_send(word.into()).is_ok() {
            seen = Some(now);
        }
    }
}

/// How long nobody looks after a look that took so long. What is looked for where
/// no index finds it takes its time, and somebody else waits for it.
fn rest(took: Duration) -> Duration {
    EVERY.max(took * REST)
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
    fn a_look_that_takes_long_is_not_often() {
        assert_eq!(rest(Duration::from_millis(2)), EVERY);
        assert_eq!(rest(Duration::from_millis(100)), Duration::from_secs(2));
    }
}
