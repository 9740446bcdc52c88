//! Claims: which endpoints have deliveries that are due, and taking some of each.
//! What another host is taking at this moment is passed over and not waited for.

use sqlx::{PgConnection, PgPool};

use super::sql::claimed::Held;
use super::sql::rows::Columns;
use crate::domain::claim::ClaimToken;
use crate::domain::id::{EndpointId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::Share;

/// From endpoint to endpoint through the index, two steps for each.
pub(super) async fn due(pool: &PgPool, now: Timestamp) -> Result<Vec<(TenantId, EndpointId)>, StoreError> {
    const DUE: &str = "
        WITH RECURSIVE lane (endpoint_id) AS (
            (SELECT endpoint_id FROM deliveries_pending WHERE due_at IS NOT NULL ORDER BY endpoint_id LIMIT 1)
            UNION ALL
            SELECT (SELECT endpoint_id FROM deliveries_pending
                WHERE due_at IS NOT NULL AND endpoint_id > lane.endpoint_id ORDER BY endpoint_id LIMIT 1)
            FROM lane WHERE lane.endpoint_id IS NOT NULL
        )
        SELECT lane.endpoint_id, first.tenant_id FROM lane CROSS JOIN LATERAL (
            SELECT tenant_id FROM deliveries_pending
            WHERE endpoint_id = lane.endpoint_id AND due_at IS NOT NULL AND due_at <= $1
            ORDER BY due_at LIMIT 1) AS first
        WHERE lane.endpoint_id IS NOT NULL";
    let rows = sqlx::query(DUE).bind(now.as_millis()).fetch_all(pool).await?;
    rows.iter().map(Columns).map(|row| Ok((row.parsed("tenant_id")?, row.parsed("endpoint_id")?))).collect()
}

/// Claims each share; answers whose deliveries it claimed, the longest due of each
/// endpoint first.
pub(super) async fn claim(
    conn: &mut PgConnection,
    now: Timestamp,
    (until, token): (Timestamp, ClaimToken),
    shares: &[Share],
) -> Result<Vec<Held>, StoreError> {
    // One whose claim ran out may have been overtaken in its line meanwhile: by an
    // earlier one that was retried. The tenant is asked for outside: inside, the
    // planner would take an index that has it, and sort what waits.
    const CLAIM: &str = "
        WITH taken AS MATERIALIZED (
            SELECT share.place, found.at, found.due_at
            FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY
                AS share (endpoint_id, tenant_id, many, place)
            CROSS JOIN LATERAL (
                SELECT waiting.ctid AS at, waiting.tenant_id, waiting.due_at FROM deliveries_pending AS waiting
                WHERE waiting.endpoint_id = share.endpoint_id AND waiting.due_at IS NOT NULL AND waiting.due_at <= $4
                    AND (waiting.claim IS NULL OR waiting.line IS NULL OR NOT EXISTS (
                        SELECT 1 FROM deliveries_pending AS before
                        WHERE before.endpoint_id = waiting.endpoint_id AND before.line = waiting.line
                            AND (before.turn, before.event_id, before.id)
                            < (waiting.turn, waiting.event_id, waiting.id)))
                ORDER BY waiting.due_at, waiting.claim LIMIT share.many FOR UPDATE SKIP LOCKED) AS found
            WHERE found.tenant_id = share.tenant_id
        ), held AS (
            UPDATE deliveries_pending AS mine SET claim = $5, due_at = $6 FROM taken WHERE mine.ctid = taken.at
            RETURNING mine.tenant_id, mine.id, mine.event_id, taken.place, taken.due_at
        )
        SELECT tenant_id, id, event_id FROM held ORDER BY place, due_at, id";
    let endpoints: Vec<String> = shares.iter().map(|share| share.endpoint.to_string()).collect();
    let tenants: Vec<String> = shares.iter().map(|share| share.tenant.to_string()).collect();
    let many: Vec<i64> = shares.iter().map(|share| i64::from(share.limit)).collect();
    let claim = sqlx::query(CLAIM).bind(endpoints).bind(tenants).bind(many).bind(now.as_millis());
    let rows = claim.bind(token.0).bind(until.as_millis()).fetch_all(conn).await?;
    let held = |row: Columns<'_>| {
        Ok(Held { tenant: row.parsed("tenant_id")?, delivery: row.parsed("id")?, event: row.parsed("event_id")? })
    };
    rows.iter().map(Columns).map(held).collect()
}
