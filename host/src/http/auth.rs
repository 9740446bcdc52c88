//! Who calls, and whether their role is enough for what they ask for.
//!
//! Three ways lead in: a tenant's key, the operator's key, and [`SignedIn`], which
//! this program itself gives a call that it makes for a browser.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use subtle::ConstantTimeEq as _;

use super::App;
use super::error::ApiError;
use super::portal::Judged;
use super::roles;
use crate::clock::mint;
use crate::domain::audit::{Action, Author, Change, Entry};
use crate::domain::id::{KeyId, TenantId};
use crate::domain::key::{Key, KeyHash, KeyText};
use crate::domain::role::Role;
use crate::domain::session::{PortalScope, TokenHash};
use crate::domain::user::Whose;
use crate::store::picture::TenantPicture;

/// Somebody who is signed in at a browser: an extension of a call that the
/// dashboard makes. Nothing from outside can set an extension.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub(super) who: Who,
    /// The session that the browser showed.
    pub(super) session: TokenHash,
}

/// As whom.
#[derive(Clone)]
pub(super) enum Who {
    /// As the operator's own log calls them; to tenants all are `operator`.
    Operator(Author),
    Tenant {
        tenant: TenantId,
        role: Role,
        author: Author,
        /// The key that they signed in with.
        key: Option<KeyId>,
        /// What a portal's visitor is kept to.
        scope: Option<Arc<PortalScope>>,
    },
}

impl SignedIn {
    /// What a portal's visitor is kept to.
    pub(super) fn scope(&self) -> Option<&Arc<PortalScope>> {
        match &self.who {
            Who::Operator(_) => None,
            Who::Tenant { scope, .. } => scope.as_ref(),
        }
    }
}

/// A caller known to belong to a tenant, with all that the tenant has set up,
/// and whose role is enough for the route.
///
/// Cannot be built outside this module, and the store's methods ask for the
/// tenant id that it carries: a handler that forgets to authenticate does not
/// compile.
pub(super) struct TenantCaller(Arc<TenantPicture>, Standing);

/// As whom somebody calls in a tenant.
struct Standing {
    role: Role,
    author: Author,
    key: Option<KeyId>,
}

impl Standing {
    fn of(key: &Key) -> Self {
        Self { role: key.role, author: Author::of(key), key: Some(key.id) }
    }

    fn require(&self, least: Role) -> Result<(), ApiError> {
        if self.role.covers(least) { Ok(()) } else { Err(ApiError::Role { has: self.role, needs: least }) }
    }
}

impl TenantCaller {
    pub(super) fn id(&self) -> TenantId {
        self.0.tenant.id
    }

    pub(super) fn picture(&self) -> &TenantPicture {
        &self.0
    }

    /// The key that it came with, if it did with one.
    pub(super) fn key(&self) -> Option<KeyId> {
        self.1.key
    }

    /// Refused unless its role covers `least`, for what not every caller of a
    /// route may have.
    pub(super) fn require(&self, least: Role) -> Result<(), ApiError> {
        self.1.require(least)
    }

    pub(super) fn author(&self) -> Author {
        self.1.author.clone()
    }

    /// What the audit log is to say of what it is about to do.
    pub(super) fn entry(&self, app: &App, action: Action, target: impl Display, changes: Vec<Change>) -> Entry {
        let (id, target) = (mint(app.clock.now()), target.to_string());
        Entry { id, whose: Whose::Tenant(self.id()), by: self.author(), action, target, changes }
    }
}

/// Whoever runs the server.
pub(super) struct Operator(Author);

impl Operator {
    /// As whom the operator's own log knows them.
    pub(super) fn author(&self) -> Author {
        self.0.clone()
    }

    /// What the audit log of a tenant is to say.
    pub(super) fn entry(
        &self,
        app: &App,
        tenant: TenantId,
        (action, target): (Action, impl Display),
        changes: Vec<Change>,
    ) -> Entry {
        let (id, whose, target) = (mint(app.clock.now()), Whose::Tenant(tenant), target.to_string());
        Entry { id, whose, by: Author::Operator, action, target, changes }
    }
}

/// Whoever has a key or is signed in, as the operator or in a tenant.
pub(super) struct Anybody(());

impl FromRequestParts<App> for Anybody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match who(parts, app)? {
            Caller::Operator(_) => Ok(Self(())),
            Caller::Tenant(_, standing) => enough(parts, &standing).map(|()| Self(())),
        }
    }
}

impl FromRequestParts<App> for TenantCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match who(parts, app)? {
            Caller::Operator(_) => Err(ApiError::Forbidden),
            Caller::Tenant(tenant, standing) => enough(parts, &standing).map(|()| Self(tenant, standing)),
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match who(parts, app)? {
            Caller::Operator(author) => Ok(Self(author)),
            Caller::Tenant(..) => Err(ApiError::Forbidden),
        }
    }
}

enum Caller {
    Operator(Author),
    Tenant(Arc<TenantPicture>, Standing),
}

fn who(parts: &Parts, app: &App) -> Result<Caller, ApiError> {
    match parts.extensions.get::<SignedIn>() {
        Some(signed_in) => signed_in_as(signed_in, parts, app),
        None => by_key(parts, app),
    }
}

/// A portal's call was judged in `portal.rs`, or it is none: whoever forgets to
/// have it judged is refused.
fn signed_in_as(signed_in: &SignedIn, parts: &Parts, app: &App) -> Result<Caller, ApiError> {
    match &signed_in.who {
        Who::Operator(author) => Ok(Caller::Operator(author.clone())),
        Who::Tenant { scope: Some(_), .. } if parts.extensions.get::<Judged>().is_none() => Err(ApiError::Forbidden),
        Who::Tenant { tenant, role, author, key, scope: _ } => {
            let part = app.picture.tenant(*tenant).ok_or(ApiError::Unauthenticated)?;
            Ok(Caller::Tenant(part, Standing { role: *role, author: author.clone(), key: *key }))
        }
    }
}

fn by_key(parts: &Parts, app: &App) -> Result<Caller, ApiError> {
    let hash = presented(parts).ok_or(ApiError::Unauthenticated)?;
    let owner = app.picture.tenant_by_key(&hash);
    match owner.and_then(|(id, key)| Some((app.picture.tenant(id)?, key))) {
        Some((tenant, key)) => match key.expired_at(app.clock.now()) {
            Some(end) => Err(ApiError::KeyExpired(end)),
            None => Ok(Caller::Tenant(tenant, Standing::of(&key))),
        },
        None if app.operator.0.ct_eq(&hash.0).into() => Ok(Caller::Operator(Author::Operator)),
        None => Err(ApiError::KeyUnknown),
    }
}

/// Whether the caller's role is enough for the route that was taken.
fn enough(parts: &Parts, standing: &Standing) -> Result<(), ApiError> {
    let route = parts.extensions.get::<MatchedPath>();
    let needs = route.map_or(Role::Admin, |route| roles::least(&parts.method, route.as_str()));
    standing.require(needs)
}

/// `Authorization: Bearer <key>` (RFC 6750, section 2.1).
fn presented(parts: &Parts) -> Option<KeyHash> {
    let text = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| KeyText::given(key.trim()).hash())
}
