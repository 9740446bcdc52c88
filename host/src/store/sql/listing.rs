//! Lists: what is read in the order of an index.

use sqlx::query::Query;

use super::db::{Arguments, Db, Pool, Row};
use super::words::BEGIN_LISTING;
use crate::store::StoreError;

/// What is counted, or added up, of a list.
pub(crate) async fn row(pool: &Pool, list: Query<'_, Db, Arguments>) -> Result<Row, StoreError> {
    let mut listing = pool.begin_with(BEGIN_LISTING).await?;
    let row = list.fetch_one(&mut *listing).await?;
    listing.commit().await?;
    Ok(row)
}

pub(crate) async fn rows(pool: &Pool, list: Query<'_, Db, Arguments>) -> Result<Vec<Row>, StoreError> {
    let mut listing = pool.begin_with(BEGIN_LISTING).await?;
    let rows = list.fetch_all(&mut *listing).await?;
    listing.commit().await?;
    Ok(rows)
}
