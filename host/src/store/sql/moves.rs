//! Steps that move to another version of their plugin.

use super::db::{Connection, Pool};
use super::rows::Columns;
use crate::domain::id::TenantId;
use crate::domain::pipeline::Pipeline;
use crate::domain::place::PlaceId;
use crate::domain::plugin::PluginName;
use crate::domain::upgrade::{Moved, Repinned};
use crate::store::StoreError;
use crate::store::catalog::{MoveLog, StepMove};
use crate::store::text::{id_text, json};

/// Changes every pipeline or none.
pub(crate) async fn steps(conn: &mut Connection, tenant: TenantId, change: StepMove) -> Result<(), StoreError> {
    for repinned in &change.pipelines {
        repin(conn, tenant, repinned).await?;
    }
    match change.log {
        MoveLog::Add { moved, at } => {
            const ADD: &str = "
                INSERT INTO plugin_moves (tenant_id, plugin, number, steps, moved_at)
                SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4 FROM plugin_moves WHERE tenant_id = $1 AND plugin = $2";
            let add = sqlx::query(ADD).bind(id_text(&tenant)).bind(change.plugin.to_string());
            add.bind(json(&moved)).bind(at.as_millis()).execute(conn).await?;
        }
        MoveLog::TakeBack { number } => {
            const REMOVE: &str = "DELETE FROM plugin_moves WHERE tenant_id = $1 AND plugin = $2 AND number = $3";
            let remove = sqlx::query(REMOVE).bind(id_text(&tenant)).bind(change.plugin.to_string()).bind(number);
            if remove.execute(conn).await?.rows_affected() == 0 {
                return Err(StoreError::Changed);
            }
        }
    }
    Ok(())
}

/// Compared as what it means: an older version of this program may have written
/// it with other words.
async fn repin(conn: &mut Connection, tenant: TenantId, change: &Repinned) -> Result<(), StoreError> {
    let (read, write) = match change.whose {
        PlaceId::Source(_) => (
            "SELECT pipeline FROM sources WHERE tenant_id = $1 AND id = $2",
            "UPDATE sources SET pipeline = $1, revision = revision + 1 WHERE tenant_id = $2 AND id = $3",
        ),
        PlaceId::Endpoint(_) => (
            "SELECT pipeline FROM endpoints WHERE tenant_id = $1 AND id = $2",
            "UPDATE endpoints SET pipeline = $1, revision = revision + 1 WHERE tenant_id = $2 AND id = $3",
        ),
    };
    let id = change.whose.to_string();
    let row = sqlx::query(read).bind(id_text(&tenant)).bind(id.clone()).fetch_optional(&mut *conn).await?;
    let row = row.ok_or(StoreError::Changed)?;
    if Columns(&row).json::<Pipeline>("pipeline")? != change.before {
        return Err(StoreError::Changed);
    }
    sqlx::query(write).bind(json(&change.after)).bind(id_text(&tenant)).bind(id).execute(conn).await?;
    Ok(())
}

/// The last move that was not taken back.
pub(crate) async fn last(
    pool: &Pool,
    tenant: TenantId,
    plugin: PluginName,
) -> Result<Option<(i64, Vec<Moved>)>, StoreError> {
    const LAST: &str = "
        SELECT number, steps FROM plugin_moves WHERE tenant_id = $1 AND plugin = $2 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(LAST).bind(id_text(&tenant)).bind(plugin.to_string()).fetch_optional(pool).await?;
    row.map(|row| {
        let row = Columns(&row);
        Ok((row.int("number")?, row.json("steps")?))
    })
    .transpose()
}
