//! Users: the people of a tenant, and the operator's way to them. Nobody sets
//! another's password: a link lets its taker set their own.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::{Operator, TenantCaller};
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::links::{self, LinkView};
use super::super::page::{self, Page};
use crate::clock::mint;
use crate::domain::audit::{self, Action, Entry};
use crate::domain::id::{TenantId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::domain::user::{Email, ROLES, User, Whose};
use crate::store::StoreError;

/// At most this many in one tenant.
const MAX_USERS: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, delete))
        .routes(routes!(link))
        .routes(routes!(list_of, create_for))
        .routes(routes!(show_of, change_of, delete_of))
        .routes(routes!(link_of))
}

/// `{email, name?, role?}`; a member, unless it is said otherwise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
struct Form {
    #[schema(format = Email)]
    email: String,
    name: Option<String>,
    /// `admin`, `member` or `viewer`.
    #[schema(value_type = Option<super::schema::UserRole>)]
    role: Option<String>,
}

impl Form {
    fn parse(self, tenant: TenantId, now: Timestamp) -> Result<User, ApiError> {
        let email: Email = input::field("email", &self.email)?;
        let name = match self.name.filter(|name| !name.is_empty()) {
            Some(name) => input::name(name)?,
            None => email.local_part().to_owned(),
        };
        let role = self.role.as_deref().map(role).transpose()?.unwrap_or(Role::Member);
        let whose = Whose::Tenant(tenant);
        Ok(User { id: mint(now), whose, email, name, role, password: None, created_at: now })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
struct Change {
    name: Option<String>,
    #[schema(value_type = Option<super::schema::UserRole>)]
    role: Option<String>,
}

impl Change {
    fn apply(self, before: &User) -> Result<User, ApiError> {
        let mut user = before.clone();
        if let Some(name) = self.name {
            user.name = input::name(name)?;
        }
        if let Some(text) = self.role {
            user.role = role(&text)?;
        }
        Ok(user)
    }
}

fn role(text: &str) -> Result<Role, ApiError> {
    let known = ROLES.map(Role::as_str).join(", ");
    let role = ROLES.into_iter().find(|role| role.as_str() == text);
    role.ok_or_else(|| ApiError::invalid("role", format!("give one of {known}")))
}

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct View {
    id: UserId,
    email: String,
    name: String,
    #[schema(value_type = super::schema::UserRole)]
    role: &'static str,
    /// Whether they have chosen one; until then only a link lets them in.
    has_password: bool,
    created_at: Timestamp,
}

impl From<User> for View {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email.to_string(),
            has_password: user.password.is_some(),
            name: user.name,
            role: user.role.as_str(),
            created_at: user.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = CreatedUser)]
struct Created {
    #[serde(flatten)]
    view: View,
    /// Lets them in, once, to choose a password. Shown once: hand it over.
    link: String,
    link_expires_at: Timestamp,
}

/// Makes a user.
///
/// Its answer has a link that lets them in once, to choose a password: hand it over. No e-mail is sent.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "create_user",
    tag = "users",
    request_body(content = Form, example = json!({"email": "ada@example.com", "name": "Ada", "role": "member"})),
    responses((status = 201, body = Created), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let user = form.parse(caller.id(), app.clock.now())?;
    let entry = caller.entry(&app, Action::UserCreated, user.id, audit::created(&user));
    store(&app, user, entry).await
}

/// Makes a user of a tenant.
///
/// Its answer has a link that lets them in once, to choose a password: hand it over. No e-mail is sent.
#[utoipa::path(
    post,
    path = "/tenants/{id}/users",
    operation_id = "create_user_of_tenant",
    tag = "users",
    request_body(content = Form, example = json!({"email": "grace@example.com", "role": "admin"})),
    responses((status = 201, body = Created), (status = 409)),
)]
async fn create_for(
    State(app): State<App>,
    operator: Operator,
    Id(tenant): Id<TenantId>,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    app.picture.tenant(tenant).ok_or(ApiError::NotFound)?;
    let user = form.parse(tenant, app.clock.now())?;
    let entry = operator.entry(&app, tenant, (Action::UserCreated, user.id), audit::created(&user));
    store(&app, user, entry).await
}

async fn store(app: &App, user: User, entry: Entry) -> Result<(StatusCode, Json<Created>), ApiError> {
    app.people.noting(entry).create_user(&user, MAX_USERS).await.map_err(|error| match error {
        StoreError::NameTaken => ApiError::Conflict {
            field: Some("email".to_owned()),
            problem: "somebody in this tenant has the address already".to_owned(),
        },
        StoreError::OverLimit => ApiError::Conflict {
            field: None,
            problem: format!("there are {MAX_USERS} users already; delete those who have left"),
        },
        other => other.into(),
    })?;
    let (link, view) = links::made(app, user.whose, Some(user.id));
    app.people.create_link(&link).await?;
    let created = Created { view: user.into(), link: view.url, link_expires_at: view.expires_at };
    Ok((StatusCode::CREATED, Json(created)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists users, newest first.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "list_users",
    tag = "users",
    params(ListParams),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    page_of(&app, caller.id(), params).await
}

/// Lists a tenant's users.
#[utoipa::path(
    get,
    path = "/tenants/{id}/users",
    operation_id = "list_users_of_tenant",
    tag = "users",
    params(ListParams),
    responses((status = 200, body = Page<View>)),
)]
async fn list_of(
    State(app): State<App>,
    _operator: Operator,
    Id(tenant): Id<TenantId>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    app.picture.tenant(tenant).ok_or(ApiError::NotFound)?;
    page_of(&app, tenant, params).await
}

