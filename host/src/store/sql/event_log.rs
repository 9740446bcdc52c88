//! Events, newest first. A subject and times have an index; a type, an account and
//! a tag are looked for in so many events at most.

use sqlx::QueryBuilder;

use super::db::{Db, Pool};
use super::rows::{self, Columns};
use super::searched::Search;
use super::spans::Span;
use super::words;
use crate::domain::event::Event;
use crate::domain::id::{EventId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::{EventQuery, MAX_PAGE, Searched};
use crate::store::text::id_text;

/// Events that are looked at: what is looked for stands before their data.
const LOOKED_AT: u32 = 10_000;

/// An event that was found, before it is read: data may be large.
pub(crate) struct Found {
    pub(crate) id: EventId,
    pub(crate) bytes: usize,
}

pub(crate) async fn page(
    pool: &Pool,
    tenant: TenantId,
    wanted: EventQuery,
) -> Result<Searched<Event, EventId>, StoreError> {
    let end = bound(&wanted).map(|bound| (bound, end(tenant, &wanted, bound)));
    let search = Search { list: list(tenant, &wanted), end, limit: wanted.limit };
    let found = search
        .page(pool, |row| {
            let row = Columns(row);
            Ok(Found { id: row.parsed("id")?, bytes: row.int("bytes")? })
        })
        .await?;
    let fitting = fitting(&found.items);
    let next = match fitting < found.items.len() {
        true => found.items[..fitting].last().map(|last| last.id),
        false => found.next,
    };
    let items = read(pool, tenant, &found.items[..fitting]).await?;
    Ok(Searched { items, next, searched: found.searched })
}

/// How many of them fit into a page; the first always does.
pub(crate) fn fitting(found: &[Found]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&Found| {
        bytes += event.bytes;
        bytes <= MAX_PAGE
    };
    found.iter().take_while(fits).count().max(usize::from(!found.is_empty()))
}

async fn read(pool: &Pool, tenant: TenantId, found: &[Found]) -> Result<Vec<Event>, StoreError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query.push(rows::EVENT).push(" FROM events WHERE tenant_id = ").push_bind(id_text(&tenant)).push(" AND id IN (");
    let mut list = query.separated(", ");
    for event in found {
        list.push_bind(id_text(&event.id));
    }
    query.push(") ORDER BY id DESC");
    query.build().fetch_all(pool).await?.iter().map(|row| rows::event(tenant, row)).collect()
}

pub(crate) fn bound(wanted: &EventQuery) -> Option<u32> {
    let by_account = wanted.account.is_some() || wanted.without_account;
    (wanted.event_type.is_some() || by_account || wanted.tag.is_some()).then_some(LOOKED_AT)
}

pub(crate) fn list(tenant: TenantId, wanted: &EventQuery) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("SELECT id, bytes FROM (");
    let columns = "id, type, account, subject, tags, CAST(octet_length(data) AS BIGINT) AS bytes";
    let span = looked_at(&mut query, columns, tenant, wanted);
    query.push(" LIMIT ").push_bind(i64::from(bound(wanted).unwrap_or(wanted.limit + 1)));
    query.push(") AS looked WHERE TRUE");
    if let Some(pattern) = &wanted.event_type {
        query.push(" AND looked.type").push(words::FITS).push_bind(words::pattern(pattern));
    }
    if let Some(account) = &wanted.account {
        query.push(" AND looked.account = ").push_bind(account.clone());
    }
    if wanted.without_account {
        query.push(" AND looked.account IS NULL");
    }
    if let Some(tag) = &wanted.tag {
        query.push(concat!(" AND EXISTS (SELECT 1 FROM ", elements!("looked.tags", "tag"), " WHERE tag.value = "));
        query.push_bind(tag.clone()).push(")");
    }
    span.newest_first(&mut query);
    query.push(" LIMIT ").push_bind(i64::from(wanted.limit + 1));
    query
}

/// The last row of those that are looked at, where there are more behind it.
pub(crate) fn end(tenant: TenantId, wanted: &EventQuery, bound: u32) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("");
    looked_at(&mut query, "id", tenant, wanted);
    query.push(" LIMIT 1 OFFSET ").push_bind(i64::from(bound - 1));
    query
}

/// Answers which rows they are.
fn looked_at(query: &mut QueryBuilder<Db>, columns: &'static str, tenant: TenantId, wanted: &EventQuery) -> Span {
    query.push("SELECT ").push(columns).push(" FROM events");
    if wanted.subject.is_some() {
        query.push(by!("events_by_subject"));
    }
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    // When an event came is in its id, and so are bounds on it. Of two upper bounds
    // SQLite would take the one that is written first.
    let below = wanted.before.map(EventId::floor).into_iter().chain(wanted.older_than).min();
    let mut span = Span::default().from(wanted.after.map(EventId::floor)).below(below);
    if let Some(subject) = &wanted.subject {
        // Written out: an index of some rows is only used for what names them.
        query.push(" AND subject IS NOT NULL");
        span = span.of("subject", subject);
    }
    if wanted.with_data {
        query.push(" AND data_gone_at IS NULL");
    }
    if let Some(max) = wanted.max_data {
        query.push(" AND octet_length(data) <= ").push_bind(i64::from(max));
    }
    span.narrow(query);
    span.newest_first(query);
    span
}
