//! The configuration: which events are messages, where their text is, how much
//! of it is told, and where that goes.

use crate::document::Path;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// What the tenant writes.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub(crate) types: Types,
    #[serde(deserialize_with = "up_to::<_, 50>")]
    pub(crate) limit: u32,
    #[serde(deserialize_with = "up_to::<_, 10>")]
    pub(crate) sentences: u32,
    pub(crate) to: Path,
    #[serde(deserialize_with = "some")]
    pub(crate) text: Vec<Path>,
}

impl Default for Config {
    fn default() -> Self {
        let path = |text: &str| Path::parse(text).expect("it is a path");
        Self {
            types: Types::LikeMessages,
            limit: 20,
            sentences: 3,
            to: path("data.summary"),
            text: ["text", "message", "message.text", "body", "content"].map(path).into(),
        }
    }
}

/// Which events are messages.
#[derive(Debug)]
pub(crate) enum Types {
    /// Those whose type looks like it: `message.sent`, `new_message`, `replies`.
    LikeMessages,
    These(Vec<Pattern>),
}

impl Types {
    pub(crate) fn fit(&self, event_type: &str) -> bool {
        match self {
            Self::LikeMessages => event_type.contains("message") || event_type.contains("replies"),
            Self::These(patterns) => patterns.iter().any(|pattern| pattern.fits(event_type)),
        }
    }

    /// The types by their names, where no other can be meant.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        let Self::These(patterns) = self else { return None };
        let names = patterns.iter().map(|pattern| match pattern {
            Pattern::Exact(name) => Some(name.as_str()),
            Pattern::Prefix(_) => None,
        });
        names.collect()
    }
}

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        some(from).map(Self::These)
    }
}

/// An event type, or with a star at its end what event types begin with.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Pattern {
    Exact(String),
    Prefix(String),
}

impl Pattern {
    fn fits(&self, event_type: &str) -> bool {
        match self {
            Self::Exact(name) => event_type == name,
            Self::Prefix(prefix) => event_type.starts_with(prefix),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(mut text: String) -> Result<Self, Self::Error> {
        match text.find('*') {
            None if text.is_empty() => Err("an event type cannot be empty"),
            None => Ok(Self::Exact(text)),
            Some(star) if star + 1 == text.len() => {
                text.pop();
                Ok(Self::Prefix(text))
            }
            Some(_) => Err("a star stands at the end of an event type"),
        }
    }
}

fn up_to<'de, D: Deserializer<'de>, const MOST: u32>(from: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(from)?;
    match (1..=MOST).contains(&number) {
        true => Ok(number),
        false => Err(D::Error::custom(format!("{number} is not a number from 1 to {MOST}"))),
    }
}

/// A list of at least one: an empty one would make the plugin say nothing.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(from)?;
    match list.is_empty() {
        true => Err(D::Error::custom("the list is empty; leave it out for the default")),
        false => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Summary;
    use hookyard_plugin::native;

    #[track_caller]
    fn check(config: &str, expected: &str) {
        let got = match native::check::<Summary>(config) {
            Ok(()) => "ok".to_owned(),
            Err(issues) => issues[0].to_string(),
        };
        assert_eq!(got.split(" at line ").next(), Some(expected), "{config}");
    }

    #[track_caller]
    fn check_types(types: &str, event_type: &str, expected: bool) {
        let config: Config = serde_json::from_str(types).unwrap();
        assert_eq!(config.types.fit(event_type), expected, "{types} {event_type}");
    }

    #[test]
    fn a_mistake_is_named() {
        check("{}", "ok");
        check(
            r#"{"types": ["message.*", "*", "reply"], "limit": 50, "sentences": 10, "to": "a", "text": ["b.c"]}"#,
            "ok",
        );
        check(
            r#"{"typs": []}"#,
            "typs: unknown field `typs`, expected one of `types`, `limit`, `sentences`, `to`, `text`",
        );
        check(r#"{"types": []}"#, "types: the list is empty; leave it out for the default");
        check(r#"{"types": ["a", "*.b"]}"#, "types[1]: a star stands at the end of an event type");
        check(r#"{"types": [""]}"#, "types[0]: an event type cannot be empty");
        check(r#"{"limit": 51}"#, "limit: 51 is not a number from 1 to 50");
        check(r#"{"limit": 0}"#, "limit: 0 is not a number from 1 to 50");
        check(r#"{"sentences": 11}"#, "sentences: 11 is not a number from 1 to 10");
        check(r#"{"to": "data..x"}"#, "to: path `data..x`: a name is missing beside a dot");
        check(r#"{"to": ""}"#, "to: path ``: a name is missing beside a dot");
        check(r#"{"text": []}"#, "text: the list is empty; leave it out for the default");
    }

    #[test]
    fn types_fit() {
        for like in ["message.received", "message.sent", "messages", "new_message", "replies", "contact.replies"] {
            check_types("{}", like, true);
        }
        for other in ["conversation.created", "order.paid", "mess"] {
            check_types("{}", other, false);
        }
        check_types(r#"{"types": ["message.*"]}"#, "message.sent", true);
        check_types(r#"{"types": ["message.*"]}"#, "message", false);
        check_types(r#"{"types": ["message.sent", "x"]}"#, "message.sent", true);
        check_types(r#"{"types": ["message.sent"]}"#, "message.sent.late", false);
        check_types(r#"{"types": ["*"]}"#, "order.paid", true);
    }
}
