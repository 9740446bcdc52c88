//! Taking rows away, so many at most in one transaction, what hangs on a row
//! before the row. Each function runs in the writer's open transaction and is
//! called again when it could not take all.

use super::db::Connection;
use super::rows::Columns;
use super::words;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::text::id_text;

/// `$1` is the tenant, `$2` a list of ids, `$3` how many rows at most.
const HOLD_EVENTS: &str = concat!(
    "SELECT events.id FROM events WHERE tenant_id = $1 AND ",
    is_among!("id", "$2"),
    " ORDER BY id",
    hold_alone!("events")
);
const HOLD_DELIVERIES: &str = concat!(
    "SELECT deliveries.id FROM deliveries WHERE tenant_id = $1 AND ",
    is_among!("id", "$2"),
    " ORDER BY id",
    hold_alone!("deliveries")
);
const DELETE_MESSAGES: &str = concat!("DELETE FROM messages WHERE tenant_id = $1 AND ", is_among!("delivery_id", "$2"));
const DELETE_DELIVERIES: &str = concat!("DELETE FROM deliveries WHERE tenant_id = $1 AND ", is_among!("id", "$2"));
const DELETE_EVENTS: &str = concat!("DELETE FROM events WHERE tenant_id = $1 AND ", is_among!("id", "$2"));
const EMPTY_MESSAGES: &str = concat!(
    "UPDATE messages SET method = NULL, target = NULL, headers = NULL, body = NULL WHERE tenant_id = $1 AND ",
    is_among!("delivery_id", "$2")
);
const EMPTY_EVENTS: &str =
    concat!("UPDATE events SET data = 'null', data_gone_at = $3 WHERE tenant_id = $1 AND ", is_among!("id", "$2"));
const DELETE_ATTEMPTS: &str = concat!(
    "DELETE FROM attempts WHERE (delivery_id, tenant_id, number) IN (
        SELECT attempts.delivery_id, attempts.tenant_id, attempts.number FROM ",
    among!("$2", "one"),
    each!("attempts", "delivery_id = one.value AND attempts.tenant_id = $1"),
    " LIMIT $3)",
    also_among!("delivery_id", "$2")
);
const EMPTY_ANSWERS: &str = concat!(
    "UPDATE attempts SET answer_headers = NULL, answer_body = NULL WHERE (delivery_id, tenant_id, number) IN (
        SELECT attempts.delivery_id, attempts.tenant_id, attempts.number FROM ",
    among!("$2", "one"),
    each!("attempts", "delivery_id = one.value AND attempts.tenant_id = $1"),
    " WHERE answer_body IS NOT NULL LIMIT $3)",
    also_among!("delivery_id", "$2")
);
const FIND_DELIVERIES: &str = concat!(
    "SELECT deliveries.id AS id FROM ",
    among!("$2", "one"),
    each!("deliveries", by!("deliveries_by_event"), of_event!("one.value")),
    " LIMIT $3"
);
/// Deliveries whose messages are whole.
const FIND_MESSAGES: &str = concat!(
    "SELECT deliveries.id AS id FROM ",
    among!("$2", "one"),
    each!("deliveries", by!("deliveries_by_event"), of_event!("one.value")),
    each!("messages", "delivery_id = deliveries.id AND messages.tenant_id = $1"),
    " WHERE method IS NOT NULL LIMIT $3"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 11] = [
    HOLD_EVENTS,
    HOLD_DELIVERIES,
    DELETE_MESSAGES,
    DELETE_DELIVERIES,
    DELETE_EVENTS,
    EMPTY_MESSAGES,
    EMPTY_EVENTS,
    DELETE_ATTEMPTS,
    EMPTY_ANSWERS,
    FIND_DELIVERIES,
    FIND_MESSAGES,
];

/// How many rows may still be written.
pub(crate) struct Room {
    all: u64,
    left: u64,
}

impl Room {
    pub(crate) fn for_rows(rows: u32) -> Self {
        Self { all: rows.into(), left: rows.into() }
    }

    pub(crate) fn take(&mut self, rows: u64) -> u64 {
        self.left = self.left.saturating_sub(rows);
        rows
    }

    pub(crate) fn taken(&self) -> u64 {
        self.all - self.left
    }

