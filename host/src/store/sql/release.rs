//! Claims that their host gives back.

use sqlx::QueryBuilder;

use super::db::{Connection, Db};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::Unbegun;
use crate::store::text::id_text;

/// In one statement; each takes three of the values that a statement may have.
const AT_ONCE: usize = 500;

/// The claim is the fence, as it is for a settlement.
pub(crate) async fn release(conn: &mut Connection, claims: Vec<Unbegun>, now: Timestamp) -> Result<u64, StoreError> {
    let mut released = 0;
    for some in claims.chunks(AT_ONCE) {
        let mut update = QueryBuilder::<Db>::new("WITH held (tenant_id, id, claim) AS (");
        update.push_values(some, |mut row, held| {
            row.push_bind(id_text(&held.tenant)).push_bind(id_text(&held.delivery)).push_bind(held.token.0);
        });
        update.push(") UPDATE deliveries SET claim = NULL, due_at = ").push_bind(now.as_millis());
        update.push(held_by!("held"));
        released += update.build().persistent(false).execute(&mut *conn).await?.rows_affected();
    }
    Ok(released)
}
