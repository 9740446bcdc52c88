//! Telephone numbers to E.164: `+`, country, number, nothing else.
//!
//! No table of each country's numbering plan: that changes every month and
//! weighs more than the whole plugin. What is refused is what cannot be dialled.

use serde::de::{Deserialize, Deserializer, Error};
use std::borrow::Cow;

/// A country's calling code: `1`, `44`, `351`.
#[derive(Debug)]
pub(crate) struct Country(Box<str>);

/// Countries that dial the leading zero from abroad too: Italy, San Marino, the
/// Vatican.
const KEEPS_ITS_ZERO: [&str; 3] = ["39", "378", "379"];

/// The number in E.164, or why it is none.
pub(crate) fn to_e164(text: &str, country: Option<&Country>) -> Result<String, &'static str> {
    let text = text.trim();
    let (international, rest) = match text.strip_prefix('+').or_else(|| text.strip_prefix("00")) {
        Some(rest) => (true, Cow::Borrowed(rest)),
        None => (false, Cow::Borrowed(text)),
    };
    // `+44 (0)20 ...`: the zero is for those who call from inside.
    let rest = match international {
        true => Cow::Owned(rest.replacen("(0)", "", 1)),
        false => rest,
    };
    let digits = digits(&rest)?;
    let digits = match (international, country) {
        (true, _) => digits,
        (false, Some(country)) => country.prefixed(&digits),
        (false, None) => return Err("a national number, and no `country` is given"),
    };
    match (digits.len(), digits.starts_with('0')) {
        (_, true) => Err("no country's calling code begins with 0"),
        (8..=15, _) => Ok(format!("+{digits}")),
        _ => Err("not between 8 and 15 digits"),
    }
}

impl Country {
    fn prefixed(&self, national: &str) -> String {
        let code = &*self.0;
        // North America writes its own 1 before a number of ten digits.
        if code == "1" && national.len() == 11 && national.starts_with('1') {
            return national.to_owned();
        }
        match KEEPS_ITS_ZERO.contains(&code) {
            true => format!("{code}{national}"),
            false => format!("{code}{}", national.strip_prefix('0').unwrap_or(national)),
        }
    }
}

fn digits(text: &str) -> Result<String, &'static str> {
    let mut digits = String::with_capacity(16);
    for letter in text.chars() {
        match letter {
            '0'..='9' => digits.push(letter),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' | '\u{2010}'..='\u{2013}' | '\u{202f}' => {}
            _ => return Err("something other than digits in it"),
        }
    }
    Ok(digits)
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let code = text.strip_prefix('+').unwrap_or(&text);
        let is_code =
            matches!(code.len(), 1..=3) && code.bytes().all(|digit| digit.is_ascii_digit()) && !code.starts_with('0');
        match is_code {
            true => Ok(Self(code.into())),
            false => Err(D::Error::custom(format!(
                "`{text}` is no calling code: one to three digits, such as \"1\" or \"44\""
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, country: &str, expected: &str) {
        let country = (!country.is_empty()).then(|| Country(country.into()));
        let got = to_e164(text, country.as_ref()).unwrap_or_else(str::to_owned);
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn numbers() {
        check("+12025551234", "", "+12025551234");
        check("+1 (202) 555-1234", "", "+12025551234");
        check("001 202.555.1234", "", "+12025551234");
        check("(202) 555-1234", "1", "+12025551234");
        check("1-202-555-1234", "1", "+12025551234");
        check("+44 (0)20 7946 0018", "1", "+442079460018");
        check("020 7946 0018", "44", "+442079460018");
        check("06 1234 5678", "39", "+390612345678");
        check(" 030/1234567 ", "49", "+49301234567");
        check("2025551234", "", "a national number, and no `country` is given");
        check("+1 202 555 1234 x9", "", "something other than digits in it");
        check("+1234567", "", "not between 8 and 15 digits");
        check("+1234567890123456", "", "not between 8 and 15 digits");
        check("+02025551234", "", "no country's calling code begins with 0");
        check("", "1", "not between 8 and 15 digits");
        check("call me", "1", "something other than digits in it");
    }
}
