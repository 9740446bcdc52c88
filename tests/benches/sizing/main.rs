//! `cargo bench --workspace --bench sizing`: what an event costs on PostgreSQL, and what
//! follows from that for a machine. Prints the tables of `host/docs/sizing.md`; with that
//! path in `HOOKYARD_BENCH_PAGE` (from the root) it puts them there in the place of the
//! old ones.
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
mod page;
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

    let paces = [("flat out", &steady), ("after a checkpoint", &fresh), ("slowly", &slow)];
    let measured = [
        place.told().await,
        measured::at_rest(&rest),
        measured::of_shapes(&steady, &shapes),
        measured::by_pace(&paces, rate),
        measured::by_table(&steady),
    ];
    let parts = [
        ("measured", measured.join("\n")),
        ("calculated", calculated::by_rate(&steady)),
        ("money", calculated::in_money(&steady)),
    ];
    for (name, part) in &parts {
        println!("-- {name}\n{part}");
    }
    if let Ok(page) = std::env::var("HOOKYARD_BENCH_PAGE") {
        page::fill(&page, &parts);
    }
}
