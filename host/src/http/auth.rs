//! Who calls.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use subtle::ConstantTimeEq as _;

use super::App;
use super::error::ApiError;
use crate::domain::id::{KeyId, TenantId};
use crate::domain::key::{KeyHash, KeyText};
use crate::store::picture::TenantPicture;

/// A caller known to belong to a tenant, with all that the tenant has set up.
///
/// Cannot be built outside this module, and the store's methods ask for the
/// tenant id that it carries: a handler that forgets to authenticate does not
/// compile.
pub(super) struct TenantCaller(Arc<TenantPicture>, KeyId);

impl TenantCaller {
    pub(super) fn id(&self) -> TenantId {
        self.0.tenant.id
    }

    pub(super) fn picture(&self) -> &TenantPicture {
        &self.0
    }

    /// The key that it came with.
    pub(super) fn key(&self) -> KeyId {
        self.1
    }
}

/// Whoever runs the server.
pub(super) struct Operator(());

/// Whoever has a key, the operator's or a tenant's.
pub(super) struct Anybody(());

impl FromRequestParts<App> for Anybody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let key = presented(parts).ok_or(ApiError::Unauthenticated)?;
        if is_operator(app, &key) || app.picture.tenant_by_key(&key).is_some() {
            Ok(Self(()))
        } else {
            Err(ApiError::Unauthenticated)
        }
    }
}

impl FromRequestParts<App> for TenantCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let key = presented(parts).ok_or(ApiError::Unauthenticated)?;
        let owner = app.picture.tenant_by_key(&key);
        match owner.and_then(|(id, key)| Some(Self(app.picture.tenant(id)?, key))) {
            Some(caller) => Ok(caller),
            None if is_operator(app, &key) => Err(ApiError::Forbidden),
            None => Err(ApiError::Unauthenticated),
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let key = presented(parts).ok_or(ApiError::Unauthenticated)?;
        if is_operator(app, &key) {
            Ok(Self(()))
        } else if app.picture.tenant_by_key(&key).is_some() {
            Err(ApiError::Forbidden)
        } else {
            Err(ApiError::Unauthenticated)
        }
    }
}

fn is_operator(app: &App, key: &KeyHash) -> bool {
    app.operator.0.ct_eq(&key.0).into()
}

/// `Authorization: Bearer <key>` (RFC 6750, section 2.1).
fn presented(parts: &Parts) -> Option<KeyHash> {
    let text = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| KeyText::given(key.trim()).hash())
}
