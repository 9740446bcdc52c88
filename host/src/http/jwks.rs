//! The public keys that a tenant's messages can be verified with, for whoever
//! asks (RFC 7517).

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiError;
use super::input::Id;
use crate::domain::id::TenantId;
use crate::domain::jwk::Jwk;

/// Receivers ask again when they meet a key that they do not know, and at least
/// this often. A rotation's overlap is longer, unless its owner was in haste.
const CACHEABLE: &str = "public, max-age=300";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/.well-known/hookyard/{tenant}/jwks.json", get(show))
}

/// Where a tenant's keys are.
pub(super) fn url_of(app: &App, tenant: TenantId) -> String {
    format!("{}/.well-known/hookyard/{tenant}/jwks.json", app.public_url)
}

#[derive(Serialize, ToSchema)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// Shows the public keys that a tenant's messages can be verified with.
///
/// Those that sign now; in a rotation's overlap both.
#[utoipa::path(
    get,
    path = "/.well-known/hookyard/{tenant}/jwks.json",
    operation_id = "show_public_keys",
    tag = "server",
    responses((status = 200, body = JwkSet, content_type = "application/jwk-set+json"))
)]
async fn show(State(app): State<App>, Id(tenant): Id<TenantId>) -> Result<Response, ApiError> {
    let part = app.picture.tenant(tenant).ok_or(ApiError::NotFound)?;
    let now = app.clock.now();
    let mut keys = BTreeMap::new();
    for sealed in part.endpoints.values() {
        let Some(dialect) = app.dialects.get(&sealed.endpoint.dialect) else { continue };
        for secret in sealed.signing(now) {
            let public = dialect.scheme_for(secret).and_then(|scheme| scheme.key.public(secret));
            let jwk = public.map(|public| Jwk::ed25519(&public));
            keys.extend(jwk.map(|jwk| (jwk.kid.clone(), jwk)));
        }
    }
    let set = JwkSet { keys: keys.into_values().collect() };
    let body = serde_json::to_vec(&set).expect("keys are text");
    Ok(([(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, CACHEABLE)], body).into_response())
}
