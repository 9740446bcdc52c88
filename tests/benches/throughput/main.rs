//! `cargo bench --workspace --bench throughput`: the same load against a bare forwarder and
//! against `hookyard serve`, in one run, each program a process of its own.
//!
//! Ratios are what to look at: the machines are shared, and an absolute time of
//! one run says little about the next. `HOOKYARD_BENCH_SECONDS` (default 8) and
//! `HOOKYARD_BENCH_ROUNDS` (default 3) say how long and how often.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod forwarder;
mod load;
mod plugin;
mod program;
mod receiver;
mod subject;

use std::time::Duration;

use program::Program;
use subject::{Figures, Subject};

/// Which of the programs this process is.
const ROLE: &str = "HOOKYARD_BENCH_ROLE";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match std::env::var(ROLE).as_deref() {
        Ok("receiver") => runtime.block_on(receiver::run()),
        Ok("forwarder") => runtime.block_on(forwarder::run()),
        Ok("load") => runtime.block_on(load::run()),
        Ok("plugin") => runtime.block_on(plugin::run()),
        _ => runtime.block_on(compare()),
    }
}

async fn compare() {
    let plugin = Program::itself("plugin", &[]).await.finish().await;
    println!("{plugin}");

    let seconds = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 8));
    let rounds = setting("HOOKYARD_BENCH_ROUNDS", 3);
    let mut results: Vec<(Figures, Figures)> = Vec::new();
    for round in 1..=rounds {
        let bare = subject::measure(Subject::Forwarder, seconds).await;
        let ours = subject::measure(Subject::Hookyard, seconds).await;
        println!("round {round}: forwarder {:.0}/s, hookyard {:.0}/s", bare.delivered, ours.delivered);
        results.push((bare, ours));
    }
    table(&results);
}

/// The median of each figure, and the ratio of the medians.
fn table(results: &[(Figures, Figures)]) {
    println!("\n{:<34} {:>12} {:>12} {:>8}", "median of the rounds", "forwarder", "hookyard", "ratio");
    for (name, figure) in Figures::ROWS {
        let bare = median(results.iter().map(|(bare, _)| figure(bare)));
        let ours = median(results.iter().map(|(_, ours)| figure(ours)));
        println!("{name:<34} {bare:>12.3} {ours:>12.3} {:>8.3}", ours / bare);
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
