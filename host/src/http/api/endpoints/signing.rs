//! What an endpoint signs with, as far as it may be seen.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::super::App;
use super::super::super::error::ApiError;
use super::super::super::jwks;
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::Endpoint;
use crate::domain::secret::{Secret, written_public};
use crate::domain::signature::Scheme;
use crate::domain::signing::SecretError;
use crate::domain::time::Timestamp;
use crate::store::picture::SealedEndpoint;

/// What a receiver needs to know, but for a secret that it shares.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Signing)]
pub(super) struct SigningView {
    /// What the dialect calls it; null where nothing is signed or the dialect
    /// leaves no choice.
    signature: Option<String>,
    /// What signatures call the key, where they name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// What verifies, where that is not the secret itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// Where it and the one before it are, for as long as each signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_url: Option<String>,
}

impl SigningView {
    /// Of the endpoint's newest secret.
    pub(super) fn of(app: &App, endpoint: &Endpoint) -> Self {
        let part = app.picture.tenant(endpoint.tenant);
        let sealed = part.as_ref().and_then(|part| part.endpoints.get(&endpoint.id));
        let secret = sealed.and_then(|sealed| sealed.secrets.first()).map(|overlap| &overlap.secret);
        match (app.dialects.get(&endpoint.dialect), secret) {
            (Some(dialect), Some(secret)) => Self::of_secret(app, endpoint, dialect, secret),
            _ => Self::default(),
        }
    }

    pub(super) fn of_secret(app: &App, endpoint: &Endpoint, dialect: &Dialect, secret: &Secret) -> Self {
        let Some(scheme) = dialect.scheme_for(secret) else { return Self::default() };
        let public = scheme.key.public(secret);
        Self {
            signature: scheme.name.clone(),
            key_id: scheme.key_id(secret),
            public_key: public.as_ref().map(written_public),
            jwks_url: public.map(|_| jwks::url_of(app, endpoint.tenant)),
        }
    }
}

/// The text of a new secret, where its owner has to see it: a private key that
/// was made here is nobody's to know.
pub(super) fn shown<'s>(dialect: &Dialect, secret: &'s Secret, was_given: bool) -> Option<&'s str> {
    let is_private = dialect.scheme_for(secret).is_some_and(|scheme| scheme.key.public(secret).is_some());
    (was_given || !is_private).then(|| secret.reveal())
}

/// The scheme that a form names.
pub(super) fn wanted<'d>(dialect: &'d Dialect, name: Option<&str>) -> Result<Option<&'d Scheme>, ApiError> {
    name.map(|name| dialect.scheme_named(name)).transpose().map_err(refused)
}

pub(super) fn refused(problem: SecretError) -> ApiError {
    ApiError::invalid(problem.field(), problem)
}

/// Why the endpoint cannot speak `dialect` with the secrets that sign for it, if
/// so. What was a key pair stays one: nobody knows its text.
pub(super) fn unfit(dialect: &Dialect, before: Option<&Dialect>, sealed: &SealedEndpoint, now: Timestamp) -> bool {
    let is_pair = |dialect: &Dialect, secret: &Secret| {
        dialect.scheme_for(secret).map(|scheme| scheme.key.public(secret).is_some())
    };
    let fits = |secret: &Secret| {
        let was = before.and_then(|before| is_pair(before, secret)).unwrap_or(false);
        is_pair(dialect, secret).is_some_and(|is| is || !was)
    };
    !dialect.signature.is_empty() && !sealed.signing(now).all(fits)
}
