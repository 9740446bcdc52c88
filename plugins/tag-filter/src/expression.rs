//! Expressions over tags. From weak to strong: `or`, `and`, `not`.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

/// Each level of parentheses and each `not` takes stack, of which a component
/// has little. Nobody reads deeper ones.
const DEEPEST: usize = 64;

/// What an event's tags have to satisfy.
#[derive(Debug)]
pub(crate) enum Expression {
    Tag(Pattern),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// A tag, with or without stars.
#[derive(Debug)]
pub(crate) struct Pattern(String);

/// Where parsing ended, and why. Columns count characters from 1.
#[derive(Debug)]
pub(crate) struct Misread {
    column: usize,
    expected: &'static str,
    found: String,
}

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self, Misread> {
        let mut parser = Parser { text, next: text.char_indices().peekable(), depth: 0 };
        let expression = parser.any()?;
        match parser.word()? {
            Word { kind: Kind::End, .. } => Ok(expression),
            word => Err(parser.misread(word, "`and`, `or` or the end")),
        }
    }

    /// Upper and lower case are different.
    pub(crate) fn holds_for(&self, tags: &[String]) -> bool {
        match self {
            Self::Tag(pattern) => tags.iter().any(|tag| pattern.matches(tag)),
            Self::Not(inner) => !inner.holds_for(tags),
            Self::All(inner) => inner.iter().all(|each| each.holds_for(tags)),
            Self::Any(inner) => inner.iter().any(|each| each.holds_for(tags)),
        }
    }
}

impl Pattern {
    /// A star takes as little as it can; when the rest fits nowhere, only the
    /// last star has to take more. So the time is at most the product of the
    /// two lengths, whatever a tenant writes.
    fn matches(&self, tag: &str) -> bool {
        let (pattern, tag) = (self.0.as_bytes(), tag.as_bytes());
        let (mut at, mut of) = (0, 0);
        let mut last_star = None;
        while at < tag.len() {
            match pattern.get(of) {
                Some(b'*') => {
                    last_star = Some((of, at));
                    of += 1;
                }
                Some(byte) if *byte == tag[at] => {
                    at += 1;
                    of += 1;
                }
                _ => match &mut last_star {
                    None => return false,
                    Some((star, taken)) => {
                        *taken += 1;
                        (at, of) = (*taken, *star + 1);
                    }
                },
            }
        }
        pattern[of..].iter().all(|byte| *byte == b'*')
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: expected {}, found {}", self.column, self.expected, self.found)
    }
}

struct Parser<'a> {
    text: &'a str,
    next: Peekable<CharIndices<'a>>,
    depth: usize,
}

