//! Days: tables that grow with what happens are cut into days (UTC), by the ids in
//! them. Days are made before they come, and one of which all is old is dropped and
//! not deleted row by row. What is old is not decided here.
//!
//! Days are made and dropped under locks that others wait for. So each is a
//! transaction of its own, and one that does not get its locks at once gives up: the
//! next beat of upkeep asks again.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::{PostgresStore, fault, words};
use crate::domain::id::{DeliveryId, EventId, RequestId};
use crate::domain::time::Timestamp;
use crate::domain::usage::{self, Day};
use crate::store::StoreError;
use crate::store::keeping::{DroppedDays, Old};

/// Today and those that are made before they come: while no host gets to it for three
/// days, nothing lands in the tables for other days.
const AHEAD: u32 = 4;
/// What a host that starts needs at once.
const AT_START: u32 = 2;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Rows of a day that came before the day was made, and are moved to it. Writers
/// wait meanwhile: more stay where they are.
const MOVED: i64 = 10_000;
/// Deliveries that are deleted in one transaction.
const PORTION: i64 = 1_000;
/// For a lock that others wait behind. Four of them are taken, and all four waits
/// together are shorter than PostgreSQL's wait for a deadlock (a second): where there
/// is one, it is this that gives up and not somebody's batch.
const SHORT_WAIT: &str = "SET LOCAL lock_timeout = '200ms'";
/// For a lock that no reader or writer waits behind: longer than the second after
/// which an automatic vacuum gives way.
const LONG_WAIT: &str = "SET LOCAL lock_timeout = '3s'";
/// One host at a time makes or drops days. Any number that no other lock has.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(7205759403792793)";

impl PostgresStore {
    pub(super) const HAS_DAYS: bool = true;

    pub(super) async fn make_days_ahead(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut conn = self.changing.acquire().await?;
        make(&mut conn, usage::day(now), AHEAD).await
    }

    pub(super) async fn drop_days_before(&self, old: Old) -> Result<DroppedDays, StoreError> {
        let mut conn = self.changing.acquire().await?;
        let mut came_to = DroppedDays::default();
        for (past, before) in
            [(Past::Requests, old.requests), (Past::Events, old.events), (Past::Attempts, old.attempts)]
        {
            if let Some(before) = before {
                let dropped = drop_before(&mut conn, past, before).await?;
                came_to.dropped += dropped.dropped;
                came_to.stay += dropped.stay;
            }
        }
        Ok(came_to)
    }
}

/// For a host that starts, by the server's clock: today and tomorrow. Where that does
/// not go, the host starts all the same, and upkeep makes them.
pub(super) async fn make_first(conn: &mut PgConnection) {
    const NOW: &str = "SELECT (extract(epoch FROM now()) * 1000)::bigint";
    let made = async {
        let now = Timestamp::from_millis(sqlx::query_scalar(NOW).fetch_one(&mut *conn).await?);
        make(conn, usage::day(now), AT_START).await
    };
    if let Err(error) = made.await {
        tracing::warn!(error = ?error, "today's tables could not be made yet");
    }
}

/// A table that is cut into days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Requests,
    Events,
    /// Those that have come to rest; what is pending is never old.
    Deliveries,
    Messages,
    Attempts,
}

impl Table {
    const ALL: [Self; 5] = [Self::Requests, Self::Events, Self::Deliveries, Self::Messages, Self::Attempts];

    /// The table's name, with which its days' names begin.
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Events => "events",
            Self::Deliveries => "deliveries_rested",
            Self::Messages => "messages",
            Self::Attempts => "attempts",
        }
    }

    /// The column whose ids say of which day a row is.
    fn column(self) -> &'static str {
        match self {
            Self::Requests | Self::Events | Self::Deliveries => "id",
            // They go with their delivery, whenever they were made.
            Self::Messages | Self::Attempts => "delivery_id",
        }
    }

    /// The day's first id, and the next day's.
    fn bounds(self, day: Day) -> (String, String) {
        (self.floor(begin(day)), self.floor(begin(day + 1)))
    }

    /// What the day is called: `events_2026_11_30`.
    fn partition(self, day: Day) -> String {
        let date = begin(day).in_seconds().replace('-', "_");
        format!("{}_{}", self.name(), date.split('T').next().unwrap_or_default())
    }

    /// The statements that make the day: a table that nobody knows yet, and its
    /// becoming a part of this one. Not `CREATE TABLE ... PARTITION OF`, for which
    /// whoever reads or writes this table would have to wait; for this only whoever
    /// reads its `other_days`.
    fn creation(self, day: Day) -> [String; 2] {
        let (table, partition) = (self.name(), self.partition(day));
        let (from, to) = self.bounds(day);
        [
            format!(
                "CREATE TABLE {partition} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION)"
            ),
            format!("ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{from}') TO ('{to}')"),
        ]
    }

    /// The day that has the name.
    fn day(self, partition: &str) -> Option<Day> {
        let date = partition.strip_prefix(self.name())?.strip_prefix('_')?.replace('_', "-");
        let at: Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
        Some(usage::day(at))
    }

    fn floor(self, at: Timestamp) -> String {
        match self {
            Self::Requests => RequestId::floor(at).to_string(),
            Self::Events => EventId::floor(at).to_string(),
            Self::Deliveries | Self::Messages | Self::Attempts => DeliveryId::floor(at).to_string(),
        }
    }
}

