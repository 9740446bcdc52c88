//! What a plugin may say of itself.

use hookyard::domain::plugin::Job;

use super::case::Case;
use super::case::Expected::{self, Harmless, Refused};
use super::plugin::{Description, Example, Plugin};

pub(super) fn cases() -> Vec<Case> {
    [texts(), capabilities(), examples()].into_iter().flatten().collect()
}

fn says(name: &'static str, change: impl FnOnce(&mut Description), expected: Expected) -> Case {
    Case::transformer(
        name,
        |mut plugin| {
            change(&mut plugin.description);
            plugin
        },
        expected,
    )
}

fn deep() -> String {
    nested(200_000)
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

fn texts() -> Vec<Case> {
    let name = |text: String| move |said: &mut Description| said.name = text;
    let schema = |text: String| move |said: &mut Description| said.schema = text;
    vec![
        says("a name with control characters", name("a\u{1b}[2Jb\0".to_owned()), Refused("`name` is not 1 to 64")),
        says("a name of 1 MB", name("a".repeat(1_000_000)), Refused("`name` is not 1 to 64")),
        says("a version of 1 MB", |said| said.version = "1".repeat(1_000_000), Refused("`version`")),
        says("a summary of 1 MB", |said| said.summary = "a".repeat(1_000_000), Refused("`summary`")),
        says("a summary that clears the screen", |said| said.summary = "\u{1b}[2J".to_owned(), Refused("`summary`")),
        says(
            "a schema of nested lists",
            schema(format!("{{\"a\":{}}}", &deep()[..200_000])),
            Refused("`config-schema`"),
        ),
        says("a schema of 1 MB", schema(format!("{{\"a\":\"{}\"}}", "x".repeat(1_000_000))), Refused("over 256 KiB")),
        says("a schema that is a list", schema("[]".to_owned()), Refused("is no JSON object")),
    ]
}

fn capabilities() -> Vec<Case> {
    let history = r#"(import "hookyard:plugin/history@0.1.0" (instance))"#;
    vec![
        says(
            "a capability that there is not",
            |said| said.capabilities = vec!["files".to_owned()],
            Refused("has `files`, which this host does not have"),
        ),
        Case::transformer(
            "a capability that is kept quiet about",
            |plugin| plugin.imports(history),
            Refused("lacks `history`, although the component imports"),
        ),
        says(
            "a hundred thousand capabilities",
            |said| said.capabilities = vec!["history".to_owned(); 100_000],
            Refused("`capabilities`"),
        ),
        says(
            "a capability with a long name",
            |said| said.capabilities = vec!["x".repeat(1_000_000)],
            Refused("`capabilities`"),
        ),
    ]
}

fn examples() -> Vec<Case> {
    let event = r#"{"event": {"type": "a.b"}, "message": {"body": "{}"}}"#;
    let sends = r#"{"method": "POST", "body": "{}"}"#;
    let example = |job, input: &str, output: &str| Example {
        job,
        config: "{}".to_owned(),
        input: input.to_owned(),
        output: output.to_owned(),
    };
    let brings = |name, examples: Vec<Example>, expected| says(name, |said| said.examples = examples, expected);
    vec![
        brings("an example that is right", vec![example(2, event, sends)], Harmless("send", |_| true)),
        brings(
            "an example that is wrong",
            vec![example(2, event, r#"{"method": "PUT", "body": "{}"}"#)],
            Refused("it should come to"),
        ),
        brings("an example of another job", vec![example(1, event, "\"keep\"")], Refused("does not export")),
        brings("an example of no job", vec![example(3, event, sends)], Refused("discriminant")),
        brings("thirty-three examples", vec![example(2, event, sends); 33], Refused("over 32 entries")),
        brings("ten thousand examples", vec![example(2, event, sends); 10_000], Refused("over 32 entries")),
        brings("an example with nested lists for input", vec![example(2, &deep(), sends)], Refused("its input")),
        brings("an example with nested lists for output", vec![example(2, event, &deep())], Refused("its output")),
        Case::transformer(
            "an example whose event is nested lists",
            |mut plugin| {
                let input = format!(
                    r#"{{"event": {{"type": "a.b", "data": {}}}, "message": {{"body": "{{}}"}}}}"#,
                    nested(100_000)
                );
                plugin.description.examples = vec![example(2, &input, sends)];
                plugin
            },
            Refused("recursion limit"),
        ),
        dice(),
    ]
}

/// It keeps what its dice say, and claims that this is always so: the dice of an
/// example always fall the same, and the claim is what has to hold.
fn dice() -> Case {
    let mut plugin = Plugin::new(Job::Filter);
    plugin.description.examples = vec![Example {
        job: 1,
        config: "{}".to_owned(),
        input: r#"{"event": {"type": "a.b"}}"#.to_owned(),
        output: r#"{"drop": "sometimes"}"#.to_owned(),
    }];
    let why = plugin.image.text("seldom");
    let record = plugin.image.words(&[0, 1, why[0], why[1]]);
    let plugin = plugin
        .imports(
            r#"(import "wasi:random/random@0.2.6" (instance $random (export "get-random-u64" (func (result u64)))))"#,
        )
        .calls("dice", r#"$random "get-random-u64""#, "(result i64)")
        .at_work(format!("(drop (call $dice)) (i32.const {record})"));
    Case::new("an example that depends on dice", Job::Filter, plugin, Refused("and came to"))
}
