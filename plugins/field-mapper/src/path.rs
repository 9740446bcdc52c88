//! Paths: `customer.phone`, `items[0].sku`, `items.0.sku`, `items[].sku`,
//! `["a key with . in it"].x`, and beside the document `$headers.x-id`,
//! `$query.page`, `$body`, `$event.type`.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// Elements beyond this cannot be addressed: a `to` makes all that come before.
const LAST_INDEX: usize = 999;

/// A way to a place in a document.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(crate) segments: Vec<Segment>,
    /// As it was written, for messages.
    pub(crate) text: Box<str>,
}

/// What a path starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// A mapper's request body, a transformer's event data.
    Document,
    /// `$body`
    Body,
    /// `$headers`
    Headers,
    /// `$query`
    Query,
    /// `$event`
    Event,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `name`, and as long as it is a number also the element of a list.
    Key(Box<str>),
    /// `[7]`
    Index(usize),
    /// `[]`
    Each,
}

impl Segment {
    /// Which element of a list this names.
    pub(crate) fn index(&self) -> Option<usize> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Key(key) if key.bytes().all(|digit| digit.is_ascii_digit()) => {
                key.parse().ok().filter(|index| *index <= LAST_INDEX)
            }
            Self::Key(_) | Self::Each => None,
        }
    }
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut segments = Vec::with_capacity(4);
        let mut rest = text;
        while !rest.is_empty() {
            rest = match rest.strip_prefix('[') {
                Some(bracket) => take_bracket(bracket, &mut segments)?,
                None => take_name(rest, segments.is_empty(), &mut segments)?,
            };
        }
        let root = match (segments.first(), text.starts_with('$')) {
            (Some(Segment::Key(name)), true) => Root::named(name)?,
            (Some(_), _) => Root::Document,
            (None, _) => return Err("a path cannot be empty".to_owned()),
        };
        if root != Root::Document {
            segments.remove(0);
        }
        root.check(&segments)?;
        Ok(Self { root, segments, text: text.into() })
    }
}

impl Root {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "$body" => Ok(Self::Body),
            "$headers" => Ok(Self::Headers),
            "$query" => Ok(Self::Query),
            "$event" => Ok(Self::Event),
            _ => Err(format!(
                "`{name}` is not one of `$body`, `$headers`, `$query` and `$event` (a key that begins with $ is written [\"{name}\"])"
            )),
        }
    }

    /// Beside the document there are only a few places to name.
    fn check(self, segments: &[Segment]) -> Result<(), String> {
        let first = match segments.first() {
            Some(Segment::Key(name)) => Some(&**name),
            _ => None,
        };
        match (self, first, segments.len()) {
            (Self::Document | Self::Body, ..) => Ok(()),
            (Self::Headers, Some(_), 1) => Ok(()),
            (Self::Headers, ..) => Err("`$headers` is followed by one name".to_owned()),
            (Self::Query, Some(_), 1) => Ok(()),
            (Self::Query, ..) => Err("`$query` is followed by one name".to_owned()),
            (Self::Event, Some("id" | "type" | "occurred_at" | "subject" | "account" | "tags"), 1) => Ok(()),
            (Self::Event, Some("tags"), 2) if segments[1] == Segment::Each || segments[1].index().is_some() => Ok(()),
            (Self::Event, Some("data"), _) => Ok(()),
            (Self::Event, ..) => {
                Err("`$event` is followed by one of id, type, occurred_at, subject, account, tags and data".to_owned())
            }
        }
    }
}

