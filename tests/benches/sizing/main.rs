//! `cargo bench --workspace --bench sizing`: what an event costs on PostgreSQL, and what
//! follows from that for a machine. Prints the tables of `host/docs/sizing.md`, as they
//! stand there.
//!
//! Costs are measured as differences of the server's counters over many events,
//! through a real host; what a host at rest does meanwhile is taken off. They hold
//! while nothing else wants the machine. `HOOKYARD_BENCH_EVENTS` (default 20000) says
//! how many, `HOOKYARD_BENCH_RATE` (default 100) how many a second where they come
//! slowly.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod calculated;
mod counters;
mod load;
mod measured;
mod receiver;
mod shape;
mod subject;

use std::time::Duration;

use measured::Cost;
use shape::Shape;
use subject::Subject;

/// How long a host is watched at rest.
const REST: Duration = Duration::from_secs(30);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let events = setting("HOOKYARD_BENCH_EVENTS", 20_000);
    let rate = setting("HOOKYARD_BENCH_RATE", 100);
    let place = subject::Place::start().await;

    let usual = Subject::start(&place, Shape::USUAL).await;
    usual.send(events / 4, None).await;
    let rest = usual.at_rest(REST).await;
    let cost = async |subject: &Subject, events, rate| Cost::of(&subject.measured(events, rate).await, &rest);
    let steady = cost(&usual, events, None).await;
    usual.checkpoint().await;
    let fresh = cost(&usual, events, None).await;
    let slow = cost(&usual, events.min(rate * 60), Some(rate)).await;
    drop(usual);

    let mut shapes = Vec::new();
    for shape in Shape::OTHERS {
        let subject = Subject::start(&place, shape).await;
        subject.send(events / 4, None).await;
        shapes.push((shape, cost(&subject, events, None).await));
    }

    println!("{}\n", place.told().await);
    println!("{}", measured::at_rest(&rest));
    println!("{}", measured::of_shapes(&steady, &shapes));
    println!(
        "{}",
        measured::by_pace(&[("flat out", &steady), ("after a checkpoint", &fresh), ("slowly", &slow)], rate)
    );
    println!("{}", measured::by_table(&steady));
    println!("{}", calculated::by_rate(&steady));
    println!("{}", calculated::in_money(&steady));
}
