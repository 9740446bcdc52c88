//! What the ledger answers from its readers' connections. Each statement names
//! its tenant.

use sqlx::QueryBuilder;

use super::db::{Db, Pool};
use super::listing;
use super::record::parse_event_list;
use super::rows::{self, Columns};
use super::spans::Span;
use super::words;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, EventId, RequestId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{
    Delivery, DeliveryQuery, Idempotency, Prepared, Recorded, RerunQuery, StoredAttempt, StoredRequest,
};
use crate::store::text::id_text;

pub(crate) async fn request(pool: &Pool, tenant: TenantId, id: RequestId) -> Result<Option<StoredRequest>, StoreError> {
    let mut query = select(rows::REQUEST, "requests", tenant);
    query.push(" AND id = ").push_bind(id_text(&id));
    query.build().fetch_optional(pool).await?.map(|row| rows::request(tenant, &row)).transpose()
}

pub(crate) async fn requests_to_rerun(
    pool: &Pool,
    tenant: TenantId,
    wanted: RerunQuery,
) -> Result<Vec<RequestId>, StoreError> {
    let mut query = select("id", "requests", tenant);
    let span = Span::default().of("source_id", wanted.source).below(wanted.until.map(RequestId::floor));
    let span = match wanted.after {
        Some(after) => span.behind(Some(after)),
        None => span.from(wanted.since.map(RequestId::floor)),
    };
    span.narrow(&mut query);
    among(&mut query, wanted.states);
    query.push(" AND body_gone_at IS NULL");
    span.oldest_first(&mut query);
    query.push(" LIMIT ").push_bind(i64::from(wanted.limit));
    listing::rows(pool, query.build()).await?.iter().map(|row| Columns(row).parsed("id")).collect()
}

pub(crate) async fn event(pool: &Pool, tenant: TenantId, id: EventId) -> Result<Option<Event>, StoreError> {
    let mut query = select(rows::EVENT, "events", tenant);
    query.push(" AND id = ").push_bind(id_text(&id));
    query.build().fetch_optional(pool).await?.map(|row| rows::event(tenant, &row)).transpose()
}

pub(crate) async fn events_of(pool: &Pool, tenant: TenantId, request: RequestId) -> Result<Vec<EventId>, StoreError> {
    let mut query = select("events", "requests", tenant);
    query.push(" AND id = ").push_bind(id_text(&request));
    match query.build().fetch_optional(pool).await? {
        Some(row) => parse_event_list(Columns(&row).text("events")?),
        None => Ok(Vec::new()),
    }
}

pub(crate) async fn repeated(
    pool: &Pool,
    tenant: TenantId,
    asked: &Idempotency,
) -> Result<Option<Recorded>, StoreError> {
    const KNOWN: &str = "
        SELECT fingerprint, events FROM idempotency WHERE tenant_id = $1 AND key = $2 AND expires_at > $3";
    let known = sqlx::query(KNOWN).bind(id_text(&tenant)).bind(asked.key.as_str()).bind(asked.now.as_millis());
    let Some(row) = known.fetch_optional(pool).await? else { return Ok(None) };
    let row = Columns(&row);
    Ok(Some(match row.bytes("fingerprint")? == asked.fingerprint {
        true => Recorded::Repeated(parse_event_list(row.text("events")?)?),
        false => Recorded::KeyReused,
    }))
}

pub(crate) async fn delivery(pool: &Pool, tenant: TenantId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let mut query = select(rows::DELIVERY, "deliveries", tenant);
    query.push(" AND id = ").push_bind(id_text(&id));
    query.build().fetch_optional(pool).await?.map(|row| rows::delivery(&row)).transpose()
}

pub(crate) async fn deliveries(
    pool: &Pool,
    tenant: TenantId,
    wanted: DeliveryQuery,
) -> Result<Vec<Delivery>, StoreError> {
    // An event's are few, and found before they are put in order.
    let is_of_event = wanted.event.is_some();
    let table = match is_of_event {
        true => concat!("(SELECT * FROM deliveries", by!("deliveries_by_event")),
        false => "deliveries",
    };
    let mut query = select(rows::DELIVERY, table, tenant);
    let mut span = span(&wanted);
    match (is_of_event, wanted.endpoint) {
        (false, Some(endpoint)) => span = span.of("endpoint_id", endpoint),
        _ => narrow_endpoint(&mut query, &wanted),
    }
    span.narrow(&mut query);
    narrow_deliveries(&mut query, &wanted);
    if is_of_event {
        query.push(concat!(row_by_row!(), ") AS deliveries"));
    }
    match wanted.oldest_first {
        true => span.oldest_first(&mut query),
        false => span.newest_first(&mut query),
    }
    query.push(" LIMIT ").push_bind(i64::from(wanted.limit));
    listing::rows(pool, query.build()).await?.iter().map(rows::delivery).collect()
}

