//! What a plugin may do while it runs: take time, stack, memory, tables, and
//! crash.

use hookyard::domain::plugin::Job;

use super::case::Case;
use super::case::Expected::{Fault, Harmless, Refused, Unsaved};
use super::plugin::Plugin;
use super::remains;

const LOOP: &str = "(loop $again (br $again)) unreachable";
const OUT_OF_FUEL: &str = "used up its fuel of 200 million instructions";
const TOO_MUCH_MEMORY: &str = "of memory and 32 MiB are allowed";

pub(super) fn cases() -> Vec<Case> {
    [loops(), bulk(), stack(), memory(), tables(), crashes(), state()].into_iter().flatten().collect()
}

fn loops() -> Vec<Case> {
    let stuck = |job| Plugin::new(job).at_work(LOOP);
    vec![
        Case::transformer("a loop in describe", |plugin| plugin.body("describe", LOOP), Refused(OUT_OF_FUEL)),
        Case::transformer("a loop in check", |plugin| plugin.body("check", LOOP), Unsaved(OUT_OF_FUEL)),
        Case::new("a loop in map", Job::Mapper, stuck(Job::Mapper), Fault("fuel", OUT_OF_FUEL)),
        Case::new("a loop in keep", Job::Filter, stuck(Job::Filter), Fault("fuel", OUT_OF_FUEL)),
        Case::new("a loop in transform", Job::Transformer, stuck(Job::Transformer), Fault("fuel", OUT_OF_FUEL)),
        Case::transformer(
            "a loop in the start function",
            |plugin| plugin.fields(format!("(func $start {}) (start $start)", "(loop $again (br $again))")),
            Refused(OUT_OF_FUEL),
        ),
        Case::transformer("a loop in realloc", |plugin| plugin.realloc(LOOP), Unsaved(OUT_OF_FUEL)),
        Case::transformer(
            "a loop after describe has returned",
            |plugin| plugin.body("describe-post", LOOP),
            Refused(OUT_OF_FUEL),
        ),
        Case::transformer(
            "a loop after transform has returned",
            |plugin| plugin.body("transform-post", LOOP),
            Fault("fuel", OUT_OF_FUEL),
        ),
    ]
}

