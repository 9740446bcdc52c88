//! What a rule makes on its way from the input to the output.

use crate::json::{self, Node};
use std::borrow::Cow;

/// A value under way. A list is one that a path's `[]` or a conversion made; a
/// list that is only moved stays JSON.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// The path led nowhere.
    Absent,
    /// JSON text, as it was written or as a conversion made it.
    Json(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Vec<(&'a str, Value<'a>)>),
}

impl<'a> Value<'a> {
    pub(crate) fn raw(text: &'a str) -> Self {
        Self::Json(Cow::Borrowed(text))
    }

    /// A JSON string of this text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Json(Cow::Owned(json::quoted(text)))
    }

    /// The same with `[1, 2]` taken apart: what works on each element works
    /// also on a list that came in as one.
    pub(crate) fn opened(self) -> Self {
        match self {
            Self::Json(Cow::Borrowed(text)) if text.starts_with('[') => match Node::parse(text) {
                Ok(node) => {
                    Self::List(node.elements().unwrap_or_default().iter().map(|node| Self::raw(node.raw)).collect())
                }
                Err(_) => Self::Json(Cow::Borrowed(text)),
            },
            other => other,
        }
    }

    /// One list of all that is there, however deep it was.
    pub(crate) fn flattened(self) -> Self {
        fn gather<'a>(value: Value<'a>, to: &mut Vec<Value<'a>>) {
            match value {
                Value::Absent => {}
                Value::List(values) => values.into_iter().for_each(|value| gather(value, to)),
                Value::Json(_) | Value::Object(_) => to.push(value),
            }
        }
        match self {
            Self::List(values) => {
                let mut flat = Vec::with_capacity(values.len());
                gather(Self::List(values), &mut flat);
                Self::List(flat)
            }
            other => other,
        }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Absent => to.extend_from_slice(b"null"),
            Self::Json(text) => to.extend_from_slice(text.as_bytes()),
            Self::List(values) => {
                let mut before = b'[';
                for value in values {
                    to.push(before);
                    value.write(to);
                    before = b',';
                }
                to.extend_from_slice(if values.is_empty() { b"[]" } else { b"]" });
            }
            Self::Object(members) => {
                let mut before = b'{';
                for (name, value) in members {
                    to.push(before);
                    json::quote(name, to);
                    to.push(b':');
                    value.write(to);
                    before = b',';
                }
                to.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
            }
        }
    }
}
