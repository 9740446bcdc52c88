//! Structured field values (RFC 9651), as far as HTTP message signatures have
//! them: dictionaries of inner lists and byte sequences, with parameters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A member of a dictionary.
#[derive(Debug, PartialEq)]
pub(super) struct Member<'a> {
    pub(super) key: &'a str,
    /// The value with its parameters, as it was written.
    pub(super) written: &'a str,
    pub(super) value: Value<'a>,
    pub(super) parameters: Parameters<'a>,
}

/// What a member is.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Item(Bare),
    /// Each item with its parameters.
    List(Vec<(Bare, Parameters<'a>)>),
}

/// In their order.
pub(super) type Parameters<'a> = Vec<(&'a str, Bare)>;

/// An item without parameters. Decimals, dates and display strings have no place
/// in signatures and are not read.
#[derive(Debug, PartialEq)]
pub(super) enum Bare {
    Integer(i64),
    Text(String),
    Token(String),
    Bytes(Vec<u8>),
    Boolean(bool),
}

/// The members of a dictionary (RFC 9651, section 4.2.2); nothing when the text
/// is none, or has a key twice: of two signatures with one label, which would
/// count?
pub(super) fn dictionary(text: &str) -> Option<Vec<Member<'_>>> {
    let mut cursor = Cursor(text.trim_matches(' '));
    let mut members: Vec<Member<'_>> = Vec::new();
    while !cursor.0.is_empty() {
        let key = cursor.key()?;
        let before = cursor.0.strip_prefix('=').unwrap_or(cursor.0);
        let value = if cursor.take('=') { cursor.value()? } else { Value::Item(Bare::Boolean(true)) };
        let parameters = cursor.parameters()?;
        let written = &before[..before.len() - cursor.0.len()];
        if members.iter().any(|member| member.key == key) {
            return None;
        }
        members.push(Member { key, written, value, parameters });
        cursor.skip(&[' ', '\t']);
        if cursor.0.is_empty() {
            break;
        }
        if !cursor.take(',') {
            return None;
        }
        cursor.skip(&[' ', '\t']);
        if cursor.0.is_empty() {
            return None;
        }
    }
    Some(members)
}

/// Text as an item, where it can be one.
pub(super) fn quoted(text: &str) -> Option<String> {
    let visible = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    visible.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Bytes as an item.
pub(super) fn bytes(bytes: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(bytes))
}

/// Whether the text can be a member's key.
pub(super) fn is_key(text: &str) -> bool {
    Cursor(text).key() == Some(text)
}

/// What is left to be read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, character: char) -> bool {
        let rest = self.0.strip_prefix(character);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip(&mut self, characters: &[char]) {
        self.0 = self.0.trim_start_matches(characters);
    }

    /// All of what comes that is `wanted`.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let end = self.0.bytes().position(|byte| !wanted(byte)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        run
    }

    fn key(&mut self) -> Option<&'a str> {
        let begins = self.0.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*');
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
        begins.then(|| self.run(inside))
    }

    fn value(&mut self) -> Option<Value<'a>> {
        if !self.take('(') {
            return self.bare().map(Value::Item);
        }
        let mut items = Vec::new();
        loop {
            self.skip(&[' ']);
            if self.take(')') {
                return Some(Value::List(items));
            }
            items.push((self.bare()?, self.parameters()?));
            if !self.0.starts_with([' ', ')']) {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<Parameters<'a>> {
        let mut parameters = Vec::new();
        while self.take(';') {
            self.skip(&[' ']);
            let key = self.key()?;
            let value = if self.take('=') { self.bare()? } else { Bare::Boolean(true) };
            if parameters.iter().any(|(known, _)| *known == key) {
                return None;
            }
            parameters.push((key, value));
        }
        Some(parameters)
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.0.bytes().next()? {
            b'"' => self.text().map(Bare::Text),
            b':' => {
                let (encoded, rest) = self.0[1..].split_once(':')?;
                self.0 = rest;
                STANDARD.decode(encoded).ok().map(Bare::Bytes)
            }
            b'?' => {
                let value = self.0.get(..2)?;
                self.0 = &self.0[2..];
                matches!(value, "?0" | "?1").then_some(Bare::Boolean(value == "?1"))
            }
            b'-' | b'0'..=b'9' => {
                let number = self.run(|byte| byte == b'-' || byte.is_ascii_digit());
                // At most 15 digits (section 3.3.1); a point would be a decimal.
                let fits = number.trim_start_matches('-').len() <= 15 && !self.0.starts_with('.');
                number.parse().ok().filter(|_| fits).map(Bare::Integer)
            }
            byte if byte.is_ascii_alphabetic() || byte == b'*' => {
                let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
                Some(Bare::Token(self.run(inside).to_owned()))
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(characters.next().map(|(_, escaped)| escaped).filter(|one| "\"\\".contains(*one))?),
                ' '..='~' => text.push(character),
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_read_whole() {
        let text = r#"sig1=("@method" "date";sf);created=16;keyid="a\"b";alg=x/y, d=:AQI=:,flag;a=?0"#;
        let members = dictionary(text).unwrap();
        let keys: Vec<(&str, &str)> = members.iter().map(|member| (member.key, member.written)).collect();
        let first = r#"("@method" "date";sf);created=16;keyid="a\"b";alg=x/y"#;
        assert_eq!(keys, [("sig1", first), ("d", ":AQI=:"), ("flag", ";a=?0")]);
        let text = |text: &str| Bare::Text(text.to_owned());
        let list = vec![(text("@method"), vec![]), (text("date"), vec![("sf", Bare::Boolean(true))])];
        assert_eq!(members[0].value, Value::List(list));
        let parameters =
            vec![("created", Bare::Integer(16)), ("keyid", text("a\"b")), ("alg", Bare::Token("x/y".to_owned()))];
        assert_eq!(members[0].parameters, parameters);
        assert_eq!(members[1].value, Value::Item(Bare::Bytes(vec![1, 2])));
        assert_eq!(dictionary("  "), Some(vec![]));
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        for text in [
            "A=1",
            "a=",
            "a=1,",
            "a=1 b=2",
            "a=1,a=2",
            "a=(\"x\"\"y\")",
            "a=(\"x\"",
            "a=(\"x\u{e9}\")",
            "a=\"x",
            "a=\"\\n\"",
            "a=:%:",
            "a=:AQ==",
            "a=1.5",
            "a=1234567890123456",
            "a=1;b=1;b=2",
            "a=?2",
            "a=?é",
            "a=@x",
        ] {
            assert_eq!(dictionary(text), None, "{text}");
        }
    }

    #[test]
    fn text_that_no_header_can_hold_is_not_quoted() {
        assert_eq!(quoted("a\"b\\c").as_deref(), Some(r#""a\"b\\c""#));
        assert_eq!((quoted("ü"), quoted("a\nb")), (None, None));
        assert_eq!((is_key("sig1"), is_key("Sig"), is_key("")), (true, false, false));
    }
}