    pub(crate) fn left(&self) -> i64 {
        i64::try_from(self.left).unwrap_or(i64::MAX)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// What was taken of some events.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) attempts: u64,
    pub(crate) is_all: bool,
}

/// Holds events alone: whoever makes a delivery of one holds it too, so that what is
/// asked and found next is true until the end.
pub(crate) async fn hold(conn: &mut Connection, tenant: TenantId, events: &[String]) -> Result<(), StoreError> {
    hold_rows(conn, HOLD_EVENTS, tenant, events).await
}

/// Holds deliveries alone: whoever settles one waits, and finds nothing then. What
/// hangs on it would otherwise be written after it was deleted.
pub(crate) async fn hold_deliveries(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[String],
) -> Result<(), StoreError> {
    hold_rows(conn, HOLD_DELIVERIES, tenant, deliveries).await
}

async fn hold_rows(
    conn: &mut Connection,
    statement: &'static str,
    tenant: TenantId,
    ids: &[String],
) -> Result<(), StoreError> {
    if words::HOLDS && !ids.is_empty() {
        sqlx::query(statement).bind(id_text(&tenant)).bind(words::texts(ids)).fetch_all(conn).await?;
    }
    Ok(())
}

/// Deletes events with all that hangs on them, whatever its state.
pub(crate) async fn events(
    conn: &mut Connection,
    tenant: TenantId,
    events: &[String],
    room: &mut Room,
) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    let (deliveries, is_all) = find(conn, FIND_DELIVERIES, tenant, events, room).await?;
    hold_deliveries(conn, tenant, &deliveries).await?;
    let before = room.taken();
    let are_all_gone = attempts(conn, tenant, &deliveries, room).await?;
    taken.attempts = room.taken() - before;
    if !are_all_gone {
        return Ok(taken);
    }
    if messages(conn, tenant, &deliveries, room).await? < deliveries.len() as u64 {
        return Ok(taken);
    }
    taken.deliveries = self::deliveries(conn, tenant, &deliveries, room).await?;
    if !is_all || taken.deliveries < deliveries.len() as u64 {
        return Ok(taken);
    }
    taken.events = take(conn, DELETE_EVENTS, tenant, events, room).await?;
    taken.is_all = taken.events == events.len() as u64;
    Ok(taken)
}

/// Empties events and the messages that were made of them. Answers whether all
/// are empty.
pub(crate) async fn event_bodies(
    conn: &mut Connection,
    tenant: TenantId,
    events: &[String],
    now: Timestamp,
    room: &mut Room,
) -> Result<bool, StoreError> {
    let (whole, _) = find(conn, FIND_MESSAGES, tenant, events, room).await?;
    take(conn, EMPTY_MESSAGES, tenant, &whole, room).await?;
    let some = first(events, room);
    let emptied = sqlx::query(EMPTY_EVENTS).bind(id_text(&tenant)).bind(words::texts(some)).bind(now.as_millis());
    room.take(emptied.execute(conn).await?.rows_affected());
    Ok(some.len() == events.len())
}

/// Deletes deliveries' attempts. Answers whether all are gone.
pub(crate) async fn attempts(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[String],
    room: &mut Room,
) -> Result<bool, StoreError> {
    write(conn, DELETE_ATTEMPTS, tenant, deliveries, room).await?;
    Ok(!room.is_over())
}

/// Empties what was answered to deliveries' attempts. Answers whether all is.
pub(crate) async fn answers(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[String],
    room: &mut Room,
) -> Result<bool, StoreError> {
    write(conn, EMPTY_ANSWERS, tenant, deliveries, room).await?;
    Ok(!room.is_over())
}

/// Deletes deliveries' messages, as many as there is room for; answers of how many
/// deliveries.
pub(crate) async fn messages(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[String],
    room: &mut Room,
) -> Result<u64, StoreError> {
    take(conn, DELETE_MESSAGES, tenant, deliveries, room).await
}

/// Deletes deliveries on which nothing hangs any more, as many as there is room for.
pub(crate) async fn deliveries(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[String],
    room: &mut Room,
) -> Result<u64, StoreError> {
    take(conn, DELETE_DELIVERIES, tenant, deliveries, room).await
}

/// Some of the deliveries of events, and whether they are all of them.
async fn find(
    conn: &mut Connection,
    statement: &'static str,
    tenant: TenantId,
    events: &[String],
    room: &Room,
) -> Result<(Vec<String>, bool), StoreError> {
    let find = sqlx::query(statement).bind(id_text(&tenant)).bind(words::texts(events)).bind(room.left());
    let rows = find.fetch_all(conn).await?;
    let ids: Result<Vec<String>, StoreError> = rows.iter().map(|row| Ok(Columns(row).text("id")?.to_owned())).collect();
    let ids = ids?;
    let is_all = (ids.len() as i64) < room.left();
    Ok((ids, is_all))
}

/// Runs what takes up to `$3` rows of what hangs on `ids`.
async fn write(
    conn: &mut Connection,
    statement: &'static str,
    tenant: TenantId,
    ids: &[String],
    room: &mut Room,
) -> Result<(), StoreError> {
    let written = sqlx::query(statement).bind(id_text(&tenant)).bind(words::texts(ids)).bind(room.left());
    room.take(written.execute(conn).await?.rows_affected());
    Ok(())
}

/// Runs what takes one row for each of `ids`, as many as there is room for;
/// answers how many it was given.
async fn take(
    conn: &mut Connection,
    statement: &'static str,
    tenant: TenantId,
    ids: &[String],
    room: &mut Room,
) -> Result<u64, StoreError> {
    let some = first(ids, room);
    let taken = sqlx::query(statement).bind(id_text(&tenant)).bind(words::texts(some)).execute(conn).await?;
    room.take(taken.rows_affected());
    Ok(some.len() as u64)
}

fn first<'a>(ids: &'a [String], room: &Room) -> &'a [String] {
    &ids[..ids.len().min(usize::try_from(room.left).unwrap_or(usize::MAX))]
}
