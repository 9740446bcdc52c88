//! The audit log, as a tenant's admins and the operator read it, and the operator's
//! own.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::caretaker::Caretaker;
use super::super::error::ApiError;
use super::super::input::Params;
use super::super::page::{self, Page};
use super::events;
use crate::domain::audit::{Action, Author, Change, Entry};
use crate::domain::id::AuditId;
use crate::domain::time::Timestamp;
use crate::store::catalog::AuditQuery;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct View {
    id: AuditId,
    at: Timestamp,
    by: By,
    action: &'static str,
    target: String,
    changes: Vec<Change>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditAuthor)]
struct By {
    /// A key's or a user's, `operator`, `portal` or `hookyard`.
    id: String,
    /// The key's or the user's, as it was then; a portal's account.
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// The id or name of what was changed.
    target: Option<String>,
    /// What was done to it, such as `endpoint.updated`.
    action: Option<String>,
    /// Who did it: a key's or a user's id, `operator` or `hookyard`.
    by: Option<String>,
    after: Option<String>,
    before: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists what was changed, newest first.
///
/// Each entry says who did what to what, and from which value to which. The operator reads also of a tenant that was
/// deleted.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "list_audit_entries",
    tag = "audit",
    params(ListParams),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caretaker: Caretaker,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
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
    let found = app.catalog.audit(caretaker.whose(), query).await?;
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
        None => Err(ApiError::invalid("by", "give a key's or a user's id, `operator`, `portal` or `hookyard`")),
    }
}
