//! The capabilities that reach out of the sandbox: `secrets`, `state` and
//! `http`. Each function asks once whether the step is granted what it wants,
//! takes the fuel, and leaves the rest to [`Outside`].
//!
//! A call that waits is charged for its bytes and not for its time: the clock of
//! the deadline stands still meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::StoreContextMut;

use super::call::ticks;
use super::contract::{EntryIn, HeaderIn, HttpErrorIn, IncomingIn, OutgoingOut, SecretErrorIn, StateErrorIn};
use super::guest::Guest;
use super::imports::charge;
use super::outside::Outside;
use crate::domain::grants::Grants;
use crate::domain::outgoing::{HttpError, Incoming, Outgoing};
use crate::domain::state::{self, Entry, StateError, StepRef};

/// Requests that one call may make.
const MAX_REQUESTS: u32 = 4;

/// Operations on its state that one call may make: each key can be read and
/// written once.
const MAX_OPERATIONS: u32 = 128;

/// Hashing a byte is as much work as copying this many.
const HASHING: usize = 16;

/// What one call reaches, and how often it did.
pub(super) struct Reaching {
    way: Arc<Way>,
    operations: u32,
    requests: u32,
}

/// From one step to what lies outside.
struct Way {
    outside: Arc<dyn Outside>,
    step: StepRef,
}

impl Reaching {
    pub(super) fn new(outside: Arc<dyn Outside>, step: StepRef) -> Self {
        Self { way: Arc::new(Way { outside, step }), operations: 0, requests: 0 }
    }
}

/// How long a call may run by the wall clock, waiting aside.
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(allowed: Duration) -> Self {
        Self(Instant::now() + allowed)
    }
}

impl Guest {
    /// The way out for a step that is granted what `wanted` looks for: the one
    /// place where that is decided.
    fn way(&self, wanted: impl FnOnce(&Grants) -> bool) -> Option<Arc<Way>> {
        self.reaching.as_ref().filter(|_| wanted(&self.grants)).map(|reaching| Arc::clone(&reaching.way))
    }

    /// Counts one more operation; says how many there were.
    fn count(&mut self, counter: impl FnOnce(&mut Reaching) -> &mut u32) -> u32 {
        self.reaching.as_mut().map_or(0, |reaching| {
            let count = counter(reaching);
            *count += 1;
            *count
        })
    }
}

/// What `act` answers, which may take a while.
fn wait<R>(caller: &mut StoreContextMut<'_, Guest>, act: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let answer = act();
    let now = Instant::now();
    let deadline = &mut caller.data_mut().deadline.0;
    *deadline += now - began;
    let left = deadline.saturating_duration_since(now);
    caller.set_epoch_deadline(ticks(left));
    answer
}

/// `secrets.hmac-sha256`
pub(super) fn hmac_sha256(
    mut caller: StoreContextMut<'_, Guest>,
    (name, data): (String, Vec<u8>),
) -> wasmtime::Result<(Result<Vec<u8>, SecretErrorIn>,)> {
    charge(&mut caller, name.len() + HASHING * data.len())?;
    let Some(way) = caller.data().way(|grants| grants.secrets.contains(&name)) else {
        return Ok((Err(SecretErrorIn::Denied),));
    };
    let mac = way.outside.hmac_sha256(&name, &data);
    Ok((mac.map(Vec::from).ok_or(SecretErrorIn::Missing),))
}

/// `state.get`
pub(super) fn get(
    mut caller: StoreContextMut<'_, Guest>,
    (key,): (String,),
) -> wasmtime::Result<(Result<Option<EntryIn>, StateErrorIn>,)> {
    charge(&mut caller, key.len())?;
    let found = operate(&mut caller, &key, |way| way.outside.get(&way.step, &key));
    let found = match found {
        Ok(entry) => Ok(entry.map(|Entry { value, revision }| EntryIn { value, revision })),
        Err(error) => Err(error.into()),
    };
    charge(&mut caller, found.as_ref().map_or(0, |entry| entry.as_ref().map_or(0, |entry| entry.value.len())))?;
    Ok((found,))
}

