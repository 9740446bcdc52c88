//! How to make the records that cross the border, and to read them.

use crate::{Draft, Event, Field, Message, Refusal, Request, json};
use serde::de::DeserializeOwned;

/// An instant that tests and examples share.
const SOME_TIME: &str = "2026-11-21T08:30:00.000Z";

impl Event {
    /// An event of this type as a test needs one: an id, a time, no data.
    pub fn of(event_type: impl Into<String>) -> Self {
        Self {
            id: "evt_1".to_owned(),
            type_: event_type.into(),
            occurred_at: SOME_TIME.to_owned(),
            subject: None,
            account: None,
            tags: Vec::new(),
            data: "{}".to_owned(),
        }
    }

    /// With one more tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// About this subject.
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Of this managed account.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// With this JSON as its data: a `json!` value or JSON text.
    pub fn with(mut self, data: impl ToString) -> Self {
        self.data = data.to_string();
        self
    }

    /// The data as a type of yours.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        read("data", &self.data)
    }
}

impl Request {
    /// A JSON request as a test needs one. `body` is a `json!` value or text.
    pub fn post(body: impl ToString) -> Self {
        Self {
            id: "req_1".to_owned(),
            source: "test".to_owned(),
            received_at: SOME_TIME.to_owned(),
            method: "POST".to_owned(),
            query: Vec::new(),
            headers: vec![Field::new("content-type", "application/json")],
            body: body.to_string().into_bytes(),
        }
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(Field::new(name.to_ascii_lowercase(), value));
        self
    }

    /// With one more query parameter.
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push(Field::new(name, value));
        self
    }

    /// The first header of this name, in whatever case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The first query parameter of this name.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|field| field.name == name)?;
        Some(&found.value)
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str, Refusal> {
        text(&self.body)
    }

    /// The JSON body as a type of yours.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        read("body", self.text()?)
    }
}

impl Draft {
    /// An event with this JSON as its data; everything else is left to the
    /// host.
    pub fn with(data: impl ToString) -> Self {
        Self { data: data.to_string(), ..Self::default() }
    }

    /// Of this type.
    pub fn of(mut self, event_type: impl Into<String>) -> Self {
        self.type_ = Some(event_type.into());
        self
    }

    /// With one more tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// About this subject.
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Of this managed account.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Happened then: RFC 3339.
    pub fn at(mut self, occurred_at: impl Into<String>) -> Self {
        self.occurred_at = Some(occurred_at.into());
        self
    }
}

impl Message {
    /// A `POST` with a JSON body: a `json!` value or JSON text.
    pub fn json(body: impl ToString) -> Self {
        Self::post("application/json", body.to_string())
    }

    /// A `POST` of a body of some media type.
    pub fn post(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".to_owned(),
            target: None,
            headers: vec![Field::new("content-type", content_type)],
            body: body.into(),
        }
    }

    /// With this header in place of any of the same name.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set_header(name, value);
        self
    }

    /// Sets a header in place of any of the same name.
    pub fn set_header(&mut self, name: &str, value: impl Into<String>) {
        let field = Field::new(name.to_ascii_lowercase(), value);
        match self.headers.iter().position(|old| old.name.eq_ignore_ascii_case(name)) {
            None => self.headers.push(field),
            Some(first) => {
                self.headers.retain(|old| !old.name.eq_ignore_ascii_case(name));
                self.headers.insert(first, field);
            }
        }
    }

    /// The first header of this name, in whatever case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// To this path and query, relative to the endpoint's URL.
    pub fn to(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str, Refusal> {
        text(&self.body)
    }

    /// The JSON body as a type of yours.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        read("body", self.text()?)
    }
}

impl Field {
    /// A named value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl Refusal {
    /// `code` is a short word for programs, `message` a sentence for people.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// What came in is not what the plugin can work with (`bad-input`).
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new("bad-input", message)
    }

    /// The configuration is not what the plugin can work with (`bad-config`).
    pub fn bad_config(message: impl Into<String>) -> Self {
        Self::new("bad-config", message)
    }

    /// The configuration is for another of the plugin's jobs, whatever comes in
    /// (`other-job`). `check` is not told the job: the host asks for this when a
    /// step is saved.
    pub fn other_job(message: impl Into<String>) -> Self {
        Self::new("other-job", message)
    }
}

fn find_header<'a>(headers: &'a [Field], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
    Some(&found.value)
}

fn text(body: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(body).map_err(|_| Refusal::bad_input("body: not UTF-8"))
}

fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Refusal> {
    json::read(text).map_err(|issue| match issue.path.is_empty() {
        true => Refusal::bad_input(format!("{what}: {}", issue.message)),
        false => Refusal::bad_input(format!("{what}.{issue}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Order {
        id: u32,
    }

    #[track_caller]
    fn check(data: &str, expected: &str) {
        let got = match Event::of("order.paid").with(data).data::<Order>() {
            Ok(order) => format!("order {}", order.id),
            Err(refusal) => format!("{}: {}", refusal.code, refusal.message),
        };
        assert_eq!(got, expected, "{data}");
    }

    #[test]
    fn data_is_read_or_refused_by_name() {
        check(r#"{"id": 7}"#, "order 7");
        check(r#"{"id": "7"}"#, "bad-input: data.id: invalid type: string \"7\", expected u32 at line 1 column 10");
        check("{", "bad-input: data: EOF while parsing an object at line 1 column 1");
        check(r#"{"id": 7} 8"#, "bad-input: data: trailing characters at line 1 column 11");
    }

    #[test]
    fn a_header_is_replaced_where_it_stood() {
        let mut message = Message::json("{}").header("x-a", "1");
        message.headers.push(Field::new("Content-Type", "text/html"));

        message.set_header("Content-Type", "text/plain");

        let expected = [Field::new("content-type", "text/plain"), Field::new("x-a", "1")];
        assert_eq!(message.headers, expected);
    }
}
