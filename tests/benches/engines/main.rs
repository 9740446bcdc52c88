//! `cargo bench --workspace --bench engines`: the same load against one, two and four hosts
//! on one PostgreSQL, in one run, each program a process of its own. All of them share this
//! machine's cores with the database and the load.
//!
//! Beside them as many hosts that share nothing, each with an SQLite database of its own
//! and the same part of the load: what several processes on the same cores cost whatever
//! they share.
//!
//! Ratios are what to look at. `HOOKYARD_BENCH_SECONDS` (default 8) and
//! `HOOKYARD_BENCH_ROUNDS` (default 3) say how long and how often.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../throughput/load.rs"]
mod load;
#[path = "../throughput/program.rs"]
mod program;
#[path = "../throughput/receiver.rs"]
mod receiver;
mod subject;

use std::time::Duration;

use subject::{Engine, Figures};

/// Which of the programs this process is.
const ROLE: &str = "HOOKYARD_BENCH_ROLE";

/// What is compared.
const SUBJECTS: [(&str, Engine, usize); 6] = [
    ("SQLite, 1 host", Engine::Sqlite, 1),
    ("PostgreSQL, 1 host", Engine::Postgres, 1),
    ("2 with SQLite each", Engine::Sqlite, 2),
    ("PostgreSQL, 2 hosts", Engine::Postgres, 2),
    ("4 with SQLite each", Engine::Sqlite, 4),
    ("PostgreSQL, 4 hosts", Engine::Postgres, 4),
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match std::env::var(ROLE).as_deref() {
        Ok("receiver") => runtime.block_on(receiver::run()),
        Ok("load") => runtime.block_on(load::run()),
        _ => runtime.block_on(compare()),
    }
}

async fn compare() {
    let seconds = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 8));
    let mut results: [Vec<Figures>; SUBJECTS.len()] = Default::default();
    for round in 1..=setting("HOOKYARD_BENCH_ROUNDS", 3) {
        for ((name, engine, hosts), results) in SUBJECTS.into_iter().zip(&mut results) {
            let figures = subject::measure(engine, hosts, seconds).await;
            println!("round {round}: {name}: {:.0}/s delivered", figures.delivered);
            results.push(figures);
        }
    }
    let median = |results: &[Figures], figure: fn(&Figures) -> f64| {
        let mut figures: Vec<f64> = results.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    println!("\n{:<34} {}", "median of the rounds", SUBJECTS.map(|(name, ..)| format!("{name:>20}")).concat());
    for (name, figure) in Figures::ROWS {
        let row: String = results.iter().map(|results| format!("{:>20.3}", median(results, *figure))).collect();
        println!("{name:<34} {row}");
    }
    let delivered: Vec<f64> = results.iter().map(|results| median(results, |figures| figures.delivered)).collect();
    let [lite_1, postgres_1, lite_2, postgres_2, lite_4, postgres_4] = delivered[..] else { return };
    println!("\none host on PostgreSQL to one on SQLite: {:.2} (wanted: 0.6)", postgres_1 / lite_1);
    let two = (postgres_2 / postgres_1, lite_2 / lite_1);
    println!("two hosts to one: {:.2} (wanted: 0.95); sharing nothing: {:.2}", two.0, two.1);
    let four = (postgres_4 / postgres_2, lite_4 / lite_2);
    println!("four hosts to two: {:.2} (wanted: 1); sharing nothing: {:.2}", four.0, four.1);
}
