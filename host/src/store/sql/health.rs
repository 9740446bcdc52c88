//! What is known of receivers that fail. Written with the settlement that says
//! so; read when a host starts, and by those that share the database.

use std::collections::BTreeMap;

use super::db::{Connection, Pool};
use super::rows::Columns;
use crate::domain::health::Health;
use crate::domain::id::{EndpointId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::Settlement;
use crate::store::text::id_text;

/// What `settlements` say last of each endpoint.
pub(crate) async fn write(conn: &mut Connection, settlements: &[&Settlement]) -> Result<(), StoreError> {
    let said = settlements.iter().filter_map(|settlement| Some((settlement.health?, settlement.tenant)));
    let last: BTreeMap<EndpointId, (TenantId, Health)> =
        said.map(|((endpoint, health), tenant)| (endpoint, (tenant, health))).collect();
    for (endpoint, (tenant, health)) in last {
        set(conn, tenant, endpoint, health).await?;
    }
    Ok(())
}

pub(crate) async fn set(
    conn: &mut Connection,
    tenant: TenantId,
    endpoint: EndpointId,
    health: Health,
) -> Result<(), StoreError> {
    if health.is_well() { forget(conn, tenant, endpoint).await } else { remember(conn, tenant, endpoint, health).await }
}

async fn remember(
    conn: &mut Connection,
    tenant: TenantId,
    endpoint: EndpointId,
    health: Health,
) -> Result<(), StoreError> {
    // An endpoint that was deleted meanwhile has no health any more. What another host
    // wrote of the same failures is not taken back: the worse holds, as in
    // `Health::and`, and whoever is answered says so.
    const REMEMBER: &str = concat!(
        "INSERT INTO endpoint_health (endpoint_id, tenant_id, failing_since, weight, trips, not_before, warnings)
        SELECT id, tenant_id, $3, $4, $5, $6, $7 FROM endpoints WHERE tenant_id = $2 AND id = $1",
        hold!("endpoints"),
        " ON CONFLICT (endpoint_id) DO UPDATE SET failing_since = ",
        least!(
            "coalesce(excluded.failing_since, endpoint_health.failing_since)",
            "coalesce(endpoint_health.failing_since, excluded.failing_since)"
        ),
        ", weight = ",
        greatest!("excluded.weight", "endpoint_health.weight"),
        ", trips = ",
        greatest!("excluded.trips", "endpoint_health.trips"),
        ", not_before = ",
        greatest!(
            "coalesce(excluded.not_before, endpoint_health.not_before)",
            "coalesce(endpoint_health.not_before, excluded.not_before)"
        ),
        ", warnings = ",
        greatest!("excluded.warnings", "endpoint_health.warnings")
    );
    sqlx::query(REMEMBER)
        .bind(id_text(&endpoint))
        .bind(id_text(&tenant))
        .bind(health.failing_since.map(|at| at.as_millis()))
        .bind(i64::from(health.weight))
        .bind(i64::from(health.trips))
        .bind(health.not_before.map(|at| at.as_millis()))
        .bind(i64::from(health.warnings))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn forget(conn: &mut Connection, tenant: TenantId, endpoint: EndpointId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM endpoint_health WHERE endpoint_id = $1 AND tenant_id = $2")
        .bind(id_text(&endpoint))
        .bind(id_text(&tenant))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn all(pool: &Pool) -> Result<Vec<(EndpointId, Health)>, StoreError> {
    const ALL: &str = "SELECT endpoint_id, failing_since, weight, trips, not_before, warnings FROM endpoint_health";
    let health = |row| {
        let row = Columns(row);
        let health = Health {
            failing_since: row.maybe_at("failing_since")?,
            weight: row.int("weight")?,
            trips: row.int("trips")?,
            not_before: row.maybe_at("not_before")?,
            warnings: row.int("warnings")?,
        };
        Ok((row.parsed("endpoint_id")?, health))
    };
    sqlx::query(ALL).fetch_all(pool).await?.iter().map(health).collect()
}
