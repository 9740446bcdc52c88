//! The audit log: written with the change that it tells of, and only read since.
//! What the operator changes of its own is there as `operator`'s, beside tenants'.

use sqlx::QueryBuilder;

use super::db::{Connection, Db, Pool, Row};
use super::listing;
use super::rows::{Columns, corrupt};
use super::spans::Span;
use crate::domain::audit::{Action, Author, Entry};
use crate::domain::id::AuditId;
use crate::domain::user::Whose;
use crate::store::StoreError;
use crate::store::catalog::AuditQuery;
use crate::store::text::{id_text, json};

pub(crate) async fn write(conn: &mut Connection, entry: &Entry) -> Result<(), StoreError> {
    const WRITE: &str = "
        INSERT INTO audit (tenant_id, id, author, author_name, action, target, changes) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(WRITE)
        .bind(id_text(&entry.whose))
        .bind(id_text(&entry.id))
        .bind(entry.by.to_string())
        .bind(entry.by.name())
        .bind(entry.action.as_str())
        .bind(entry.target.as_str())
        .bind(json(&entry.changes))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn read(pool: &Pool, whose: Whose, query: AuditQuery) -> Result<Vec<Entry>, StoreError> {
    let after = query.after.map(AuditId::floor);
    let span =
        Span::default().from(after).below(query.before.map(AuditId::floor).into_iter().chain(query.older_than).min());
    // By a target through an index of its own; the rest is looked at one by one.
    let span = match query.target {
        Some(target) => span.of("target", target),
        None => span,
    };
    let mut read = QueryBuilder::<Db>::new("SELECT id, author, author_name, action, target, changes FROM audit");
    read.push(" WHERE tenant_id = ").push_bind(id_text(&whose));
    span.narrow(&mut read);
    if let Some(action) = query.action {
        read.push(" AND action = ").push_bind(action.as_str());
    }
    if let Some(by) = query.by {
        read.push(" AND author = ").push_bind(by);
    }
    span.newest_first(&mut read);
    read.push(" LIMIT ").push_bind(i64::from(query.limit));
    listing::rows(pool, read.build()).await?.iter().map(|row| entry(whose, row)).collect()
}

fn entry(whose: Whose, row: &Row) -> Result<Entry, StoreError> {
    let row = Columns(row);
    let by = Author::from_parts(row.text("author")?, row.maybe_text("author_name")?);
    Ok(Entry {
        id: row.parsed("id")?,
        whose,
        by: by.ok_or_else(|| corrupt("audit.author"))?,
        action: Action::parse(row.text("action")?).ok_or_else(|| corrupt("audit.action"))?,
        target: row.text("target")?.to_owned(),
        changes: row.json("changes")?,
    })
}
