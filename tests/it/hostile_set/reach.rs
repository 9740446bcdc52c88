//! What a plugin may reach for: the log, WASI, and what is not there.

use super::case::Case;
use super::case::Expected::{Fault, Harmless, Refused};
use super::plugin::Plugin;

const OUT_OF_FUEL: &str = "used up its fuel of 200 million instructions";

const STDOUT: &str = r#"
    (import "wasi:io/error@0.2.6" (instance $error (export "error" (type (sub resource)))))
    (alias export $error "error" (type $io-error))
    (import "wasi:io/streams@0.2.6" (instance $streams
        (export "output-stream" (type $output (sub resource)))
        (export "error" (type $error (eq $io-error)))
        (type $failure' (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $failure (eq $failure')))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $failure)))))))
    (alias export $streams "output-stream" (type $output-stream))
    (import "wasi:cli/stdout@0.2.6" (instance $stdout
        (export "output-stream" (type $output (eq $output-stream)))
        (export "get-stdout" (func (result (own $output))))))"#;

const CLOCK: &str = r#"
    (import "wasi:io/poll@0.2.6" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
        (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
        (export "pollable" (type $waits (eq $pollable)))
        (export "now" (func (result u64)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $waits))))))"#;

const RANDOM: &str = r#"
    (import "wasi:random/random@0.2.6" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
        (export "get-random-u64" (func (result u64)))))"#;

pub(super) fn cases() -> Vec<Case> {
    [log(), handles(), waits(), dice(), ends(), imports(), exports()].into_iter().flatten().collect()
}

/// After this, the message as it is without.
fn then_sends(plugin: &mut Plugin, before: &str) -> String {
    let post = plugin.image.text("POST");
    let record = plugin.image.words(&[0, post[0], post[1], 0, 0, 0, 0, 0, 0, 0]);
    format!("{before} (i32.const {record})")
}

