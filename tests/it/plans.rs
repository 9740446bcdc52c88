//! What the server reads on PostgreSQL, with many rows: no list reads a table, and what
//! upkeep does for a few rows reads a few. Each question goes through the store as the
//! API asks it, and the server itself says what it did.
//!
//! Only in `tests/soak`, with ten million rows.

use std::time::Instant;

use hookyard_tests::{figures, setting};

use self::filled::{Asked, Filled};
use self::plan::{Cost, Plan};
use self::questions::{Question, changes, claims, questions};

mod filled;
mod plan;
mod questions;

/// Pages that a statement may look at, whatever it looks for: of ten million rows one
/// that reads a table looks at hundreds of thousands.
const MOST_PAGES: u64 = 150_000;
/// More rows than this are many: their answers are timed as well.
const MANY: u64 = 1_000_000;

/// What is wrong with how a question was answered.
fn judge(question: &Question, most: u64, plans: Vec<Plan>) -> Vec<String> {
    let name = &question.name;
    if plans.is_empty() {
        return vec![format!("{name}: nothing was explained")];
    }
    let wrong = |plan: &Plan| {
        let Cost { rows, scanned, sorted, pages } = plan.cost();
        (rows > most || sorted > most || pages > MOST_PAGES).then(|| {
            format!(
                "{name}: {rows} rows where {most} would do, {scanned} of them by reading a table; {sorted} put in \
                 order; {pages} pages\n{}",
                plan.told()
            )
        })
    };
    plans.iter().filter_map(wrong).collect()
}

/// Says how long answers take.
async fn time(asked: &Asked, question: &Question) {
    let mut took = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        question.ask(asked).await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let millis = |place: usize| took[took.len() * place / 100].as_secs_f64() * 1000.0;
    figures(format_args!("{}: {:.1} ms, 95 % within {:.1} ms", question.name, millis(50), millis(95)));
}

#[tokio::test]
#[ignore = "long: tests/soak runs it"]
async fn no_question_reads_what_it_is_not_about() {
    let rows = setting("HOOKYARD_ROWS").unwrap_or(300_000);
    let filled = Filled::with(rows, if rows >= MANY { rows } else { rows / 5 }).await;
    if rows >= MANY {
        let asked = Asked::of(&filled).await;
        for question in questions(&asked).iter().chain(&claims(&asked)) {
            time(&asked, question).await;
        }
    }
    filled.explain().await;
    let asked = Asked::of(&filled).await;
    let _opening = filled.plans();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for question in questions(&asked).into_iter().chain(claims(&asked)).chain(changes(&asked)) {
        for _ in 0..question.often {
            let bound = question.ask(&asked).await;
            wrong.extend(judge(&question, question.most(bound), filled.plans()));
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The control: what has no index, what is put in order and what is looked for among
/// others is noticed.
#[tokio::test]
async fn a_question_without_an_index_is_noticed() {
    let filled = Filled::with(35_000, 5_000).await;
    filled.explain().await;
    let newest = "SELECT id FROM events WHERE tenant_id = tenant_id(0) ORDER BY id DESC LIMIT 50";
    for (statement, why, found) in [
        ("SELECT id FROM events WHERE type = 'none' ORDER BY id DESC LIMIT 50", "all are read", 1),
        (&newest.replace("ORDER", "AND type = 'none' ORDER"), "the tenant's are looked at", 1),
        (&newest.replace("ORDER BY id", "ORDER BY received_at"), "all are put in order", 1),
        (newest, "the newest are read", 0),
    ] {
        let _before = filled.plans();
        filled.run(statement).await;
        assert_eq!(judge(&Question::named(why), 1_000, filled.plans()).len(), found, "{why}");
    }
}
