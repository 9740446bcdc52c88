//! Erasures: what is kept of a subject goes in portions, and the row that counts
//! them forgets the subject with the last.

use std::collections::BTreeSet;

use sqlx::QueryBuilder;

use super::db::{Connection, Db, Pool};
use super::record::parse_event_list;
use super::remove::{self, Room};
use super::rows::{Columns, corrupt};
use super::spans::Span;
use super::words;
use crate::domain::erasure::{Erased, Erasure, Stage};
use crate::domain::id::{ErasureId, EventId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::text::id_text;

/// At most so many of one tenant are not done.
const MAX_OPEN: i64 = 100;
/// Events that are taken up at once: each may have many deliveries.
const EVENTS: i64 = 100;

const COLUMNS: &str = "tenant_id, id, state, subject, created_at, finished_at, events, deliveries, attempts, requests,
    state_values";

pub(crate) async fn ask(
    conn: &mut Connection,
    tenant: TenantId,
    id: ErasureId,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    const INSERT: &str = "
        INSERT INTO erasures (tenant_id, id, state, subject, created_at, events, deliveries, attempts, requests,
            state_values)
        SELECT id, $2, 'erasing', $3, $4, 0, 0, 0, 0, 0 FROM tenants WHERE id = $1 AND deleted_at IS NULL";
    const OPEN: &str = "SELECT count(*) FROM erasures WHERE tenant_id = $1 AND state <> 'done'";
    let open: i64 = sqlx::query_scalar(OPEN).bind(id_text(&tenant)).fetch_one(&mut *conn).await?;
    if open >= MAX_OPEN {
        return Err(StoreError::OverLimit);
    }
    let insert = sqlx::query(INSERT).bind(id_text(&tenant)).bind(id_text(&id)).bind(subject.to_owned());
    match insert.bind(now.as_millis()).execute(conn).await?.rows_affected() {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// Takes up to `limit` rows. Answers whether there may be more.
pub(crate) async fn erase(
    conn: &mut Connection,
    tenant: TenantId,
    id: ErasureId,
    limit: u32,
    now: Timestamp,
) -> Result<bool, StoreError> {
    const READ: &str = "SELECT subject, created_at FROM erasures WHERE tenant_id = $1 AND id = $2";
    const EVENTS_OF: &str = concat!(
        "SELECT id, request_id FROM events",
        by!("events_by_subject"),
        " WHERE subject IS NOT NULL AND tenant_id = "
    );
    let row = sqlx::query(READ).bind(id_text(&tenant)).bind(id_text(&id)).fetch_optional(&mut *conn).await?;
    let row = row.ok_or(StoreError::NotFound)?;
    let Some(subject) = Columns(&row).maybe_text("subject")? else { return Ok(false) };
    // Received in that very millisecond, too.
    let until = EventId::floor(Timestamp::from_millis(Columns(&row).at("created_at")?.as_millis() + 1));
    let mut find = QueryBuilder::<Db>::new(EVENTS_OF);
    find.push_bind(id_text(&tenant));
    let span = Span::default().of("subject", &subject).below(Some(until));
    span.narrow(&mut find);
    span.oldest_first(&mut find);
    find.push(" LIMIT ").push_bind(EVENTS.min(i64::from(limit)));
    let rows = find.build().fetch_all(&mut *conn).await?;
    if rows.is_empty() {
        end(conn, tenant, id, &subject).await?;
        return Ok(false);
    }
    let mut events = Vec::with_capacity(rows.len());
    let mut requests = BTreeSet::new();
    for row in rows.iter().map(Columns) {
        events.push(row.text("id")?.to_owned());
        requests.extend(row.maybe_text("request_id")?);
    }
    let mut room = Room::for_rows(limit);
    let mut erased = Erased::default();
    for request in requests {
        erased.requests += room.take(erase_request(conn, (tenant, now), &request, &subject).await?);
    }
    remove::hold(conn, tenant, &events).await?;
    let taken = remove::events(conn, tenant, &events, &mut room).await?;
    erased.events = taken.events;
    erased.deliveries = taken.deliveries;
    erased.attempts = taken.attempts;
    count(conn, tenant, id, &erased).await?;
    Ok(true)
}

/// Deletes a request, or empties it when it became events of others as well.
async fn erase_request(
    conn: &mut Connection,
    (tenant, now): (TenantId, Timestamp),
    request: &str,
    subject: &str,
) -> Result<u64, StoreError> {
    const READ: &str = "SELECT events FROM requests WHERE tenant_id = $1 AND id = $2";
    const OTHERS: &str = concat!(
        "SELECT 1 FROM ",
        among!("$2", "became"),
        each!("events", "events.tenant_id = $1 AND events.id = became.value"),
        " WHERE subject IS DISTINCT FROM $3 LIMIT 1"
    );
    const DELETE: &str = "DELETE FROM requests WHERE tenant_id = $1 AND id = $2";
    const EMPTY: &str = "
        UPDATE requests SET query = '', headers = '[]', body = $4, steps = '[]',
            body_gone_at = coalesce(body_gone_at, $3)
        WHERE tenant_id = $1 AND id = $2 AND (body_gone_at IS NULL OR headers <> '[]' OR steps <> '[]')";
    let read = sqlx::query(READ).bind(id_text(&tenant)).bind(request.to_owned());
    let Some(row) = read.fetch_optional(&mut *conn).await? else { return Ok(0) };
    let became: Vec<String> =
        parse_event_list(Columns(&row).text("events")?)?.iter().map(ToString::to_string).collect();
    let others = sqlx::query(OTHERS).bind(id_text(&tenant)).bind(words::texts(&became)).bind(subject.to_owned());
    let statement = match others.fetch_optional(&mut *conn).await? {
        Some(_) => EMPTY,
        None => DELETE,
    };
    let mut erase = sqlx::query(statement).bind(id_text(&tenant)).bind(request.to_owned());
    if statement == EMPTY {
        erase = erase.bind(now.as_millis()).bind(Vec::<u8>::new());
    }
    Ok(erase.execute(conn).await?.rows_affected())
}

/// The last portion: what steps keep under the subject, and its name here.
async fn end(conn: &mut Connection, tenant: TenantId, id: ErasureId, subject: &str) -> Result<(), StoreError> {
    const VALUES: &str = "DELETE FROM step_values WHERE tenant_id = $1 AND key = $2";
    const FORGET: &str = "
        UPDATE erasures SET state = 'wiping', subject = NULL WHERE tenant_id = $1 AND id = $2 AND state = 'erasing'";
    let values = sqlx::query(VALUES).bind(id_text(&tenant)).bind(subject.to_owned()).execute(&mut *conn).await?;
    count(conn, tenant, id, &Erased { state_values: values.rows_affected(), ..Erased::default() }).await?;
    sqlx::query(FORGET).bind(id_text(&tenant)).bind(id_text(&id)).execute(conn).await?;
    Ok(())
}

async fn count(conn: &mut Connection, tenant: TenantId, id: ErasureId, erased: &Erased) -> Result<(), StoreError> {
    const COUNT: &str = "
        UPDATE erasures SET events = events + $3, deliveries = deliveries + $4, attempts = attempts + $5,
            requests = requests + $6, state_values = state_values + $7 WHERE tenant_id = $1 AND id = $2";
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(COUNT)
        .bind(id_text(&tenant))
        .bind(id_text(&id))
        .bind(number(erased.events))
        .bind(number(erased.deliveries))
        .bind(number(erased.attempts))
        .bind(number(erased.requests))
        .bind(number(erased.state_values))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn finish(
    conn: &mut Connection,
    tenant: TenantId,
    id: ErasureId,
    now: Timestamp,
) -> Result<(), StoreError> {
    const FINISH: &str = "
        UPDATE erasures SET state = 'done', finished_at = $1 WHERE tenant_id = $2 AND id = $3 AND state = 'wiping'";
    sqlx::query(FINISH).bind(now.as_millis()).bind(id_text(&tenant)).bind(id_text(&id)).execute(conn).await?;
    Ok(())
}

pub(crate) async fn list(
    pool: &Pool,
    tenant: TenantId,
    (older_than, only): (Option<ErasureId>, Option<ErasureId>),
    limit: u32,
) -> Result<Vec<Erasure>, StoreError> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query.push(COLUMNS).push(" FROM erasures WHERE tenant_id = ").push_bind(id_text(&tenant));
    if let Some(id) = only {
        query.push(" AND id = ").push_bind(id_text(&id));
    }
    if let Some(id) = older_than {
        query.push(" AND id < ").push_bind(id_text(&id));
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    let rows = query.build().fetch_all(pool).await?;
    rows.iter().map(|row| erasure(&Columns(row))).collect()
}

pub(crate) async fn open(pool: &Pool) -> Result<Vec<(TenantId, Erasure)>, StoreError> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query.push(COLUMNS).push(" FROM erasures WHERE state <> 'done' ORDER BY id");
    let rows = query.build().fetch_all(pool).await?;
    rows.iter().map(Columns).map(|row| Ok((row.parsed("tenant_id")?, erasure(&row)?))).collect()
}

fn erasure(row: &Columns<'_>) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        id: row.parsed("id")?,
        stage: Stage::parse(row.text("state")?).ok_or_else(|| corrupt("erasures.state"))?,
        subject: row.maybe_text("subject")?,
        created_at: row.at("created_at")?,
        finished_at: row.maybe_at("finished_at")?,
        erased: Erased {
            events: row.int("events")?,
            deliveries: row.int("deliveries")?,
            attempts: row.int("attempts")?,
            requests: row.int("requests")?,
            state_values: row.int("state_values")?,
        },
    })
}