async fn page_of(app: &App, tenant: TenantId, params: ListParams) -> Result<Json<Page<View>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let before = page::cursor(params.cursor.as_deref())?;
    let found = app.people.users(Whose::Tenant(tenant), before, limit + 1).await?;
    Ok(Json(Page::of(found, limit, |user| user.id, View::from)))
}

/// Shows a user.
#[utoipa::path(
    get,
    path = "/users/{id}",
    operation_id = "show_user",
    tag = "users",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<UserId>) -> Result<Json<View>, ApiError> {
    Ok(Json(find(&app, caller.id(), id).await?.into()))
}

/// Shows a tenant's user.
#[utoipa::path(
    get,
    path = "/tenants/{id}/users/{user}",
    operation_id = "show_user_of_tenant",
    tag = "users",
    responses((status = 200, body = View)),
)]
async fn show_of(
    State(app): State<App>,
    _operator: Operator,
    Path(path): Path<(String, String)>,
) -> Result<Json<View>, ApiError> {
    let (tenant, id) = both(&path)?;
    Ok(Json(find(&app, tenant, id).await?.into()))
}

/// Changes a user's name or role, from their next click on.
#[utoipa::path(
    patch,
    path = "/users/{id}",
    operation_id = "change_user",
    tag = "users",
    request_body(content = Change, example = json!({"role": "viewer"})),
    responses((status = 200, body = View)),
)]
async fn change(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<UserId>,
    input::Json(change): input::Json<Change>,
) -> Result<Json<View>, ApiError> {
    let before = find(&app, caller.id(), id).await?;
    let user = change.apply(&before)?;
    let entry = caller.entry(&app, Action::UserUpdated, id, audit::updated(&before, &user));
    app.people.noting(entry).update_user(&user).await?;
    Ok(Json(user.into()))
}

/// Changes the name or the role of a tenant's user.
#[utoipa::path(
    patch,
    path = "/tenants/{id}/users/{user}",
    operation_id = "change_user_of_tenant",
    tag = "users",
    request_body(content = Change, example = json!({"role": "admin"})),
    responses((status = 200, body = View)),
)]
async fn change_of(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<(String, String)>,
    input::Json(change): input::Json<Change>,
) -> Result<Json<View>, ApiError> {
    let (tenant, id) = both(&path)?;
    let before = find(&app, tenant, id).await?;
    let user = change.apply(&before)?;
    let entry = operator.entry(&app, tenant, (Action::UserUpdated, id), audit::updated(&before, &user));
    app.people.noting(entry).update_user(&user).await?;
    Ok(Json(user.into()))
}

/// Deletes a user, who is signed out at once.
#[utoipa::path(delete, path = "/users/{id}", operation_id = "delete_user", tag = "users", responses((status = 204)))]
async fn delete(State(app): State<App>, caller: TenantCaller, Id(id): Id<UserId>) -> Result<StatusCode, ApiError> {
    let user = find(&app, caller.id(), id).await?;
    let entry = caller.entry(&app, Action::UserDeleted, id, audit::deleted(&user));
    app.people.noting(entry).delete_user(user.whose, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a tenant's user.
#[utoipa::path(
    delete,
    path = "/tenants/{id}/users/{user}",
    operation_id = "delete_user_of_tenant",
    tag = "users",
    responses((status = 204)),
)]
async fn delete_of(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (tenant, id) = both(&path)?;
    let user = find(&app, tenant, id).await?;
    let entry = operator.entry(&app, tenant, (Action::UserDeleted, id), audit::deleted(&user));
    app.people.noting(entry).delete_user(user.whose, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link that lets a user in, once, to choose a password.
///
/// A link that they had before opens nothing any more. Whoever has it is them: hand it over where nobody else reads it.
#[utoipa::path(
    post,
    path = "/users/{id}/link",
    operation_id = "create_link_of_user",
    tag = "users",
    responses((status = 201, body = LinkView)),
)]
async fn link(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<UserId>,
) -> Result<(StatusCode, Json<LinkView>), ApiError> {
    let user = find(&app, caller.id(), id).await?;
    let entry = caller.entry(&app, Action::UserLinkMade, id, Vec::new());
    make_link(&app, &user, entry).await
}

/// Makes a link that lets a tenant's user in.
#[utoipa::path(
    post,
    path = "/tenants/{id}/users/{user}/link",
    operation_id = "create_link_of_user_of_tenant",
    tag = "users",
    responses((status = 201, body = LinkView)),
)]
async fn link_of(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<(String, String)>,
) -> Result<(StatusCode, Json<LinkView>), ApiError> {
    let (tenant, id) = both(&path)?;
    let user = find(&app, tenant, id).await?;
    let entry = operator.entry(&app, tenant, (Action::UserLinkMade, id), Vec::new());
    make_link(&app, &user, entry).await
}

async fn make_link(app: &App, user: &User, entry: Entry) -> Result<(StatusCode, Json<LinkView>), ApiError> {
    let (link, view) = links::made(app, user.whose, Some(user.id));
    app.people.noting(entry).create_link(&link).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

fn both((tenant, user): &(String, String)) -> Result<(TenantId, UserId), ApiError> {
    let not_found = || ApiError::NotFound;
    Ok((tenant.parse().map_err(|_| not_found())?, user.parse().map_err(|_| not_found())?))
}

async fn find(app: &App, tenant: TenantId, id: UserId) -> Result<User, ApiError> {
    app.people.user(Whose::Tenant(tenant), id).await?.ok_or(ApiError::NotFound)
}
