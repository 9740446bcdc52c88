//! State: a few values that one step keeps from call to call. What may be kept,
//! and when a change conflicts with another; where it is kept is the store's
//! business.

use std::collections::BTreeMap;

use super::plugin::PluginName;

/// At most this many keys in one step's state.
pub const MAX_KEYS: usize = 64;
/// At most this many bytes in a key and in a value: for counters, cursors and
/// tokens. What is larger belongs into a database of the tenant's own.
pub const MAX_KEY: usize = 128;
pub const MAX_VALUE: usize = 4 * 1024;

/// Which step of a pipeline. Steps of other plugins may come and go around it,
/// and its version may change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepRef {
    pub plugin: PluginName,
    /// Among the pipeline's steps with this plugin, from 0.
    pub ordinal: u32,
}

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    /// Another one after each change, never 0.
    pub revision: u32,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// The entry's revision is not the one that was expected.
    Conflict,
    /// Over a limit, and which.
    Quota(String),
    Unavailable(String),
}

pub fn check_key(key: &str) -> Result<(), StateError> {
    match key.len() {
        // Not every engine's texts can have it.
        _ if key.contains('\0') => Err(StateError::Quota("a key has no U+0000 in it".to_owned())),
        1..=MAX_KEY => Ok(()),
        length => Err(StateError::Quota(format!("a key has 1 to {MAX_KEY} bytes, and this one {length}"))),
    }
}

pub fn check_value(value: &[u8]) -> Result<(), StateError> {
    match value.len() {
        0..=MAX_VALUE => Ok(()),
        length => Err(StateError::Quota(format!("a value has at most {MAX_VALUE} bytes, and this one {length}"))),
    }
}

/// Whether what is there, none being 0, is what somebody expects to change.
pub fn expect(current: Option<u32>, expected: Option<u32>) -> Result<(), StateError> {
    match expected {
        Some(expected) if expected != current.unwrap_or(0) => Err(StateError::Conflict),
        _ => Ok(()),
    }
}

/// Whether a step that has `keys` may keep a value where `current` is.
pub fn admit(current: Option<u32>, keys: usize) -> Result<(), StateError> {
    match current {
        None if keys >= MAX_KEYS => Err(StateError::Quota(format!("a step keeps at most {MAX_KEYS} keys"))),
        _ => Ok(()),
    }
}

/// The revision after `last`. Nobody waits for the same one to come round.
pub fn next_revision(last: u32) -> u32 {
    last.checked_add(1).unwrap_or(1)
}

/// One step's state in memory: for a preview, which leaves no trace.
#[derive(Default)]
pub struct Values {
    entries: BTreeMap<String, Entry>,
    last: u32,
}

impl Values {
    pub fn new(entries: BTreeMap<String, Entry>) -> Self {
        let last = entries.values().map(|entry| entry.revision).max().unwrap_or(0);
        Self { entries, last }
    }

    pub fn get(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).cloned()
    }

    pub fn put(&mut self, key: &str, value: Vec<u8>, expected: Option<u32>) -> Result<u32, StateError> {
        let current = self.entries.get(key).map(|entry| entry.revision);
        expect(current, expected)?;
        admit(current, self.entries.len())?;
        self.last = next_revision(self.last);
        self.entries.insert(key.to_owned(), Entry { value, revision: self.last });
        Ok(self.last)
    }

    pub fn delete(&mut self, key: &str, expected: Option<u32>) -> Result<(), StateError> {
        expect(self.entries.get(key).map(|entry| entry.revision), expected)?;
        self.entries.remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `put k expecting 0` and the like, all on one state.
    #[track_caller]
    fn check(values: &mut Values, act: &str, expected: &str) {
        let words: Vec<&str> = act.split(' ').collect();
        let revision = words.get(3).map(|text| text.parse().unwrap());
        let said = match words[0] {
            "put" => format!("{:?}", values.put(words[1], b"v".to_vec(), revision)),
            "delete" => format!("{:?}", values.delete(words[1], revision)),
            _ => format!("{:?}", values.get(words[1]).map(|entry| entry.revision)),
        };
        assert_eq!(said, expected, "{act}");
    }

    #[test]
    fn a_change_is_made_where_nobody_was_faster() {
        let mut values = Values::default();
        check(&mut values, "get k", "None");
        check(&mut values, "put k expecting 1", "Err(Conflict)");
        check(&mut values, "put k expecting 0", "Ok(1)");
        check(&mut values, "put k expecting 0", "Err(Conflict)");
        check(&mut values, "put k expecting 1", "Ok(2)");
        check(&mut values, "put k", "Ok(3)");
        check(&mut values, "delete k expecting 2", "Err(Conflict)");
        check(&mut values, "delete k expecting 3", "Ok(())");
        check(&mut values, "delete k", "Ok(())");
        check(&mut values, "delete k expecting 0", "Ok(())");
        // Not 1 again: whoever remembers that one means what is gone.
        check(&mut values, "put k expecting 0", "Ok(4)");
        assert_eq!(next_revision(u32::MAX), 1);
    }

    #[test]
    fn a_state_is_small() {
        let mut values = Values::default();
        for key in 0..MAX_KEYS {
            values.put(&key.to_string(), Vec::new(), None).unwrap();
        }
        let full = values.put("more", Vec::new(), None).unwrap_err();
        assert_eq!(full, StateError::Quota("a step keeps at most 64 keys".to_owned()));
        assert!(values.put("7", b"another value".to_vec(), None).is_ok());
        assert!(check_key("").is_err() && check_key(&"k".repeat(128)).is_ok() && check_key(&"k".repeat(129)).is_err());
        assert!(check_value(&[0; MAX_VALUE]).is_ok() && check_value(&[0; MAX_VALUE + 1]).is_err());
    }
}
