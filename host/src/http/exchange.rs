//! One request and its answer, as the connection that carries them sees it: a
//! body that comes too slowly ends, and `room.rs` is told how far it all is.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Sleep;

use super::framing::Framing;
use super::room::{Cut, ExchangeId, Room, SeatId};

/// A body may take this long, and longer by what came of it at the rate below.
const BODY_GRACE: Duration = Duration::from_secs(10);
/// Bytes a second that a body has to come with: a slow phone has thrice as many.
const BODY_RATE: u32 = 4 * 1024;
/// An answer is handed over in pieces of this size, so that it is known how far
/// a client took it.
const PIECE: usize = 16 * 1024;

/// Bytes of requests' bodies in memory, of all connections and of one: whoever
/// sends many bodies without their ends must not fill what everybody shares.
pub(super) const BODIES: usize = 512 * 1024 * 1024;
const BODIES_OF_ONE: usize = 64 * 1024 * 1024;

/// Requests of one connection at once, as many as HTTP/2 is told.
pub(super) const HANDS: usize = 100;

/// A connection's place in the room, until it is dropped.
pub(super) struct Ticket {
    room: Arc<Mutex<Room>>,
    seat: SeatId,
    /// Of the next request's head.
    framing: Mutex<Framing>,
    /// Requests that were taken back are worked at to their end; no more of them
    /// at once than of others.
    hands: Arc<Semaphore>,
    /// Room for bodies: everybody's, and this connection's part of it.
    bodies: [Arc<Semaphore>; 2],
}

impl Ticket {
    /// A place for a connection from `peer`, if there is one.
    pub(super) fn take(
        room: &Arc<Mutex<Room>>,
        bodies: &Arc<Semaphore>,
        peer: IpAddr,
    ) -> Option<(Self, oneshot::Receiver<Cut>)> {
        let (seat, cut) = lock(room).admit(peer, Instant::now())?;
        Some((
            Self {
                room: room.clone(),
                seat,
                framing: Mutex::default(),
                hands: Arc::new(Semaphore::new(HANDS)),
                bodies: [bodies.clone(), Arc::new(Semaphore::new(BODIES_OF_ONE))],
            },
            cut,
        ))
    }

    /// Bytes came.
    pub(super) fn heard(&self, bytes: &[u8]) {
        if lock(&self.room).heard(self.seat, Instant::now()) {
            self.framing().read(bytes);
        }
    }

    /// A hand to work at a request, once one is free.
    pub(super) async fn hand(&self) -> Option<OwnedSemaphorePermit> {
        self.hands.clone().acquire_owned().await.ok()
    }

    /// Whether the request that is here gave its body two ends.
    pub(super) fn is_ambiguous(&self) -> bool {
        std::mem::take(&mut *self.framing()).is_ambiguous()
    }

    /// The connection is gone, though somebody may still be at work for it.
    pub(super) fn leave(&self) {
        lock(&self.room).leave(self.seat);
    }

    fn framing(&self) -> MutexGuard<'_, Framing> {
        self.framing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came: its body, and what watches over it.
    pub(super) fn begin(self: &Arc<Self>, request: hyper::Request<Incoming>) -> (hyper::Request<Body>, Exchange) {
        let multiplexed = request.version() == hyper::Version::HTTP_2;
        let has_body = !request.body().is_end_stream();
        let id = lock(&self.room).begin(self.seat, multiplexed, has_body, Instant::now());
        let arrival = Arc::new(Arrival { ticket: self.clone(), id, held: Mutex::default() });
        let exchange = Exchange(arrival.clone());
        let request = request.map(|incoming| match has_body {
            true => Body::new(Arriving { incoming, arrival, received: 0, began: Instant::now(), late: None }),
            false => Body::empty(),
        });
        (request, exchange)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
    }
}

pub(super) fn lock(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Arrival {
    ticket: Arc<Ticket>,
    id: ExchangeId,
    /// What its body takes up, until it was answered.
    held: Mutex<Vec<OwnedSemaphorePermit>>,
}

impl Arrival {
    /// Room for so many more bytes of the body.
    fn hold(&self, bytes: usize) -> Result<(), NoRoom> {
        let bytes = u32::try_from(bytes).map_err(|_| NoRoom)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let permits = self.ticket.bodies.iter().map(|room| room.clone().try_acquire_many_owned(bytes));
        let permits: Vec<_> = permits.collect::<Result<_, _>>().map_err(|_| NoRoom)?;
        if held.is_empty() {
            *held = permits;
        } else {
            held.iter_mut().zip(permits).for_each(|(all, more)| all.merge(more));
        }
        Ok(())
    }

    fn body_ended(&self) {
        lock(&self.ticket.room).body_ended(self.ticket.seat, self.id, Instant::now());
    }
}

/// An exchange that has not come to its end.
pub(super) struct Exchange(Arc<Arrival>);

impl Exchange {
    /// Watches over the answer too.
    pub(super) fn answer(self, response: hyper::Response<Body>) -> hyper::Response<Leaving> {
        lock(&self.0.ticket.room).answer(self.0.ticket.seat, self.0.id, Instant::now());
        response.map(|body| Leaving { body, rest: Bytes::new(), _until_taken: self })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        lock(&self.0.ticket.room).end(self.0.ticket.seat, self.0.id, Instant::now());
    }
}

/// There is no room for more of a body at this moment.
#[derive(Debug)]
pub(super) struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much is being received")
    }
}

impl std::error::Error for NoRoom {}

/// A body came slower than anybody sends.
#[derive(Debug)]
pub(super) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (grace, rate) = (BODY_GRACE.as_secs(), BODY_RATE / 1024);
        write!(f, "it came too slowly: it may take {grace} s, and a second more for each {rate} KiB")
    }
}

impl std::error::Error for TooSlow {}

/// A request's body on its way in.
struct Arriving {
    incoming: Incoming,
    arrival: Arc<Arrival>,
    received: u64,
    began: Instant,
    /// Set while it is waited for.
    late: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn deadline(&self) -> tokio::time::Instant {
        let allowed = BODY_GRACE + Duration::from_secs(self.received / u64::from(BODY_RATE));
        (self.began + allowed).into()
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Err(no_room) = this.arrival.hold(bytes) {
                    this.arrival.body_ended();
                    return Poll::Ready(Some(Err(no_room.into())));
                }
                this.received += bytes as u64;
                this.late = None;
                if this.incoming.is_end_stream() {
                    this.arrival.body_ended();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                this.arrival.body_ended();
                Poll::Ready(end.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let deadline = this.deadline();
                let late = this.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                late.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.arrival.body_ended();
    }
}

/// An answer's body on its way out. Dropped when the last of it is handed over.
pub(super) struct Leaving {
    body: Body,
    rest: Bytes,
    _until_taken: Exchange,
}

impl hyper::body::Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
