//! What a component may be made of.

use std::fmt::Write as _;

use super::case::Case;
use super::case::Expected::{Harmless, Refused};

pub(super) fn cases() -> Vec<Case> {
    [functions(), memories(), nesting(), types(), strangers()].into_iter().flatten().collect()
}

fn functions() -> Vec<Case> {
    let many = |count: u32| (0..count).map(|at| format!("(func (result i32) (i32.const {at}))")).collect::<String>();
    let long = |count: usize| format!("(func (result i32) (i32.const 1) {})", "(i32.add (i32.const 7))".repeat(count));
    let branches = |count: usize| format!("(func (param i32) (block (br_table {} (local.get 0))))", "0 ".repeat(count));
    let deep = |count: usize| format!("(func {} {})", "(block ".repeat(count), ")".repeat(count));
    vec![
        fields("ten thousand functions", many(10_000), Ok(())),
        fields("sixty thousand functions", many(60_000), Err("functions and 50000 are allowed")),
        fields("a function of 400 KiB", long(130_000), Ok(())),
        fields("a function of 2 MiB", long(700_000), Err("bytes in one function and 524288 are allowed")),
        fields("a branch with four thousand targets", branches(4_000), Ok(())),
        fields("a branch with a million targets", branches(1_000_000), Err("and 524288 are allowed")),
        fields(
            "a branch with five thousand targets",
            branches(5_000),
            Err("targets of one branch and 4096 are allowed"),
        ),
        fields(
            "fifty thousand locals",
            format!("(func (local {}))", "i64 ".repeat(50_000)),
            Err("locals in one function and 10000"),
        ),
        fields("ten thousand blocks in one another", deep(10_000), Ok(())),
        fields(
            "twelve thousand globals",
            "(global i32 (i32.const 1))".repeat(12_000),
            Err("and globals and 10000 are allowed"),
        ),
    ]
}

fn memories() -> Vec<Case> {
    let elements = format!("(table 1 funcref) {}", "(elem (i32.const 0) $describe)".repeat(30_000));
    vec![
        fields("thirty thousand element segments", elements, Err("data and element segments and 20000 are allowed")),
        fields(
            "an element segment of forty thousand",
            format!("(table 50000 funcref) (elem (i32.const 0) {})", "$describe ".repeat(40_000)),
            Ok(()),
        ),
        fields(
            "thirty thousand data segments",
            "(data (i32.const 0) \"x\")".repeat(30_000),
            Err("data and element segments and 20000 are allowed"),
        ),
        Case::transformer(
            "data of 10 MiB",
            |mut plugin| {
                plugin.image.bytes(&vec![7; 10 << 20]);
                plugin
            },
            Harmless("send", |trial| trial["steps"][0]["memory"].as_u64() > Some(10 << 20)),
        ),
        fields("data beyond memory", "(data (i32.const -2) \"xxxx\")".to_owned(), Err("out of bounds")),
        modules(
            "an initial memory of 64 MiB",
            "(core module (memory 1024))",
            Err("bytes of initial memory and 33554432 are allowed"),
        ),
        modules("a memory of a length that wraps", "(core module (memory 65536))", Err("33554432 are allowed")),
        modules("five memories", &"(core module (memory 1))".repeat(5), Err("memories and 4 are allowed")),
        modules(
            "a table of ten million",
            "(core module (table 10000000 funcref))",
            Err("elements in a table and 50000 are allowed"),
        ),
        modules("seventeen tables", &"(core module (table 1 funcref))".repeat(17), Err("tables and 16 are allowed")),
        modules("two memories in one module", "(core module (memory 1) (memory 1))", Err("2 memories in one module")),
        modules("a memory with 64-bit addresses", "(core module (memory i64 1))", Err("memory64")),
        modules("a memory that threads share", "(core module (memory 1 2 shared))", Err("threads")),
        modules("garbage collection", "(core module (type (struct (field i32))))", Err("gc")),
        modules("a tail call", "(core module (func $f (return_call $f)))", Err("tail calls")),
        modules("exceptions", "(core module (tag))", Err("exceptions")),
    ]
}

