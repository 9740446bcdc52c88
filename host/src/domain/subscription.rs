//! Subscriptions: which events an endpoint wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::event::is_type_byte;

/// Type patterns, accounts and tags. An event must fit each of the three;
/// accounts or tags that name nothing ask for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub event_types: Vec<TypePattern>,
    pub accounts: Vec<String>,
    /// Any one of them is enough.
    pub tags: Vec<String>,
}

/// The first reason why an event does not fit a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Type,
    Account,
    Tag,
}

/// What [`super::dialect::Dialect::wants`] decides with.
impl Subscription {
    pub fn fits_type(&self, event_type: &str) -> bool {
        self.event_types.iter().any(|pattern| pattern.fits(event_type))
    }

    /// Whether a pattern is this very type.
    pub fn names(&self, event_type: &str) -> bool {
        self.event_types.iter().any(|pattern| pattern.0 == event_type)
    }

    /// Whether it asks for a type by more than a star: by name, or by what
    /// stands before the dot.
    pub fn asks_for(&self, event_type: &str) -> bool {
        let group = event_type.split_once('.').map_or(event_type, |(group, _)| group);
        let names_it = |pattern: &&TypePattern| pattern.0.starts_with(group);
        self.event_types.iter().filter(names_it).any(|pattern| pattern.fits(event_type))
    }

    pub fn fits_account(&self, account: Option<&str>) -> bool {
        self.accounts.is_empty() || account.is_some_and(|account| self.accounts.iter().any(|one| one == account))
    }

    pub fn fits_tags(&self, tags: &[String]) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag))
    }

    /// The first type that it names without a star.
    pub fn first_named(&self) -> Option<&str> {
        self.event_types.iter().map(|pattern| pattern.0.as_str()).find(|pattern| !pattern.contains('*'))
    }
}

/// An event type in which `*` stands for any run of characters: `order.*`,
/// `*.created`, `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TypePattern(String);

impl TypePattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn fits(&self, event_type: &str) -> bool {
        glob(self.0.as_bytes(), event_type.as_bytes())
    }
}

/// The text is no type pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct NotATypePattern;

impl fmt::Display for NotATypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type pattern is 1 to 128 letters, digits, `_ . - : /` and `*`, such as `order.*`")
    }
}

impl FromStr for TypePattern {
    type Err = NotATypePattern;

    fn from_str(text: &str) -> Result<Self, NotATypePattern> {
        let plain =
            !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte == b'*' || is_type_byte(byte));
        if plain { Ok(Self(text.to_owned())) } else { Err(NotATypePattern) }
    }
}

impl TryFrom<String> for TypePattern {
    type Error = NotATypePattern;

    fn try_from(text: String) -> Result<Self, NotATypePattern> {
        text.parse()
    }
}

/// Goes back to the last star only: linear but for that, whatever the pattern.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
        } else if pattern.get(at) == Some(&text[read]) {
            at += 1;
            read += 1;
        } else if let Some((star_at, taken)) = star {
            star = Some((star_at, taken + 1));
            at = star_at + 1;
            read = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(types: &[&str], accounts: &[&str], tags: &[&str]) -> Subscription {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Subscription {
            event_types: types.iter().map(|text| text.parse().unwrap()).collect(),
            accounts: texts(accounts),
            tags: texts(tags),
        }
    }

    #[track_caller]
    fn check(pattern: &str, event_type: &str, fits: bool) {
        assert_eq!(subscription(&[pattern], &[], &[]).fits_type(event_type), fits, "{pattern} {event_type}");
    }

    #[test]
    fn a_star_stands_for_any_run() {
        check("order.paid", "order.paid", true);
        check("order.paid", "order.paid2", false);
        check("order.*", "order.paid", true);
        check("order.*", "order.item.added", true);
        check("order.*", "order", false);
        check("order.*", "reorder.paid", false);
        check("*.created", "contact.created", true);
        check("*", "anything", true);
        check("o*r.*d", "order.paid", true);
        check("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false);
    }

    #[test]
    fn what_is_selected_must_be_there() {
        let some = subscription(&["*"], &["acme"], &["vip", "paid"]);
        assert!(some.fits_account(Some("acme")));
        assert!(!some.fits_account(Some("other")));
        assert!(!some.fits_account(None));
        assert!(some.fits_tags(&["new".to_owned(), "paid".to_owned()]));
        assert!(!some.fits_tags(&["new".to_owned()]));
        let all = subscription(&["a.b"], &[], &[]);
        assert!(all.fits_account(None) && all.fits_tags(&[]));
        assert!(!subscription(&[], &[], &[]).fits_type("a"));
    }

    #[test]
    fn a_pattern_is_plain_text() {
        for bad in ["", "order paid", "order,paid", "?", "ä*"] {
            assert_eq!(bad.parse::<TypePattern>(), Err(NotATypePattern), "{bad}");
        }
    }
}
