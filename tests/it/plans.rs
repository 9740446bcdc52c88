//! What the server reads on PostgreSQL, with many rows: no list reads a table, and what
//! upkeep does for a few rows reads a few. Each question goes through the store as the
//! API asks it, and the server itself says what it did.
//!
//! By itself with 100,000 rows; `tests/soak` has ten million, and its figures are in
//! `host/docs/sizing.md`.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookyard::domain::database::Durability;
use hookyard::domain::id::{DeliveryId, EndpointId, EventId, RequestId, SourceId, TenantId};
use hookyard::domain::time::Timestamp;
use hookyard::store::postgres::PostgresStore;
use hookyard::store::seal::Seal;
use hookyard::store::{Catalog, Keeping as _, Ledger, People};
use hookyard_tests::postgres::{Cluster, Database};
use hookyard_tests::{figures, setting};

use self::plan::{Cost, EXPLAINING, explain_all, plans};
use self::questions::{Question, changes, claims, questions};

mod plan;
mod questions;

/// Days that are over; today is not one of them.
const DAYS: u64 = 35;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Pages that a statement may look at, whatever it looks for: of ten million rows one
/// that reads a table looks at hundreds of thousands.
const MOST_PAGES: u64 = 60_000;
/// Asked so often, PostgreSQL may have made one plan for all values.
const OFTEN: usize = 7;

/// A database with rows in it.
struct Filled {
    cluster: Cluster,
    database: Database,
    /// The first moment of the first day.
    begin: Timestamp,
    /// The first moment of today, and of what waits.
    today: Timestamp,
}

/// The store, and what there is to be asked about.
struct Asked {
    catalog: Arc<dyn Catalog>,
    ledger: Arc<dyn Ledger>,
    people: Arc<dyn People>,
    begin: Timestamp,
    today: Timestamp,
    /// Has six tenths of all; what is not delivered, a subject and a source it only had
    /// on the first day.
    large: TenantId,
    /// Has two tenths.
    other: TenantId,
    small: TenantId,
    nobody: TenantId,
    busy_endpoint: EndpointId,
    quiet_endpoint: EndpointId,
    /// Where most of what waits waits.
    waiting_endpoint: EndpointId,
    ordered_endpoint: EndpointId,
    busy_source: SourceId,
    quiet_source: SourceId,
    /// In the middle of all.
    event: EventId,
    delivery: DeliveryId,
    request: RequestId,
}

impl Asked {
    /// When so much of all had happened.
    fn at(&self, part: f64) -> Timestamp {
        let all = (self.today.as_millis() - self.begin.as_millis()) as f64;
        Timestamp::from_millis(self.begin.as_millis() + (all * part) as i64)
    }

    /// When all that waits is due.
    fn soon(&self) -> Timestamp {
        self.today + Duration::from_secs(2 * 60 * 60)
    }
}

impl Filled {
    /// So many events with all that hangs on them, and as many that wait as is said.
    async fn with(rows: u64, waiting: u64) -> Self {
        let cluster = Cluster::start_with(EXPLAINING).await;
        let database = cluster.database().await;
        let days_end =
            hookyard::domain::usage::day(hookyard::clock::Clock::now(&hookyard::clock::SystemClock)) * DAY_MILLIS;
        let (begin, today) =
            (Timestamp::from_millis(days_end - DAYS as i64 * DAY_MILLIS), Timestamp::from_millis(days_end));
        let filled = Self { cluster, database, begin, today };
        let store = filled.open().await;
        for day in (0..DAYS as i64).step_by(2) {
            store.make_days(Timestamp::from_millis(begin.as_millis() + day * DAY_MILLIS)).await.expect("there is room");
        }
        store.close().await;
        filled.fill(rows / DAYS, waiting).await;
        filled
    }

    async fn fill(&self, a_day: u64, waiting: u64) {
        let (database, begin, today) = (&self.database, self.begin.as_millis(), self.today.as_millis());
        database.psql(include_str!("plans/rows.sql")).await;
        database.psql("CALL fill_catalogue()").await;
        for day in 0..DAYS {
            let day_begin = begin + day as i64 * DAY_MILLIS;
            database.psql(&format!("CALL fill_day({day_begin}, {}, {a_day})", day * a_day)).await;
        }
        database.psql(&format!("CALL fill_waiting({today}, {waiting})")).await;
        database.psql(&format!("CALL fill_rest({today}, {})", waiting.min(200_000))).await;
        // As automatic vacuums leave them: what is cut into days has figures of each day,
        // and none of its own.
        const LEAVES: &str = "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        let leaves = database.psql(LEAVES).await;
        database.psql(&format!("VACUUM (ANALYZE) {leaves}")).await;
        let parents = "requests, events, deliveries, deliveries_rested, messages, attempts";
        let known =
            format!("SELECT count(*) FROM pg_statistic WHERE starelid IN (SELECT unnest('{{{parents}}}'::regclass[]))");
        assert_eq!(database.psql(&known).await, "0");
    }

    async fn open(&self) -> PostgresStore {
        let url = self.database.url().parse().expect("a server's URL");
        PostgresStore::open(&url, Seal::new([7; 32]), Durability::Required).await.expect("it opens")
    }