pub(crate) async fn count_deliveries(pool: &Pool, tenant: TenantId, wanted: DeliveryQuery) -> Result<u64, StoreError> {
    let mut query = select("count(*) AS found", "deliveries", tenant);
    narrow_endpoint(&mut query, &wanted);
    span(&wanted).narrow(&mut query);
    narrow_deliveries(&mut query, &wanted);
    Columns(&listing::row(pool, query.build()).await?).int("found")
}

pub(crate) async fn prepared(
    pool: &Pool,
    tenant: TenantId,
    delivery: DeliveryId,
) -> Result<Option<Prepared>, StoreError> {
    let mut query = QueryBuilder::<Db>::new("SELECT steps, ");
    query.push(rows::MESSAGE).push(" FROM messages WHERE tenant_id = ").push_bind(id_text(&tenant));
    query.push(" AND delivery_id = ").push_bind(id_text(&delivery));
    query.build().fetch_optional(pool).await?.map(|row| rows::prepared(&row)).transpose()
}

pub(crate) async fn attempts(
    pool: &Pool,
    tenant: TenantId,
    delivery: DeliveryId,
) -> Result<Vec<StoredAttempt>, StoreError> {
    let mut query = select(rows::ATTEMPT, "attempts", tenant);
    query.push(" AND delivery_id = ").push_bind(id_text(&delivery)).push(" ORDER BY number");
    query.build().fetch_all(pool).await?.iter().map(rows::attempt).collect()
}

fn select(columns: &'static str, table: &'static str, tenant: TenantId) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(columns).push(" FROM ").push(table).push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    query
}

/// The first id that a delivery of an event can have. It is made after the event, but
/// perhaps by a host whose clock is behind.
pub(crate) fn earliest(event: EventId) -> DeliveryId {
    const BEHIND: i64 = 60 * 60 * 1000;
    DeliveryId::floor(Timestamp::from_millis((event.minted_at().as_millis() - BEHIND).max(0)))
}

/// When a delivery was made is in its id, and so are bounds on it.
fn span(wanted: &DeliveryQuery) -> Span {
    let below = wanted.until.map(DeliveryId::floor).into_iter().chain(wanted.older_than).min();
    let span = Span::default().below(below);
    match wanted.newer_than {
        Some(newer_than) => span.behind(Some(newer_than)),
        None => span.from(wanted.since.map(DeliveryId::floor).into_iter().chain(wanted.event.map(earliest)).max()),
    }
}

fn narrow_endpoint(query: &mut QueryBuilder<Db>, wanted: &DeliveryQuery) {
    narrow(query, " AND endpoint_id = ", wanted.endpoint.map(|id| id.to_string()));
}

fn narrow_deliveries(query: &mut QueryBuilder<Db>, wanted: &DeliveryQuery) {
    narrow(query, " AND event_id = ", wanted.event.map(|id| id.to_string()));
    if !wanted.event_types.is_empty() {
        query.push(
            " AND EXISTS (SELECT 1 FROM events WHERE events.tenant_id = deliveries.tenant_id
                AND events.id = deliveries.event_id AND (",
        );
        let mut list = query.separated(" OR ");
        for pattern in &wanted.event_types {
            list.push("events.type").push_unseparated(words::FITS).push_bind_unseparated(words::pattern(pattern));
        }
        query.push(concat!(")", row_by_row!(), ")"));
    }
    if let Some(account) = &wanted.account {
        query.push(
            " AND EXISTS (SELECT 1 FROM events WHERE events.tenant_id = deliveries.tenant_id
                AND events.id = deliveries.event_id AND events.account = ",
        );
        query.push_bind(account.clone()).push(concat!(row_by_row!(), ")"));
    }
    if !wanted.states.is_empty() {
        among(query, wanted.states.iter().map(|state| state.as_str().to_owned()));
    }
    if wanted.with_data {
        query.push(concat!(
            " AND EXISTS (SELECT 1 FROM events WHERE events.tenant_id = deliveries.tenant_id
            AND events.id = deliveries.event_id AND events.data_gone_at IS NULL",
            row_by_row!(),
            ")"
        ));
    }
}

fn among(query: &mut QueryBuilder<Db>, states: impl IntoIterator<Item = String>) {
    // A list of none is no SQL.
    query.push(" AND state IN ('-'");
    for state in states {
        query.push(", ").push_bind(state);
    }
    query.push(")");
}

fn narrow<T>(query: &mut QueryBuilder<Db>, condition: &'static str, value: Option<T>)
where
    T: for<'q> sqlx::Encode<'q, Db> + sqlx::Type<Db> + Send + 'static,
{
    if let Some(value) = value {
        query.push(condition).push_bind(value);
    }
}
