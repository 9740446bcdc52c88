//! Numbers.

use std::sync::LazyLock;

use sqlx::AssertSqlSafe;

use super::db::{Connection, Pool};
use super::rows::Columns;
use super::{Store, listing};
use crate::domain::activity::{Bucket, Latencies};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::figures::{Figures, LOOKED_AT, Queue, Vitals};
use crate::store::text::id_text;
use crate::store::{Reply, StoreError};

/// The columns that add up.
const COUNTS: [&str; 19] = [
    "events",
    "delivered",
    "dead",
    "dropped",
    "attempts",
    "failed",
    "within_5",
    "within_10",
    "within_20",
    "within_50",
    "within_100",
    "within_200",
    "within_500",
    "within_1000",
    "within_2000",
    "within_5000",
    "within_10000",
    "within_30000",
    "beyond",
];
/// Of these, those before the attempts' times.
const PLAIN: usize = 6;

pub(crate) const DEAD: &str = concat!(
    "SELECT count(*) AS found FROM (SELECT 1 FROM deliveries",
    by!("deliveries_dead"),
    " WHERE tenant_id = $1 AND state = 'dead' AND updated_at >= $2 ORDER BY updated_at LIMIT $3) AS few"
);
pub(crate) const QUARANTINED: &str = concat!(
    "SELECT count(*) AS found FROM (SELECT 1 FROM requests",
    by!("requests_by_state"),
    " WHERE tenant_id = $1 AND state >= 'quarantined' AND state <= 'quarantined' ORDER BY state LIMIT $2) AS few"
);
pub(crate) const FORGET: &str = concat!(
    "DELETE FROM activity WHERE ",
    rows!("activity", "tenant_id, at", concat!(by!("activity_by_time"), " WHERE at < $1 ORDER BY at LIMIT $2"))
);
pub(crate) const SINCE: &str = "SELECT * FROM activity WHERE tenant_id = $1 AND at >= $2 AND at < $3 ORDER BY at";

/// What is due and what is claimed, of the first that the index has.
const PENDING: &str = concat!(
    "SELECT count(*) AS looked_at, count(CASE WHEN due_at <= $1 THEN 1 END) AS due,
        count(CASE WHEN due_at > $1 AND claim IS NOT NULL THEN 1 END) AS claimed
    FROM (SELECT due_at, claim FROM deliveries",
    by!("deliveries_due"),
    " WHERE state = 'pending' AND due_at IS NOT NULL ORDER BY endpoint_id, due_at LIMIT $2) AS few"
);
/// From endpoint to endpoint through the index, as whoever claims does; of each
/// the delivery that has been due longest.
const OLDEST: &str = "
    WITH RECURSIVE lane (endpoint_id, number) AS (
        SELECT min(endpoint_id), CAST(1 AS BIGINT) FROM deliveries WHERE state = 'pending' AND due_at IS NOT NULL
        UNION ALL
        SELECT (SELECT min(endpoint_id) FROM deliveries
            WHERE state = 'pending' AND due_at IS NOT NULL AND endpoint_id > lane.endpoint_id), number + 1
        FROM lane WHERE lane.endpoint_id IS NOT NULL AND number < $2
    ), first (endpoint_id, tenant_id, due_at) AS (
        SELECT endpoint_id, (SELECT tenant_id FROM deliveries
                WHERE endpoint_id = lane.endpoint_id AND state = 'pending' AND due_at IS NOT NULL ORDER BY due_at LIMIT 1),
            (SELECT due_at FROM deliveries
                WHERE endpoint_id = lane.endpoint_id AND state = 'pending' AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)
        FROM lane WHERE endpoint_id IS NOT NULL
    )
    SELECT min(first.due_at) AS oldest FROM first JOIN endpoints
        ON endpoints.tenant_id = first.tenant_id AND endpoints.id = first.endpoint_id
    WHERE first.due_at <= $1 AND endpoints.state = 'active'";

impl Figures for Store {
    fn add_activity(&self, happened: Vec<(TenantId, Timestamp, Bucket)>) -> Reply<'_, ()> {
        self.write(move |conn| Box::pin(add(conn, happened)))
    }

    fn activity(&self, tenant: TenantId, since: Timestamp, until: Timestamp) -> Reply<'_, Vec<(Timestamp, Bucket)>> {
        Box::pin(between(&self.readers, tenant, since, until))
    }

    fn forget_activity(&self, before: Timestamp, limit: u32) -> Reply<'_, bool> {
        self.write(move |conn| {
            Box::pin(async move {
                let forget = sqlx::query(FORGET).bind(before.as_millis()).bind(i64::from(limit));
                Ok::<_, StoreError>(forget.execute(conn).await?.rows_affected() == u64::from(limit))
            })
        })
    }

    fn count_dead(&self, tenant: TenantId, since: Timestamp, most: u32) -> Reply<'_, u32> {
        Box::pin(async move {
            let count = sqlx::query(DEAD).bind(id_text(&tenant)).bind(since.as_millis()).bind(i64::from(most));
            Columns(&listing::row(&self.readers, count).await?).int::<u32>("found")
        })
    }

    fn count_quarantined(&self, tenant: TenantId, most: u32) -> Reply<'_, u32> {
        Box::pin(async move {
            let count = sqlx::query(QUARANTINED).bind(id_text(&tenant)).bind(i64::from(most));
            Columns(&listing::row(&self.readers, count).await?).int::<u32>("found")
        })
    }

    fn queue(&self, now: Timestamp) -> Reply<'_, Queue> {
        Box::pin(queue(&self.readers, now))
    }

    fn vitals(&self) -> Vitals {
        self.vital_signs()
    }
}

