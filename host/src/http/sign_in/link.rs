//! `/link/{token}`: looking at a link changes nothing, because programs on the way
//! of an e-mail look at links; sending its form takes it.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::answers::{self, Fields};
use super::{ApiError, App, Desk, Holder, Session, TokenText, not_kept, problem, random, welcome};
use crate::clock::mint;
use crate::domain::audit::{self, Action, Author, Change, Entry};
use crate::domain::event::check_label;
use crate::domain::password::Password;
use crate::domain::role::Role;
use crate::domain::session::Link;
use crate::domain::time::Timestamp;
use crate::domain::user::{Email, User, Whose};
use crate::store::StoreError;
use crate::store::people::Taking;

/// Whom a link lets in.
struct Invited {
    link: Link,
    /// Absent: whoever takes it becomes the operator's first user.
    user: Option<User>,
}

/// A field that is wrong, and why.
type Wrong = (&'static str, String);

/// `GET /link/{token}`
pub(super) async fn show(State(desk): State<Desk>, Path(token): Path<String>) -> Response {
    match find(&desk.app, &token).await {
        Ok(Some(invited)) => page(&desk, &invited, StatusCode::OK, Value::Null, Value::Null),
        Ok(None) => gone(&desk),
        Err(error) => error.into_response(),
    }
}

/// `POST /link/{token}`: with a `password`, and for the operator's first user with
/// `email` and `name`; or with `skip`, to come in without.
pub(super) async fn take(State(desk): State<Desk>, Path(token): Path<String>, request: Request) -> Response {
    let (fields, parts) = match answers::read(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal.page(&desk),
    };
    let invited = match find(&desk.app, &token).await {
        Ok(Some(invited)) => invited,
        Ok(None) => return gone(&desk),
        Err(error) => return error.into_response(),
    };
    let wanted = match wanted(&desk.app, &invited, &fields).await {
        Ok(Ok(wanted)) => wanted,
        Ok(Err((field, detail))) => {
            let form = json!({"email": fields.text("email"), "name": fields.text("name")});
            return page(&desk, &invited, StatusCode::UNPROCESSABLE_ENTITY, form, problem(field, detail));
        }
        Err(error) => return error.into_response(),
    };
    let (taking, holder) = wanted;
    let (app, session_token) = (&desk.app, TokenText::new(random()));
    let now = app.clock.now();
    let session = Session::new(session_token.hash(), holder, now);
    let people = match entry(&invited, &taking, now) {
        Some(entry) => app.people.noting(entry),
        None => app.people.clone(),
    };
    match people.take_link(invited.link.hash, taking, session, now).await {
        Ok(()) => {
            tracing::info!(whose = %invited.link.whose, "somebody came in by a link");
            welcome(&desk, &parts.headers, &session_token, "/").await
        }
        Err(StoreError::NotFound | StoreError::NameTaken) => gone(&desk),
        Err(error) => ApiError::from(error).into_response(),
    }
}

async fn find(app: &App, token: &str) -> Result<Option<Invited>, ApiError> {
    let found = app.people.link(TokenText::given(token).hash(), app.clock.now()).await?;
    Ok(found.map(|(link, user)| Invited { link, user }))
}

/// What taking the link is to lead to, and who is signed in then.
async fn wanted(app: &App, invited: &Invited, fields: &Fields) -> Result<Result<(Taking, Holder), Wrong>, ApiError> {
    let skips = fields.get("skip").is_some();
    let holder = |user: &User| Holder::User(user.whose, user.id);
    match &invited.user {
        Some(user) if skips => Ok(Ok((Taking::In, holder(user)))),
        // Without a name it is whoever has the operator's key.
        None if skips => Ok(Ok((Taking::In, Holder::Key(Whose::Operator, app.operator)))),
        Some(user) => match Password::chosen(fields.text("password")) {
            Ok(password) => {
                let hash = app.guesses.hashing(move || password.hash(random())).await?;
                Ok(Ok((Taking::Password(hash), holder(user))))
            }
            Err(unfit) => Ok(Err(("password", unfit.to_string()))),
        },
        None => {
            let (mut user, password) = match first_user(app, fields) {
                Ok(first) => first,
                Err(wrong) => return Ok(Err(wrong)),
            };
            user.password = Some(app.guesses.hashing(move || password.hash(random())).await?);
            let holder = holder(&user);
            Ok(Ok((Taking::First(user), holder)))
        }
    }
}

/// What the audit log says of it. Coming in changes nothing.
fn entry(invited: &Invited, taking: &Taking, now: Timestamp) -> Option<Entry> {
    let (by, action, user, changes) = match (taking, &invited.user) {
        (Taking::Password(_), Some(user)) => {
            (Author::of_user(user), Action::UserPasswordChosen, user.id, vec![Change::secret("password")])
        }
        (Taking::First(user), _) => (Author::Operator, Action::UserCreated, user.id, audit::created(user)),
        (Taking::In, _) | (Taking::Password(_), None) => return None,
    };
    Some(Entry { id: mint(now), whose: invited.link.whose, by, action, target: user.to_string(), changes })
}

fn first_user(app: &App, fields: &Fields) -> Result<(User, Password), Wrong> {
    let email: Email =
        fields.text("email").parse().map_err(|wrong: crate::domain::user::NotAnEmail| ("email", wrong.to_string()))?;
    let name = fields.get("name").unwrap_or(email.local_part()).to_owned();
    check_label(&name).map_err(|wrong| ("name", wrong.to_string()))?;
    let password = Password::chosen(fields.text("password")).map_err(|unfit| ("password", unfit.to_string()))?;
    let now = app.clock.now();
    let whose = Whose::Operator;
    let user = User { id: mint(now), whose, email, name, role: Role::Admin, password: None, created_at: now };
    Ok((user, password))
}

fn page(desk: &Desk, invited: &Invited, status: StatusCode, form: Value, problem: Value) -> Response {
    let kind = match &invited.user {
        None => "first",
        Some(user) if user.password.is_none() => "new",
        Some(_) => "reset",
    };
    let tenant = invited.link.whose.tenant().and_then(|tenant| desk.app.picture.tenant(tenant));
    let context = json!({
        "kind": kind,
        "email": invited.user.as_ref().map(|user| user.email.as_str()),
        "name": invited.user.as_ref().map(|user| user.name.as_str()),
        "tenant": tenant.map(|part| part.tenant.name.clone()),
        "form": form,
        "problem": problem,
        "is_plain": super::is_exposed(&desk.app),
    });
    not_kept(desk.bare("link.html", context, status))
}

fn gone(desk: &Desk) -> Response {
    not_kept(desk.bare("link.html", json!({"kind": "gone"}), StatusCode::GONE))
}
