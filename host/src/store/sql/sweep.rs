//! Sweeps: what is old is found through a reader, by ids, which sort by age, and
//! made gone by the writer, which asks again whether it may.

use super::db::{Connection, Pool};
use super::remove::{self, Room};
use super::rows::Columns;
use super::{listing, words};
use crate::domain::id::{DeliveryId, EventId, RequestId, TenantId};
use crate::store::StoreError;
use crate::store::keeping::{Sought, Sweep, Swept};
use crate::store::text::id_text;

/// Rows that are looked at in one go. Few of events: each may have many
/// deliveries.
const REQUESTS: i64 = 200;
const EVENTS: i64 = 100;
const DELIVERIES: i64 = 200;

/// The columns are `id`, whether it has to stay for now, and whether there is
/// nothing left to do. The values are the tenant, where to begin, the ids' end,
/// and how many.
const OLD_REQUESTS: &str = "
    SELECT id, FALSE AS stays, FALSE AS is_done FROM requests
    WHERE tenant_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4";
const OLD_REQUEST_BODIES: &str = "
    SELECT id, FALSE AS stays, body_gone_at IS NOT NULL AS is_done FROM requests
    WHERE tenant_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4";
/// An event with a delivery that is under way, or was made again lately, stays.
/// `$5` is where young deliveries begin.
const OLD_EVENTS: &str = concat!(
    "SELECT id, EXISTS (SELECT 1 FROM deliveries",
    by!("deliveries_by_event"),
    " WHERE ",
    of_event!("events.id"),
    " AND (state = 'pending' OR deliveries.id >= $5)",
    row_by_row!(),
    ") AS stays, data_gone_at IS NOT NULL AS is_done FROM events
    WHERE tenant_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4"
);
const OLD_ATTEMPTS: &str = concat!(
    "SELECT id, state = 'pending' AS stays, attempts = 0 OR NOT EXISTS (
        SELECT 1 FROM attempts WHERE delivery_id = deliveries.id AND attempts.tenant_id = $1",
    row_by_row!(),
    ") AS is_done FROM deliveries WHERE tenant_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4"
);
const OLD_ANSWERS: &str = concat!(
    "SELECT id, state = 'pending' AS stays, attempts = 0 OR NOT EXISTS (
        SELECT 1 FROM attempts WHERE delivery_id = deliveries.id AND attempts.tenant_id = $1
            AND answer_body IS NOT NULL",
    row_by_row!(),
    ") AS is_done FROM deliveries WHERE tenant_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4"
);

const SWEPT_EVENTS: &str = concat!(
    "SELECT value AS id FROM ",
    among!("$2", "one"),
    " WHERE NOT EXISTS (SELECT 1 FROM deliveries",
    by!("deliveries_by_event"),
    " WHERE ",
    of_event!("value"),
    " AND (state = 'pending' OR deliveries.id >= $3)",
    row_by_row!(),
    ")"
);
const SWEPT_DELIVERIES: &str = concat!(
    "SELECT deliveries.id AS id FROM ",
    among!("$2", "one"),
    each!("deliveries", "deliveries.tenant_id = $1 AND deliveries.id = one.value"),
    " WHERE state <> 'pending'"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 7] =
    [OLD_REQUESTS, OLD_REQUEST_BODIES, OLD_EVENTS, OLD_ATTEMPTS, OLD_ANSWERS, SWEPT_EVENTS, SWEPT_DELIVERIES];

/// A row that is old.
#[derive(Clone)]
struct Old {
    id: String,
    stays: bool,
    is_done: bool,
}

#[derive(Clone)]
pub(crate) struct Look {
    /// What to make gone.
    pub(crate) ids: Vec<String>,
    /// What the sweep came to if all of that goes.
    swept: Swept,
}

pub(crate) async fn look(pool: &Pool, tenant: TenantId, sweep: &Sweep) -> Result<Look, StoreError> {
    let before = sweep.before;
    let (find, end, many) = match sweep.sought {
        Sought::Requests => (OLD_REQUESTS, RequestId::floor(before).to_string(), REQUESTS),
        Sought::RequestBodies => (OLD_REQUEST_BODIES, RequestId::floor(before).to_string(), REQUESTS),
        Sought::Events | Sought::EventBodies => (OLD_EVENTS, EventId::floor(before).to_string(), EVENTS),
        Sought::Attempts => (OLD_ATTEMPTS, DeliveryId::floor(before).to_string(), DELIVERIES),
        Sought::Answers => (OLD_ANSWERS, DeliveryId::floor(before).to_string(), DELIVERIES),
    };
    let many = many.min(i64::from(sweep.limit));
    let mut query = sqlx::query(find).bind(id_text(&tenant)).bind(sweep.begin.as_str()).bind(end).bind(many);
    if matches!(sweep.sought, Sought::Events | Sought::EventBodies) {
        query = query.bind(DeliveryId::floor(before).to_string());
    }
    let mut old = Vec::new();
    for row in listing::rows(pool, query).await?.iter().map(Columns) {
        let (stays, is_done) = (row.flag("stays")?, row.flag("is_done")?);
        old.push(Old { id: row.text("id")?.to_owned(), stays, is_done });
    }
    Ok(judge(sweep, &old, old.len() as i64 == many))
}