/// What follows a `[`.
fn take_bracket<'a>(text: &'a str, to: &mut Vec<Segment>) -> Result<&'a str, String> {
    if text.starts_with('"') {
        let mut key = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let Some(Ok(name)) = key.next() else {
            return Err("a quoted key without its closing quote".to_owned());
        };
        to.push(Segment::Key(name.into()));
        return text[key.byte_offset()..]
            .strip_prefix(']')
            .ok_or_else(|| "`]` is missing after a quoted key".to_owned());
    }
    let (inside, rest) = text.split_once(']').ok_or("`[` without `]`")?;
    to.push(match inside {
        "" => Segment::Each,
        digits => match digits.parse() {
            Ok(index) if index <= LAST_INDEX => Segment::Index(index),
            _ => {
                return Err(format!(
                    "`[{digits}]` is neither `[]`, an index up to {LAST_INDEX}, nor a key in double quotes"
                ));
            }
        },
    });
    Ok(rest)
}

/// A name, with the dot before it unless it is the first.
fn take_name<'a>(text: &'a str, first: bool, to: &mut Vec<Segment>) -> Result<&'a str, String> {
    let text = match (text.strip_prefix('.'), first) {
        (Some(name), false) => name,
        (None, true) => text,
        (Some(_), true) => return Err("a path cannot begin with a dot".to_owned()),
        (None, false) => return Err("`]` is followed by `.` or `[`".to_owned()),
    };
    // `items.[0]` is how some write it.
    if text.starts_with('[') {
        return Ok(text);
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    match end {
        0 => Err("a name is missing after a dot".to_owned()),
        _ => {
            to.push(Segment::Key(text[..end].into()));
            Ok(&text[end..])
        }
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Path;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path such as `customer.phone`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Path, E> {
                Path::parse(text).map_err(|problem| E::custom(format!("path `{text}`: {problem}")))
            }
        }
        from.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = match Path::parse(text) {
            Err(problem) => problem,
            Ok(path) => format!("{:?} {}", path.root, show(&path.segments)),
        };
        assert_eq!(got, expected, "{text}");
    }

    fn show(segments: &[Segment]) -> String {
        let shown: Vec<_> = segments
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => format!("<{key}>"),
                Segment::Index(index) => index.to_string(),
                Segment::Each => "each".to_owned(),
            })
            .collect();
        shown.join(" ")
    }

    #[test]
    fn paths() {
        check("a", "Document <a>");
        check("customer.phone", "Document <customer> <phone>");
        check("items[0].sku", "Document <items> 0 <sku>");
        check("items.0.sku", "Document <items> <0> <sku>");
        check("items[].sku", "Document <items> each <sku>");
        check("[].sku", "Document each <sku>");
        check("a[][1]", "Document <a> each 1");
        check(r#"["a.b"].c"#, "Document <a.b> <c>");
        check(r#"x["say \"]\""]"#, r#"Document <x> <say "]">"#);
        check(r#"["$body"]"#, "Document <$body>");
        check("a b.ü-c", "Document <a b> <ü-c>");
        check("$body", "Body ");
        check("$headers.X-Id", "Headers <X-Id>");
        check(r#"$query["a.b"]"#, "Query <a.b>");
        check("$event.type", "Event <type>");
        check("$event.tags[0]", "Event <tags> 0");
        check("$event.data.order.id", "Event <data> <order> <id>");
    }

    #[test]
    fn what_is_no_path_says_why() {
        check("", "a path cannot be empty");
        check(".a", "a path cannot begin with a dot");
        check("a..b", "a name is missing after a dot");
        check("a.", "a name is missing after a dot");
        check("a[", "`[` without `]`");
        check("a[1]b", "`]` is followed by `.` or `[`");
        check("a[x]", "`[x]` is neither `[]`, an index up to 999, nor a key in double quotes");
        check("a[1000]", "`[1000]` is neither `[]`, an index up to 999, nor a key in double quotes");
        check(r#"["a"#, "a quoted key without its closing quote");
        check(r#"["a"x"#, "`]` is missing after a quoted key");
        check(
            "$header.x",
            "`$header` is not one of `$body`, `$headers`, `$query` and `$event` (a key that begins with $ is written [\"$header\"])",
        );
        check("$headers", "`$headers` is followed by one name");
        check("$query.a.b", "`$query` is followed by one name");
        check("$event.kind", "`$event` is followed by one of id, type, occurred_at, subject, account, tags and data");
    }
}