/// What is kept for one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Requests,
    /// With their deliveries, messages and attempts.
    Events,
    Attempts,
}

impl Past {
    fn tables(self) -> &'static [Table] {
        match self {
            Self::Requests => &[Table::Requests],
            Self::Events => &[Table::Events, Table::Deliveries, Table::Messages, Table::Attempts],
            Self::Attempts => &[Table::Attempts],
        }
    }
}

/// When a day begins.
fn begin(day: Day) -> Timestamp {
    Timestamp::from_millis(day.saturating_mul(DAY_MILLIS))
}

/// Makes those of `count` days from `from` on that are missing and can be made now.
/// Safe when several hosts do it at once.
pub(super) async fn make(conn: &mut PgConnection, from: Day, count: u32) -> Result<(), StoreError> {
    for table in Table::ALL {
        let made = days(conn, table).await?;
        for day in (from..from + i64::from(count)).filter(|day| !made.contains(day)) {
            unless_busy(make_one(conn, table, day).await)?;
        }
    }
    Ok(())
}

/// Drops the days that are wholly before `before` and that nobody needs.
///
/// An event's later deliveries go with it, also those that are younger than
/// `before`: somebody's replay must not hold back everybody's day.
async fn drop_before(conn: &mut PgConnection, past: Past, before: Timestamp) -> Result<DroppedDays, StoreError> {
    let mut old = Vec::new();
    for table in past.tables() {
        old.extend(days(conn, *table).await?);
    }
    old.retain(|day| *day < usage::day(before));
    old.sort_unstable();
    old.dedup();
    let mut came_to = DroppedDays::default();
    for day in old {
        match unless_busy(drop_one(conn, past, day).await)? {
            Some(true) => came_to.dropped += 1,
            Some(false) | None => came_to.stay += 1,
        }
    }
    Ok(came_to)
}

/// The days that a table has.
async fn days(conn: &mut PgConnection, table: Table) -> Result<Vec<Day>, StoreError> {
    const PARTITIONS: &str = "
        SELECT relname::text AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = to_regclass($1)";
    let rows = sqlx::query(PARTITIONS).bind(table.name()).fetch_all(conn).await?;
    let mut days = Vec::with_capacity(rows.len());
    for row in &rows {
        // All but the one for other days.
        days.extend(table.day(row.try_get("name")?));
    }
    Ok(days)
}

/// Nothing when so many rows of the day are in the table's `other_days` that moving
/// them would keep writers waiting: the day then has no table of its own, its rows are
/// found a little slower, and go one by one when they are old.
async fn make_one(conn: &mut PgConnection, table: Table, day: Day) -> Result<(), StoreError> {
    let mut making = conn.begin_with(words::BEGIN).await?;
    run(&mut making, LONG_WAIT).await?;
    run(&mut making, ONE_AT_A_TIME).await?;
    if days(&mut making, table).await?.contains(&day) {
        return Ok(());
    }
    let [create, attach] = table.creation(day);
    run(&mut making, create).await?;
    run(&mut making, SHORT_WAIT).await?;
    if !move_early(&mut making, table, day).await? {
        tracing::warn!(day = table.partition(day), "too many rows are there already for the day to be made");
        return Ok(());
    }
    run(&mut making, attach).await?;
    making.commit().await?;
    Ok(())
}

