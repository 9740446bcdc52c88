//! What a plugin may answer: too much, nonsense, and what no compiler would
//! write.

use hookyard::domain::plugin::Job;
use hookyard_tests::text;
use serde_json::Value;

use super::case::Case;
use super::case::Expected::{self, Fault, Harmless, Unsaved};
use super::plugin::Plugin;

const MEBIBYTE: u32 = 1 << 20;

pub(super) fn cases() -> Vec<Case> {
    [messages(), pointers(), discriminants(), filters(), drafts(), issues()].into_iter().flatten().collect()
}

/// A transformer that answers with this message: method, target, headers and
/// body, each as the words of its record.
fn message(plugin: Plugin, target: [u32; 3], headers: [u32; 2], body: [u32; 2]) -> Plugin {
    let mut plugin = plugin;
    let post = plugin.image.text("POST");
    let record = plugin.image.words(&[&[0][..], &post, &target, &headers, &body].concat());
    plugin.answers(record)
}

/// With room for a list of this many bytes behind the data.
fn roomy(plugin: Plugin, bytes: u32) -> Plugin {
    plugin.fields(format!("(func $start (drop (memory.grow (i32.const {})))) (start $start)", bytes / 65_536 + 1))
}

const NONE: [u32; 3] = [0; 3];
const EMPTY: [u32; 2] = [0; 2];

fn messages() -> Vec<Case> {
    let flood = |size| move |plugin| message(roomy(plugin, size), NONE, EMPTY, [65_536, size]);
    let header = |name: &'static str, value: &'static str| {
        move |mut plugin: Plugin| {
            let header = [plugin.image.text(name), plugin.image.text(value)].concat();
            let headers = plugin.image.list(&[header]);
            message(plugin, NONE, headers, EMPTY)
        }
    };
    vec![
        Case::transformer("a body of 20 MiB", flood(20 * MEBIBYTE), Fault("output", "more than 8 MiB at once")),
        Case::transformer("a body of 4 MiB", flood(4 * MEBIBYTE), Fault("output", "1048576 are allowed")),
        Case::transformer(
            "a body of two hundred thousand nested lists",
            |mut plugin| {
                let deep = plugin.image.text(&("[".repeat(200_000) + &"]".repeat(200_000)));
                message(plugin, NONE, EMPTY, deep)
            },
            Harmless("send", |trial| text(&trial["message"]["body"]).len() == 400_000),
        ),
        Case::transformer(
            "a hundred thousand headers",
            |plugin| message(roomy(plugin, 2 * MEBIBYTE), NONE, [65_536, 100_000], EMPTY),
            Fault("contract", "header"),
        ),
        // 64 KiB of text, thirty thousand times over: two gigabytes, if copied.
        Case::transformer(
            "headers that all are the same megabytes",
            |mut plugin| {
                let large = plugin.image.text(&"x".repeat(65_536));
                let headers = plugin.image.list(&vec![[large, large].concat(); 30_000]);
                message(plugin, NONE, headers, EMPTY)
            },
            Fault("output", "more than 8 MiB at once"),
        ),
        Case::transformer(
            "a header with a line break",
            header("x-a\r\nhost", "v"),
            Fault("contract", "cannot be sent"),
        ),
        Case::transformer(
            "a value with a line break",
            header("x-a", "v\r\nx-b: v"),
            Fault("contract", "cannot be sent"),
        ),
        Case::transformer(
            "a header of the connection",
            header("content-length", "7"),
            Fault("contract", "cannot be sent"),
        ),
    ]
}

fn pointers() -> Vec<Case> {
    let body = |at, len| move |plugin| message(plugin, NONE, EMPTY, [at, len]);
    let at = |address: u32| move |plugin: Plugin| plugin.answers(address);
    let outside =
        |name, make: [u32; 2], words| Case::transformer(name, body(make[0], make[1]), Fault("contract", words));
    let wild = |name, address, words| Case::transformer(name, at(address), Fault("contract", words));
    vec![
        wild("an answer beyond memory", 0xffff_0000, "out of bounds"),
        wild("an answer at the last byte of memory", 2 * 65_536 - 4, "out of bounds"),
        wild("an answer between two words", 1_025, "not aligned"),
        outside("a body beyond memory", [0xffff_0000, 16], "out of bounds"),
        outside("a body across the end of memory", [2 * 65_536 - 8, 16], "out of bounds"),
        outside("a body of two gigabytes", [1_024, 1 << 31], "out of bounds"),
        outside("a body of all that there can be", [1, u32::MAX], "out of bounds"),
        Case::transformer(
            "two gigabytes of headers",
            |plugin| message(plugin, NONE, [1_024, 1 << 27], EMPTY),
            Fault("contract", "out of bounds"),
        ),
        Case::transformer(
            "headers whose size has no number",
            |plugin| message(plugin, NONE, [1_024, u32::MAX], EMPTY),
            Fault("contract", "out of bounds"),
        ),
        Case::transformer(
            "a list between two words",
            |plugin| message(plugin, NONE, [1_026, 2], EMPTY),
            Fault("contract", "not aligned"),
        ),
        Case::transformer(
            "a method that is no text",
            |mut plugin| {
                let at = plugin.image.bytes(&[0xff, 0xfe, 0xc0, 0x80]);
                let record = plugin.image.words(&[0, at, 4, 0, 0, 0, 0, 0, 0, 0]);
                plugin.answers(record)
            },
            Fault("contract", "invalid utf-8"),
        ),
        Case::transformer(
            "a method that is half a surrogate",
            |mut plugin| {
                let at = plugin.image.bytes(&[0xed, 0xa0, 0x80]);
                let record = plugin.image.words(&[0, at, 3, 0, 0, 0, 0, 0, 0, 0]);
                plugin.answers(record)
            },
            Fault("contract", "invalid utf-8"),
        ),
    ]
}

