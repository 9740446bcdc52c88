//! The delivery log: deliveries with what people look for in them, newest first.
//!
//! What has an index is found through it. What has none (a text, an event's
//! type or account) is looked for in so many rows at most, and the answer says where it
//! stopped: no question is slow, and whoever wants more goes on from there.

use sqlx::QueryBuilder;

use super::db::{Db, Pool, Row};
use super::reads::earliest;
use super::rows::{self, Columns};
use super::searched::Search;
use super::spans::Span;
use super::words;
use crate::domain::delivery::State;
use crate::domain::id::{DeliveryId, TenantId};
use crate::store::StoreError;
use crate::store::ledger::{LogQuery, Logged, Searched};
use crate::store::text::id_text;

/// Rows that are looked at for a state or an endpoint, and where their events
/// have to be read as well.
pub(crate) const LOOKED_AT: u32 = 6_000;
pub(crate) const READ: u32 = 3_000;

/// What leads to the rows.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    One,
    Event,
    /// Dead, dropped or cancelled.
    Ended(State),
    Endpoint,
    All,
}

impl Way {
    pub(crate) fn of(wanted: &LogQuery) -> Self {
        match (wanted.only, wanted.event, wanted.state, wanted.endpoint) {
            (Some(_), ..) => Self::One,
            (_, Some(_), ..) => Self::Event,
            (_, _, Some(state @ (State::Dead | State::Dropped | State::Cancelled)), _) => Self::Ended(state),
            (.., Some(_)) => Self::Endpoint,
            _ => Self::All,
        }
    }

    fn index(self) -> &'static str {
        match self {
            Self::One | Self::All => "",
            Self::Event => by!("deliveries_by_event"),
            Self::Ended(_) => by!("deliveries_ended"),
            Self::Endpoint => by!("deliveries_by_endpoint"),
        }
    }

    /// How many rows it has to look at, where it finds others on its way.
    pub(crate) fn bound(self, wanted: &LogQuery) -> Option<u32> {
        let by_state = wanted.state.is_some() && !matches!(self, Self::Ended(_));
        let by_endpoint = wanted.endpoint.is_some() && self != Self::Endpoint;
        let by_event = wanted.event_type.is_some() || wanted.account.is_some() || wanted.text.is_some();
        match (by_event, by_state || by_endpoint) {
            (true, _) => Some(READ),
            (false, true) => Some(LOOKED_AT),
            (false, false) => None,
        }
    }
}

pub(crate) async fn page(
    pool: &Pool,
    tenant: TenantId,
    wanted: LogQuery,
) -> Result<Searched<Logged, DeliveryId>, StoreError> {
    let end = Way::of(&wanted).bound(&wanted).map(|bound| (bound, end(tenant, &wanted, bound)));
    Search { list: list(tenant, &wanted), end, limit: wanted.limit }.page(pool, logged).await
}

fn logged(row: &Row) -> Result<Logged, StoreError> {
    let columns = Columns(row);
    Ok(Logged {
        delivery: rows::delivery(row)?,
        event_type: columns.maybe_text("event_type")?,
        last_status: columns.maybe_int("last_status")?,
    })
}

/// The rows that are looked at, and of those the ones that are meant.
pub(crate) fn list(tenant: TenantId, wanted: &LogQuery) -> QueryBuilder<Db> {
    let way = Way::of(wanted);
    // Attempts are read of those that are shown, not of all that are looked at.
    let mut query = QueryBuilder::new(
        "SELECT found.*, (SELECT status FROM attempts WHERE attempts.delivery_id = found.id
            AND attempts.tenant_id = found.tenant_id ORDER BY number DESC LIMIT 1) AS last_status
        FROM (SELECT looked.*, events.type AS event_type FROM (",
    );
    looked_at(&mut query, &format!("tenant_id, {}", rows::DELIVERY), tenant, wanted);
    query.push(" LIMIT ").push_bind(i64::from(way.bound(wanted).unwrap_or(wanted.limit + 1)));
    // Maybe: an event may be gone before its deliveries.
    query.push(concat!(
        ") AS looked",
        each_maybe!("events", "events.tenant_id = looked.tenant_id AND events.id = looked.event_id"),
        " WHERE TRUE"
    ));
    if let Some(state) = wanted.state {
        query.push(" AND looked.state = ").push_bind(state.as_str());
    }
    if let Some(endpoint) = wanted.endpoint {
        query.push(" AND looked.endpoint_id = ").push_bind(endpoint.to_string());
    }
    if let Some(pattern) = &wanted.event_type {
        // An event that must be there would be looked for first.
        query.push(" AND coalesce(events.type, '')").push(words::FITS).push_bind(words::pattern(pattern));
    }
    if let Some(account) = &wanted.account {
        query.push(" AND coalesce(events.account, '') = ").push_bind(account.clone());
    }
    if let Some(text) = &wanted.text {
        let like = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        query.push(" AND (looked.id = ").push_bind(text.clone());
        for column in ["looked.event_id", "looked.endpoint_id", "looked.reason", "events.subject", "events.type"] {
            query.push(" OR ").push(column).push(words::LIKE).push_bind(like.clone()).push(" ESCAPE '\\'");
        }
        query.push(" OR looked.endpoint_id IN (");
        let mut list = query.separated(", ");
        for endpoint in &wanted.endpoints_of_text {
            list.push_bind(endpoint.to_string());
        }
        query.push("))");
    }
    query.push(" ORDER BY looked.id DESC LIMIT ").push_bind(i64::from(wanted.limit + 1));
    query.push(") AS found ORDER BY found.id DESC");
    query
}

/// The last row of those that are looked at, where there are more behind it.
pub(crate) fn end(tenant: TenantId, wanted: &LogQuery, bound: u32) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("");
    looked_at(&mut query, "id", tenant, wanted);
    query.push(" LIMIT 1 OFFSET ").push_bind(i64::from(bound - 1));
    query
}

fn looked_at(query: &mut QueryBuilder<Db>, columns: &str, tenant: TenantId, wanted: &LogQuery) {
    let way = Way::of(wanted);
    query.push("SELECT ").push(columns).push(" FROM ");
    // An event's are few, and found before they are put in order.
    if way == Way::Event {
        query.push("(SELECT * FROM ");
    }
    query.push("deliveries").push(way.index());
    query.push(" WHERE tenant_id = ").push_bind(id_text(&tenant));
    // Of two lower or upper bounds SQLite would take the one that is written first.
    let floor = wanted.since.map(DeliveryId::floor);
    let until = wanted.until.map(DeliveryId::floor);
    let below = until.into_iter().chain(wanted.older_than).min();
    let mut span = Span::default().below(below);
    match way {
        Way::One => {
            let only = wanted.only.map(|id| id.to_string());
            query.push(" AND id = ").push_bind(only);
        }
        Way::Event => {
            query.push(" AND event_id = ").push_bind(wanted.event.map(|id| id.to_string()));
        }
        // Written out: an index of some rows is only used for what names them.
        Way::Ended(state) => {
            query.push(" AND state IN ('dead', 'dropped', 'cancelled')");
            span = span.of("state", state.as_str());
        }
        Way::Endpoint => span.of = wanted.endpoint.map(|id| ("endpoint_id", id.to_string())),
        Way::All => {}
    }
    let earliest = wanted.event.map(earliest);
    let span = span.from(floor.into_iter().chain(earliest).max());
    span.narrow(query);
    if way == Way::Event {
        query.push(concat!(row_by_row!(), ") AS deliveries"));
    }
    span.newest_first(query);
}
