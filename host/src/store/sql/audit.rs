//! The audit log: written with the change that it tells of, and only read since.
//! What the operator changes of its own is there as `operator`'s, beside tenants'.

use super::db::{Connection, Pool, Row};
use super::rows::{Columns, corrupt};
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
    // By a target through an index of its own; the rest is looked at one by one.
    const EVERYTHING: &str = "
        SELECT id, author, author_name, action, target, changes FROM audit
        WHERE tenant_id = $1 AND id >= $2 AND id < $3 AND ($4 IS NULL OR action = $4) AND ($5 IS NULL OR author = $5)
        ORDER BY id DESC LIMIT $6";
    const OF_TARGET: &str = "
        SELECT id, author, author_name, action, target, changes FROM audit
        WHERE tenant_id = $1 AND id >= $2 AND id < $3 AND ($4 IS NULL OR action = $4) AND ($5 IS NULL OR author = $5)
            AND target = $7
        ORDER BY id DESC LIMIT $6";
    let after = query.after.map(|at| AuditId::floor(at).to_string()).unwrap_or_default();
    let ends = [query.before.map(AuditId::floor), query.older_than];
    // No id sorts behind the tilde.
    let end = ends.into_iter().flatten().min().map_or_else(|| "~".to_owned(), |id| id.to_string());
    let read = sqlx::query(if query.target.is_some() { OF_TARGET } else { EVERYTHING })
        .bind(id_text(&whose))
        .bind(after)
        .bind(end)
        .bind(query.action.map(Action::as_str))
        .bind(query.by)
        .bind(i64::from(query.limit));
    let read = match query.target {
        Some(target) => read.bind(target),
        None => read,
    };
    read.fetch_all(pool).await?.iter().map(|row| entry(whose, row)).collect()
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
