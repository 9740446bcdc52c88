//! What is given: on the command line, in a file, or on standard input.

use std::fs;
use std::io::{self, Read as _};

use serde_json::{Map, Value};

use super::Failure;

/// At most this much is read; the API takes less.
const MOST: u64 = 16 * 1024 * 1024;

/// What an event is about.
#[derive(clap::Args)]
pub(super) struct About {
    /// Whom or what it is about
    #[arg(long)]
    pub(super) subject: Option<String>,
    /// The managed account that it belongs to
    #[arg(long)]
    pub(super) account: Option<String>,
    /// A tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
}

/// The text itself, `@FILE`, or `-` for standard input.
pub(super) fn text(flag: &str, given: &str) -> Result<String, Failure> {
    match (given, given.strip_prefix('@')) {
        ("-", _) => from_stdin(flag),
        (_, Some(file)) => from_file(flag, file),
        (text, None) => Ok(text.to_owned()),
    }
}

/// A file's text, or `-` for standard input.
pub(super) fn file(flag: &str, given: &str) -> Result<String, Failure> {
    if given == "-" { from_stdin(flag) } else { from_file(flag, given) }
}

fn from_stdin(flag: &str) -> Result<String, Failure> {
    read(io::stdin().lock()).map_err(|error| Failure(format!("{flag} -: standard input: {error}")))
}

fn from_file(flag: &str, file: &str) -> Result<String, Failure> {
    fs::File::open(file).and_then(read).map_err(|error| Failure(format!("{flag}: {file}: {error}")))
}

fn read(from: impl io::Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other(format!("at most {MOST} bytes are read")));
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// What a `--from` says, and over it what flags say.
pub(super) fn form(from: Option<&str>, flags: Vec<(&str, Option<Value>)>) -> Result<Value, Failure> {
    let mut form = match from {
        None => Map::new(),
        Some(given) => match serde_json::from_str(&file("--from", given)?) {
            Ok(Value::Object(form)) => form,
            Ok(_) => return Err(Failure("--from: give a JSON object, as the API takes it".to_owned())),
            Err(error) => return Err(Failure(format!("--from: that is no JSON: {error}"))),
        },
    };
    for (field, value) in flags {
        if let Some(value) = value {
            form.insert(field.to_owned(), value);
        }
    }
    Ok(Value::Object(form))
}

/// A list, where anything is in it.
pub(super) fn some(list: &[String]) -> Option<Value> {
    (!list.is_empty()).then(|| list.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flags_go_over_what_a_file_says() {
        let flags =
            vec![("name", Some(json!("x"))), ("url", None), ("tags", some(&["a".to_owned()])), ("no", some(&[]))];
        let made = form(None, flags).map_err(|failure| failure.0);
        assert_eq!(made, Ok(json!({"name": "x", "tags": ["a"]})));
    }
}
