//! Claims: which endpoints have deliveries that are due, and taking some of
//! each. What waits is never counted or sorted, so that a million deliveries
//! that wait cost no more than one.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use super::sql::claimed::{Held, among};
use super::sql::rows::{self, Columns};
use crate::domain::claim::ClaimToken;
use crate::domain::id::{EndpointId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::Share;

/// SQLite joins at most 500 selections.
const SHARES_AT_ONCE: usize = 100;

/// From endpoint to endpoint through the index, two steps for each.
pub(super) async fn due(pool: &SqlitePool, now: Timestamp) -> Result<Vec<(TenantId, EndpointId)>, StoreError> {
    const DUE: &str = "
        WITH RECURSIVE lane (endpoint_id) AS (
            SELECT min(endpoint_id) FROM deliveries WHERE state = 'pending' AND due_at IS NOT NULL
            UNION ALL
            SELECT (SELECT min(endpoint_id) FROM deliveries
                WHERE state = 'pending' AND due_at IS NOT NULL AND endpoint_id > lane.endpoint_id)
            FROM lane WHERE lane.endpoint_id IS NOT NULL
        )
        SELECT endpoint_id, (SELECT tenant_id FROM deliveries
            WHERE endpoint_id = lane.endpoint_id AND state = 'pending' AND due_at IS NOT NULL AND due_at <= ?
            ORDER BY due_at LIMIT 1) AS tenant_id
        FROM lane WHERE endpoint_id IS NOT NULL";
    let rows = sqlx::query(DUE).bind(now.as_millis()).fetch_all(pool).await?;
    let lane = |row| {
        let row = Columns(row);
        let Some(tenant) = row.maybe_text("tenant_id")? else { return Ok(None) };
        let tenant = tenant.parse().map_err(|_| rows::corrupt("deliveries.tenant_id"))?;
        Ok(Some((tenant, row.parsed("endpoint_id")?)))
    };
    rows.iter().filter_map(|row| lane(row).transpose()).collect()
}

/// Claims each share; answers whose deliveries it claimed, the longest due of
/// each endpoint first. There is one writer, so nobody can come between the two
/// statements.
pub(super) async fn claim(
    conn: &mut SqliteConnection,
    now: Timestamp,
    (until, token): (Timestamp, ClaimToken),
    shares: &[Share],
) -> Result<Vec<Held>, StoreError> {
    let mut claimed = Vec::new();
    for some in shares.chunks(SHARES_AT_ONCE) {
        let mut select = QueryBuilder::<Sqlite>::new("");
        for (at, share) in some.iter().enumerate() {
            select.push(if at == 0 { "" } else { " UNION ALL " });
            select.push("SELECT * FROM (SELECT tenant_id, id, event_id FROM deliveries WHERE endpoint_id = ");
            select.push_bind(share.endpoint.to_string()).push(" AND tenant_id = ").push_bind(share.tenant.to_string());
            select.push(" AND state = 'pending' AND due_at IS NOT NULL AND due_at <= ").push_bind(now.as_millis());
            // One whose claim ran out may have been overtaken in its line meanwhile: by
            // an earlier one that was retried.
            select.push(
                " AND (claim IS NULL OR line IS NULL OR NOT EXISTS (
                    SELECT 1 FROM deliveries AS before
                    WHERE before.endpoint_id = deliveries.endpoint_id AND before.line = deliveries.line
                        AND before.state = 'pending' AND (before.turn, before.event_id, before.id)
                        < (deliveries.turn, deliveries.event_id, deliveries.id)))",
            );
            // The index's own order: a million that became due at once are not
            // sorted for the sake of a few.
            select.push(" ORDER BY due_at, claim LIMIT ").push_bind(i64::from(share.limit)).push(")");
        }
        let rows = select.build().persistent(false).fetch_all(&mut *conn).await?;
        let mut ids = Vec::with_capacity(rows.len());
        for row in rows.iter().map(Columns) {
            ids.push(Held {
                tenant: row.parsed("tenant_id")?,
                delivery: row.parsed("id")?,
                event: row.parsed("event_id")?,
            });
        }
        hold(conn, (until, token), &ids).await?;
        claimed.extend(ids);
    }
    Ok(claimed)
}

async fn hold(
    conn: &mut SqliteConnection,
    (until, token): (Timestamp, ClaimToken),
    ids: &[Held],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut update = among(ids);
    update.push("UPDATE deliveries SET claim = ").push_bind(token.0).push(", due_at = ").push_bind(until.as_millis());
    update.push(" FROM held WHERE deliveries.tenant_id = held.tenant_id AND deliveries.id = held.id");
    update.build().persistent(false).execute(conn).await?;
    Ok(())
}
