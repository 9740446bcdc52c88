//! What steps keep. Reads have the readers' connections; a change is judged and
//! made in the writer's transaction, so that of two that expect the same
//! revision one is told.

use std::collections::BTreeMap;

use super::db::{Arguments, Connection, Db, Pool};
use super::rows::Columns;
use super::words::TURN;
use crate::domain::id::TenantId;
use crate::domain::place::PlaceId;
use crate::domain::state::{self, Entry, StateError, StepRef};
use crate::store::StoreError;
use crate::store::text::id_text;

/// One step's state: whose, where, and which step's.
pub(crate) type Whose<'a> = (TenantId, PlaceId, &'a StepRef);

type Query<'q> = sqlx::query::Query<'q, Db, Arguments>;

/// The four columns that name a step, in their order.
fn of_step<'q>(query: Query<'q>, (tenant, place, step): Whose<'_>) -> Query<'q> {
    query.bind(id_text(&tenant)).bind(place.to_string()).bind(step.plugin.to_string()).bind(i64::from(step.ordinal))
}

pub(crate) async fn entry(pool: &Pool, whose: Whose<'_>, key: &str) -> Result<Option<Entry>, StoreError> {
    const SELECT: &str = "
        SELECT value, revision FROM step_values
        WHERE tenant_id = $1 AND place_id = $2 AND plugin = $3 AND ordinal = $4 AND key = $5";
    let row = of_step(sqlx::query(SELECT), whose).bind(key).fetch_optional(pool).await?;
    row.map(|row| {
        let row = Columns(&row);
        Ok(Entry { value: row.bytes("value")?.to_vec(), revision: row.int("revision")? })
    })
    .transpose()
}

pub(crate) async fn entries(pool: &Pool, whose: Whose<'_>) -> Result<BTreeMap<String, Entry>, StoreError> {
    const SELECT: &str = "
        SELECT key, value, revision FROM step_values
        WHERE tenant_id = $1 AND place_id = $2 AND plugin = $3 AND ordinal = $4";
    let rows = of_step(sqlx::query(SELECT), whose).fetch_all(pool).await?;
    let entry = |row| {
        let row = Columns(row);
        let entry = Entry { value: row.bytes("value")?.to_vec(), revision: row.int("revision")? };
        Ok((row.text("key")?.to_owned(), entry))
    };
    rows.iter().map(entry).collect()
}

pub(crate) async fn put(
    conn: &mut Connection,
    whose: Whose<'_>,
    key: &str,
    value: &[u8],
    expected: Option<u32>,
) -> Result<Result<u32, StateError>, StoreError> {
    const PUT: &str = "
        INSERT INTO step_values (tenant_id, place_id, plugin, ordinal, key, value, revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (tenant_id, place_id, plugin, ordinal, key)
        DO UPDATE SET value = excluded.value, revision = excluded.revision";
    take_turn(conn, whose).await?;
    require(conn, whose).await?;
    let (current, keys) = found(conn, whose, key).await?;
    if let Err(refused) = state::expect(current, expected).and_then(|()| state::admit(current, keys)) {
        return Ok(Err(refused));
    }
    let revision = advance(conn, whose).await?;
    of_step(sqlx::query(PUT), whose).bind(key).bind(value).bind(i64::from(revision)).execute(conn).await?;
    Ok(Ok(revision))
}

pub(crate) async fn delete(
    conn: &mut Connection,
    whose: Whose<'_>,
    key: &str,
    expected: Option<u32>,
) -> Result<Result<(), StateError>, StoreError> {
    const DELETE: &str = "
        DELETE FROM step_values WHERE tenant_id = $1 AND place_id = $2 AND plugin = $3 AND ordinal = $4 AND key = $5";
    take_turn(conn, whose).await?;
    let (current, _) = found(conn, whose, key).await?;
    if let Err(refused) = state::expect(current, expected) {
        return Ok(Err(refused));
    }
    of_step(sqlx::query(DELETE), whose).bind(key).execute(conn).await?;
    Ok(Ok(()))
}

/// Of two that change one step's state, the second looks at what the first made.
async fn take_turn(conn: &mut Connection, (tenant, place, step): Whose<'_>) -> Result<(), StoreError> {
    if let Some(turn) = TURN {
        let name = format!("{tenant} {place} {} {}", step.plugin, step.ordinal);
        sqlx::query(turn).bind(name).execute(conn).await?;
    }
    Ok(())
}

/// Forgets what the steps of an endpoint or a source kept.
pub(crate) async fn forget(conn: &mut Connection, tenant: TenantId, place: PlaceId) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM step_values WHERE tenant_id = $1 AND place_id = $2",
        "DELETE FROM step_revisions WHERE tenant_id = $1 AND place_id = $2",
    ] {
        sqlx::query(statement).bind(id_text(&tenant)).bind(place.to_string()).execute(&mut *conn).await?;
    }
    Ok(())
}

/// The revision of what is under `key`, and how many keys the step has.
async fn found(conn: &mut Connection, whose: Whose<'_>, key: &str) -> Result<(Option<u32>, usize), StoreError> {
    const FOUND: &str = "
        SELECT count(*) AS keys, max(CASE WHEN key = $5 THEN revision END) AS revision FROM step_values
        WHERE tenant_id = $1 AND place_id = $2 AND plugin = $3 AND ordinal = $4";
    let row = of_step(sqlx::query(FOUND), whose).bind(key).fetch_one(conn).await?;
    let row = Columns(&row);
    Ok((row.maybe_int("revision")?, row.int("keys")?))
}

/// The step's next revision.
async fn advance(conn: &mut Connection, whose: Whose<'_>) -> Result<u32, StoreError> {
    const LAST: &str = "
        SELECT revision FROM step_revisions WHERE tenant_id = $1 AND place_id = $2 AND plugin = $3 AND ordinal = $4";
    const ADVANCE: &str = "
        INSERT INTO step_revisions (tenant_id, place_id, plugin, ordinal, revision) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (tenant_id, place_id, plugin, ordinal) DO UPDATE SET revision = excluded.revision";
    let row = of_step(sqlx::query(LAST), whose).fetch_optional(&mut *conn).await?;
    let last = row.map_or(Ok(0), |row| Columns(&row).int("revision"))?;
    let next = state::next_revision(last);
    of_step(sqlx::query(ADVANCE), whose).bind(i64::from(next)).execute(conn).await?;
    Ok(next)
}

/// A call may still run whose endpoint was deleted: what it keeps would be
/// there for ever.
async fn require(conn: &mut Connection, (tenant, place, _): Whose<'_>) -> Result<(), StoreError> {
    let exists = match place {
        PlaceId::Source(_) => concat!("SELECT 1 FROM sources WHERE tenant_id = $1 AND id = $2", hold!("sources")),
        PlaceId::Endpoint(_) => concat!("SELECT 1 FROM endpoints WHERE tenant_id = $1 AND id = $2", hold!("endpoints")),
    };
    let row = sqlx::query(exists).bind(id_text(&tenant)).bind(place.to_string()).fetch_optional(conn).await?;
    row.map(drop).ok_or(StoreError::NotFound)
}
