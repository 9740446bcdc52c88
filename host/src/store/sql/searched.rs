//! Lists that are narrowed by what no index finds: so many rows are looked at, the
//! newest first, and the answer says where that ended.

use std::str::FromStr;

use sqlx::QueryBuilder;

use super::db::{Db, Pool, Row};
use super::rows::Columns;
use super::words::BEGIN_LISTING;
use crate::store::StoreError;
use crate::store::ledger::Searched;

/// How a page is found.
pub(crate) struct Search {
    /// Finds what is meant, at most one row more than `limit`.
    pub(crate) list: QueryBuilder<Db>,
    /// Finds the last row that was looked at, where there was one more than a
    /// bound; without it, all were.
    pub(crate) end: Option<(u32, QueryBuilder<Db>)>,
    pub(crate) limit: u32,
}

impl Search {
    /// The page, of rows that have an `id`.
    pub(crate) async fn page<T, Id: FromStr + Copy>(
        mut self,
        pool: &Pool,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Searched<T, Id>, StoreError> {
        let mut listing = pool.begin_with(BEGIN_LISTING).await?;
        let mut rows = self.list.build().fetch_all(&mut *listing).await?;
        let limit = self.limit as usize;
        let searched = self.end.as_ref().map(|(bound, _)| *bound);
        let last = match (self.end, rows.len() > limit) {
            (_, true) => {
                rows.truncate(limit);
                rows.last().map(|row| Columns(row).parsed("id")).transpose()?
            }
            // What lies behind the last row that was looked at is not known.
            (Some((_, mut end)), false) => {
                end.build().fetch_optional(&mut *listing).await?.map(|row| Columns(&row).parsed("id")).transpose()?
            }
            (None, false) => None,
        };
        listing.commit().await?;
        let items = rows.iter().map(read).collect::<Result<Vec<T>, _>>()?;
        Ok(Searched { items, next: last, searched })
    }
}