#[derive(Clone, Copy)]
struct Word<'a> {
    kind: Kind,
    start: usize,
    text: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tag,
    Quoted,
    And,
    Or,
    Not,
    Open,
    Close,
    End,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expression, Misread> {
        self.several(Kind::Or, Self::all, Expression::Any)
    }

    fn all(&mut self) -> Result<Expression, Misread> {
        self.several(Kind::And, Self::one, Expression::All)
    }

    fn several(
        &mut self,
        between: Kind,
        part: fn(&mut Self) -> Result<Expression, Misread>,
        of: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, Misread> {
        let first = part(self)?;
        if !self.take(between)? {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.take(between)? {
            parts.push(part(self)?);
        }
        Ok(of(parts))
    }

    fn one(&mut self) -> Result<Expression, Misread> {
        let word = self.word()?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.misread(word, "fewer levels"));
        }
        let expression = match word.kind {
            Kind::Tag | Kind::Quoted => Expression::Tag(Pattern(word.text.to_owned())),
            Kind::Not => Expression::Not(Box::new(self.one()?)),
            Kind::Open => self.closed()?,
            Kind::And | Kind::Or | Kind::Close | Kind::End => {
                return Err(self.misread(word, "a tag, `not` or `(`"));
            }
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn closed(&mut self) -> Result<Expression, Misread> {
        let inside = self.any()?;
        match self.word()? {
            Word { kind: Kind::Close, .. } => Ok(inside),
            word => Err(self.misread(word, "`and`, `or` or `)`")),
        }
    }

    /// Goes on if the next word is of this kind.
    fn take(&mut self, kind: Kind) -> Result<bool, Misread> {
        let before = self.next.clone();
        let found = self.word()?.kind == kind;
        if !found {
            self.next = before;
        }
        Ok(found)
    }

    fn word(&mut self) -> Result<Word<'a>, Misread> {
        while self.next.next_if(|(_, letter)| letter.is_whitespace()).is_some() {}
        let Some((start, first)) = self.next.next() else {
            return Ok(Word { kind: Kind::End, start: self.text.len(), text: "" });
        };
        match first {
            '(' => Ok(Word { kind: Kind::Open, start, text: "(" }),
            ')' => Ok(Word { kind: Kind::Close, start, text: ")" }),
            '"' => self.quoted(start),
            _ => Ok(self.bare(start)),
        }
    }

    fn quoted(&mut self, start: usize) -> Result<Word<'a>, Misread> {
        let end = self.next.find(|(_, letter)| *letter == '"').map(|(at, _)| at);
        match end {
            Some(end) if end > start + 1 => Ok(Word { kind: Kind::Quoted, start, text: &self.text[start + 1..end] }),
            Some(_) => {
                let word = Word { kind: Kind::Quoted, start, text: "\"\"" };
                Err(self.misread(word, "a tag between the quotes"))
            }
            None => {
                let end = Word { kind: Kind::End, start: self.text.len(), text: "" };
                Err(self.misread(end, "`\"`"))
            }
        }
    }

    fn bare(&mut self, start: usize) -> Word<'a> {
        let ends = |letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | '"');
        while self.next.next_if(|(_, letter)| !ends(*letter)).is_some() {}
        let end = self.next.peek().map_or(self.text.len(), |(at, _)| *at);
        let text = &self.text[start..end];
        let kind = match text {
            "and" => Kind::And,
            "or" => Kind::Or,
            "not" => Kind::Not,
            _ => Kind::Tag,
        };
        Word { kind, start, text }
    }

    fn misread(&self, word: Word<'_>, expected: &'static str) -> Misread {
        Misread {
            column: self.text[..word.start].chars().count() + 1,
            expected,
            found: match word.kind {
                Kind::End => "the end".to_owned(),
                _ => format!("`{}`", word.text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, tags: &str, expected: bool) {
        let tags: Vec<_> = tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        let got = Expression::parse(expression).map(|expression| expression.holds_for(&tags));
        assert_eq!(got.map_err(|misread| misread.to_string()), Ok(expected), "{expression} of {tags:?}");
    }

    #[track_caller]
    fn check_misread(expression: &str, expected: &str) {
        let misread = Expression::parse(expression).expect_err("misread");
        assert_eq!(misread.to_string(), expected, "{expression}");
    }

    #[test]
    fn expressions() {
        check("paid", "paid,eu", true);
        check("paid", "Paid", false);
        check("paid", "", false);
        check("not paid", "", true);
        check("not not paid", "paid", true);
        check("paid and not (test or internal)", "paid", true);
        check("paid and not (test or internal)", "paid,test", false);
        check("a or b and c", "a", true);
        check("(a or b) and c", "a", false);
        check("not a or b", "b,a", true);
        check("not (a or b)", "b,a", false);
        check("a and b and c", "a,b", false);
        check("(a)and(b)", "a,b", true);
        check("AND", "AND", true);
        check(r#""and" or "big customer""#, "and", true);
        check(r#""big customer""#, "big customer", true);
        check("größe:*", "größe:xl", true);
    }

    #[test]
    fn stars() {
        check("region:*", "region:eu", true);
        check("region:*", "region:", true);
        check("region:*", "regional", false);
        check("*-vip", "eu-vip", true);
        check("a*b*c", "abbbc-c", true);
        check("a*b*c", "abbb", false);
        check("*", "x", true);
        check("*", "", false);
        check("not *", "", true);
        check("a**b", "ab", true);
        let long = "a".repeat(20_000);
        check("*a*a*a*a*a*a*a*b", &long, false);
    }

    #[test]
    fn a_mistake_points_at_its_column() {
        check_misread("", "column 1: expected a tag, `not` or `(`, found the end");
        check_misread("paid and", "column 9: expected a tag, `not` or `(`, found the end");
        check_misread("paid and or x", "column 10: expected a tag, `not` or `(`, found `or`");
        check_misread("größe test", "column 7: expected `and`, `or` or the end, found `test`");
        check_misread("(a or b", "column 8: expected `and`, `or` or `)`, found the end");
        check_misread("a)", "column 2: expected `and`, `or` or the end, found `)`");
        check_misread("a or ()", "column 7: expected a tag, `not` or `(`, found `)`");
        check_misread(r#"a or "b"#, "column 8: expected `\"`, found the end");
        check_misread(r#"a or """#, "column 6: expected a tag between the quotes, found `\"\"`");
        check_misread(&"(".repeat(100_000), "column 65: expected fewer levels, found `(`");
        check_misread(&"not ".repeat(100_000), "column 257: expected fewer levels, found `not`");
    }
}
