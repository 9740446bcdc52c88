//! What paths are rooted in: the document, and what stands beside it. A form's
//! document is the object that [`form`](crate::form) makes of it.

use crate::json::Node;
use crate::path::{Path, Root, Segment};
use crate::value::Value;
use hookyard_plugin::{Event, Refusal, Request};
use std::cell::OnceCell;

/// Where values come from.
pub(crate) struct Input<'a> {
    origin: From<'a>,
    /// Read when the first path needs it: a mapper that looks at headers only
    /// may be given a body that is no JSON.
    document: OnceCell<Node<'a>>,
}

enum From<'a> {
    /// And its form as JSON, if its body is one.
    Request(&'a Request, Option<&'a str>),
    Event(&'a Event),
}

impl<'a> Input<'a> {
    pub(crate) fn request(request: &'a Request, form: Option<&'a str>) -> Self {
        Self { origin: From::Request(request, form), document: OnceCell::new() }
    }

    pub(crate) fn event(event: &'a Event) -> Self {
        Self { origin: From::Event(event), document: OnceCell::new() }
    }

    /// What is at a path.
    pub(crate) fn find(&self, path: &Path) -> Result<Value<'a>, Refusal> {
        match (path.root, &self.origin) {
            (Root::Document, _) | (Root::Body, From::Request(..)) => self.find_in_document(&path.segments),
            (Root::Headers, From::Request(request, _)) => Ok(named(path, |name| request.header_value(name))),
            (Root::Query, From::Request(request, _)) => Ok(named(path, |name| request.query_value(name))),
            (Root::Event, From::Event(event)) => match path.segments.split_first() {
                Some((Segment::Key(key), rest)) if &**key == "data" => self.find_in_document(rest),
                Some((Segment::Key(key), rest)) => Ok(of_event(event, key, rest)),
                _ => Ok(Value::Absent),
            },
            (Root::Event, From::Request(..)) => Err(elsewhere(path, "a mapper: there is no event yet")),
            (Root::Body | Root::Headers | Root::Query, From::Event(_)) => {
                Err(elsewhere(path, "a transformer: there is no request any more"))
            }
        }
    }

    fn find_in_document(&self, segments: &[Segment]) -> Result<Value<'a>, Refusal> {
        match self.document.get() {
            Some(node) => Ok(find(node, segments)),
            None => {
                let node = self.read()?;
                Ok(find(self.document.get_or_init(|| node), segments))
            }
        }
    }

    fn read(&self) -> Result<Node<'a>, Refusal> {
        let (name, text) = match self.origin {
            From::Request(_, Some(form)) => ("body", form),
            From::Request(request, None) => ("body", request.text()?),
            From::Event(event) => ("data", event.data.as_str()),
        };
        Node::parse(text).map_err(|problem| Refusal::bad_input(format!("{name}: not JSON: {problem}")))
    }
}

fn find<'a>(node: &Node<'a>, segments: &[Segment]) -> Value<'a> {
    let Some((segment, rest)) = segments.split_first() else {
        return Value::raw(node.raw);
    };
    let next = match (segment, node.elements()) {
        (Segment::Each, Some(elements)) => {
            return Value::List(elements.iter().map(|element| find(element, rest)).collect());
        }
        (_, Some(elements)) => segment.index().and_then(|index| elements.get(index)),
        (Segment::Key(key), None) => node.member(key),
        (Segment::Each | Segment::Index(_), None) => None,
    };
    match next {
        Some(node) => find(node, rest),
        None => Value::Absent,
    }
}

fn named<'a>(path: &Path, value_of: impl FnOnce(&str) -> Option<&'a str>) -> Value<'a> {
    match path.segments.first() {
        Some(Segment::Key(name)) => text(value_of(name)),
        _ => Value::Absent,
    }
}

fn of_event<'a>(event: &'a Event, key: &str, rest: &[Segment]) -> Value<'a> {
    match (key, rest.first()) {
        ("id", _) => Value::text(&event.id),
        ("type", _) => Value::text(&event.type_),
        ("occurred_at", _) => Value::text(&event.occurred_at),
        ("subject", _) => text(event.subject.as_deref()),
        ("account", _) => text(event.account.as_deref()),
        ("tags", None | Some(Segment::Each)) => Value::List(event.tags.iter().map(|tag| Value::text(tag)).collect()),
        ("tags", Some(segment)) => text(segment.index().and_then(|index| event.tags.get(index)).map(String::as_str)),
        _ => Value::Absent,
    }
}

fn text<'a>(text: Option<&str>) -> Value<'a> {
    text.map_or(Value::Absent, Value::text)
}

fn elsewhere(path: &Path, place: &str) -> Refusal {
    Refusal::bad_config(format!("`{}` has no meaning in {place}", path.text))
}