fn discriminants() -> Vec<Case> {
    let answer = |job, words: &[u32]| {
        let mut plugin = Plugin::new(job);
        let record = plugin.image.words(words);
        plugin.answers(record)
    };
    let broken = || Fault("contract", "discriminant");
    vec![
        Case::new("neither a result nor an error", Job::Filter, answer(Job::Filter, &[2, 0, 0, 0, 0]), broken()),
        Case::new("a verdict that there is not", Job::Filter, answer(Job::Filter, &[0, 7, 0, 0]), broken()),
        Case::new(
            "a target that is neither there nor not",
            Job::Transformer,
            answer(Job::Transformer, &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0]),
            broken(),
        ),
    ]
}

fn filters() -> Vec<Case> {
    let drop = |size: u32| {
        let mut plugin = roomy(Plugin::new(Job::Filter), size);
        let record = plugin.image.words(&[0, 1, 65_536, size]);
        plugin.answers(record)
    };
    let refuse = |code: u32, message: u32| {
        let mut plugin = roomy(Plugin::new(Job::Filter), code.max(message));
        let record = plugin.image.words(&[1, 65_536, code, 65_536, message]);
        plugin.answers(record)
    };
    let is_short = |trial: &Value| text(&trial["reason"]).len() <= 2_048 && trial.to_string().len() < 16_384;
    let is_brief: Expected =
        Harmless("fail", |trial| text(&trial["steps"][0]["code"]).len() <= 64 && trial.to_string().len() < 16_384);
    vec![
        Case::new("a reason of 7 MiB", Job::Filter, drop(7 * MEBIBYTE), Harmless("drop", is_short)),
        Case::new("a reason of 9 MiB", Job::Filter, drop(9 * MEBIBYTE), Fault("output", "more than 8 MiB at once")),
        Case::new("a refusal with a code of 1 MiB", Job::Filter, refuse(MEBIBYTE, 3), is_brief),
        Case::new(
            "a refusal of 5 MiB twice over",
            Job::Filter,
            refuse(5 * MEBIBYTE, 5 * MEBIBYTE),
            Fault("output", "more than 8 MiB at once"),
        ),
    ]
}

fn drafts() -> Vec<Case> {
    let drafts = |count: u32, event_type: &str, data: &str| {
        let mut plugin = Plugin::new(Job::Mapper);
        let (event_type, data) = (plugin.image.text(event_type), plugin.image.text(data));
        let draft = [&[1][..], &event_type, &[0; 11], &data].concat();
        let [at, _] = plugin.image.list(&vec![draft; count as usize]);
        let record = plugin.image.words(&[0, at, count, 0, 0]);
        plugin.answers(record)
    };
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let case = |name, plugin, expected| Case::new(name, Job::Mapper, plugin, expected);
    vec![
        case(
            "sixty-five events",
            drafts(65, "a.b", "1"),
            Fault("output", "65 events of one request and 64 are allowed"),
        ),
        case("a hundred thousand events", drafts(100_000, "a.b", "1"), Fault("output", "more than 8 MiB at once")),
        case("an event without a name", drafts(1, "", "1"), Fault("contract", "`type`: an event type is")),
        case("an event with a strange name", drafts(1, "a b\n", "1"), Fault("contract", "`type`: an event type is")),
        case("an event with a long name", drafts(1, &"a".repeat(100_000), "1"), Fault("contract", "`type`")),
        case("an event that is no JSON", drafts(1, "a.b", "{\"a\":"), Fault("contract", "`data` is no JSON")),
        case("an event of nested lists", drafts(1, "a.b", &deep), Harmless("events", |_| true)),
        case(
            "sixty-four events of a megabyte",
            drafts(64, "a.b", &format!("\"{}\"", "x".repeat(1_000_000))),
            Fault("output", "more than 8 MiB at once"),
        ),
    ]
}

fn issues() -> Vec<Case> {
    let issues = |count: u32, size: usize| {
        move |mut plugin: Plugin| {
            let text = plugin.image.text(&"x".repeat(size));
            let [at, len] = plugin.image.list(&vec![[text, text].concat(); count as usize]);
            let record = plugin.image.words(&[1, at, len]);
            plugin.body("check", format!("i32.const {record}"))
        }
    };
    vec![
        Case::transformer("ten thousand issues", issues(10_000, 16), Unsaved("and 9984 more")),
        Case::transformer("an issue of 3 MiB", issues(1, 3 << 20), Unsaved("xxx")),
        Case::transformer("a hundred thousand issues", issues(100_000, 64), Unsaved("more than 8 MiB at once")),
    ]
}