fn nesting() -> Vec<Case> {
    let instances = |count: usize| format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(count));
    let mut deep = String::new();
    for _ in 0..50 {
        deep = format!("(component {deep})");
    }
    vec![
        modules("fifty components in one another", &deep, Err("levels of components and 4 are allowed")),
        modules(
            "two hundred modules",
            &"(core module)".repeat(200),
            Err("nested modules and components and 128 are allowed"),
        ),
        modules(
            "two hundred components",
            &"(component)".repeat(200),
            Err("nested modules and components and 128 are allowed"),
        ),
        modules("a hundred core instances", &instances(100), Err("64")),
        modules("a thousand core instances", &instances(1_000), Err("core instances and 256 are allowed")),
        // Each component makes ten of the one before: a thousand in all.
        modules(
            "components that multiply",
            &format!(
                "(component $c (component $b (component $a (core module $m) (core instance (instantiate $m))) {}) {}) {}",
                "(instance (instantiate $a))".repeat(10),
                "(instance (instantiate $b))".repeat(10),
                "(instance (instantiate $c))".repeat(10)
            ),
            Err("core module instances, which exceeds"),
        ),
        // And a billion.
        modules(
            "components that multiply by a thousand",
            &format!(
                "(component $c (component $b (component $a) {}) {}) {}",
                "(instance (instantiate $a))".repeat(900),
                "(instance (instantiate $b))".repeat(900),
                "(instance (instantiate $c))".repeat(900)
            ),
            Err("instances of components and 128 are allowed"),
        ),
    ]
}

fn types() -> Vec<Case> {
    // Each type is a pair of the one before.
    let mut tower = "(type $t0 u64)".to_owned();
    let mut records = "(type $r0 u64)".to_owned();
    for at in 1..=40 {
        let below = at - 1;
        write!(tower, "(type $t{at} (tuple $t{below} $t{below}))").expect("text grows");
        write!(records, "(type $r{at} (variant (case \"a\" $r{below}) (case \"b\" (list $r{below}))))")
            .expect("text grows");
    }
    // And nested instead of doubled.
    let mut deep = "(type $d0 u64)".to_owned();
    for at in 1..=5_000 {
        write!(deep, "(type $d{at} (option $d{}))", at - 1).expect("text grows");
    }
    let cases: String = (0..5_000).map(|at| format!("(case \"c{at}\" u64)")).collect();
    vec![
        modules("a type that doubles forty times", &tower, Err("effective type size exceeds the limit")),
        modules("a variant that doubles forty times", &records, Err("effective type size exceeds the limit")),
        modules("a type of five thousand levels", &deep, Err("nesting")),
        modules("twenty-five thousand types", &"(type (func))".repeat(25_000), Err("types and 20000 are allowed")),
        modules("a variant of five thousand cases", &format!("(type (variant {cases}))"), Ok(())),
        modules(
            "twelve thousand exports of a module",
            &format!(
                "(core module (func $f) {})",
                (0..12_000).map(|at| format!("(export \"{at}\" (func $f))")).collect::<String>()
            ),
            Err("imports, exports, aliases and globals and 10000 are allowed"),
        ),
        modules(
            "twelve thousand aliases",
            &format!(
                "(core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) {}",
                "(alias core export $i \"f\" (core func))".repeat(12_000)
            ),
            Err("imports, exports, aliases and globals and 10000 are allowed"),
        ),
        modules(
            "9 MiB that nobody asked for",
            &format!("(core module (@custom \"x\" \"{}\"))", "x".repeat(9 << 20)),
            Err("bytes of custom sections (strip the debug information) and 8388608 are allowed"),
        ),
    ]
}

/// What is no component, or none of ours.
fn strangers() -> Vec<Case> {
    vec![
        Case::wat("a core module", "(module (func (export \"transform\")))", "this is a core module"),
        Case::wat("an empty component", "(component)", "`hookyard:plugin/settings@0.1.0` is missing"),
        Case::bytes("WebAssembly text", b"(component)".to_vec(), "this is WebAssembly text"),
        Case::bytes(
            "a program",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".to_vec(),
            "this is compiled code",
        ),
        Case::bytes("nothing", Vec::new(), "it is empty"),
        Case::bytes("a shell script", b"#!/bin/sh\nrm -rf /\n".to_vec(), "does not begin as WebAssembly does"),
        Case::bytes("a header and nothing more", b"\0asm\x0d\0\x01\0".to_vec(), "is missing"),
        Case::bytes(
            "a header and a section without an end",
            b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x0f".to_vec(),
            "unexpected end",
        ),
    ]
}

/// A plugin with more fields in its core module.
fn fields(name: &'static str, fields: String, taken: Result<(), &'static str>) -> Case {
    let expected = match taken {
        Ok(()) => Harmless("send", |_| true),
        Err(words) => Refused(words),
    };
    Case::transformer(name, |plugin| plugin.fields(fields), expected)
}

/// A plugin with more definitions in its component.
fn modules(name: &'static str, definitions: &str, taken: Result<(), &'static str>) -> Case {
    let expected = match taken {
        Ok(()) => Harmless("send", |_| true),
        Err(words) => Refused(words),
    };
    Case::transformer(name, |plugin| plugin.imports(definitions), expected)
}
