//! What the writer does to deliveries beside recording, claiming and settling:
//! takeovers, retries and cancellations by hand, purges. Each function runs in the
//! writer's open transaction.

use sqlx::Row as _;

use super::db::Connection;
use super::remove::{self, Room};
use super::words;
use crate::domain::delivery::{CANCELLED_BY_OWNER, State};
use crate::domain::id::{DeliveryId, EndpointId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::Which;
use crate::store::text::id_text;

pub(crate) async fn take_over(conn: &mut Connection, now: Timestamp) -> Result<u64, StoreError> {
    const TAKE_OVER: &str = "
        UPDATE deliveries SET claim = NULL, due_at = $1
        WHERE state = 'pending' AND due_at IS NOT NULL AND claim IS NOT NULL";
    Ok(sqlx::query(TAKE_OVER).bind(now.as_millis()).execute(conn).await?.rows_affected())
}

pub(crate) async fn retry(
    conn: &mut Connection,
    tenant: TenantId,
    delivery: DeliveryId,
    now: Timestamp,
) -> Result<Result<(), State>, StoreError> {
    const RETRY: &str = "
        UPDATE deliveries SET state = 'pending', due_at = $1, claim = NULL, reason = NULL, updated_at = $1
        WHERE tenant_id = $2 AND id = $3 AND (state = 'dead' OR (state = 'pending' AND (claim IS NULL OR due_at <= $1)))
            AND EXISTS (
                SELECT 1 FROM events WHERE tenant_id = $2 AND events.id = deliveries.event_id AND data_gone_at IS NULL)";
    // Nobody takes the event's data away until this is committed.
    const HOLD: &str = concat!(
        "SELECT events.id FROM deliveries JOIN events ON events.tenant_id = $1 AND events.id = deliveries.event_id
        WHERE deliveries.tenant_id = $1 AND deliveries.id = $2",
        hold!("events")
    );
    sqlx::query(HOLD).bind(id_text(&tenant)).bind(id_text(&delivery)).fetch_optional(&mut *conn).await?;
    let retried = sqlx::query(RETRY)
        .bind(now.as_millis())
        .bind(id_text(&tenant))
        .bind(id_text(&delivery))
        .execute(&mut *conn)
        .await?;
    if retried.rows_affected() > 0 {
        return Ok(Ok(()));
    }
    let row = sqlx::query("SELECT state FROM deliveries WHERE tenant_id = $1 AND id = $2")
        .bind(id_text(&tenant))
        .bind(id_text(&delivery))
        .fetch_optional(conn)
        .await?
        .ok_or(StoreError::NotFound)?;
    match State::parse(row.try_get("state")?) {
        // It is claimed: it is being tried at this moment.
        Some(State::Pending) => Ok(Ok(())),
        // Nothing else forbids it.
        Some(State::Dead) => Err(StoreError::Gone),
        Some(other) => Ok(Err(other)),
        None => Err(super::rows::corrupt("deliveries.state")),
    }
}

/// The last first: those before them then stay in their order until they are let
/// out themselves.
pub(crate) async fn release_lines(
    conn: &mut Connection,
    tenant: TenantId,
    endpoint: EndpointId,
    limit: u32,
) -> Result<bool, StoreError> {
    const RELEASE: &str = "
        UPDATE deliveries SET line = NULL, due_at = coalesce(due_at, not_before, updated_at), not_before = NULL
        WHERE tenant_id = $1 AND state = 'pending' AND id IN (
            SELECT id FROM deliveries WHERE endpoint_id = $2 AND tenant_id = $1 AND state = 'pending' AND line IS NOT NULL
            ORDER BY line DESC, turn DESC, event_id DESC, id DESC LIMIT $3)";
    let released = sqlx::query(RELEASE)
        .bind(id_text(&tenant))
        .bind(id_text(&endpoint))
        .bind(i64::from(limit))
        .execute(conn)
        .await?;
    Ok(released.rows_affected() == u64::from(limit))
}

pub(crate) async fn cancel(
    conn: &mut Connection,
    tenant: TenantId,
    which: Which,
    now: Timestamp,
) -> Result<u64, StoreError> {
    const CANCEL: &str = "
        UPDATE deliveries SET state = 'cancelled', reason = $4, due_at = NULL, claim = NULL,
            updated_at = $1
        WHERE tenant_id = $2 AND state = 'pending' AND (claim IS NULL OR due_at <= $1)";
    let (narrower, id) = match which {
        Which::One(id) => (" AND id = $3", id_text(&id)),
        Which::Of(id) => (" AND event_id = $3", id_text(&id)),
    };
    let cancelled = sqlx::query(sqlx::AssertSqlSafe(format!("{CANCEL}{narrower}")))
        .bind(now.as_millis())
        .bind(id_text(&tenant))
        .bind(id)
        .bind(CANCELLED_BY_OWNER)
        .execute(conn)
        .await?;
    Ok(cancelled.rows_affected())
}

/// Deletes up to `limit` rows of a deleted tenant, what hangs on a delivery
/// before the delivery. When nothing is left, the tenant's own row goes.
pub(crate) async fn purge(conn: &mut Connection, tenant: TenantId, limit: u32) -> Result<bool, StoreError> {
    const IS_DELETED: &str = "SELECT 1 FROM tenants WHERE id = $1 AND deleted_at IS NOT NULL";
    // Whatever is kept in days goes by its ids: what they were found in is not read again.
    const DELIVERIES: &str = "SELECT id FROM deliveries WHERE tenant_id = $1 ORDER BY id LIMIT $2";
    const BY_IDS: [[&str; 2]; 2] = [
        [
            "SELECT id FROM events WHERE tenant_id = $1 ORDER BY id LIMIT $2",
            concat!("DELETE FROM events WHERE tenant_id = $1 AND ", is_among!("id", "$2")),
        ],
        [
            "SELECT id FROM requests WHERE tenant_id = $1 ORDER BY id LIMIT $2",
            concat!("DELETE FROM requests WHERE tenant_id = $1 AND ", is_among!("id", "$2")),
        ],
    ];
    const REST: [&str; 11] = [
        concat!(
            "DELETE FROM idempotency WHERE ",
            rows!("idempotency", "tenant_id, key", " WHERE tenant_id = $1 LIMIT $2")
        ),
        concat!("DELETE FROM replays WHERE ", rows!("replays", "tenant_id, id", " WHERE tenant_id = $1 LIMIT $2")),
        concat!(
            "DELETE FROM endpoint_health WHERE ",
            rows!("endpoint_health", "endpoint_id", " WHERE tenant_id = $1 LIMIT $2")
        ),
        // That it was deleted, by whom and when, is the operator's to know.
        concat!(
            "DELETE FROM audit WHERE ",
            rows!("audit", "tenant_id, id", " WHERE tenant_id = $1 AND action <> 'tenant.deleted' LIMIT $2")
        ),
        concat!("DELETE FROM erasures WHERE ", rows!("erasures", "tenant_id, id", " WHERE tenant_id = $1 LIMIT $2")),
        concat!("DELETE FROM sweeps WHERE ", rows!("sweeps", "tenant_id, kind", " WHERE tenant_id = $1 LIMIT $2")),
        concat!("DELETE FROM activity WHERE ", rows!("activity", "tenant_id, at", " WHERE tenant_id = $1 LIMIT $2")),
        // They went with the tenant; what was on its way then came after it.
        concat!(
            "DELETE FROM step_values WHERE ",
            rows!("step_values", "tenant_id, place_id, plugin, ordinal, key", " WHERE tenant_id = $1 LIMIT $2")
        ),
        concat!(
            "DELETE FROM step_revisions WHERE ",
            rows!("step_revisions", "tenant_id, place_id, plugin, ordinal", " WHERE tenant_id = $1 LIMIT $2")
        ),
        concat!(
            "DELETE FROM plugin_use WHERE ",
            rows!("plugin_use", "tenant_id, day, plugin, version", " WHERE tenant_id = $1 LIMIT $2")
        ),
        concat!(
            "DELETE FROM event_counts WHERE ",
            rows!("event_counts", "tenant_id, day", " WHERE tenant_id = $1 LIMIT $2")
        ),
    ];
    let id = id_text(&tenant);
    if sqlx::query(IS_DELETED).bind(id.clone()).fetch_optional(&mut *conn).await?.is_none() {
        return Err(StoreError::NotFound);
    }
    let mut room = Room::for_rows(limit);
    let deliveries = ids(conn, DELIVERIES, tenant, &room).await?;
    remove::hold_deliveries(conn, tenant, &deliveries).await?;
    if !remove::attempts(conn, tenant, &deliveries, &mut room).await?
        || remove::messages(conn, tenant, &deliveries, &mut room).await? < deliveries.len() as u64
    {
        return Ok(true);
    }
    remove::deliveries(conn, tenant, &deliveries, &mut room).await?;
    for [find, delete] in BY_IDS {
        if room.is_over() {
            return Ok(true);
        }
        let found = ids(conn, find, tenant, &room).await?;
        let deleted = sqlx::query(delete).bind(id.clone()).bind(words::texts(&found)).execute(&mut *conn).await?;
        room.take(deleted.rows_affected());
    }
    for portion in REST {
        if room.is_over() {
            return Ok(true);
        }
        let deleted = sqlx::query(portion).bind(id.clone()).bind(room.left()).execute(&mut *conn).await?;
        room.take(deleted.rows_affected());
    }
    if room.is_over() {
        return Ok(true);
    }
    sqlx::query("DELETE FROM tenants WHERE id = $1").bind(id).execute(conn).await?;
    Ok(false)
}

async fn ids(
    conn: &mut Connection,
    find: &'static str,
    tenant: TenantId,
    room: &Room,
) -> Result<Vec<String>, StoreError> {
    let found = sqlx::query(find).bind(id_text(&tenant)).bind(room.left()).fetch_all(conn).await?;
    found.iter().map(|row| Ok(row.try_get("id")?)).collect()
}