/// Moves rows of the day that came before it. Answers whether none is left: they
/// are of a time when nobody made days, or of a clock that is wrong.
async fn move_early(conn: &mut PgConnection, table: Table, day: Day) -> Result<bool, StoreError> {
    let (name, column, partition) = (table.name(), table.column(), table.partition(day));
    let (from, to) = table.bounds(day);
    let early = format!("{name}_other_days WHERE {column} >= '{from}' AND {column} < '{to}'");
    // Nobody adds one between the move and the day's becoming known.
    run(conn, format!("LOCK TABLE {name}_other_days IN SHARE ROW EXCLUSIVE MODE")).await?;
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM {early} LIMIT {}) AS early", MOVED + 1);
    let found: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *conn).await?;
    if found > MOVED {
        return Ok(false);
    }
    if found > 0 {
        let moving =
            format!("WITH early AS (DELETE FROM {early} RETURNING *) INSERT INTO {partition} SELECT * FROM early");
        run(conn, moving).await?;
    }
    Ok(true)
}

/// Answers no when somebody needs the day.
async fn drop_one(conn: &mut PgConnection, past: Past, day: Day) -> Result<bool, StoreError> {
    if is_needed(conn, past, day).await? {
        return Ok(false);
    }
    if past == Past::Events {
        while delete_later(conn, day).await? {}
    }
    let mut dropping = conn.begin_with(words::BEGIN).await?;
    run(&mut dropping, LONG_WAIT).await?;
    run(&mut dropping, ONE_AT_A_TIME).await?;
    let mut partitions = Vec::new();
    for table in past.tables() {
        if days(&mut dropping, *table).await?.contains(&day) {
            partitions.push(table.partition(day));
        }
    }
    if partitions.is_empty() {
        return Ok(true);
    }
    let partitions = partitions.join(", ");
    // An automatic vacuum of the day ends before anybody has to wait.
    run(&mut dropping, format!("LOCK TABLE {partitions} IN SHARE UPDATE EXCLUSIVE MODE")).await?;
    run(&mut dropping, SHORT_WAIT).await?;
    // From here on nobody reads an event in order to make a delivery of it, and what
    // was made of one before is seen.
    let tables: Vec<String> = past.tables().iter().map(|table| format!("ONLY {}", table.name())).collect();
    run(&mut dropping, format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "))).await?;
    let is_held = is_needed(&mut dropping, past, day).await?
        || (past == Past::Events && !later(&mut dropping, day).await?.0.is_empty());
    if is_held {
        return Ok(false);
    }
    run(&mut dropping, format!("DROP TABLE {partitions}")).await?;
    dropping.commit().await?;
    Ok(true)
}

/// Whether something is pending that was made of the day's events, or on the day; or a
/// replay that is under way has not come past it.
async fn is_needed(conn: &mut PgConnection, past: Past, day: Day) -> Result<bool, StoreError> {
    const OF_EVENTS: &str = "SELECT EXISTS (SELECT 1 FROM deliveries_pending WHERE event_id >= $1 AND event_id < $2)";
    // Tenant by tenant: there is no index that has ids alone.
    const OF_THE_DAY: &str = "
        SELECT EXISTS (SELECT 1 FROM tenants CROSS JOIN LATERAL (
            SELECT 1 FROM deliveries_pending WHERE tenant_id = tenants.id AND id >= $1 AND id < $2 LIMIT 1) AS one)";
    const REPLAYED: &str = "
        SELECT EXISTS (SELECT 1 FROM replays WHERE state = 'running' AND (after IS NULL OR after < $1)
            AND until > $2 AND coalesce(since, 0) < $3)";
    if past == Past::Requests {
        return Ok(false);
    }
    let (from, next) = Table::Deliveries.bounds(day);
    if sqlx::query_scalar(OF_THE_DAY).bind(from).bind(next.as_str()).fetch_one(&mut *conn).await? {
        return Ok(true);
    }
    if past == Past::Attempts {
        return Ok(false);
    }
    let replayed = sqlx::query_scalar(REPLAYED).bind(next).bind(begin(day).as_millis());
    if replayed.bind(begin(day + 1).as_millis()).fetch_one(&mut *conn).await? {
        return Ok(true);
    }
    let (from, to) = Table::Events.bounds(day);
    Ok(sqlx::query_scalar(OF_EVENTS).bind(from).bind(to).fetch_one(conn).await?)
}

/// Some deliveries that were made of the day's events on a later day: their tenants
/// and their ids.
async fn later(conn: &mut PgConnection, day: Day) -> Result<(Vec<String>, Vec<String>), StoreError> {
    const LATER: &str = "
        SELECT tenant_id, id FROM deliveries_rested WHERE event_id >= $1 AND event_id < $2 AND id >= $3 ORDER BY id LIMIT $4
        FOR UPDATE";
    let (from, to) = Table::Events.bounds(day);
    let (_, next) = Table::Deliveries.bounds(day);
    let find = sqlx::query(LATER).bind(from).bind(to).bind(next).bind(PORTION);
    let rows = find.fetch_all(conn).await?;
    let (mut tenants, mut ids) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        tenants.push(row.try_get("tenant_id")?);
        ids.push(row.try_get("id")?);
    }
    Ok((tenants, ids))
}

