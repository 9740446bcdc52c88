//! The dialects and senders that this server knows: those that are embedded, and
//! the operator's own from a directory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::domain::dialect::{Dialect, Dialects};
use crate::domain::sender::{Sender, Senders};
use crate::domain::signature::{MAX_TOLERANCE, Scheme};
use crate::domain::verification::OWN_SCHEMES;

// `DIALECTS` and `SENDERS`: names and texts, found by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/dialects.rs"));

/// A file that is no dialect.
#[derive(Debug)]
pub enum LoadError {
    Io(PathBuf, io::Error),
    /// The problem names the line, and the part where no line is to blame.
    Wrong {
        file: PathBuf,
        problem: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Wrong { file, problem } => write!(f, "{}: {problem}", file.display()),
        }
    }
}

impl std::error::Error for LoadError {}

/// Everything embedded, and every `*.toml` in `directory`, whose name may be
/// that of an embedded one: then it stands in its place.
pub fn load(directory: Option<&Path>) -> Result<(Dialects, Senders), LoadError> {
    let mut dialects = Vec::new();
    for (name, text) in DIALECTS {
        dialects.push(dialect(Path::new(name), text)?);
    }
    for file in directory.map(files).transpose()?.unwrap_or_default() {
        let text = fs::read_to_string(&file).map_err(|error| LoadError::Io(file.clone(), error))?;
        dialects.push(dialect(&file, &text)?);
    }
    let senders = SENDERS.iter().map(|(name, text)| sender(Path::new(name), text)).collect::<Result<Vec<_>, _>>()?;
    let dialects = Dialects::new(dialects);
    let senders = Senders::new(senders, &dialects);
    Ok((dialects, senders))
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let io = |error| LoadError::Io(directory.to_owned(), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn dialect(file: &Path, text: &str) -> Result<Dialect, LoadError> {
    let mut dialect: Dialect = parse(file, text)?;
    dialect.name = name(file)?;
    if OWN_SCHEMES.contains(&dialect.name.as_str())
        || SENDERS.iter().any(|(sender, _)| sender_name(sender) == dialect.name)
    {
        return Err(at_line(file, None, "its name is taken by a verification scheme"));
    }
    let dialect = dialect
        .check()
        .map_err(|wrong| at_line(file, line_of(text, wrong.part), &format!("`{}`: {}", wrong.part, wrong.problem)))?;
    check_tolerances(file, text, &dialect.signature).map(|()| dialect)
}

fn sender(file: &Path, text: &str) -> Result<Sender, LoadError> {
    let mut sender: Sender = parse(file, text)?;
    sender.name = name(file)?;
    check_tolerances(file, text, &sender.signature).map(|()| sender)
}

fn sender_name(file: &str) -> &str {
    file.strip_suffix(".toml").unwrap_or(file)
}

fn check_tolerances(file: &Path, text: &str, schemes: &[Scheme]) -> Result<(), LoadError> {
    let mut tolerances = schemes.iter().filter_map(Scheme::tolerance_seconds);
    match tolerances.find(|seconds| !(1..=MAX_TOLERANCE).contains(seconds)) {
        None => Ok(()),
        Some(seconds) => {
            let problem = format!("`tolerance_seconds`: {seconds}, and 1 to {MAX_TOLERANCE} are allowed");
            Err(at_line(file, line_of(text, "tolerance_seconds"), &problem))
        }
    }
}

fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, LoadError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        at_line(file, line, error.message())
    })
}

fn at_line(file: &Path, line: Option<usize>, problem: &str) -> LoadError {
    let problem = match line {
        Some(line) => format!("line {line}: {problem}"),
        None => problem.to_owned(),
    };
    LoadError::Wrong { file: file.to_owned(), problem }
}

/// Where a part of the file begins, as far as its first or last word shows it.
fn line_of(text: &str, part: &str) -> Option<usize> {
    let mut words = part.split('.');
    let (first, last) = (words.next()?, part.rsplit('.').next()?);
    let begins = |line: &str, word: &str| line.trim_start_matches(['[', ' ']).starts_with(word);
    let section = text.lines().position(|line| begins(line, first)).unwrap_or(0);
    let inside = text.lines().skip(section).position(|line| begins(line, last));
    Some(section + inside.unwrap_or(0) + 1)
}

fn name(file: &Path) -> Result<String, LoadError> {
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
        return Ok(name);
    }
    let problem = "its name must be lower case letters, digits and hyphens: it is the dialect's name".to_owned();
    Err(LoadError::Wrong { file: file.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_can_be_read() {
        let (dialects, senders) = load(None).unwrap_or_else(|error| panic!("{error}"));
        assert!(dialects.all().count() >= 7 && senders.all().count() > dialects.all().count());
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let said = match dialect(Path::new("own.toml"), text) {
            Ok(dialect) => dialect.name,
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{said}");
    }

    const HEAD: &str = "title = \"Own\"\nsummary = \"S\"\n";

    #[test]
    fn a_wrong_file_is_refused_with_line_and_reason() {
        let with = |rest: &str| format!("{HEAD}{rest}");
        let envelope = "[envelope]\nfields = [{ name = \"data\", value = \"{data}\" }]\n";
        check(&with(envelope), "own");
        check("title = 7\n", "own.toml: line 1: ");
        check(
            &with(&format!("{envelope}[handshake]\nkind = \"echo\"\ndeadline_seconds = 5\n")),
            "own.toml: line 5: `hand",
        );
        let unsigned = "[[signature]]\nkind = \"hmac-sha256\"\nat = \"header.x\"\nsigned = \"{header.y}\"\n";
        check(&with(&format!("{envelope}{unsigned}")), "own.toml: line 5: `signature`: `signed` has what");
        check(&with("nonsense = 1\n"), "own.toml: line 3: unknown field `nonsense`");
        check(
            &with("[envelope]\nfields = [{ name = \"a\", value = \"{boby}\" }]\n"),
            "own.toml: line 4: `{boby}`: there",
        );
        check(
            &with("[envelope]\nfields = [{ name = \"a\", value = \"x{data}\" }]\n"),
            "own.toml: line 4: `envelope.fields`",
        );
        check(
            &with("[envelope]\nfields = [{ name = \"a\", value = \"{sent_at}\" }]\n"),
            "own.toml: line 4: `envelope.fields`",
        );
        check(&with(""), "own.toml: line 1: `envelope.fields`");
        check(&with(&format!("{envelope}[delivery]\ndeadline_seconds = 99\n")), "own.toml: line 6: `delivery.deadline");
        check(
            &with(&format!("{envelope}[[headers]]\nname = \"Host\"\nvalue = \"a\"\n")),
            "own.toml: line 5: `headers`",
        );
        check(&with(&format!("{envelope}[retry]\nschedule = [999999]\n")), "own.toml: line 5: `retry`");
        let event = "[[events]]\ntype = \"a\"\nname = \"A\"\ndescription = \"\"\n";
        check(&with(&format!("{envelope}{event}{event}")), "own.toml: line 5: `events`: `a` is there twice");
        check(&with(&format!("{envelope}{event}schema = \"{{\"\n")), "own.toml: line 9: not JSON");
        let body = "[[signature]]\nkind = \"hmac-sha256\"\nat = \"query.x\"\n";
        check(&with(&format!("{envelope}{body}")), "own.toml: line 7: `signature.at`");
    }
}