/// Of a tenant that was deleted meanwhile nothing is written.
async fn add(conn: &mut Connection, mut happened: Vec<(TenantId, Timestamp, Bucket)>) -> Result<(), StoreError> {
    static ADD: LazyLock<String> = LazyLock::new(|| {
        let values: Vec<String> = (3..3 + COUNTS.len()).map(|at| format!("${at}")).collect();
        let sums: Vec<String> =
            COUNTS.iter().map(|count| format!("{count} = activity.{count} + excluded.{count}")).collect();
        format!(
            "INSERT INTO activity (tenant_id, at, {}) SELECT $1, $2, {}
            WHERE EXISTS (SELECT 1 FROM tenants WHERE id = $1 AND deleted_at IS NULL)
            ON CONFLICT (tenant_id, at) DO UPDATE SET {}",
            COUNTS.join(", "),
            values.join(", "),
            sums.join(", "),
        )
    });
    // In one order: two hosts that add to the same rows would wait for each other.
    happened.sort_by_key(|(tenant, at, _)| (*tenant, *at));
    for (tenant, at, bucket) in happened {
        let mut insert = sqlx::query(AssertSqlSafe(ADD.as_str())).bind(id_text(&tenant)).bind(at.as_millis());
        for count in counts(&bucket) {
            insert = insert.bind(i64::try_from(count).unwrap_or(i64::MAX));
        }
        insert.execute(&mut *conn).await?;
    }
    Ok(())
}

async fn between(
    pool: &Pool,
    tenant: TenantId,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Timestamp, Bucket)>, StoreError> {
    let find = sqlx::query(SINCE).bind(id_text(&tenant)).bind(since.as_millis()).bind(until.as_millis());
    let found = find.fetch_all(pool).await?;
    found.iter().map(Columns).map(|row| Ok((row.at("at")?, bucket(&row)?))).collect()
}

/// In the order of [`COUNTS`].
fn counts(bucket: &Bucket) -> impl Iterator<Item = u64> {
    let Bucket { events, delivered, dead, dropped, attempts, failed, latencies } = *bucket;
    [events, delivered, dead, dropped, attempts, failed].into_iter().chain(latencies.counts)
}

fn bucket(row: &Columns<'_>) -> Result<Bucket, StoreError> {
    let mut latencies = Latencies::default();
    for (count, column) in latencies.counts.iter_mut().zip(COUNTS.into_iter().skip(PLAIN)) {
        *count = row.int(column)?;
    }
    Ok(Bucket {
        events: row.int("events")?,
        delivered: row.int("delivered")?,
        dead: row.int("dead")?,
        dropped: row.int("dropped")?,
        attempts: row.int("attempts")?,
        failed: row.int("failed")?,
        latencies,
    })
}

async fn queue(pool: &Pool, now: Timestamp) -> Result<Queue, StoreError> {
    let most = i64::from(LOOKED_AT);
    let row = listing::row(pool, sqlx::query(PENDING).bind(now.as_millis()).bind(most + 1)).await?;
    let row = Columns(&row);
    let (looked_at, due, claimed): (u32, u32, u32) = (row.int("looked_at")?, row.int("due")?, row.int("claimed")?);
    let oldest = listing::row(pool, sqlx::query(OLDEST).bind(now.as_millis()).bind(most)).await?;
    Ok(Queue {
        due,
        claimed,
        later: looked_at.saturating_sub(due + claimed),
        is_more: looked_at > LOOKED_AT,
        oldest_due: Columns(&oldest).maybe_at("oldest")?,
    })
}