/// Deletes some of them, what hangs on a delivery before the delivery. Answers
/// whether there may be more.
async fn delete_later(conn: &mut PgConnection, day: Day) -> Result<bool, StoreError> {
    // The last condition spares the days before theirs.
    const DELETE: [&str; 3] = [
        "DELETE FROM attempts USING unnest($1::text[], $2::text[]) AS late (tenant_id, id)
         WHERE attempts.delivery_id = late.id AND attempts.tenant_id = late.tenant_id AND delivery_id >= $3",
        "DELETE FROM messages USING unnest($1::text[], $2::text[]) AS late (tenant_id, id)
         WHERE messages.delivery_id = late.id AND messages.tenant_id = late.tenant_id AND delivery_id >= $3",
        "DELETE FROM deliveries_rested USING unnest($1::text[], $2::text[]) AS late (tenant_id, id)
         WHERE deliveries_rested.id = late.id AND deliveries_rested.tenant_id = late.tenant_id
             AND deliveries_rested.id >= $3",
    ];
    let mut deleting = conn.begin_with(words::BEGIN).await?;
    // Somebody may be retrying one of them.
    run(&mut deleting, SHORT_WAIT).await?;
    let (tenants, ids) = later(&mut deleting, day).await?;
    if ids.is_empty() {
        return Ok(false);
    }
    let (_, next) = Table::Deliveries.bounds(day);
    for statement in DELETE {
        let delete = sqlx::query(statement).bind(&tenants).bind(&ids).bind(&next);
        delete.execute(&mut *deleting).await?;
    }
    deleting.commit().await?;
    Ok(ids.len() as i64 == PORTION)
}

async fn run(conn: &mut PgConnection, statement: impl Into<String>) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statement.into())).execute(conn).await?;
    Ok(())
}

/// Nothing where others had the locks.
fn unless_busy<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if fault::is_to_be_repeated(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = 20_787;

    #[test]
    fn a_day_is_called_by_its_date_and_found_by_it() {
        assert_eq!(Table::Events.partition(DAY), "events_2026_11_30");
        assert_eq!(Table::Deliveries.partition(DAY), "deliveries_rested_2026_11_30");
        assert_eq!(Table::Requests.partition(0), "requests_1970_01_01");
        for table in Table::ALL {
            for day in [0, 58, 59, 11_016, DAY, DAY + 1, 100_000] {
                assert_eq!(table.day(&table.partition(day)), Some(day));
            }
            assert_eq!(table.day(&format!("{}_other_days", table.name())), None);
        }
        assert_eq!(Table::Events.day("attempts_2026_11_30"), None);
    }

    #[test]
    fn every_id_of_a_day_is_within_its_bounds_and_no_other() {
        let first = begin(DAY);
        let last = Timestamp::from_millis(begin(DAY + 1).as_millis() - 1);
        let before = Timestamp::from_millis(first.as_millis() - 1);
        for table in Table::ALL {
            let (from, to) = table.bounds(DAY);
            let is_in = |id: String| from <= id && id < to;
            assert!(is_in(table.floor(first)) && is_in(table.floor(last)), "{table:?}");
            assert!(!is_in(table.floor(before)) && !is_in(table.floor(begin(DAY + 1))), "{table:?}");
        }
        // The last id that an event of the day can have.
        let (from, to) = Table::Events.bounds(DAY);
        let id = <EventId as crate::domain::id::TypedId>::new(last, [255; 10]).to_string();
        assert!(from < id && id < to);
    }

    #[test]
    fn days_follow_each_other_without_a_gap() {
        for table in Table::ALL {
            assert_eq!(table.bounds(DAY).1, table.bounds(DAY + 1).0);
        }
    }

    #[test]
    fn a_day_is_made_as_a_table_and_becomes_a_part() {
        let [create, attach] = Table::Attempts.creation(DAY);
        assert!(create.starts_with("CREATE TABLE attempts_2026_11_30 (LIKE attempts "), "{create}");
        let (from, to) = Table::Messages.bounds(DAY);
        let end = format!("ATTACH PARTITION attempts_2026_11_30 FOR VALUES FROM ('{from}') TO ('{to}')");
        assert_eq!(attach, format!("ALTER TABLE attempts {end}"));
    }
}
