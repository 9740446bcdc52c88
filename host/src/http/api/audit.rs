//! The audit log, as a tenant's admins and the operator read it.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::{Operator, TenantCaller};
use super::super::error::ApiError;
use super::super::input::{Id, Params};
use super::super::page::{self, Page};
use super::events;
use crate::domain::audit::{Action, Author, Change, Entry};
use crate::domain::id::{AuditId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::catalog::AuditQuery;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/audit", get(list)).route("/tenants/{id}/audit", get(list_of))
}

#[derive(Serialize)]
struct View {
    id: AuditId,
    at: Timestamp,
    by: By,
    action: &'static str,
    target: String,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct By {
    /// A key's, `operator` or `hookyard`.
    id: String,
    /// The key's, as it was then.
    name: Option<String>,
}

impl From<Entry> for View {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.id.minted_at(),
            by: By { id: entry.by.to_string(), name: entry.by.name().map(str::to_owned) },
            action: entry.action.as_str(),
            target: entry.target,
            changes: entry.changes,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    target: Option<String>,
    action: Option<String>,
    by: Option<String>,
    after: Option<String>,
    before: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/audit`
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    page_of(&app, caller.id(), params).await
}

/// `GET /v1/tenants/{id}/audit`: also of a tenant that was deleted. Of one that
/// never was, there is nothing.
async fn list_of(
    State(app): State<App>,
    _operator: Operator,
    Id(tenant): Id<TenantId>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    page_of(&app, tenant, params).await
}

async fn page_of(app: &App, tenant: TenantId, params: ListParams) -> Result<Json<Page<View>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let query = AuditQuery {
        target: params.target,
        action: params.action.as_deref().map(action).transpose()?,
        by: params.by.map(author).transpose()?,
        after: events::instant("after", params.after)?,
        before: events::instant("before", params.before)?,
        older_than: page::cursor(params.cursor.as_deref())?,
        limit: limit + 1,
    };
    let found = app.catalog.audit(tenant, query).await?;
    Ok(Json(Page::of(found, limit, |entry| entry.id, View::from)))
}

fn action(text: &str) -> Result<Action, ApiError> {
    Action::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        ApiError::invalid("action", format!("give one of {}", known.join(", ")))
    })
}

fn author(text: String) -> Result<String, ApiError> {
    match Author::from_parts(&text, None) {
        Some(_) => Ok(text),
        None => Err(ApiError::invalid("by", "give a key's id, `operator` or `hookyard`")),
    }
}