/// Instructions that do a lot at once.
fn bulk() -> Vec<Case> {
    vec![
        Case::transformer(
            "memory filled again and again",
            |plugin| {
                plugin.at_work(
                    "(drop (memory.grow (i32.const 400)))
                    (loop $again (memory.fill (i32.const 65536) (i32.const 7) (i32.const 26214400)) (br $again))
                    unreachable",
                )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
        Case::transformer(
            "memory copied again and again",
            |plugin| {
                plugin.at_work(
                    "(drop (memory.grow (i32.const 400)))
                    (loop $again
                        (memory.copy (i32.const 65536) (i32.const 131072) (i32.const 20971520)) (br $again))
                    unreachable",
                )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
        Case::transformer(
            "tables filled again and again",
            |plugin| {
                plugin.fields("(table $refs 50000 funcref)").at_work(
                    "(loop $again
                        (table.fill $refs (i32.const 0) (ref.null func) (i32.const 50000)) (br $again))
                    unreachable",
                )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
        Case::transformer(
            "tables copied again and again",
            |plugin| {
                plugin.fields("(table $refs 50000 funcref)").at_work(
                    "(loop $again
                        (table.copy $refs $refs (i32.const 0) (i32.const 1) (i32.const 49999)) (br $again))
                    unreachable",
                )
            },
            Fault("fuel", OUT_OF_FUEL),
        ),
    ]
}

fn stack() -> Vec<Case> {
    vec![
        Case::transformer(
            "a recursion without an end",
            |plugin| {
                plugin
                    .fields("(func $down (param i32) (result i32) (i32.add (i32.const 1) (call $down (local.get 0))))")
                    .at_work("(call $down (i32.const 0))")
            },
            Fault("stack", "ran out of stack"),
        ),
        Case::transformer(
            "two functions that call each other by a table",
            |plugin| {
                plugin
                    .fields(
                        "(type $step (func (param i32) (result i32)))
                        (table 2 funcref) (elem (i32.const 0) $one $two)
                        (func $one (param i32) (result i32)
                            (i32.add (i32.const 1) (call_indirect (type $step) (local.get 0) (i32.const 1))))
                        (func $two (param i32) (result i32)
                            (i32.add (i32.const 1) (call_indirect (type $step) (local.get 0) (i32.const 0))))",
                    )
                    .at_work("(call $one (i32.const 0))")
            },
            Fault("stack", "ran out of stack"),
        ),
        // Compilers keep what does not fit into registers on a stack of their
        // own, which grows down to address zero.
        Case::transformer(
            "a recursion that uses up a stack in linear memory",
            |plugin| {
                plugin
                    .fields(
                        "(global $sp (mut i32) (i32.const 65536))
                        (func $down (result i32)
                            (global.set $sp (i32.sub (global.get $sp) (i32.const 1024)))
                            (i32.store (global.get $sp) (i32.const 1))
                            (i32.add (i32.const 1) (call $down)))",
                    )
                    .at_work("(call $down)")
            },
            Fault("stack", "ran out of stack"),
        ),
        Case::transformer(
            "a frame of a thousand locals, again and again",
            |plugin| {
                let locals = "i64 ".repeat(1_000);
                let set: String = (0..1_000).map(|at| format!("(local.set {at} (i64.const {at}))")).collect();
                let sum: String = (0..1_000).map(|at| format!("(local.get {at}) i64.add ")).collect();
                plugin
                    .fields(format!("(func $down (result i64) (local {locals}) {set} (call $down) {sum})"))
                    .at_work("(i32.wrap_i64 (call $down))")
            },
            Fault("stack", "ran out of stack"),
        ),
    ]
}

fn memory() -> Vec<Case> {
    let hoard = "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) unreachable";
    vec![
        Case::transformer(
            "memory taken until there is no more",
            |plugin| plugin.at_work(hoard),
            Fault("memory", TOO_MUCH_MEMORY),
        ),
        Case::transformer(
            "memory taken all at once",
            |plugin| plugin.at_work("(drop (memory.grow (i32.const 65535))) unreachable"),
            Fault("memory", TOO_MUCH_MEMORY),
        ),
        Case::transformer(
            "memory asked for again and again",
            |plugin| plugin.at_work("(loop $again (drop (memory.grow (i32.const 1))) (br $again)) unreachable"),
            Fault("fuel", OUT_OF_FUEL),
        ),
        Case::transformer(
            "memory taken while it describes itself",
            |plugin| plugin.body("describe", hoard),
            Refused(TOO_MUCH_MEMORY),
        ),
        Case::transformer(
            "memory taken while it starts",
            |plugin| plugin.fields(format!("(func $start (memory.size) drop {hoard}) (start $start)")),
            Refused(TOO_MUCH_MEMORY),
        ),
        Case::transformer(
            "four memories that are too much together",
            |plugin| {
                plugin.imports(
                    r#"(core module $more (memory 256))
                    (core instance (instantiate $more)) (core instance (instantiate $more))
                    (core instance (instantiate $more))"#,
                )
            },
            Refused(TOO_MUCH_MEMORY),
        ),
        Case::transformer(
            "an allocation storm",
            |plugin| {
                plugin.at_work(
                    "(loop $again
                        (drop (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 24)))
                        (br $again))
                    unreachable",
                )
            },
            Fault("memory", TOO_MUCH_MEMORY),
        ),
        Case::transformer(
            "an allocator that gives what it does not have",
            |plugin| plugin.realloc("i32.const -16"),
            Unsaved("realloc return"),
        ),
        Case::transformer(
            "an allocator that gives the same to all",
            |plugin| plugin.realloc("i32.const 1024"),
            Harmless("send", |_| true),
        ),
    ]
}

fn tables() -> Vec<Case> {
    let grow = "(loop $again
        (br_if $again (i32.ne (i32.const -1) (table.grow $refs (ref.null func) (i32.const 1000)))))
        unreachable";
    vec![
        Case::transformer(
            "a table that grows until there is no more",
            |plugin| plugin.fields("(table $refs 1 funcref)").at_work(grow),
            Fault("memory", "tables of 50001 elements and 50000 are allowed"),
        ),
        Case::transformer(
            "tables that are too much together",
            |plugin| plugin.fields("(table 40000 funcref) (table 40000 funcref) (table 40000 funcref)"),
            Refused("tables of 120000 elements and 100000 are allowed"),
        ),
        Case::transformer(
            "a call of what is not in the table",
            |plugin| {
                plugin
                    .fields("(type $none (func (result i32))) (table 4 funcref)")
                    .at_work("(call_indirect (type $none) (i32.const 2))")
            },
            Fault("trap", "uninitialized element"),
        ),
        Case::transformer(
            "a call beyond the table",
            |plugin| {
                plugin
                    .fields("(type $none (func (result i32))) (table 4 funcref)")
                    .at_work("(call_indirect (type $none) (i32.const -1))")
            },
            Fault("trap", "out of bounds"),
        ),
        Case::transformer(
            "a call with another type",
            |plugin| {
                plugin
                    .fields(
                        "(type $none (func (result i32))) (table 1 funcref) (elem (i32.const 0) $other)
                        (func $other (param i64))",
                    )
                    .at_work("(call_indirect (type $none) (i32.const 0))")
            },
            Fault("trap", "indirect call type mismatch"),
        ),
        Case::transformer(
            "a table of the host's own functions",
            |plugin| {
                plugin
                    .fields(
                        "(type $wrong (func (param i64 i64) (result i32))) (table 1 funcref) (elem (i32.const 0) $log)",
                    )
                    .at_work("(call_indirect (type $wrong) (i64.const -1) (i64.const -1) (i32.const 0))")
            },
            Fault("trap", "indirect call type mismatch"),
        ),
    ]
}

fn crashes() -> Vec<Case> {
    let crash = |name, body: &str, words| Case::transformer(name, |plugin| plugin.at_work(body), Fault("trap", words));
    vec![
        crash("a division by zero", "(i32.div_s (i32.const 1) (i32.const 0))", "integer divide by zero"),
        crash("a division that overflows", "(i32.div_s (i32.const -2147483648) (i32.const -1))", "integer overflow"),
        crash("a number that is none", "(i32.trunc_f64_s (f64.const nan))", "invalid conversion to integer"),
        crash("an instruction that is never to be reached", "unreachable", "panicked or aborted"),
        crash("a read beyond memory", "(i32.load (i32.const -4))", "out of bounds memory access"),
        crash(
            "a write beyond memory",
            "(i32.store offset=4294967295 (i32.const -1) (i32.const 1)) unreachable",
            "out of bounds",
        ),
        crash(
            "a fill beyond memory",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const 100000000)) unreachable",
            "out of bounds",
        ),
        Case::transformer(
            "a trap in the start function",
            |plugin| plugin.fields("(func $start unreachable) (start $start)"),
            Refused("panicked or aborted"),
        ),
        // Thirty-two frames of it are looked at.
        Case::transformer(
            "a recursion of a function whose name unfolds",
            |plugin| {
                plugin
                    .fields(format!("(func $down {} (result i32) (i32.add (call $down) (i32.const 1)))", unfolding()))
                    .at_work("(call $down)")
            },
            Fault("stack", "_Z1fISt4pairIiiE"),
        ),
        Case::transformer(
            "a function with a name of 1 MB",
            |plugin| {
                let name = "a".repeat(1_000_000);
                plugin
                    .fields(format!(
                        "(func $down (@name \"{name}\") (result i32) (i32.add (call $down) (i32.const 1)))"
                    ))
                    .at_work("(call $down)")
            },
            Fault("stack", "aaaa"),
        ),
    ]
}

