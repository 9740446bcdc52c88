//! Stand-ins for what lies outside of a component: secrets, state and other
//! hosts, for each thread as its test sets them.

use crate::http::{HttpError, Incoming, Outgoing};
use crate::state::{Entry, StateError};
use std::cell::RefCell;
use std::collections::BTreeMap;

type Answer = Box<dyn Fn(&Outgoing) -> Result<Incoming, HttpError>>;

thread_local! {
    static SECRETS: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
    static STATE: RefCell<State> = const { RefCell::new(State { entries: BTreeMap::new(), last: 0 }) };
    static ANSWER: RefCell<Option<Answer>> = const { RefCell::new(None) };
}

/// From now on [`secrets::hmac_sha256`](crate::secrets::hmac_sha256) signs with
/// this secret under this name on this thread. Other names are denied.
pub fn set_secret(name: &str, secret: &str) {
    SECRETS.with_borrow_mut(|secrets| secrets.insert(name.to_owned(), secret.to_owned()));
}

/// Forgets what [`state`](crate::state) keeps on this thread.
pub fn clear_state() {
    STATE.take();
}

/// From now on requests of this thread are answered by `answer`. Before, they
/// are denied.
pub fn answer_http(answer: impl Fn(&Outgoing) -> Result<Incoming, HttpError> + 'static) {
    ANSWER.set(Some(Box::new(answer)));
}

/// As it is when an example is run.
pub(super) fn forget() {
    SECRETS.take();
    clear_state();
    ANSWER.take();
}

pub(crate) fn hmac_sha256(name: &str, data: &[u8]) -> Result<Vec<u8>, crate::secrets::SecretError> {
    use hmac::{Hmac, KeyInit, Mac};
    let signed = SECRETS.with_borrow(|secrets| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secrets.get(name)?.as_bytes()).ok()?;
        mac.update(data);
        Some(mac.finalize().into_bytes().to_vec())
    });
    signed.ok_or(crate::secrets::SecretError::Denied)
}

pub(crate) fn state<T>(act: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(act)
}

pub(crate) fn answer(request: &Outgoing) -> Result<Incoming, HttpError> {
    ANSWER.with_borrow(|answer| match answer {
        Some(answer) => answer(request),
        None => Err(HttpError::Denied("no test answers it".to_owned())),
    })
}

/// One step's state, within the host's limits.
#[derive(Default)]
pub(crate) struct State {
    entries: BTreeMap<String, Entry>,
    last: u32,
}

impl State {
    pub(crate) fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        check(key, &[])?;
        Ok(self.entries.get(key).cloned())
    }

    pub(crate) fn put(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<u32, StateError> {
        check(key, value)?;
        self.expect(key, expected)?;
        if !self.entries.contains_key(key) && self.entries.len() >= 64 {
            return Err(StateError::Quota("a step keeps at most 64 keys".to_owned()));
        }
        self.last += 1;
        self.entries.insert(key.to_owned(), Entry { value: value.to_vec(), revision: self.last });
        Ok(self.last)
    }

    pub(crate) fn delete(&mut self, key: &str, expected: Option<u32>) -> Result<(), StateError> {
        check(key, &[])?;
        self.expect(key, expected)?;
        self.entries.remove(key);
        Ok(())
    }

    fn expect(&self, key: &str, expected: Option<u32>) -> Result<(), StateError> {
        let current = self.entries.get(key).map_or(0, |entry| entry.revision);
        match expected {
            Some(expected) if expected != current => Err(StateError::Conflict),
            _ => Ok(()),
        }
    }
}

fn check(key: &str, value: &[u8]) -> Result<(), StateError> {
    match (key.len(), value.len()) {
        (1..=128, 0..=4096) => Ok(()),
        (1..=128, _) => Err(StateError::Quota("a value has at most 4096 bytes".to_owned())),
        _ => Err(StateError::Quota("a key has 1 to 128 bytes".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http, secrets, state};

    #[test]
    fn secrets_sign_as_the_host_does() {
        assert_eq!(secrets::hmac_sha256("jefe", b"x"), Err(secrets::SecretError::Denied));
        set_secret("jefe", "Jefe");
        // RFC 4231, test case 2.
        let mac = secrets::hmac_sha256("jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn state_is_changed_where_nobody_was_faster() {
        assert_eq!(state::put("k", "a", Some(0)), Ok(1));
        assert_eq!(state::put("k", "b", Some(0)), Err(StateError::Conflict));
        assert_eq!(state::get("k"), Ok(Some(Entry { value: b"a".to_vec(), revision: 1 })));
        assert_eq!((state::delete("k", Some(1)), state::put("k", "c", Some(0))), (Ok(()), Ok(2)));
        assert!(matches!(state::put("", "c", None), Err(StateError::Quota(_))));
        assert!(matches!(state::put("k", [0; 4097], None), Err(StateError::Quota(_))));
        clear_state();
        assert_eq!(state::get("k"), Ok(None));
    }

    #[test]
    fn nobody_answers_unasked() {
        assert!(matches!(http::send(&Outgoing::get("https://a.example/")), Err(HttpError::Denied(_))));
    }
}