/// `state.put`
pub(super) fn put(
    mut caller: StoreContextMut<'_, Guest>,
    (key, value, expected): (String, Vec<u8>, Option<u32>),
) -> wasmtime::Result<(Result<u32, StateErrorIn>,)> {
    charge(&mut caller, key.len() + value.len())?;
    let written = operate(&mut caller, &key, |way| {
        state::check_value(&value)?;
        way.outside.put(&way.step, &key, value, expected)
    });
    Ok((written.map_err(StateErrorIn::from),))
}

/// `state.delete`
pub(super) fn delete(
    mut caller: StoreContextMut<'_, Guest>,
    (key, expected): (String, Option<u32>),
) -> wasmtime::Result<(Result<(), StateErrorIn>,)> {
    charge(&mut caller, key.len())?;
    let deleted = operate(&mut caller, &key, |way| way.outside.delete(&way.step, &key, expected));
    Ok((deleted.map_err(StateErrorIn::from),))
}

fn operate<R>(
    caller: &mut StoreContextMut<'_, Guest>,
    key: &str,
    act: impl FnOnce(&Way) -> Result<R, StateError>,
) -> Result<R, StateError> {
    let way = caller.data().way(|grants| grants.state);
    let way = way.ok_or_else(|| StateError::Unavailable("the step is not granted `state`".to_owned()))?;
    if caller.data_mut().count(|reaching| &mut reaching.operations) > MAX_OPERATIONS {
        return Err(StateError::Quota(format!("a call has at most {MAX_OPERATIONS} operations on its state")));
    }
    state::check_key(key)?;
    wait(caller, || act(&way))
}

/// `http.send`
pub(super) fn send(
    mut caller: StoreContextMut<'_, Guest>,
    (asked,): (OutgoingOut,),
) -> wasmtime::Result<(Result<IncomingIn, HttpErrorIn>,)> {
    let named: usize = asked.headers.iter().map(|field| 64 + field.name.len() + field.value.len()).sum();
    charge(&mut caller, asked.url.len() + named + asked.body.len())?;
    match exchange(&mut caller, asked) {
        Ok(Incoming { status, headers, body }) => {
            let named: usize = headers.iter().map(|header| 64 + header.name.len() + header.value.len()).sum();
            charge(&mut caller, named + body.len())?;
            let headers = headers.into_iter().map(|header| HeaderIn { name: header.name, value: header.value });
            Ok((Ok(IncomingIn { status, headers: headers.collect(), body }),))
        }
        Err(error) => Ok((Err(error.into()),)),
    }
}

fn exchange(caller: &mut StoreContextMut<'_, Guest>, asked: OutgoingOut) -> Result<Incoming, HttpError> {
    let OutgoingOut { method, url, headers, body } = asked;
    let headers: Vec<(&str, &str)> = headers.iter().map(|field| (&*field.name, &*field.value)).collect();
    let request = Outgoing::parse(&method, &url, &headers, body)?;
    let host = request.url.authority();
    let way = caller.data().way(|grants| grants.http.contains(&host));
    let way = way.ok_or_else(|| HttpError::Denied(format!("the step is not granted `{host}`")))?;
    if caller.data_mut().count(|reaching| &mut reaching.requests) > MAX_REQUESTS {
        return Err(HttpError::Denied(format!("a call makes at most {MAX_REQUESTS} requests")));
    }
    wait(caller, || way.outside.send(request))
}

impl From<StateError> for StateErrorIn {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Conflict => Self::Conflict,
            StateError::Quota(which) => Self::Quota(which),
            StateError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<HttpError> for HttpErrorIn {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(why) => Self::Denied(why),
            HttpError::Timeout => Self::Timeout,
            HttpError::TooLarge(which) => Self::TooLarge(which),
            HttpError::Failed(why) => Self::Failed(why),
        }
    }
}