fn judge(sweep: &Sweep, old: &[Old], is_more: bool) -> Look {
    // An event without its data goes as well as one with it.
    let is_done = |row: &&Old| row.is_done && sweep.sought != Sought::Events;
    let wanted = old.iter().filter(|row| !row.stays && !is_done(row));
    Look {
        ids: wanted.map(|row| row.id.clone()).collect(),
        swept: Swept {
            gone: 0,
            reached: old.last().map_or_else(|| sweep.begin.clone(), |row| behind(&row.id)),
            is_more,
            stays_at: old.iter().find(|row| row.stays).map(|row| row.id.clone()),
        },
    }
}

impl Look {
    /// What it came to when there is nothing to make gone.
    pub(crate) fn over(self) -> Swept {
        self.swept
    }
}

/// Ids have one length, so that this is behind one and before the next.
fn behind(id: &str) -> String {
    format!("{id} ")
}

/// Makes gone what may still go, in the writer's open transaction. When there is
/// no room for all of it, the next sweep begins where this one did.
pub(crate) async fn make_gone(
    conn: &mut Connection,
    tenant: TenantId,
    sweep: Sweep,
    look: Look,
) -> Result<Swept, StoreError> {
    let mut room = Room::for_rows(sweep.limit);
    let ids = || words::texts(&look.ids);
    let is_all = match sweep.sought {
        Sought::Requests => {
            const DELETE: &str = concat!("DELETE FROM requests WHERE tenant_id = $1 AND ", is_among!("id", "$2"));
            let deleted = sqlx::query(DELETE).bind(id_text(&tenant)).bind(ids()).execute(conn).await?;
            room.take(deleted.rows_affected());
            true
        }
        Sought::RequestBodies => {
            const EMPTY: &str = concat!(
                "UPDATE requests SET body = $4, body_gone_at = $3 WHERE tenant_id = $1 AND ",
                is_among!("id", "$2")
            );
            let emptied = sqlx::query(EMPTY)
                .bind(id_text(&tenant))
                .bind(ids())
                .bind(sweep.now.as_millis())
                .bind(Vec::<u8>::new());
            room.take(emptied.execute(conn).await?.rows_affected());
            true
        }
        Sought::Events | Sought::EventBodies => {
            remove::hold(conn, tenant, &look.ids).await?;
            let young = DeliveryId::floor(sweep.before).to_string();
            let events = still(conn, SWEPT_EVENTS, tenant, &look.ids, Some(young)).await?;
            match sweep.sought {
                Sought::Events => remove::events(conn, tenant, &events, &mut room).await?.is_all,
                _ => remove::event_bodies(conn, tenant, &events, sweep.now, &mut room).await?,
            }
        }
        Sought::Attempts | Sought::Answers => {
            remove::hold_deliveries(conn, tenant, &look.ids).await?;
            let deliveries = still(conn, SWEPT_DELIVERIES, tenant, &look.ids, None).await?;
            match sweep.sought {
                Sought::Attempts => remove::attempts(conn, tenant, &deliveries, &mut room).await?,
                _ => remove::answers(conn, tenant, &deliveries, &mut room).await?,
            }
        }
    };
    let mut swept = look.swept;
    swept.gone = room.taken();
    if !is_all {
        (swept.reached, swept.is_more) = (sweep.begin, true);
    }
    Ok(swept)
}

/// Which of `ids` may still go; `young` is where young deliveries begin.
async fn still(
    conn: &mut Connection,
    query: &'static str,
    tenant: TenantId,
    ids: &[String],
    young: Option<String>,
) -> Result<Vec<String>, StoreError> {
    let mut query = sqlx::query(query).bind(id_text(&tenant)).bind(words::texts(ids));
    if let Some(young) = young {
        query = query.bind(young);
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok(Columns(row).text("id")?.to_owned())).collect()
}

pub(crate) async fn begin(pool: &Pool, tenant: TenantId, sought: Sought) -> Result<String, StoreError> {
    const READ: &str = "SELECT at FROM sweeps WHERE tenant_id = $1 AND kind = $2";
    let row = sqlx::query(READ).bind(id_text(&tenant)).bind(sought.as_str()).fetch_optional(pool).await?;
    row.map_or(Ok(String::new()), |row| Ok(Columns(&row).text("at")?.to_owned()))
}

/// Not for a tenant that was deleted meanwhile: its row would stay for ever.
pub(crate) async fn set_begin(
    conn: &mut Connection,
    tenant: TenantId,
    sought: Sought,
    at: &str,
) -> Result<(), StoreError> {
    const WRITE: &str = "
        INSERT INTO sweeps (tenant_id, kind, at) SELECT id, $2, $3 FROM tenants WHERE id = $1 AND deleted_at IS NULL
        ON CONFLICT (tenant_id, kind) DO UPDATE SET at = excluded.at";
    let write = sqlx::query(WRITE).bind(id_text(&tenant)).bind(sought.as_str()).bind(at.to_owned());
    write.execute(conn).await?;
    Ok(())
}
