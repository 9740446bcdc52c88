//! A database with many rows, and what there is to be asked about.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hookyard::clock::{Clock as _, SystemClock};
use hookyard::domain::database::Durability;
use hookyard::domain::id::{DeliveryId, EndpointId, EventId, RequestId, SourceId, TenantId};
use hookyard::domain::time::Timestamp;
use hookyard::domain::usage;
use hookyard::store::postgres::PostgresStore;
use hookyard::store::seal::Seal;
use hookyard::store::{Catalog, Keeping as _, Ledger, People};
use hookyard_tests::postgres::{Cluster, Database};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::plan::{EXPLAINING, Plan, parse};

/// Days that are over; today is not one of them.
const DAYS: u64 = 35;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A database with rows in it.
pub(super) struct Filled {
    url: String,
    /// Where its server logs.
    log: PathBuf,
    /// The first moment of the first day.
    begin: Timestamp,
    /// The first moment of today, and of what waits.
    today: Timestamp,
    _running: (Database, Cluster),
}

impl Filled {
    /// So many events with all that hangs on them, and as many that wait as is said.
    pub(super) async fn with(rows: u64, waiting: u64) -> Self {
        let cluster = Cluster::start_with(EXPLAINING).await;
        let database = cluster.database().await;
        let today = usage::day(SystemClock.now()) * DAY_MILLIS;
        let filled = Self {
            url: database.url().to_owned(),
            log: cluster.directory().join("log"),
            begin: Timestamp::from_millis(today - DAYS as i64 * DAY_MILLIS),
            today: Timestamp::from_millis(today),
            _running: (database, cluster),
        };
        let store = filled.open().await;
        for day in (0..DAYS as i64).step_by(2) {
            let day = Timestamp::from_millis(filled.begin.as_millis() + day * DAY_MILLIS);
            store.make_days(day).await.expect("there is room");
        }
        store.close().await;
        filled.fill(rows / DAYS, waiting).await;
        filled
    }

    async fn fill(&self, a_day: u64, waiting: u64) {
        // As automatic vacuums leave them: what is cut into days has figures of each day,
        // and none of its own.
        const LEAVES: &str = "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        const OF_ALL_DAYS: &str = "SELECT count(*)::text FROM pg_statistic WHERE starelid IN (SELECT unnest(
            '{requests, events, deliveries, deliveries_rested, messages, attempts}'::regclass[]))";
        let (begin, today) = (self.begin.as_millis(), self.today.as_millis());
        self.run(include_str!("rows.sql")).await;
        self.run("CALL fill_catalogue()").await;
        for day in 0..DAYS {
            let day_begin = begin + day as i64 * DAY_MILLIS;
            self.run(&format!("CALL fill_day({day_begin}, {}, {a_day})", day * a_day)).await;
        }
        self.run(&format!("CALL fill_waiting({today}, {waiting})")).await;
        self.run(&format!("CALL fill_rest({today}, {})", waiting.min(200_000))).await;
        let leaves = self.ask(LEAVES).await;
        self.run(&format!("VACUUM (ANALYZE) {leaves}")).await;
        assert_eq!(self.ask(OF_ALL_DAYS).await, "0");
    }

    pub(super) async fn open(&self) -> PostgresStore {
        let url = self.url.parse().expect("a server's URL");
        PostgresStore::open(&url, Seal::new([7; 32]), Durability::Required).await.expect("it opens")
    }

    /// From here on whatever a new connection asks is explained in the log.
    pub(super) async fn explain(&self) {
        let name = self.ask("SELECT current_database()::text").await;
        self.run(&format!("ALTER DATABASE {name} SET auto_explain.log_min_duration = 0")).await;
    }

    /// What was explained since the last time. A statement's plan is written before its
    /// answer goes.
    pub(super) fn plans(&self) -> Vec<Plan> {
        taken(&self.log)
    }

    pub(super) async fn run(&self, statements: &str) {
        let mut conn = self.connected().await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut conn).await.expect("they can be run");
    }

    pub(super) async fn ask(&self, statement: &str) -> String {
        let mut conn = self.connected().await;
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&mut conn).await.expect("it answers")
    }

    async fn connected(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the server runs")
    }
}

/// What is in a log, which is emptied.
fn taken(log: &Path) -> Vec<Plan> {
    let text = fs::read_to_string(log).expect("it is there");
    let file = fs::File::options().write(true).open(log).expect("it is there");
    file.set_len(0).expect("it can be written");
    parse(&text)
}

/// The store, and what there is to be asked about.
pub(super) struct Asked {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) people: Arc<dyn People>,
    pub(super) begin: Timestamp,
    pub(super) today: Timestamp,
    /// Has six tenths of all; what is not delivered, a subject and a source it only had
    /// on the first day.
    pub(super) large: TenantId,
    /// Has two tenths.
    pub(super) other: TenantId,
    pub(super) small: TenantId,
    pub(super) nobody: TenantId,
    pub(super) busy_endpoint: EndpointId,
    pub(super) quiet_endpoint: EndpointId,
    /// Where most of what waits waits.
    pub(super) waiting_endpoint: EndpointId,
    pub(super) ordered_endpoint: EndpointId,
    pub(super) busy_source: SourceId,
    pub(super) quiet_source: SourceId,
    /// In the middle of all.
    pub(super) event: EventId,
    pub(super) delivery: DeliveryId,
    pub(super) request: RequestId,
}

impl Asked {
    pub(super) async fn of(filled: &Filled) -> Self {
        const NAMES: &str = "SELECT concat_ws('|', tenant_id(0), tenant_id(1), tenant_id(7), endpoint_id(0, 0),
            endpoint_id(0, 199), endpoint_id(0, 1), endpoint_id(0, 150), source_id(0, 0), source_id(0, 9))";
        let store = Arc::new(filled.open().await);
        let names = filled.ask(NAMES).await;
        let names: Vec<&str> = names.split('|').collect();
        let middle = Timestamp::from_millis(i64::midpoint(filled.begin.as_millis(), filled.today.as_millis()));
        let one = async |table: &str, floor: String| {
            let sql = format!(
                "SELECT id FROM {table} WHERE tenant_id = tenant_id(0) AND id >= '{floor}' ORDER BY id LIMIT 1"
            );
            filled.ask(&sql).await
        };
        Self {
            catalog: store.clone(),
            ledger: store.clone(),
            people: store,
            begin: filled.begin,
            today: filled.today,
            large: id(names[0]),
            other: id(names[1]),
            small: id(names[2]),
            nobody: TenantId::floor(filled.today),
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

    /// When so much of all had happened.
    pub(super) fn at(&self, part: f64) -> Timestamp {
        let all = (self.today.as_millis() - self.begin.as_millis()) as f64;
        Timestamp::from_millis(self.begin.as_millis() + (all * part) as i64)
    }

    /// When all that waits is due.
    pub(super) fn soon(&self) -> Timestamp {
        self.today + Duration::from_secs(2 * 60 * 60)
    }
}

fn id<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is no such id"))
}
