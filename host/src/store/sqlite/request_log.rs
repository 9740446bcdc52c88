//! What sources received, newest first. A source and a state have an index each;
//! a state of one source is looked for among the newest of that source.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::bulk::id_text;
use super::rows::{self, Columns};
use super::searched::Search;
use crate::domain::id::{RequestId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::{LoggedRequest, RequestQuery, Searched};

/// Requests of a source that are looked at for a state, all in its index.
const LOOKED_AT: u32 = 20_000;

/// The columns of a request in a list: its body stays where it is.
const LISTED: &str =
    "requests.id, source_id, received_at, method, octet_length(body) AS bytes, state, reason, body_gone_at";

pub(super) async fn page(
    pool: &SqlitePool,
    tenant: TenantId,
    wanted: RequestQuery,
) -> Result<Searched<LoggedRequest, RequestId>, StoreError> {
    let end = bound(&wanted).map(|bound| (bound, end(tenant, &wanted, bound)));
    Search { list: list(tenant, &wanted), end, limit: wanted.limit }.page(pool, logged).await
}

fn logged(row: &SqliteRow) -> Result<LoggedRequest, StoreError> {
    let columns = Columns(row);
    Ok(LoggedRequest {
        id: columns.parsed("id")?,
        source: columns.parsed("source_id")?,
        received_at: columns.at("received_at")?,
        method: columns.text("method")?.to_owned(),
        fate: rows::fate(&columns)?,
        bytes: columns.int("bytes")?,
        body_gone_at: columns.maybe_at("body_gone_at")?,
    })
}

fn bound(wanted: &RequestQuery) -> Option<u32> {
    (wanted.source.is_some() && wanted.state.is_some()).then_some(LOOKED_AT)
}

fn list(tenant: TenantId, wanted: &RequestQuery) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(LISTED).push(" FROM requests WHERE tenant_id = ").push_bind(id_text(&tenant));
    query.push(" AND id IN (SELECT id FROM (");
    looked_at(&mut query, tenant, wanted);
    query.push(" LIMIT ").push_bind(i64::from(bound(wanted).unwrap_or(wanted.limit + 1)));
    query.push(") AS looked");
    if let Some(state) = &wanted.state {
        query.push(" WHERE looked.state = ").push_bind(state.clone());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(wanted.limit + 1));
    query.push(") ORDER BY id DESC");
    query
}

/// The last row of those that are looked at, where there are more behind it.
fn end(tenant: TenantId, wanted: &RequestQuery, bound: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("");
    looked_at(&mut query, tenant, wanted);
    query.push(" LIMIT 1 OFFSET ").push_bind(i64::from(bound - 1));
    query
}

/// Ids and states, both out of an index.
fn looked_at(query: &mut QueryBuilder<Sqlite>, tenant: TenantId, wanted: &RequestQuery) {
    let (columns, index) = match (wanted.source, &wanted.state) {
        (Some(_), _) => ("id, state", " INDEXED BY requests_by_source"),
        (None, Some(_)) => ("id, state", " INDEXED BY requests_by_state"),
        (None, None) => ("id", ""),
    };
    query.push("SELECT ").push(columns).push(" FROM requests").push(index);
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    match (wanted.source, &wanted.state) {
        (Some(source), _) => {
            query.push(" AND source_id = ").push_bind(source.to_string());
        }
        (None, Some(state)) => {
            query.push(" AND state = ").push_bind(state.clone());
        }
        (None, None) => {}
    }
    if let Some(older_than) = wanted.older_than {
        query.push(" AND id < ").push_bind(older_than.to_string());
    }
    query.push(" ORDER BY id DESC");
}

#[cfg(test)]
mod tests {
    use super::super::keeping_tests::{database, plan};
    use super::*;
    use crate::domain::id::SourceId;
    use crate::domain::time::Timestamp;

    #[tokio::test]
    async fn no_question_reads_requests_to_find_some() {
        let mut conn = database().await;
        let at = Timestamp::from_millis(1_763_700_000_000);
        let tenant = TenantId::floor(at);
        for ways in 0..8 {
            let wanted = RequestQuery {
                source: (ways & 1 > 0).then(|| SourceId::floor(at)),
                state: (ways & 2 > 0).then(|| "accepted".to_owned()),
                older_than: (ways & 4 > 0).then(|| RequestId::floor(at)),
                limit: 50,
            };
            let steps = plan(&mut conn, end(tenant, &wanted, 10).sql().as_str()).await;
            assert!(steps.iter().all(|step| step.contains("SEARCH requests USING COVERING INDEX")), "{steps:#?}");
            let steps = plan(&mut conn, list(tenant, &wanted).sql().as_str()).await;
            assert!(!steps.iter().any(|step| step.contains("SCAN requests")), "{wanted:?}\n{steps:#?}");
        }
    }
}
