//! JSON as slices of the text that it came in, so that what is only moved is
//! moved as it was written: a number keeps each digit, a string its escapes.
//!
//! Not serde: its `Value` copies every string and rounds large numbers.

use std::borrow::Cow;

/// Deeper documents are refused: each level takes stack, of which a component
/// has little. serde_json draws the line at the same depth.
const DEEPEST: usize = 128;

/// A value in a document.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// The value as it was written.
    pub(crate) raw: &'a str,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Scalar,
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads a whole document, or says what is wrong at which byte.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        parser.skip_space();
        let node = parser.value(0)?;
        parser.skip_space();
        match parser.peek() {
            None => Ok(node),
            Some(_) => parser.fail("the end"),
        }
    }

    /// The member of this name. Of two with the same name the last counts, as
    /// it does for nearly every other reader.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(members) => {
                let (_, node) = members.iter().rfind(|(name, _)| name == key)?;
                Some(node)
            }
            Kind::List(_) | Kind::Scalar => None,
        }
    }

    /// The elements, if this is a list.
    pub(crate) fn elements(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(elements) => Some(elements),
            Kind::Object(_) | Kind::Scalar => None,
        }
    }
}

/// The text of a JSON string, given with its quotes.
pub(crate) fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    match text.contains('\\') {
        false => Some(Cow::Borrowed(text)),
        true => serde_json::from_str(raw).ok().map(Cow::Owned),
    }
}

/// Writes a JSON string, with its quotes.
pub(crate) fn quote(text: &str, to: &mut Vec<u8>) {
    serde_json::to_writer(to, text).expect("a Vec takes everything");
}

/// A JSON string, with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is always a JSON string")
}

/// Whether this is a number as JSON writes them.
pub(crate) fn is_number(text: &str) -> bool {
    let mut parser = Parser { text, at: 0 };
    parser.number().is_ok() && parser.at == text.len()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Node<'a>, String> {
        let start = self.at;
        let kind = match self.peek() {
            _ if depth > DEEPEST => return self.fail("fewer levels"),
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => self.string().map(|_| Kind::Scalar)?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Scalar)?,
            _ => return self.fail("a value"),
        };
        Ok(Node { raw: &self.text[start..self.at], kind })
    }

    fn object(&mut self, depth: usize) -> Result<Kind<'a>, String> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Kind::Object(members));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            let Some(key) = unquote(key) else {
                return self.fail("a key of whole characters before this");
            };
            self.skip_space();
            if !self.take(b':') {
                return self.fail("`:`");
            }
            self.skip_space();
            members.push((key, self.value(depth + 1)?));
            self.skip_space();
            match self.take(b',') {
                true => {}
                false if self.take(b'}') => return Ok(Kind::Object(members)),
                false => return self.fail("`,` or `}`"),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Kind<'a>, String> {
        self.at += 1;
        let mut elements = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Kind::List(elements));
        }
        loop {
            self.skip_space();
            elements.push(self.value(depth + 1)?);
            self.skip_space();
            match self.take(b',') {
                true => {}
                false if self.take(b']') => return Ok(Kind::List(elements)),
                false => return self.fail("`,` or `]`"),
            }
        }
    }

    /// The string with its quotes.
    fn string(&mut self) -> Result<&'a str, String> {
        let start = self.at;
        if !self.take(b'"') {
            return self.fail("`\"`");
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at]);
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) | None => return self.fail("`\"`"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return self.fail("a hexadecimal digit");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fail("an escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), String> {
        let start = self.at;
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => self.fail("a digit"),
        }
    }

    fn word(&mut self, word: &str) -> Result<Kind<'a>, String> {
        match self.text[self.at..].starts_with(word) {
            true => {
                self.at += word.len();
                Ok(Kind::Scalar)
            }
            false => self.fail("a value"),
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn fail<T>(&self, expected: &str) -> Result<T, String> {
        Err(format!("expected {expected} at byte {}", self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    /// serde_json is the judge.
    #[track_caller]
    fn check(text: &str) {
        let expected = serde_json::from_str::<&RawValue>(text).map(RawValue::get).ok();
        let got = Node::parse(text).map(|node| node.raw).ok();
        assert_eq!(got, expected, "{text}");
    }

    const DOCUMENT: &str =
        r#" {"a": [1, -2.50e+3, 0, "x\u00e9\n", true], "b" :{"c":null,"":{}}, "é": [ ], "d": false} "#;

    #[test]
    fn what_is_json_is_what_serde_says() {
        check(DOCUMENT);
        for text in ["", " ", "1", "01", "-", "1.", "1e", ".5", "+1", "--1", "1 2", "nul", "nulll"] {
            check(text);
        }
        for text in ["\"\\x\"", "\"\\u12g4\"", "\"\t\"", "[1,]", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "[1 2]"] {
            check(text);
        }
    }

    #[test]
    fn a_document_cut_or_changed_anywhere_is_judged_alike() {
        for (at, _) in DOCUMENT.char_indices() {
            check(&DOCUMENT[..at]);
            for other in ["\"", "{", "]", ",", ":", "0", "\\", " ", "e"] {
                check(&format!("{}{other}{}", &DOCUMENT[..at], &DOCUMENT[at..]));
            }
        }
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Node::parse(&nested(100)).is_ok());
        assert!(Node::parse(&nested(100_000)).is_err());
    }
}
