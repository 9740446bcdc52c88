//! What was claimed is held, and read with all that an attempt needs.

use std::collections::HashMap;
use std::fmt;

use sqlx::QueryBuilder;

use super::db::{Db, Pool};
use super::rows::{self, Columns};
use super::words::each_maybe;
use crate::domain::claim::{Claim, ClaimToken};
use crate::domain::id::{DeliveryId, EventId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// A delivery that was claimed.
pub(crate) struct Held {
    pub(crate) tenant: TenantId,
    pub(crate) delivery: DeliveryId,
    pub(crate) event: EventId,
}

/// A statement's beginning, in which `held` are `ids`. Joined, they are found one
/// by one; of a list to be `IN`, SQLite would read every delivery.
pub(crate) fn among(ids: &[Held]) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::<Db>::new("WITH held (tenant_id, id) AS (");
    query.push_values(ids, |mut row, held| {
        row.push_bind(held.tenant.to_string()).push_bind(held.delivery.to_string());
    });
    query.push(") ");
    query
}

/// What was claimed, with all that an attempt needs, in the order of `ids`.
pub(crate) async fn claimed(
    pool: &Pool,
    (until, token): (Timestamp, ClaimToken),
    ids: &[Held],
) -> Result<Vec<Claim>, StoreError> {
    let mut query = among(ids);
    query.push("SELECT deliveries.tenant_id, deliveries.id AS delivery_id, deliveries.endpoint_id, ");
    query
        .push("deliveries.attempts, deliveries.line IS NOT NULL AS has_line, ")
        .push(rows::EVENT)
        .push(", ")
        .push(rows::MESSAGE);
    // What follows from the joins is said as constants too: tables may be cut into
    // days, and only those that are meant are planned with.
    let (events, deliveries) = (bounds(ids, |held| held.event), bounds(ids, |held| held.delivery));
    query.push(concat!(" FROM held", each_waiting!("held")));
    each_maybe(&mut query, "events", |query| {
        query
            .push("events.tenant_id = deliveries.tenant_id AND events.id = deliveries.event_id AND events.id BETWEEN ");
        query.push_bind(events.0).push(" AND ").push_bind(events.1);
    });
    each_maybe(&mut query, "messages", |query| {
        query.push("messages.tenant_id = deliveries.tenant_id AND messages.delivery_id = deliveries.id");
        query.push(" AND messages.delivery_id BETWEEN ").push_bind(deliveries.0).push(" AND ").push_bind(deliveries.1);
    });
    query.push(" WHERE events.id IS NOT NULL AND deliveries.claim = ").push_bind(token.0);
    let mut claims = Vec::with_capacity(ids.len());
    for row in query.build().persistent(false).fetch_all(pool).await? {
        let columns = Columns(&row);
        let tenant = columns.parsed("tenant_id")?;
        claims.push(Claim {
            tenant,
            delivery: columns.parsed("delivery_id")?,
            endpoint: columns.parsed("endpoint_id")?,
            token,
            until,
            has_line: columns.flag("has_line")?,
            attempts: columns.int("attempts")?,
            event: rows::event(tenant, &row)?.into(),
            message: rows::message(&row)?,
        });
    }
    let order: HashMap<DeliveryId, usize> = ids.iter().map(|held| held.delivery).zip(0..).collect();
    claims.sort_by_key(|claim| order.get(&claim.delivery).copied());
    Ok(claims)
}

/// The first and the last.
fn bounds<Id: Ord + fmt::Display>(held: &[Held], id: impl Fn(&Held) -> Id) -> (String, String) {
    let text = |id: Option<Id>| id.map(|id| id.to_string()).unwrap_or_default();
    (text(held.iter().map(&id).min()), text(held.iter().map(&id).max()))
}
