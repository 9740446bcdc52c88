//! Users: the people of a tenant, and the operator's own. Nobody sets another's
//! password: a link lets its taker set their own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::caretaker::Caretaker;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::links::{self, LinkView};
use super::super::page::{Page, Paging};
use crate::clock::mint;
use crate::domain::audit::{self, Action};
use crate::domain::id::UserId;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::domain::user::{Email, ROLES, User, Whose};
use crate::store::StoreError;

/// At most this many in one tenant, and of the operator.
const MAX_USERS: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete)).routes(routes!(link))
}

/// `{email, name?, role?}`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
struct Form {
    #[schema(format = Email)]
    email: String,
    name: Option<String>,
    /// In a tenant: a member, unless it is said otherwise. The operator's users are
    /// all admins.
    #[schema(value_type = Option<super::schema::UserRole>)]
    role: Option<String>,
}

impl Form {
    fn parse(self, whose: Whose, now: Timestamp) -> Result<User, ApiError> {
        let email: Email = input::field("email", &self.email)?;
        let name = match self.name.filter(|name| !name.is_empty()) {
            Some(name) => input::name(name)?,
            None => email.local_part().to_owned(),
        };
        let usual = if whose == Whose::Operator { Role::Admin } else { Role::Member };
        let role = self.role.map(|text| role(whose, &text)).transpose()?.unwrap_or(usual);
        Ok(User { id: mint(now), whose, email, name, role, password: None, created_at: now })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
struct Change {
    /// Another one signs them out, but for the session that this call is made in,
    /// and makes their link worth nothing.
    #[schema(format = Email)]
    email: Option<String>,
    name: Option<String>,
    #[schema(value_type = Option<super::schema::UserRole>)]
    role: Option<String>,
}

impl Change {
    fn apply(self, before: &User) -> Result<User, ApiError> {
        let mut user = before.clone();
        if let Some(text) = self.email {
            user.email = input::field("email", &text)?;
        }
        if let Some(name) = self.name {
            user.name = input::name(name)?;
        }
        if let Some(text) = self.role {
            user.role = role(user.whose, &text)?;
        }
        Ok(user)
    }
}

/// A role that somebody can have there.
fn role(whose: Whose, text: &str) -> Result<Role, ApiError> {
    match (whose, ROLES.into_iter().find(|role| role.as_str() == text)) {
        (Whose::Operator, Some(Role::Admin)) => Ok(Role::Admin),
        (Whose::Operator, _) => Err(ApiError::invalid("role", "the operator's users are admins; leave it out")),
        (Whose::Tenant(_), Some(role)) => Ok(role),
        (Whose::Tenant(_), None) => {
            Err(ApiError::invalid("role", format!("give one of {}", ROLES.map(Role::as_str).join(", "))))
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct View {
    id: UserId,
    email: String,
    name: String,
    #[schema(value_type = super::schema::UserRole)]
    role: &'static str,
    /// Whether they have chosen one; until then a link lets them in, or the operator's OpenID provider.
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
    request_body(content = Form, example = json!({"email": "ada@example.com", "name": "Ada"})),
    responses((status = 201, body = Created), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caretaker: Caretaker,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let user = form.parse(caretaker.present(&app)?, app.clock.now())?;
    let entry = caretaker.entry(&app, Action::UserCreated, user.id, audit::created(&user));
    app.people.noting(entry).create_user(&user, MAX_USERS).await.map_err(|error| match error {
        StoreError::OverLimit => ApiError::Conflict {
            field: None,
            problem: format!("there are {MAX_USERS} users already; delete those who have left"),
        },
        other => refused(other),
    })?;
    let (link, view) = links::made(&app, user.whose, Some(user.id));
    app.people.create_link(&link).await?;
    let created = Created { view: user.into(), link: view.url, link_expires_at: view.expires_at };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Lists users, newest first.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "list_users",
    tag = "users",
    params(Paging),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caretaker: Caretaker,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<View>>, ApiError> {
    let (older_than, limit) = paging.parse()?;
    let found = app.people.users(caretaker.present(&app)?, older_than, limit + 1).await?;
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
async fn show(State(app): State<App>, caretaker: Caretaker, Id(id): Id<UserId>) -> Result<Json<View>, ApiError> {
    Ok(Json(find(&app, &caretaker, id).await?.into()))
}

/// Changes a user's address, name or role.
///
/// It is so from their next click on. Another address signs them out: they sign in with it from then on.
#[utoipa::path(
    patch,
    path = "/users/{id}",
    operation_id = "change_user",
    tag = "users",
    request_body(content = Change, example = json!({"email": "ada.lovelace@example.com", "name": "Ada Lovelace"})),
    responses((status = 200, body = View), (status = 409)),
)]
async fn change(
    State(app): State<App>,
    caretaker: Caretaker,
    Id(id): Id<UserId>,
    input::Json(change): input::Json<Change>,
) -> Result<Json<View>, ApiError> {
    let before = find(&app, &caretaker, id).await?;
    let user = change.apply(&before)?;
    let entry = caretaker.entry(&app, Action::UserUpdated, id, audit::updated(&before, &user));
    app.people.noting(entry).update_user(&user, &before, caretaker.session()).await.map_err(refused)?;
    Ok(Json(user.into()))
}

/// Deletes a user, who is signed out at once.
///
/// The last of the operator's is kept, and the last of them who has a password.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    operation_id = "delete_user",
    tag = "users",
    responses((status = 204), (status = 409)),
)]
async fn delete(State(app): State<App>, caretaker: Caretaker, Id(id): Id<UserId>) -> Result<StatusCode, ApiError> {
    let user = find(&app, &caretaker, id).await?;
    let entry = caretaker.entry(&app, Action::UserDeleted, id, audit::deleted(&user));
    app.people.noting(entry).delete_user(user.whose, id).await.map_err(refused)?;
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
    caretaker: Caretaker,
    Id(id): Id<UserId>,
) -> Result<(StatusCode, Json<LinkView>), ApiError> {
    let user = find(&app, &caretaker, id).await?;
    let entry = caretaker.entry(&app, Action::UserLinkMade, id, Vec::new());
    let (link, view) = links::made(&app, user.whose, Some(user.id));
    app.people.noting(entry).create_link(&link).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

async fn find(app: &App, caretaker: &Caretaker, id: UserId) -> Result<User, ApiError> {
    app.people.user(caretaker.whose(), id).await?.ok_or(ApiError::NotFound)
}

fn refused(error: StoreError) -> ApiError {
    match error {
        StoreError::NameTaken => ApiError::Conflict {
            field: Some("email".to_owned()),
            problem: "somebody here has the address already".to_owned(),
        },
        StoreError::LastAdmin => ApiError::Conflict {
            field: None,
            problem: "this is the last of the operator's who can come in; let another choose a password first"
                .to_owned(),
        },
        other => other.into(),
    }
}