fn log() -> Vec<Case> {
    let lines = |before: &'static str| {
        move |mut plugin: Plugin| {
            let body = then_sends(&mut plugin, before);
            plugin.at_work(body)
        }
    };
    vec![
        Case::transformer(
            "a hundred thousand lines of log",
            lines(
                "(local $left i32) (local.set $left (i32.const 100000))
                (loop $again
                    (call $log (i32.const 1) (i32.const 1024) (i32.const 100))
                    (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
            ),
            Harmless("send", |trial| {
                let log = trial["steps"][0]["log"].as_array().map_or(0, Vec::len);
                log == 65 && trial["steps"][0]["log"].to_string().len() < 32_768
            }),
        ),
        Case::transformer(
            "log without an end",
            |plugin| {
                plugin.at_work(
                    "(loop $again (call $log (i32.const 3) (i32.const 1024) (i32.const 100)) (br $again)) unreachable",
                )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
        Case::transformer(
            "a line of 7 MiB",
            lines(
                "(drop (memory.grow (i32.const 200)))
                (call $log (i32.const 1) (i32.const 65536) (i32.const 7340032))",
            ),
            Harmless("send", |trial| trial["steps"][0]["log"].to_string().len() < 16_384),
        ),
        Case::transformer(
            "a line beyond memory",
            lines("(call $log (i32.const 1) (i32.const -8) (i32.const 100))"),
            Fault("contract", "out of bounds"),
        ),
        Case::transformer(
            "a line that is no text",
            |mut plugin| {
                let at = plugin.image.bytes(&[0xff; 64]);
                let body =
                    then_sends(&mut plugin, &format!("(call $log (i32.const 1) (i32.const {at}) (i32.const 64))"));
                plugin.at_work(body)
            },
            Fault("contract", "invalid utf-8"),
        ),
        Case::transformer(
            "a level that there is not",
            lines("(call $log (i32.const 77) (i32.const 1024) (i32.const 1))"),
            Fault("contract", "discriminant"),
        ),
    ]
}

fn handles() -> Vec<Case> {
    let flood = "(loop $again (drop (call $stdout)) (br $again)) unreachable";
    vec![
        Case::transformer(
            "handles without an end",
            |plugin| plugin.imports(STDOUT).calls("stdout", r#"$stdout "get-stdout""#, "(result i32)").at_work(flood),
            Fault("memory", "more than 1000 handles at once"),
        ),
        Case::transformer(
            "things to wait for without an end",
            |plugin| {
                plugin
                    .imports(CLOCK)
                    .calls("wait", r#"$clock "subscribe-duration""#, "(param i64) (result i32)")
                    .at_work("(loop $again (drop (call $wait (i64.const 1))) (br $again)) unreachable")
            },
            Fault("memory", "more than 1000 handles at once"),
        ),
        Case::transformer(
            "a handle that was given back",
            |plugin| {
                plugin
                    .imports(STDOUT)
                    .calls("stdout", r#"$stdout "get-stdout""#, "(result i32)")
                    .canon("drop", "(canon resource.drop $output-stream)", "(param i32)")
                    .at_work(
                        "(local $it i32) (local.set $it (call $stdout))
                        (call $drop (local.get $it)) (call $drop (local.get $it)) unreachable",
                    )
            },
            Fault("contract", "unknown handle index"),
        ),
        Case::transformer(
            "a handle that was never given",
            |plugin| {
                plugin
                    .imports(STDOUT)
                    .calls(
                        "write",
                        r#"$streams "[method]output-stream.blocking-write-and-flush""#,
                        "(param i32 i32 i32 i32)",
                    )
                    .at_work("(call $write (i32.const 77) (i32.const 0) (i32.const 0) (i32.const 512)) unreachable")
            },
            Fault("contract", "unknown handle index"),
        ),
        Case::transformer(
            "output without an end",
            |plugin| {
                plugin
                    .imports(STDOUT)
                    .calls("stdout", r#"$stdout "get-stdout""#, "(result i32)")
                    .calls(
                        "write",
                        r#"$streams "[method]output-stream.blocking-write-and-flush""#,
                        "(param i32 i32 i32 i32)",
                    )
                    .at_work(
                        "(local $out i32) (local.set $out (call $stdout))
                        (loop $again
                            (call $write (local.get $out) (i32.const 1024) (i32.const 65536) (i32.const 512))
                            (br $again))
                        unreachable",
                    )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
    ]
}

fn waits() -> Vec<Case> {
    vec![
        Case::transformer(
            "a sleep of three hundred years",
            |mut plugin| {
                let body = then_sends(&mut plugin, "(call $block (call $wait (i64.const 9223372036854775807)))");
                plugin
                    .imports(CLOCK)
                    .calls("wait", r#"$clock "subscribe-duration""#, "(param i64) (result i32)")
                    .calls("block", r#"$poll "[method]pollable.block""#, "(param i32)")
                    .at_work(body)
            },
            Harmless("send", |_| true),
        ),
        Case::transformer(
            "a wait for a time that does not come",
            |plugin| {
                plugin.imports(CLOCK).calls("now", r#"$clock "now""#, "(result i64)").at_work(
                    "(loop $again (br_if $again (i64.lt_u (call $now) (i64.const 9223372036854775807)))) unreachable",
                )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
        Case::transformer(
            "a poll of a million things",
            |plugin| {
                plugin.imports(CLOCK).calls("poll", r#"$poll "poll""#, "(param i32 i32 i32)").at_work(
                    "(drop (memory.grow (i32.const 100)))
                        (call $poll (i32.const 65536) (i32.const 1000000) (i32.const 512)) unreachable",
                )
            },
            Fault("output", "more than 8 MiB at once"),
        ),
    ]
}

fn dice() -> Vec<Case> {
    vec![
        Case::transformer(
            "four gigabytes of random bytes",
            |plugin| {
                plugin
                    .imports(RANDOM)
                    .calls("dice", r#"$random "get-random-bytes""#, "(param i64 i32)")
                    .at_work("(call $dice (i64.const 4294967296) (i32.const 512)) unreachable")
            },
            Fault("trap", "more than 64 KiB of random bytes at once"),
        ),
        Case::transformer(
            "random numbers without an end",
            |plugin| {
                plugin
                    .imports(RANDOM)
                    .calls("dice", r#"$random "get-random-u64""#, "(result i64)")
                    .at_work("(loop $again (drop (call $dice)) (br $again)) unreachable")
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
    ]
}

fn ends() -> Vec<Case> {
    let import = r#"(import "wasi:cli/exit@0.2.6" (instance $exit (export "exit" (func (param "status" (result))))))"#;
    let exit = |body: &'static str| {
        move |plugin: Plugin| {
            plugin
                .imports(import)
                .calls("exit", r#"$exit "exit""#, "(param i32)")
                .body(body, "(call $exit (i32.const 0)) unreachable")
        }
    };
    vec![
        Case::transformer(
            "an exit",
            exit("transform"),
            Fault("trap", "called `exit` with 0; return a refusal instead"),
        ),
        Case::transformer("an exit while it describes itself", exit("describe"), Refused("called `exit` with 0")),
        Case::transformer(
            "a function of WASI that is not there",
            |plugin| {
                plugin
                    .imports(
                        r#"(import "wasi:cli/environment@0.2.6" (instance $environment
                            (export "get-root-password" (func (result string)))))"#,
                    )
                    .calls("ask", r#"$environment "get-root-password""#, "(param i32)")
                    .at_work("(call $ask (i32.const 512)) unreachable")
            },
            Fault("trap", "called `get-root-password`, which plugins do not have"),
        ),
    ]
}

fn imports() -> Vec<Case> {
    let import = |name, import: String, words| Case::transformer(name, |plugin| plugin.imports(import), Refused(words));
    let named = |name: &str| format!(r#"(import "{name}" (instance))"#);
    vec![
        import(
            "sockets",
            named("wasi:sockets/tcp@0.2.6"),
            "imports `wasi:sockets/tcp@0.2.6`, which plugins do not have",
        ),
        import("requests", named("wasi:http/outgoing-handler@0.2.6"), "which plugins do not have"),
        import("another version of the log", named("hookyard:plugin/log@0.2.0"), "imports `hookyard:plugin/log@0.2.0`"),
        import(
            "an import with a name of 1 MB",
            named(&format!("a:b/{}@1.0.0", "c".repeat(1_000_000))),
            "string size out of bounds",
        ),
        import(
            "an import with a name of 90 KB",
            named(&format!("a:b/{}@1.0.0", "c".repeat(90_000))),
            "which plugins do not have",
        ),
        import(
            "a function without an interface",
            r#"(import "get-secrets" (func))"#.to_owned(),
            "imports `get-secrets`",
        ),
        import(
            "a module to be given",
            r#"(import "wasi:cli/exit@0.2.6" (core module))"#.to_owned(),
            "imports `wasi:cli/exit@0.2.6`",
        ),
        import(
            "twelve thousand imports",
            (0..12_000).map(|at| named(&format!("wasi:cli/exit@0.2.{at}"))).collect(),
            "imports, exports, aliases and globals and 10000 are allowed",
        ),
        import(
            "history of another kind",
            r#"(import "hookyard:plugin/history@0.1.0" (instance (export "recent" (func (param "limit" u32)))))"#
                .to_owned(),
            "`recent`",
        ),
        import(
            "history that tells all",
            r#"(import "hookyard:plugin/history@0.1.0" (instance (export "of-all-tenants" (func (result string)))))"#
                .to_owned(),
            "has no `of-all-tenants`",
        ),
        import(
            "an exit of another kind",
            r#"(import "wasi:cli/exit@0.2.6" (instance (export "exit" (func (param "status" string) (result u64)))))"#
                .to_owned(),
            "exit",
        ),
    ]
}

fn exports() -> Vec<Case> {
    let job = |name, export: &str, words| Case::transformer(name, |plugin| plugin.export(export), Refused(words));
    let transformer =
        |function: &str| format!(r#"{function} (export "hookyard:plugin/transformer@0.1.0" (instance $work))"#);
    vec![
        job("no job at all", "", "needs at least one of"),
        job(
            "a job of another version",
            r#"(instance $work) (export "hookyard:plugin/filter@0.2.0" (instance $work))"#,
            "needs at least one of",
        ),
        job("a job without its function", &transformer("(instance $work)"), "`transform`"),
        job(
            "a job with a function of another kind",
            &transformer(
                r#"(func $work (param "status" u32) (canon lift (core func $code "describe-post")))
                (instance $work (export "transform" (func $work)))"#,
            ),
            "does not keep to the contract",
        ),
        job(
            "a job that answers another record",
            &transformer(
                r#"(func $work (param "event" $event) (param "message" $message) (param "config" string)
                    (result (result $event (error $refusal)))
                    (canon lift (core func $code "transform") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
                (instance $work (export "transform" (func $work)))"#,
            ),
            "does not keep to the contract",
        ),
    ]
}
