//! The hostile set: components that do what no honest one does, each with what
//! has to come of it. The host is a process of its own, as an operator runs it,
//! so that what it keeps can be seen, and another tenant calls its plugin all
//! the while.
//!
//! Most are a few lines of WebAssembly text around which `plugin` puts the rest
//! of a plugin. What is easier said in Rust is in `tests/hostile`, with the
//! tests of `hostile`.

mod answers;
mod case;
mod description;
mod mutation;
mod plugin;
mod reach;
mod remains;
mod structure;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hookyard_tests::{Api, HostProcess, TempDir};
use serde_json::json;

use case::Case;

/// What the host may have more of once it has met the largest cases again. The
/// first time, its pool and its allocator take what they keep by intention: up
/// to 256 KiB of each of 64 memories, and arenas for the largest uploads. After
/// that only the arenas come and go.
const KEPT: u64 = 64 << 20;

/// Uploads, returns and fills 10, 20 and 32 MiB: eight times over, 496.
const LARGEST: [&str; 3] = ["data of 10 MiB", "a body of 20 MiB", "memory taken until there is no more"];

/// Another tenant, which must not notice.
async fn calls_its_plugin(victim: &Api) {
    let steps = json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "n", "from": "n"}]}}]);
    let form = json!({"steps": steps, "event": {"type": "a.b", "data": {"n": 7}}});
    let trial = victim.post("/v1/try", form).await.expect(200);
    assert_eq!((&trial["outcome"], &trial["message"]["body"]), (&json!("send"), &json!("{\"n\":7}")), "{trial}");
}

async fn is_well(operator: &Api, victim: &Api) {
    operator.get("/healthz").await.expect(200);
    calls_its_plugin(victim).await;
}

/// Bytes that are resident.
fn resident(host: &HostProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib << 10
}

/// A plugin that does nothing but say this of itself.
pub(crate) fn plugin_that_says(summary: &str, schema: &str) -> Vec<u8> {
    let mut plugin = plugin::Plugin::new(hookyard::domain::plugin::Job::Transformer);
    plugin.description.summary = summary.to_owned();
    plugin.description.schema = schema.to_owned();
    plugin.build()
}

fn all_cases() -> Vec<Case> {
    [work::cases(), answers::cases(), description::cases(), reach::cases(), structure::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// Code that the host itself compiled, as it lies on its disk: with its seal,
/// and without.
fn compiled(data: &TempDir) -> [Case; 2] {
    let kept = std::fs::read_dir(data.path().join("compiled")).expect("the host keeps compiled code").flatten();
    let first = kept.map(|entry| entry.path()).next().expect("it comes with plugins");
    let sealed = std::fs::read(first).expect("a file");
    let bare = sealed[32..].to_vec();
    [
        Case::bytes("compiled code with its seal", sealed, "not a WebAssembly component"),
        Case::bytes("compiled code", bare, "this is compiled code"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_ends_as_it_should_and_nobody_else_notices() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let (hostile, victim) = (host.tenant("hostile").await, host.tenant("victim").await);
    let cases = all_cases();
    assert!(cases.len() >= 48, "{}", cases.len());
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let neighbour = tokio::spawn({
        let (victim, over, calls) = (victim.clone(), over.clone(), calls.clone());
        async move {
            while !over.load(Ordering::SeqCst) {
                calls_its_plugin(&victim).await;
                calls.fetch_add(1, Ordering::SeqCst);
            }
        }
    });

    for case in cases.iter().chain(&compiled(&data)) {
        case.run(&hostile).await;
        is_well(&host.operator, &victim).await;
    }
    let before = resident(&host);
    let largest: Vec<&Case> = cases.iter().filter(|case| LARGEST.contains(&case.name)).collect();
    assert_eq!(largest.len(), LARGEST.len());
    for _ in 0..8 {
        for case in &largest {
            case.run(&hostile).await;
        }
    }
    let after = resident(&host);

    over.store(true, Ordering::SeqCst);
    neighbour.await.expect("the other tenant was answered well throughout");
    assert!(calls.load(Ordering::SeqCst) > 0);
    assert!(after < before + KEPT, "{} MiB became {} MiB", before >> 20, after >> 20);
    let (ended_well, _) = host.terminate().await;
    assert!(ended_well);
}