/// A name that a C++ compiler could have made: `f` of a pair of pairs of pairs,
/// each twice the one before. A fault is told with the names of functions.
fn unfolding() -> String {
    let digit = |at: u32| char::from_digit(at, 36).map(|digit| digit.to_ascii_uppercase()).unwrap_or_default();
    let pairs: String = (0..34).map(|at| format!("S_IS{0}_S{0}_E", digit(at))).collect();
    format!("(@name \"_Z1fISt4pairIiiE{pairs}EvT_\")")
}

/// What one call could leave for the next.
fn state() -> Vec<Case> {
    vec![
        Case {
            name: "a look for what others left in memory",
            component: remains::reader(0),
            job: Job::Transformer,
            expected: Harmless("send", |trial| trial["steps"][0]["memory"] == 32 << 20),
        },
        Case::transformer(
            "a counter in a global, a memory and a table",
            |mut plugin| {
                let empty = plugin.image.text("{}");
                let post = plugin.image.text("POST");
                let record = plugin.image.words(&[0, post[0], post[1], 0, 0, 0, 0, 0, empty[0], empty[1]]);
                plugin
                    .fields(
                        "(global $calls (mut i32) (i32.const 0)) (table $refs 1 8 funcref)
                        (elem declare func $transform)",
                    )
                    // Whoever was here before left a mark: then it crashes.
                    .at_work(format!(
                        "(if (global.get $calls) (then unreachable))
                        (if (i32.load (i32.const 512)) (then unreachable))
                        (if (i32.ne (table.size $refs) (i32.const 1)) (then unreachable))
                        (if (i32.eqz (ref.is_null (table.get $refs (i32.const 0)))) (then unreachable))
                        (global.set $calls (i32.const 1))
                        (i32.store (i32.const 512) (i32.const 1))
                        (table.set $refs (i32.const 0) (ref.func $transform))
                        (drop (table.grow $refs (ref.func $transform) (i32.const 7)))
                        (i32.const {record})"
                    ))
            },
            Harmless("send", |_| true),
        ),
    ]
}
