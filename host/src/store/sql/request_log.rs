//! What sources received, newest first. A source and a state have an index each;
//! a state of one source is looked for among the newest of that source.

use sqlx::QueryBuilder;

use super::db::{Db, Pool, Row};
use super::rows::{self, Columns};
use super::searched::Search;
use super::spans::Span;
use crate::domain::id::{RequestId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::{LoggedRequest, RequestQuery, Searched};
use crate::store::text::id_text;

/// Requests of a source that are looked at for a state, all in its index.
const LOOKED_AT: u32 = 20_000;

/// The columns of a request in a list: its body stays where it is.
const LISTED: &str = "requests.id, requests.source_id, requests.received_at, requests.method,
    CAST(octet_length(requests.body) AS BIGINT) AS bytes, requests.state, requests.reason, requests.body_gone_at";

pub(crate) async fn page(
    pool: &Pool,
    tenant: TenantId,
    wanted: RequestQuery,
) -> Result<Searched<LoggedRequest, RequestId>, StoreError> {
    let end = bound(&wanted).map(|bound| (bound, end(tenant, &wanted, bound)));
    Search { list: list(tenant, &wanted), end, limit: wanted.limit }.page(pool, logged).await
}

fn logged(row: &Row) -> Result<LoggedRequest, StoreError> {
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

pub(crate) fn bound(wanted: &RequestQuery) -> Option<u32> {
    (wanted.source.is_some() && wanted.state.is_some()).then_some(LOOKED_AT)
}

pub(crate) fn list(tenant: TenantId, wanted: &RequestQuery) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(LISTED).push(" FROM (SELECT tenant_id, id FROM (");
    let span = looked_at(&mut query, tenant, wanted);
    query.push(" LIMIT ").push_bind(i64::from(bound(wanted).unwrap_or(wanted.limit + 1)));
    query.push(") AS looked");
    if let Some(state) = &wanted.state {
        query.push(" WHERE looked.state = ").push_bind(state.clone());
    }
    span.newest_first(&mut query);
    query.push(" LIMIT ").push_bind(i64::from(wanted.limit + 1));
    query.push(concat!(
        ") AS found",
        each!("requests", "requests.tenant_id = found.tenant_id AND requests.id = found.id"),
        " ORDER BY found.id DESC"
    ));
    query
}

/// The last row of those that are looked at, where there are more behind it.
pub(crate) fn end(tenant: TenantId, wanted: &RequestQuery, bound: u32) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("");
    looked_at(&mut query, tenant, wanted);
    query.push(" LIMIT 1 OFFSET ").push_bind(i64::from(bound - 1));
    query
}

/// Ids and states, both out of an index; answers what they are of.
fn looked_at(query: &mut QueryBuilder<Db>, tenant: TenantId, wanted: &RequestQuery) -> Span {
    let span = Span::default().below(wanted.older_than);
    let (columns, index, span) = match (wanted.source, &wanted.state) {
        (Some(source), _) => {
            ("tenant_id, source_id, id, state", by!("requests_by_source"), span.of("source_id", source))
        }
        (None, Some(state)) => ("tenant_id, id, state", by!("requests_by_state"), span.of("state", state)),
        (None, None) => ("tenant_id, id", "", span),
    };
    query.push("SELECT ").push(columns).push(" FROM requests").push(index);
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    span.narrow(query);
    span.newest_first(query);
    span
}
