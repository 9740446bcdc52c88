//! Events, newest first. A subject and times have an index; a type, an account and
//! a tag are looked for in so many events at most.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::bulk::id_text;
use super::rows::{self, Columns};
use super::searched::Search;
use crate::domain::event::Event;
use crate::domain::id::{EventId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::{EventQuery, MAX_PAGE, Searched};

/// Events that are looked at: what is looked for stands before their data.
const LOOKED_AT: u32 = 10_000;

/// An event that was found, before it is read: data may be large.
struct Found {
    id: EventId,
    bytes: usize,
}

pub(super) async fn page(
    pool: &SqlitePool,
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
fn fitting(found: &[Found]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&Found| {
        bytes += event.bytes;
        bytes <= MAX_PAGE
    };
    found.iter().take_while(fits).count().max(usize::from(!found.is_empty()))
}

async fn read(pool: &SqlitePool, tenant: TenantId, found: &[Found]) -> Result<Vec<Event>, StoreError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(rows::EVENT).push(" FROM events WHERE tenant_id = ").push_bind(id_text(&tenant)).push(" AND id IN (");
    let mut list = query.separated(", ");
    for event in found {
        list.push_bind(id_text(&event.id));
    }
    query.push(") ORDER BY id DESC");
    query.build().fetch_all(pool).await?.iter().map(|row| rows::event(tenant, row)).collect()
}

fn bound(wanted: &EventQuery) -> Option<u32> {
    let by_account = wanted.account.is_some() || wanted.without_account;
    (wanted.event_type.is_some() || by_account || wanted.tag.is_some()).then_some(LOOKED_AT)
}

fn list(tenant: TenantId, wanted: &EventQuery) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT id, bytes FROM (");
    looked_at(&mut query, "id, type, account, tags, octet_length(data) AS bytes", tenant, wanted);
    query.push(" LIMIT ").push_bind(i64::from(bound(wanted).unwrap_or(wanted.limit + 1)));
    query.push(") AS looked WHERE 1");
    if let Some(pattern) = &wanted.event_type {
        // Of what GLOB reads as a sign, a pattern has the star alone.
        query.push(" AND looked.type GLOB ").push_bind(pattern.as_str().to_owned());
    }
    if let Some(account) = &wanted.account {
        query.push(" AND looked.account = ").push_bind(account.clone());
    }
    if wanted.without_account {
        query.push(" AND looked.account IS NULL");
    }
    if let Some(tag) = &wanted.tag {
        query.push(" AND EXISTS (SELECT 1 FROM json_each(looked.tags) AS tag WHERE tag.value = ");
        query.push_bind(tag.clone()).push(")");
    }
    query.push(" ORDER BY looked.id DESC LIMIT ").push_bind(i64::from(wanted.limit + 1));
    query
}

/// The last row of those that are looked at, where there are more behind it.
fn end(tenant: TenantId, wanted: &EventQuery, bound: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("");
    looked_at(&mut query, "id", tenant, wanted);
    query.push(" LIMIT 1 OFFSET ").push_bind(i64::from(bound - 1));
    query
}

fn looked_at(query: &mut QueryBuilder<Sqlite>, columns: &'static str, tenant: TenantId, wanted: &EventQuery) {
    query.push("SELECT ").push(columns).push(" FROM events");
    if wanted.subject.is_some() {
        query.push(" INDEXED BY events_by_subject");
    }
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    if let Some(subject) = &wanted.subject {
        query.push(" AND subject = ").push_bind(subject.clone());
    }
    if wanted.with_data {
        query.push(" AND data_gone_at IS NULL");
    }
    if let Some(max) = wanted.max_data {
        query.push(" AND octet_length(data) <= ").push_bind(i64::from(max));
    }
    // When an event came is in its id, and so are bounds on it. Of two upper bounds
    // SQLite would take the one that is written first.
    if let Some(after) = wanted.after {
        query.push(" AND id >= ").push_bind(EventId::floor(after).to_string());
    }
    if let Some(below) = wanted.before.map(EventId::floor).into_iter().chain(wanted.older_than).min() {
        query.push(" AND id < ").push_bind(below.to_string());
    }
    query.push(" ORDER BY id DESC");
}

#[cfg(test)]
mod tests {
    use super::super::keeping_tests::{database, plan};
    use super::*;
    use crate::domain::time::Timestamp;

    fn questions() -> impl Iterator<Item = EventQuery> {
        let at = Timestamp::from_millis(1_763_700_000_000);
        (0..128).map(move |ways| {
            let some = |bit: u32| (ways & bit > 0).then(|| "x".to_owned());
            EventQuery {
                event_type: some(1).map(|_| "order.*".parse().unwrap()),
                tag: some(2),
                subject: some(4),
                account: some(8),
                without_account: ways & 64 > 0,
                with_data: ways & 16 > 0,
                max_data: (ways & 16 > 0).then_some(10),
                after: (ways & 32 > 0).then_some(at),
                before: (ways & 32 > 0).then_some(at),
                older_than: (ways & 1 > 0).then(|| EventId::floor(at)),
                limit: 50,
            }
        })
    }

    #[tokio::test]
    async fn no_question_reads_all_events_or_sorts_them() {
        let mut conn = database().await;
        let tenant = TenantId::floor(Timestamp::from_millis(1));
        for wanted in questions() {
            for query in [list(tenant, &wanted), end(tenant, &wanted, 10)] {
                let steps = plan(&mut conn, query.sql().as_str()).await;
                assert!(steps.iter().any(|step| step.starts_with("SEARCH events USING")), "{wanted:?}\n{steps:#?}");
                assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{wanted:?}\n{steps:#?}");
            }
            let by_account = wanted.account.is_some() || wanted.without_account;
            let is_bounded = wanted.event_type.is_some() || wanted.tag.is_some() || by_account;
            assert_eq!(bound(&wanted).is_some(), is_bounded);
        }
    }

    #[test]
    fn a_page_ends_where_its_data_would_be_too_many_bytes() {
        let found = |sizes: &[usize]| {
            let found: Vec<Found> = sizes
                .iter()
                .map(|bytes| Found { id: EventId::floor(Timestamp::from_millis(1)), bytes: *bytes })
                .collect();
            fitting(&found)
        };
        assert_eq!(found(&[]), 0);
        assert_eq!(found(&[MAX_PAGE + 1, 1]), 1);
        assert_eq!(found(&[1, MAX_PAGE - 1, 1]), 2);
        assert_eq!(found(&[1, 2, 3]), 3);
    }
}
