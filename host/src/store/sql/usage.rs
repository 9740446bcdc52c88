//! What plugins used and what came in, by day.

use super::db::{Connection, Pool};
use super::rows::Columns;
use crate::domain::id::TenantId;
use crate::domain::usage::{Counted, Day, PluginUse, Usage};
use crate::store::StoreError;
use crate::store::text::id_text;

/// Adds to what is there. Of a tenant that was deleted meanwhile nothing is
/// written: what it left is gone already.
pub(crate) async fn add(conn: &mut Connection, day: Day, mut uses: Vec<PluginUse>) -> Result<(), StoreError> {
    const ADD: &str = concat!(
        "INSERT INTO plugin_use (tenant_id, day, plugin, version, calls, refused, faulted, fuel, duration_us, memory)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
        WHERE EXISTS (SELECT 1 FROM tenants WHERE id = $1 AND deleted_at IS NULL)
        ON CONFLICT (tenant_id, day, plugin, version) DO UPDATE SET calls = plugin_use.calls + excluded.calls,
            refused = plugin_use.refused + excluded.refused, faulted = plugin_use.faulted + excluded.faulted,
            fuel = plugin_use.fuel + excluded.fuel, duration_us = plugin_use.duration_us + excluded.duration_us,
            memory = ",
        greatest!("plugin_use.memory", "excluded.memory")
    );
    // In one order: two hosts that add to the same rows would wait for each other.
    uses.sort_by(|one, other| {
        (one.tenant, &one.plugin, one.version).cmp(&(other.tenant, &other.plugin, other.version))
    });
    for PluginUse { tenant, plugin, version, usage } in uses {
        sqlx::query(ADD)
            .bind(id_text(&tenant))
            .bind(day)
            .bind(plugin.to_string())
            .bind(i64::from(version))
            .bind(number(usage.calls))
            .bind(number(usage.refused))
            .bind(number(usage.faulted))
            .bind(number(usage.fuel))
            .bind(number(usage.duration_us))
            .bind(number(usage.memory))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// One tenant's use on `from` and after.
pub(crate) async fn since(pool: &Pool, tenant: TenantId, from: Day) -> Result<Vec<(Day, PluginUse)>, StoreError> {
    const SELECT: &str = "
        SELECT day, plugin, version, calls, refused, faulted, fuel, duration_us, memory FROM plugin_use
        WHERE tenant_id = $1 AND day >= $2 ORDER BY day, plugin, version";
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).bind(from).fetch_all(pool).await?;
    let used = |row| {
        let row = Columns(row);
        let usage = Usage {
            calls: row.int("calls")?,
            refused: row.int("refused")?,
            faulted: row.int("faulted")?,
            fuel: row.int("fuel")?,
            duration_us: row.int("duration_us")?,
            memory: row.int("memory")?,
        };
        Ok((row.int("day")?, PluginUse { tenant, plugin: row.parsed("plugin")?, version: row.int("version")?, usage }))
    };
    rows.iter().map(used).collect()
}

/// Adds to what is there, as [`add`] does.
pub(crate) async fn add_counts(
    conn: &mut Connection,
    mut counts: Vec<(TenantId, Day, Counted)>,
) -> Result<(), StoreError> {
    const ADD: &str = "
        INSERT INTO event_counts (tenant_id, day, taken, refused) SELECT $1, $2, $3, $4
        WHERE EXISTS (SELECT 1 FROM tenants WHERE id = $1 AND deleted_at IS NULL)
        ON CONFLICT (tenant_id, day) DO UPDATE SET taken = event_counts.taken + excluded.taken,
            refused = event_counts.refused + excluded.refused";
    counts.sort_by_key(|(tenant, day, _)| (*tenant, *day));
    for (tenant, day, Counted { taken, refused }) in counts {
        sqlx::query(ADD)
            .bind(id_text(&tenant))
            .bind(day)
            .bind(number(taken))
            .bind(number(refused))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Every tenant's on `from` and after.
pub(crate) async fn counts(pool: &Pool, from: Day) -> Result<Vec<(TenantId, Day, Counted)>, StoreError> {
    const SELECT: &str = "
        SELECT tenant_id, day, taken, refused FROM event_counts WHERE day >= $1 ORDER BY tenant_id, day";
    let rows = sqlx::query(SELECT).bind(from).fetch_all(pool).await?;
    let count = |row| {
        let row = Columns(row);
        let counted = Counted { taken: row.int("taken")?, refused: row.int("refused")? };
        Ok((row.parsed("tenant_id")?, row.int("day")?, counted))
    };
    rows.iter().map(count).collect()
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
