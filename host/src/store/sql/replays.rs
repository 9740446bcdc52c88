//! Replays, as they are kept.

use sqlx::QueryBuilder;

use super::changes::require;
use super::db::{Connection, Db, Pool};
use super::rows::{Columns, corrupt};
use crate::domain::delivery::State;
use crate::domain::id::{ReplayId, TenantId};
use crate::domain::replay::{Progress, Replay, Selection};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{Portion, ReplayQuery};
use crate::store::text::{id_text, json};

const REPLAY: &str = "tenant_id, id, endpoint_id, states, event_types, account, since, until, through, found, made,
    after, state, updated_at";

pub(crate) async fn create(conn: &mut Connection, replay: &Replay, most: u32) -> Result<(), StoreError> {
    const RUNNING: &str = "SELECT count(*) AS running FROM replays WHERE tenant_id = $1 AND state = 'running'";
    const INSERT: &str = "
        INSERT INTO replays (tenant_id, id, endpoint_id, states, event_types, account, since, until, through, found,
            made, after, state, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let running = sqlx::query(RUNNING).bind(id_text(&replay.tenant)).fetch_one(&mut *conn).await?;
    if Columns(&running).int::<u32>("running")? >= most {
        return Err(StoreError::OverLimit);
    }
    require(conn, replay.tenant).await?;
    let selection = &replay.selection;
    sqlx::query(INSERT)
        .bind(id_text(&replay.tenant))
        .bind(id_text(&replay.id))
        .bind(id_text(&selection.endpoint))
        .bind(json(&selection.states))
        .bind(json(&selection.event_types))
        .bind(selection.account.as_deref())
        .bind(selection.since.map(Timestamp::as_millis))
        .bind(selection.until.as_millis())
        .bind(json(&replay.through))
        .bind(i64::try_from(replay.found).unwrap_or(i64::MAX))
        .bind(i64::try_from(replay.made).unwrap_or(i64::MAX))
        .bind(replay.after.map(|id| id.to_string()))
        .bind(replay.progress.as_str())
        .bind(replay.updated_at.as_millis())
        .execute(conn)
        .await?;
    Ok(())
}

/// In the transaction that stores the portion.
pub(crate) async fn advance(conn: &mut Connection, tenant: TenantId, portion: &Portion) -> Result<(), StoreError> {
    const ADVANCE: &str = "
        UPDATE replays SET after = $1, made = made + $2, state = CASE WHEN $3 THEN 'done' ELSE state END, updated_at = $4
        WHERE tenant_id = $5 AND id = $6 AND state = 'running' AND after IS NOT DISTINCT FROM $7";
    let advanced = sqlx::query(ADVANCE)
        .bind(id_text(&portion.after))
        .bind(i64::try_from(portion.made).unwrap_or(i64::MAX))
        .bind(portion.is_last)
        .bind(portion.now.as_millis())
        .bind(id_text(&tenant))
        .bind(id_text(&portion.replay))
        .bind(portion.from.map(|id| id.to_string()))
        .execute(conn)
        .await?;
    if advanced.rows_affected() == 0 { Err(StoreError::Changed) } else { Ok(()) }
}

pub(crate) async fn end(
    conn: &mut Connection,
    (tenant, id): (TenantId, ReplayId),
    progress: Progress,
    now: Timestamp,
) -> Result<bool, StoreError> {
    const END: &str = "
        UPDATE replays SET state = $1, updated_at = $2 WHERE tenant_id = $3 AND id = $4 AND state = 'running'";
    let ended = sqlx::query(END)
        .bind(progress.as_str())
        .bind(now.as_millis())
        .bind(id_text(&tenant))
        .bind(id_text(&id))
        .execute(conn)
        .await?;
    Ok(ended.rows_affected() > 0)
}

pub(crate) async fn one(pool: &Pool, tenant: TenantId, id: ReplayId) -> Result<Option<Replay>, StoreError> {
    let mut query = select();
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant)).push(" AND id = ").push_bind(id_text(&id));
    query.build().fetch_optional(pool).await?.map(|row| replay(Columns(&row))).transpose()
}

pub(crate) async fn list(pool: &Pool, tenant: TenantId, wanted: ReplayQuery) -> Result<Vec<Replay>, StoreError> {
    let mut query = select();
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    if let Some(endpoint) = wanted.endpoint {
        query.push(" AND endpoint_id = ").push_bind(id_text(&endpoint));
    }
    if let Some(account) = wanted.account {
        query.push(" AND account = ").push_bind(account);
    }
    if let Some(id) = wanted.older_than {
        query.push(" AND id < ").push_bind(id_text(&id));
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(wanted.limit));
    query.build().fetch_all(pool).await?.iter().map(|row| replay(Columns(row))).collect()
}

pub(crate) async fn running(pool: &Pool) -> Result<Vec<Replay>, StoreError> {
    let mut query = select();
    query.push(" WHERE state = 'running' ORDER BY id");
    query.build().fetch_all(pool).await?.iter().map(|row| replay(Columns(row))).collect()
}

fn select() -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(REPLAY).push(" FROM replays");
    query
}

fn replay(row: Columns<'_>) -> Result<Replay, StoreError> {
    let states: Vec<State> = row.json("states")?;
    Ok(Replay {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        selection: Selection {
            endpoint: row.parsed("endpoint_id")?,
            states,
            event_types: row.json("event_types")?,
            account: row.maybe_text("account")?,
            since: row.maybe_at("since")?,
            until: row.at("until")?,
        },
        through: row.json("through")?,
        found: row.int("found")?,
        made: row.int("made")?,
        after: row.maybe_parsed("after")?,
        progress: Progress::parse(row.text("state")?).ok_or_else(|| corrupt("replays.state"))?,
        updated_at: row.at("updated_at")?,
    })
}
