//! Templates: text with places in braces, as dialects write them:
//! `{header.webhook-id}.{timestamp}.{body}`. What a place may name is the
//! type parameter; there is no logic in a template and no escape.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A template whose places are `P`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<P> {
    text: String,
    pieces: Vec<Piece<P>>,
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<P> {
    Text(String),
    Place(P),
}

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq)]
pub enum BadTemplate {
    Unclosed,
    UnknownPlace { name: String, problem: String },
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => f.write_str("a `{` has no `}` behind it"),
            Self::UnknownPlace { name, problem } => write!(f, "`{{{}}}`: {problem}", name.escape_debug()),
        }
    }
}

impl<P> FromStr for Template<P>
where
    P: FromStr,
    P::Err: fmt::Display,
{
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind.split_once('}').ok_or(BadTemplate::Unclosed)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let unknown =
                |problem: P::Err| BadTemplate::UnknownPlace { name: name.to_owned(), problem: problem.to_string() };
            pieces.push(Piece::Place(name.parse().map_err(unknown)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

impl<P> Template<P> {
    /// The bytes that this comes to, or nothing when a place has no value.
    pub fn fill<'a>(&self, value: impl Fn(&P) -> Option<Cow<'a, [u8]>>) -> Option<Vec<u8>> {
        let mut filled = Vec::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Piece::Place(place) => filled.extend_from_slice(&value(place)?),
            }
        }
        Some(filled)
    }

    /// The same for places that are text.
    pub fn fill_text<'a>(&self, value: impl Fn(&P) -> Option<Cow<'a, str>>) -> Option<String> {
        let mut filled = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Place(place) => filled.push_str(&value(place)?),
            }
        }
        Some(filled)
    }

    /// The place, when the template is nothing else.
    pub fn only_place(&self) -> Option<&P> {
        match self.pieces.as_slice() {
            [Piece::Place(place)] => Some(place),
            _ => None,
        }
    }

    /// Every place.
    pub fn places(&self) -> impl Iterator<Item = &P> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Place(place) => Some(place),
            Piece::Text(_) => None,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<P> Serialize for Template<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, P> Deserialize<'de> for Template<P>
where
    P: FromStr,
    P::Err: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Word(String);

    impl FromStr for Word {
        type Err = &'static str;

        fn from_str(text: &str) -> Result<Self, &'static str> {
            if text == "bad" { Err("there is no such place") } else { Ok(Self(text.to_owned())) }
        }
    }

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let said = match template.parse::<Template<Word>>() {
            Ok(template) => template
                .fill_text(|word| (word.0 != "absent").then(|| word.0.to_uppercase().into()))
                .unwrap_or_else(|| "nothing".to_owned()),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected, "{template}");
    }

    #[test]
    fn places_are_filled_or_the_whole_is_nothing() {
        check("", "");
        check("plain", "plain");
        check("{a}.{b}", "A.B");
        check("v0:{a}:", "v0:A:");
        check("x{absent}", "nothing");
        check("{a", "a `{` has no `}` behind it");
        check("{bad}", "`{bad}`: there is no such place");
    }
}
