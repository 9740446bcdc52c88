//! JSON as `JSON.stringify(JSON.parse(text))` prints it (ECMA-262, sections
//! 25.5.1 and 25.5.2).
//!
//! Receivers that hash the body after parsing it must get one that survives
//! that: no white space, numbers as JavaScript prints them, keys that look like
//! array indices first, of two equal keys the last value in the place of the
//! first.

/// At most this many arrays and objects inside one another.
const MAX_DEPTH: usize = 128;

/// `text` in JavaScript's form; nothing when it is no JSON or too deep.
pub fn javascript(text: &str) -> Option<String> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let mut out = String::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.space();
    (reader.at == reader.bytes.len()).then_some(out)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        self.bytes[self.at..].starts_with(expected.as_bytes()).then(|| self.at += expected.len())
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.space();
        match self.peek()? {
            b'{' if depth < MAX_DEPTH => self.object(out, depth),
            b'[' if depth < MAX_DEPTH => self.array(out, depth),
            b'"' => self.string(out),
            b't' => self.take("true").map(|()| out.push_str("true")),
            b'f' => self.take("false").map(|()| out.push_str("false")),
            b'n' => self.take("null").map(|()| out.push_str("null")),
            _ => self.number(out),
        }
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.take("[")?;
        out.push('[');
        self.space();
        if self.take("]").is_none() {
            loop {
                self.value(out, depth + 1)?;
                self.space();
                match self.take(",") {
                    Some(()) => out.push(','),
                    None => break self.take("]")?,
                }
            }
        }
        out.push(']');
        Some(())
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.take("{")?;
        self.space();
        let mut members = Members::default();
        if self.take("}").is_none() {
            loop {
                self.space();
                let mut key = String::new();
                self.string(&mut key)?;
                self.space();
                self.take(":")?;
                let mut value = String::new();
                self.value(&mut value, depth + 1)?;
                members.set(key, value);
                self.space();
                if self.take(",").is_none() {
                    break self.take("}")?;
                }
            }
        }
        members.write(out);
        Some(())
    }

    /// Two texts that mean one string come out alike, so that what is written
    /// here can be compared.
    fn string(&mut self, out: &mut String) -> Option<()> {
        self.take("\"")?;
        out.push('"');
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))?;
            out.push_str(std::str::from_utf8(&rest[..plain]).ok()?);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.escape(out)?,
                _ => return None,
            }
        }
        out.push('"');
        Some(())
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let letter = self.peek()?;
        self.at += 1;
        match letter {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'/' => out.push('/'),
            b'b' => out.push_str("\\b"),
            b'f' => out.push_str("\\f"),
            b'n' => out.push_str("\\n"),
            b'r' => out.push_str("\\r"),
            b't' => out.push_str("\\t"),
            b'u' => {
                let unit = self.code_unit()?;
                self.unit(unit, out)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn unit(&mut self, unit: u16, out: &mut String) -> Option<()> {
        if (0xd800..0xdc00).contains(&unit) && self.bytes[self.at..].starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let low = self.code_unit()?;
            if let Some(Ok(character)) = char::decode_utf16([unit, low]).next() {
                out.push(character);
                return Some(());
            }
            self.at = before;
        }
        match char::from_u32(u32::from(unit)) {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(character) if character >= ' ' => out.push(character),
            // Control characters, and halves of a pair, which no text can hold.
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
        Some(())
    }

    fn code_unit(&mut self) -> Option<u16> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn number(&mut self, out: &mut String) -> Option<()> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let text = std::str::from_utf8(&rest[..end.unwrap_or(rest.len())]).ok()?;
        if !is_number(text) {
            return None;
        }
        self.at += text.len();
        let number: f64 = text.parse().ok()?;
        match number.is_finite() {
            true => out.push_str(ryu_js::Buffer::new().format_finite(number)),
            // `JSON.parse` reads 1e999 as infinity, which has no JSON.
            false => out.push_str("null"),
        }
        Some(())
    }
}

/// The grammar of RFC 8259, section 6; Rust's own is wider.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole_fits = whole == "0" || (digits(whole) && !whole.starts_with('0'));
    whole_fits && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

/// An object's members in the order of JavaScript's own keys (ECMA-262, section
/// 10.1.11.1).
#[derive(Default)]
struct Members {
    members: Vec<(String, String)>,
    places: std::collections::HashMap<String, usize>,
}

impl Members {
    fn set(&mut self, key: String, value: String) {
        match self.places.get(&key) {
            Some(place) => self.members[*place].1 = value,
            None => {
                self.places.insert(key.clone(), self.members.len());
                self.members.push((key, value));
            }
        }
    }

    fn write(mut self, out: &mut String) {
        // Stable: what is no index keeps its order.
        self.members.sort_by_key(|(key, _)| index(key).unwrap_or(u64::MAX));
        out.push('{');
        for (at, (key, value)) in self.members.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(key);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
    }
}

/// The array index that a quoted key is: 0 to 2^32 - 2, written plainly.
fn index(key: &str) -> Option<u64> {
    let digits = key.strip_prefix('"')?.strip_suffix('"')?;
    let plain = digits == "0" || (!digits.starts_with('0') && digits.len() <= 10);
    if !plain || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|index| *index <= 4_294_967_294)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(javascript(text).as_deref(), Some(expected), "{text}");
    }

    // `tests/it` holds many more against Node itself.
    #[test]
    fn json_is_printed_as_javascript_prints_it() {
        check(r#" { "b" : 1.0 , "a" : [ 1e2, -0, 1.10, 1E400, true ] } "#, r#"{"b":1,"a":[100,0,1.1,null,true]}"#);
        check("18446744073709551616", "18446744073709552000");
        check("1e21", "1e+21");
        check("0.000001", "0.000001");
        check("1e-7", "1e-7");
        check(r#"{"b":1,"10":2,"9":3,"01":4,"a":5,"b":6}"#, r#"{"9":3,"10":2,"b":6,"01":4,"a":5}"#);
        check(r#""\u00e9\/\u0022\u0007\ud83d\ude00\ud83d\u2028""#, "\"\u{e9}/\\\"\\u0007\u{1f600}\\ud83d\u{2028}\"");
        check(r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#);
        check("{}", "{}");
        check("[ ]", "[]");
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        for bad in ["", "{", "[1,]", "01", "1.", ".5", "+1", "nul", "\"a\nb\"", r#""\x""#, r#""\u12""#, "{} {}", "'a'"]
        {
            assert_eq!(javascript(bad), None, "{bad}");
        }
        assert_eq!(javascript(&"[".repeat(100_000)), None);
    }
}
