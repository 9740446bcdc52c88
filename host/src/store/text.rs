//! Values as texts of the database.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

/// JSON of the house's own types.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the house's own types have string keys and no failing serialiser")
}

/// An identifier's text, in one allocation: there are a dozen per event.
pub(crate) fn id_text(id: &impl fmt::Display) -> Arc<str> {
    struct Short([u8; 64], usize);

    impl fmt::Write for Short {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = self.1 + text.len();
            self.0.get_mut(self.1..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
            self.1 = end;
            Ok(())
        }
    }

    let mut short = Short([0; 64], 0);
    match write!(short, "{id}") {
        Ok(()) => std::str::from_utf8(&short.0[..short.1]).expect("it was written as text").into(),
        Err(fmt::Error) => id.to_string().into(),
    }
}

/// The names of a list and what stands behind each: `id text, number int`.
pub(crate) fn pairs(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.split(',').filter_map(|pair| pair.trim().split_once(' '))
}
