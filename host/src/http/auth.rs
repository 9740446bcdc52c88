//! Who calls, and whether a key's role is enough for what it is used for.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use subtle::ConstantTimeEq as _;

use super::App;
use super::error::ApiError;
use super::roles;
use crate::clock::mint;
use crate::domain::audit::{Action, Author, Change, Entry};
use crate::domain::id::{KeyId, TenantId};
use crate::domain::key::{Key, KeyHash, KeyText};
use crate::domain::role::Role;
use crate::store::picture::TenantPicture;

/// A caller known to belong to a tenant, with all that the tenant has set up,
/// and whose key's role is enough for the route.
///
/// Cannot be built outside this module, and the store's methods ask for the
/// tenant id that it carries: a handler that forgets to authenticate does not
/// compile.
pub(super) struct TenantCaller(Arc<TenantPicture>, Arc<Key>);

impl TenantCaller {
    pub(super) fn id(&self) -> TenantId {
        self.0.tenant.id
    }

    pub(super) fn picture(&self) -> &TenantPicture {
        &self.0
    }

    /// The key that it came with.
    pub(super) fn key(&self) -> KeyId {
        self.1.id
    }

    /// Refused unless its role covers `least`, for what not every caller of a
    /// route may have.
    pub(super) fn require(&self, least: Role) -> Result<(), ApiError> {
        if self.1.role.covers(least) { Ok(()) } else { Err(ApiError::Role { has: self.1.role, needs: least }) }
    }

    pub(super) fn author(&self) -> Author {
        Author::of(&self.1)
    }

    /// What the audit log is to say of what it is about to do.
    pub(super) fn entry(&self, app: &App, action: Action, target: impl Display, changes: Vec<Change>) -> Entry {
        let (id, target) = (mint(app.clock.now()), target.to_string());
        Entry { id, tenant: self.id(), by: self.author(), action, target, changes }
    }
}

/// Whoever runs the server.
pub(super) struct Operator(());

impl Operator {
    /// What the audit log of a tenant is to say.
    pub(super) fn entry(
        &self,
        app: &App,
        tenant: TenantId,
        (action, target): (Action, impl Display),
        changes: Vec<Change>,
    ) -> Entry {
        Entry { id: mint(app.clock.now()), tenant, by: Author::Operator, action, target: target.to_string(), changes }
    }
}

/// Whoever has a key, the operator's or a tenant's.
pub(super) struct Anybody(());

impl FromRequestParts<App> for Anybody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match who(parts, app)? {
            Caller::Operator => Ok(Self(())),
            Caller::Tenant(_, key) => enough(parts, &key).map(|()| Self(())),
        }
    }
}

impl FromRequestParts<App> for TenantCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match who(parts, app)? {
            Caller::Operator => Err(ApiError::Forbidden),
            Caller::Tenant(tenant, key) => enough(parts, &key).map(|()| Self(tenant, key)),
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match who(parts, app)? {
            Caller::Operator => Ok(Self(())),
            Caller::Tenant(..) => Err(ApiError::Forbidden),
        }
    }
}

/// Whose key it is that came along.
enum Caller {
    Operator,
    Tenant(Arc<TenantPicture>, Arc<Key>),
}

fn who(parts: &Parts, app: &App) -> Result<Caller, ApiError> {
    let hash = presented(parts).ok_or(ApiError::Unauthenticated)?;
    let owner = app.picture.tenant_by_key(&hash);
    match owner.and_then(|(id, key)| Some((app.picture.tenant(id)?, key))) {
        Some((tenant, key)) => match key.expired_at(app.clock.now()) {
            Some(end) => Err(ApiError::KeyExpired(end)),
            None => Ok(Caller::Tenant(tenant, key)),
        },
        None if app.operator.0.ct_eq(&hash.0).into() => Ok(Caller::Operator),
        None => Err(ApiError::KeyUnknown),
    }
}

/// Whether the key's role is enough for the route that was taken.
fn enough(parts: &Parts, key: &Key) -> Result<(), ApiError> {
    let route = parts.extensions.get::<MatchedPath>();
    let needs = route.map_or(Role::Admin, |route| roles::least(&parts.method, route.as_str()));
    if key.role.covers(needs) { Ok(()) } else { Err(ApiError::Role { has: key.role, needs }) }
}

/// `Authorization: Bearer <key>` (RFC 6750, section 2.1).
fn presented(parts: &Parts) -> Option<KeyHash> {
    let text = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| KeyText::given(key.trim()).hash())
}
