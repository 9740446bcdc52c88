//! Lists: newest first, a page at a time, from where the cursor says.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use crate::store::ledger::Searched;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 250;

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    items: Vec<T>,
    /// Give it as `cursor` to get the next page; null on the last.
    next: Option<String>,
}

/// One page of a list in which not everything may have been looked at.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchedPage<T> {
    items: Vec<T>,
    /// Give it as `cursor` to go on; null where there is nothing more. It may come
    /// with fewer items than `limit`, or none: see `searched`.
    next: Option<String>,
    /// How many were looked at, at most, for what no index finds. Null where the
    /// page is complete.
    searched: Option<u32>,
}

impl<T> SearchedPage<T> {
    pub(super) fn of<Row, Id: Display>(found: Searched<Row, Id>, view: impl FnMut(Row) -> T) -> Self {
        Self {
            items: found.items.into_iter().map(view).collect(),
            next: found.next.map(|id| id.to_string()),
            searched: found.searched,
        }
    }
}

/// Which page of a list is asked for, where nothing else can be.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    cursor: Option<String>,
    limit: Option<u32>,
}

impl Paging {
    /// The id that the page is behind, and how many items it has at most.
    pub(super) fn parse<Id: FromStr>(&self) -> Result<(Option<Id>, u32), ApiError> {
        let limit = limit(self.limit)?;
        Ok((cursor(self.cursor.as_deref())?, limit))
    }
}

/// How many items a page has, one more being asked of the store to see whether
/// there is another page.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(ApiError::invalid("limit", format!("give 1 to {MAX_LIMIT}"))),
    }
}

/// The identifier that a cursor stands for.
pub(super) fn cursor<Id: FromStr>(cursor: Option<&str>) -> Result<Option<Id>, ApiError> {
    let wrong = || ApiError::invalid("cursor", "give what `next` of the page before was");
    cursor.map(|text| text.parse().map_err(|_| wrong())).transpose()
}

impl<T> Page<T> {
    /// The page of a list that is in memory, newest first.
    pub(super) fn among<Row, Id: Display + FromStr + Ord>(
        rows: impl Iterator<Item = Row>,
        paging: &Paging,
        id: impl Fn(&Row) -> Id,
        view: impl Fn(Row) -> T,
    ) -> Result<Self, ApiError> {
        let (older_than, limit) = paging.parse::<Id>()?;
        let found = rows.filter(|row| older_than.as_ref().is_none_or(|than| id(row) < *than)).take(limit as usize + 1);
        Ok(Self::of(found.collect(), limit, id, view))
    }

    /// A page of at most `limit` out of `found`, which has one more if there is
    /// another page.
    pub(super) fn of<Row, Id: Display>(
        mut found: Vec<Row>,
        limit: u32,
        id: impl Fn(&Row) -> Id,
        view: impl Fn(Row) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| id(last).to_string());
        Self { items: found.into_iter().map(view).collect(), next }
    }
}
