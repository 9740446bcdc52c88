//! Whether what somebody typed proves who they are.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use subtle::ConstantTimeEq as _;

use super::answers::Fields;
use super::{ApiError, App, Desk, Holder, Typed, problem};
use crate::domain::key::KeyText;
use crate::domain::password::{Password, SALT_LEN};
use crate::domain::role::Role;
use crate::domain::user::{Email, User, Whose};

/// One person is a user of few tenants. More are not tried: each takes a hash.
pub(super) const MAX_PLACES: u32 = 16;

/// By what somebody is signed in from now on.
pub(super) type Proof = Result<Holder, Unproven>;

/// Why nobody is.
pub(super) enum Unproven {
    /// Whatever was wrong.
    Wrong,
    /// So often was tried that this long nothing is looked at.
    Wait(Duration),
    /// The password is right in more than one tenant: their names.
    Which(Vec<String>),
    Failed(ApiError),
}

impl Unproven {
    pub(super) fn page(self, desk: &Desk, fields: &Fields, then: String) -> Response {
        let wrong = "That did not match. Check both, or ask an admin for a new link.";
        let (status, problem, tenants) = match self {
            Self::Wrong => (StatusCode::UNAUTHORIZED, problem("", wrong), Vec::new()),
            Self::Wait(wait) => {
                let minutes = wait.as_secs().div_ceil(60).max(1);
                let detail = format!("Too many tries. Try again in {minutes} min, or ask an admin for a link.");
                (StatusCode::TOO_MANY_REQUESTS, problem("", detail), Vec::new())
            }
            Self::Which(tenants) => {
                (StatusCode::CONFLICT, problem("tenant", "You belong to more than one: choose where to go."), tenants)
            }
            Self::Failed(error) => return axum::response::IntoResponse::into_response(error),
        };
        let typed = Typed { then, email: fields.text("email"), problem, tenants, proof: None };
        super::not_kept(super::page(desk, status, typed))
    }
}

impl From<ApiError> for Unproven {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// Looks at a key where one was given, or else at address and password.
pub(super) async fn proven(app: &App, fields: &Fields, parts: &Parts) -> Proof {
    let proof = match fields.get("key") {
        Some(key) => by_key(app, key, parts),
        None => by_password(app, fields, parts).await,
    };
    let address = app.guesses.address(parts).map(tracing::field::display);
    match &proof {
        Ok(holder) => tracing::info!(whose = %holder.whose(), who = %holder.who(), address, "somebody signed in"),
        // Not as whom: it may be the password that stands in the wrong field. Tries
        // that were not looked at are not worth a line each.
        Err(Unproven::Wrong) => tracing::warn!(address, "somebody could not sign in"),
        Err(Unproven::Wait(_) | Unproven::Which(_) | Unproven::Failed(_)) => {}
    }
    proof
}

fn by_key(app: &App, key: &str, parts: &Parts) -> Proof {
    let tries = app.guesses.counted(parts, None);
    let now = app.clock.now();
    app.guesses.begin(&tries, now).map_err(Unproven::Wait)?;
    let hash = KeyText::given(key.trim()).hash();
    let is_operators: bool = app.operator.0.ct_eq(&hash.0).into();
    let owner = app.picture.tenant_by_key(&hash);
    // Publishers see nothing: that is for programs.
    let owner = owner.filter(|(_, key)| key.expired_at(now).is_none() && key.role != Role::Publish);
    let whose = owner.map(|(tenant, _)| Whose::Tenant(tenant)).or(is_operators.then_some(Whose::Operator));
    let whose = whose.ok_or(Unproven::Wrong)?;
    app.guesses.succeeded(&tries);
    Ok(Holder::Key(whose, hash))
}

async fn by_password(app: &App, fields: &Fields, parts: &Parts) -> Proof {
    let email: Email = fields.get("email").unwrap_or_default().parse().map_err(|_| Unproven::Wrong)?;
    let tries = app.guesses.counted(parts, Some(&email));
    app.guesses.begin(&tries, app.clock.now()).map_err(Unproven::Wait)?;
    let users = app.people.by_email(&email, MAX_PLACES).await.map_err(ApiError::from)?;
    let password = Password::given(fields.text("password"));
    let mut right = app.guesses.hashing(move || right(users, &password)).await?;
    if right.is_empty() {
        return Err(Unproven::Wrong);
    }
    app.guesses.succeeded(&tries);
    if right.len() > 1 {
        let chosen = fields.text("tenant");
        let names: Vec<String> = right.iter().map(|user| place(app, user)).collect();
        let at = names.iter().position(|name| *name == chosen).ok_or(Unproven::Which(names))?;
        right.swap(0, at);
    }
    let user = right.swap_remove(0);
    Ok(Holder::User(user.whose, user.id))
}

/// Passwords that are hashed at least, whoever has the address: how long it takes
/// does not tell somebody with a user of their own at it whether there is another.
const HASHES: usize = 2;

/// Those whose password it is.
fn right(mut users: Vec<User>, password: &Password) -> Vec<User> {
    users.retain(|user| user.password.is_some());
    for _ in users.len()..HASHES {
        let _as_long = password.hash([0; SALT_LEN]);
    }
    users.retain(|user| user.password.as_ref().is_some_and(|hash| hash.is_of(password)));
    users
}

/// What somebody is asked about who is a user in more than one place.
pub(super) fn place(app: &App, user: &User) -> String {
    match user.whose {
        Whose::Operator => "The whole server".to_owned(),
        Whose::Tenant(tenant) => app.picture.tenant(tenant).map(|part| part.tenant.name.clone()).unwrap_or_default(),
    }
}
