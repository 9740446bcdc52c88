//! What commands print: tables for people, JSON for programs, colours where
//! somebody sees them, and questions before what cannot be undone.
//!
//! What strangers wrote is shown without control characters, which would move
//! the cursor or pretend to be our own lines.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::Failure;
use super::table::table;

/// Prints text as it is, at once.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    match written {
        // `hookyard events | head`: whoever read has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        written => written.map_err(|error| Failure(format!("standard output: {error}"))),
    }
}

/// One document.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// One line of a stream.
pub(super) fn print_json_line(value: &Value) -> Result<(), Failure> {
    print(&format!("{value}\n"))
}

/// What the server answered: the document for programs, words for people.
pub(super) fn answer(of: &Value, as_json: bool, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    if as_json { print_json(of) } else { print(&words(of)) }
}

/// The same of a list, a row each below headings.
pub(super) fn answer_list(
    all: Vec<Value>,
    as_json: bool,
    headings: &[&str],
    row: impl FnMut(&Value) -> Vec<String>,
) -> Result<(), Failure> {
    match as_json {
        true => print_json(&Value::Array(all)),
        false => print(&table(headings, all.iter().map(row).collect())),
    }
}

/// What is beside the point of the output, and must not be in a pipe.
pub(super) fn note(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _closed = writeln!(io::stderr(), "{text}");
}

/// Asks; without somebody to answer, says which flag answers.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure(format!("{question} Nobody is there to ask: give --yes")));
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure("nothing was done".to_owned())),
    }
}

/// A bar on standard error, hidden where that is no terminal.
pub(super) fn bar(length: u64, what: &str) -> ProgressBar {
    const LOOKS: &str = "{msg} [{bar:30}] {human_pos} of {human_len}, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(LOOKS).expect("the template is well formed");
    ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_message(what.to_owned())
}

/// Text that moves no cursor.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The same, with its lines and tabs.
pub(super) fn clean_lines(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// A field as a cell shows it.
pub(super) fn cell(of: &Value, field: &str) -> String {
    shown(&of[field])
}

/// A value in one line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => clean(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(shown).collect::<Vec<_>>().join(", ")
        }
        other => clean(&other.to_string()),
    }
}

/// A state, coloured by whether somebody has to look.
pub(super) fn state(word: &str) -> String {
    let colour = match word {
        "delivered" | "active" | "accepted" | "done" | "ok" | "created" => "32",
        "dead" | "disabled" | "quarantined" | "fail" | "deleted" => "31",
        "pending" | "paused" | "unverified" | "running" | "refused" | "warn" | "changed" => "33",
        _ => "2",
    };
    paint(colour, &clean(word))
}

/// The `state` of something.
pub(super) fn state_of(of: &Value) -> String {
    state(of["state"].as_str().unwrap_or_default())
}

/// A status of HTTP.
pub(super) fn status(code: Option<u64>) -> String {
    match code {
        Some(code @ 200..=299) => paint("32", &code.to_string()),
        Some(code) => paint("31", &code.to_string()),
        None => "-".to_owned(),
    }
}

fn paint(colour: &str, text: &str) -> String {
    if has_colours() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// <https://no-color.org>: set to anything but nothing.
fn has_colours() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_strangers_wrote_moves_no_cursor() {
        assert_eq!(clean("a\x1b[2J\nb\u{9b}c"), "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
        assert_eq!(clean_lines("a\n\tb\r\x07"), "a\n\tb\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_cell_is_one_line() {
        let of = json!({"text": "a\nb", "none": null, "list": ["a", 2], "deep": [{"a": 1}], "empty": []});
        let cells = ["text", "none", "list", "deep", "empty", "missing"].map(|field| cell(&of, field));
        assert_eq!(cells, ["a\u{fffd}b", "-", "a, 2", "[{\"a\":1}]", "-", "-"]);
    }
}
