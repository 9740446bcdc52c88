//! `cargo bench --workspace --bench engines`: the same load against one, two and four hosts
//! on one PostgreSQL, in one run, each program a process of its own. All of them share this
//! machine's cores with the database and the load.
//!
//! Beside them as many hosts that share nothing, each with an SQLite database of its own
//! and the same part of the load: what several processes on the same cores cost whatever
//! they share.
//!
//! All of them stand ready from the beginning and are loaded by turns, a few seconds each
//! and many times: a shared machine is a third faster in one minute than in the next, and
//! two that are compared have to be measured within seconds. Ratios are those of a round;
//! their median is what to look at, and the middle half of them says how sure it is.
//!
//! `HOOKYARD_BENCH_SECONDS` (default 3) and `HOOKYARD_BENCH_ROUNDS` (default 12) say how
//! long and how often.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../throughput/load.rs"]
mod load;
#[path = "../throughput/program.rs"]
mod program;
#[path = "../throughput/receiver.rs"]
mod receiver;
mod subject;

use std::time::Duration;

use subject::{Engine, Figures, Subject};

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

/// What is compared with what, by their places above.
const RATIOS: [(&str, [usize; 2], &str); 5] = [
    ("one on PostgreSQL to one on SQLite", [1, 0], "0.6"),
    ("two hosts to one", [3, 1], "0.95"),
    ("  sharing nothing", [2, 0], ""),
    ("four hosts to two", [5, 3], "1"),
    ("  sharing nothing", [4, 2], ""),
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
    let seconds = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 3));
    let mut subjects = Vec::new();
    for (_, engine, hosts) in SUBJECTS {
        subjects.push(Subject::start(engine, hosts).await);
    }
    let mut rounds = Vec::new();
    for round in 0..usize::try_from(setting("HOOKYARD_BENCH_ROUNDS", 12)).expect("a small number") {
        let mut figures = [const { None }; SUBJECTS.len()];
        // Each is the first of some round: nobody always follows the same one.
        for at in (0..SUBJECTS.len()).map(|at| (at + round) % SUBJECTS.len()) {
            figures[at] = Some(subjects[at].measure(seconds).await);
        }
        let figures = figures.map(|figures| figures.expect("each had its turn"));
        println!(
            "round {:>2}, delivered/s: {}",
            round + 1,
            figures.each_ref().map(|of| format!("{:>20.0}", of.delivered)).concat()
        );
        rounds.push(figures);
    }
    for subject in subjects {
        subject.end().await;
    }
    println!("\n{:<34} {}", "median of the rounds", SUBJECTS.map(|(name, ..)| format!("{name:>20}")).concat());
    for (name, figure) in Figures::ROWS {
        let of = |at: usize| quartiles(rounds.iter().map(|round| figure(&round[at])))[1];
        println!("{name:<34} {}", (0..SUBJECTS.len()).map(|at| format!("{:>20.3}", of(at))).collect::<String>());
    }
    println!("\n{:<34} {:>8} {:>20} {:>8}", "delivered/s, ratio of a round", "median", "middle half", "wanted");
    for (name, [one, other], wanted) in RATIOS {
        let [low, median, high] = quartiles(rounds.iter().map(|round| round[one].delivered / round[other].delivered));
        println!("{name:<34} {median:>8.2} {:>20} {wanted:>8}", format!("{low:.2} to {high:.2}"));
    }
}

/// The lower quartile, the median and the upper one.
fn quartiles(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| figures[(figures.len() - 1) * quarter / 4])
}
