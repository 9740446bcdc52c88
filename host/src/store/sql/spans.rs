//! Spans of ids in lists: which rows of a table come, from where to where, and in
//! which order.
//!
//! Rows with one value in a column are found through an index of that column and the
//! ids behind it. Where none can be named, the order does: what is asked for is
//! compared and sorted as that index is, and no other has them so. (With an `=`, the
//! column is no part of the order, and the index of ids alone would do as well.)

use std::fmt;

use sqlx::QueryBuilder;

use super::db::Db;
use super::words::BY_ORDER;

/// No id sorts behind it.
const END: &str = "~";

/// Rows of a tenant.
#[derive(Default)]
pub(crate) struct Span {
    /// With this value in this column.
    pub(crate) of: Option<(&'static str, String)>,
    /// From this id on, and before that.
    pub(crate) from: Option<String>,
    pub(crate) below: Option<String>,
}

impl Span {
    pub(crate) fn of(mut self, column: &'static str, value: impl fmt::Display) -> Self {
        self.of = Some((column, value.to_string()));
        self
    }

    pub(crate) fn from(mut self, id: Option<impl fmt::Display>) -> Self {
        self.from = id.map(|id| id.to_string());
        self
    }

    /// Behind this id. Ids have one length.
    pub(crate) fn behind(mut self, id: Option<impl fmt::Display>) -> Self {
        self.from = id.map(|id| format!("{id} "));
        self
    }

    pub(crate) fn below(mut self, id: Option<impl fmt::Display>) -> Self {
        self.below = id.map(|id| id.to_string());
        self
    }

    /// The condition, as one more of a statement that has one.
    pub(crate) fn narrow(&self, query: &mut QueryBuilder<Db>) {
        match &self.of {
            Some((column, value)) if BY_ORDER => {
                let bounds = [(">=", self.from.as_deref().unwrap_or("")), ("<", self.below.as_deref().unwrap_or(END))];
                for (compared, id) in bounds {
                    query.push(format_args!(" AND ({column}, id) {compared} (")).push_bind(value.clone());
                    query.push(", ").push_bind(id.to_owned()).push(")");
                }
            }
            Some((column, value)) => {
                query.push(format_args!(" AND {column} = ")).push_bind(value.clone());
            }
            None => {}
        }
        // Alone too: whole days are passed over by them.
        if let Some(from) = &self.from {
            query.push(" AND id >= ").push_bind(from.clone());
        }
        if let Some(below) = &self.below {
            query.push(" AND id < ").push_bind(below.clone());
        }
    }

    pub(crate) fn newest_first(&self, query: &mut QueryBuilder<Db>) {
        self.order(query, " DESC");
    }

    pub(crate) fn oldest_first(&self, query: &mut QueryBuilder<Db>) {
        self.order(query, "");
    }

    fn order(&self, query: &mut QueryBuilder<Db>, direction: &'static str) {
        query.push(" ORDER BY ");
        if let (true, Some((column, _))) = (BY_ORDER, &self.of) {
            query.push(format_args!("{column}{direction}, "));
        }
        query.push("id").push(direction);
    }
}
