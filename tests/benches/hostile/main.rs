//! `cargo bench --workspace --bench hostile`: what one tenant's calls
//! take alone, and beside a tenant that keeps calling runaway plugins as often
//! as it can. The two take turns, so that a busy neighbour meets both.
//!
//! The ratio of the 99th percentiles is what to look at: it is to stay below
//! 1.5. `HOOKYARD_BENCH_SECONDS` (default 10), `HOOKYARD_BENCH_ROUNDS` (default
//! 3) and `HOOKYARD_BENCH_HOSTILE` (calls at a time, default 64) say how long,
//! how often and how hard.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod latency;
mod tenants;

use std::time::Duration;

use hookyard_tests::{HostProcess, TempDir};

use latency::Latencies;
use tenants::{Hostile, Victim};

/// Of each way to call: alone, and beside the hostile tenant.
struct Round {
    trials: [Latencies; 2],
    deliveries: [Latencies; 2],
    hostile_calls: u64,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(compare());
}

async fn compare() {
    let duration = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 10));
    let at_once = setting("HOOKYARD_BENCH_HOSTILE", 64);
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let mut victim = Victim::settle(&host).await;
    let hostile = Hostile::settle(&host).await;
    victim.trials(Duration::from_secs(2)).await;

    let mut rounds = Vec::new();
    for number in 1..=setting("HOOKYARD_BENCH_ROUNDS", 3) {
        let alone = (victim.trials(duration).await, victim.deliveries(duration).await);
        let raid = hostile.raid(at_once);
        let beside = (victim.trials(duration).await, victim.deliveries(duration).await);
        let hostile_calls = raid.end().await;
        let round = Round { trials: [alone.0, beside.0], deliveries: [alone.1, beside.1], hostile_calls };
        show(&format!("round {number}"), &round);
        rounds.push(round);
    }
    verdict(&rounds);
}

fn show(title: &str, round: &Round) {
    println!("\n{title}: {} hostile calls", round.hostile_calls);
    println!("{:<12} {:>10} {:>10} {:>10} {:>10} {:>8}", "ms", "p50 alone", "beside", "p99 alone", "beside", "ratio");
    for (name, [alone, beside]) in [("try", &round.trials), ("delivery", &round.deliveries)] {
        println!(
            "{name:<12} {:>10.2} {:>10.2} {:>10.2} {:>10.2} {:>8.2}",
            alone.at(0.5),
            beside.at(0.5),
            alone.at(0.99),
            beside.at(0.99),
            beside.at(0.99) / alone.at(0.99)
        );
    }
}

/// All rounds' calls together: a percentile of ten seconds is ten calls.
fn verdict(rounds: &[Round]) {
    let all = |pick: &dyn Fn(&Round) -> &Latencies| Latencies::together(rounds.iter().map(pick));
    let whole = Round {
        trials: [all(&|round| &round.trials[0]), all(&|round| &round.trials[1])],
        deliveries: [all(&|round| &round.deliveries[0]), all(&|round| &round.deliveries[1])],
        hostile_calls: rounds.iter().map(|round| round.hostile_calls).sum(),
    };
    show("all rounds", &whole);
}