    async fn asked(&self) -> Asked {
        const NAMES: &str = "SELECT tenant_id(0), tenant_id(1), tenant_id(7), endpoint_id(0, 0), endpoint_id(0, 199),
            endpoint_id(0, 1), endpoint_id(0, 150), source_id(0, 0), source_id(0, 9)";
        let store = Arc::new(self.open().await);
        let names = self.database.psql(NAMES).await;
        let names: Vec<&str> = names.split('|').collect();
        fn id<T: FromStr>(text: &str) -> T {
            text.parse().unwrap_or_else(|_| panic!("{text} is no such id"))
        }
        let middle = (self.begin.as_millis() + self.today.as_millis()) / 2;
        let one = async |table: &str, floor: String| {
            let sql = format!(
                "SELECT id FROM {table} WHERE tenant_id = tenant_id(0) AND id >= '{floor}' ORDER BY id LIMIT 1"
            );
            self.database.psql(&sql).await
        };
        let middle = Timestamp::from_millis(middle);
        Asked {
            catalog: store.clone(),
            ledger: store.clone(),
            people: store,
            begin: self.begin,
            today: self.today,
            large: id(names[0]),
            other: id(names[1]),
            small: id(names[2]),
            nobody: TenantId::floor(self.today),
            busy_endpoint: id(names[3]),
            quiet_endpoint: id(names[4]),
            waiting_endpoint: id(names[5]),
            ordered_endpoint: id(names[6]),
            busy_source: id(names[7]),
            quiet_source: id(names[8]),
            event: id(&one("events", EventId::floor(middle).to_string()).await),
            delivery: id(&one("deliveries", DeliveryId::floor(middle).to_string()).await),
            request: id(&one("requests", RequestId::floor(middle).to_string()).await),
        }
    }

    /// What is wrong with how a question was answered.
    fn judge(&self, question: &Question, most: u64) -> Vec<String> {
        let told = plans(&self.cluster);
        let mut wrong = Vec::new();
        if told.is_empty() {
            wrong.push(format!("{}: nothing was explained", question.name));
        }
        for plan in told {
            let Cost { rows, scanned, sorted, pages } = plan.cost();
            if rows > most || sorted > most || pages > MOST_PAGES {
                wrong.push(format!(
                    "{}: {rows} rows ({scanned} by reading a table), {sorted} put in order, {pages} pages; at most {most} rows\n{}",
                    question.name,
                    plan.told(),
                ));
            }
        }
        wrong
    }
}

/// Of each question: how long its answers took, in order.
async fn time(asked: &Asked, questions: &[Question]) -> Vec<(String, Vec<Duration>)> {
    let mut times = Vec::new();
    for question in questions {
        let mut took = Vec::new();
        for _ in 0..20 {
            let began = Instant::now();
            question.ask(asked).await;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        times.push((question.name.clone(), took));
    }
    times
}

#[tokio::test]
async fn no_question_reads_what_it_is_not_about() {
    let rows = setting("HOOKYARD_ROWS").unwrap_or(100_000);
    let filled = Filled::with(rows, if rows > 1_000_000 { rows } else { rows / 5 }).await;
    let timed = rows > 1_000_000;
    if timed {
        let asked = filled.asked().await;
        let all: Vec<Question> = questions(&asked).into_iter().chain(claims(&asked)).collect();
        for (name, took) in time(&asked, &all).await {
            let millis = |place: usize| took[took.len() * place / 100].as_secs_f64() * 1000.0;
            figures(format_args!("{name}: {:.1} ms, 95 % within {:.1} ms", millis(50), millis(95)));
        }
    }
    explain_all(&filled.cluster, filled.database.name()).await;
    let asked = filled.asked().await;
    let _opening = plans(&filled.cluster);
    let mut wrong = Vec::new();
    let mut count = 0;
    for question in questions(&asked).into_iter().chain(claims(&asked)).chain(changes(&asked)) {
        for _ in 0..question.often(OFTEN) {
            let bound = question.ask(&asked).await;
            wrong.extend(filled.judge(&question, question.most(bound)));
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The control: what has no index, what is sorted and what is looked for among others
/// is noticed.
#[tokio::test]
async fn a_question_without_an_index_is_noticed() {
    let filled = Filled::with(35_000, 5_000).await;
    explain_all(&filled.cluster, filled.database.name()).await;
    for (statement, why) in [
        ("SELECT id FROM events WHERE type = 'none' ORDER BY id DESC LIMIT 50", "a table is read"),
        (
            "SELECT id FROM events WHERE tenant_id = tenant_id(0) AND type = 'none' ORDER BY id DESC LIMIT 50",
            "others are looked at",
        ),
        ("SELECT id FROM events WHERE tenant_id = tenant_id(0) ORDER BY received_at LIMIT 50", "all are put in order"),
    ] {
        let _before = plans(&filled.cluster);
        filled.database.psql(statement).await;
        let question = Question::named(why);
        assert_eq!(filled.judge(&question, 1_000).len(), 1, "{why}");
    }
    let _before = plans(&filled.cluster);
    filled.database.psql("SELECT id FROM events WHERE tenant_id = tenant_id(0) ORDER BY id DESC LIMIT 50").await;
    assert_eq!(filled.judge(&Question::named("the newest"), 1_000), Vec::<String>::new());
}
