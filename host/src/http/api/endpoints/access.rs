//! How an endpoint proves who is calling, as tenants write it.
//!
//! Secret parts are shown as null, and null or nothing in a change keeps them, so
//! that what was shown can be sent back. They are kept for the host that they were
//! given for: where a URL comes to lead to another one, they have to be given
//! again, or whoever may change the endpoint could have them sent to himself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

use super::super::super::App;
use super::super::super::error::ApiError;
use super::super::super::input::Patch;
use crate::domain::access::{Access, Auth, BadAccess, SecretHeader};
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::Endpoint;
use crate::domain::header::{Header, HeaderError, MAX_HEADERS};
use crate::domain::oauth::{ClientAuth, OAuth};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::tls::{ClientCertificate, Tls};
use crate::domain::url::DeliveryUrl;

/// A value, or one that is never shown.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a text, or {\"value\": \"...\", \"secret\": true}")]
#[schema(as = NewHeader)]
pub(super) enum HeaderForm {
    Shown(String),
    Spelt(SpeltHeader),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSecretHeader)]
pub(super) struct SpeltHeader {
    value: Option<String>,
    #[serde(default)]
    secret: bool,
}

pub(super) type HeaderForms = BTreeMap<String, HeaderForm>;

/// Flat, so that what is wrong is known by its field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAuth)]
pub(super) struct AuthForm {
    #[serde(rename = "type")]
    kind: AuthKind,
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    token_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
    audience: Option<String>,
    client_auth: Option<ClientAuth>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AuthKind {
    Basic,
    Bearer,
    OAuth2,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTls)]
pub(super) struct TlsForm {
    client_certificate: Option<String>,
    client_key: Option<String>,
    ca: Option<String>,
}

/// What a new endpoint is given.
pub(super) fn given(
    app: &App,
    dialect: &Dialect,
    (headers, auth, tls): (HeaderForms, Option<AuthForm>, Option<TlsForm>),
) -> Result<(Vec<Header>, Arc<Access>), ApiError> {
    let (shown, secret) = split(headers, &[])?;
    let auth = auth.map(|form| form.parse(app, None)).transpose()?;
    let tls = tls.map(|form| form.parse(None, app.clock.now())).transpose()?;
    checked(shown, Access { headers: secret, auth, tls }, dialect)
}

/// What a change makes of an endpoint that is at `url` and speaks `dialect` from
/// now on.
pub(super) fn changed(
    app: &App,
    before: &Endpoint,
    (url, dialect): (&DeliveryUrl, &Dialect),
    (headers, auth, tls): (Option<HeaderForms>, Patch<AuthForm>, Patch<TlsForm>),
) -> Result<(Vec<Header>, Arc<Access>), ApiError> {
    let was = &*before.access;
    let stays = before.url.as_url().origin() == url.as_url().origin();
    let moved = |field: &str, what: &str| {
        let problem = format!(
            "`url` leads to another scheme, host or port, which must not get what was meant for this one: give {what}"
        );
        ApiError::invalid(field, problem)
    };
    let (shown, secret) = match headers {
        None if stays || was.headers.is_empty() => (before.headers.clone(), was.headers.clone()),
        None => return Err(moved("headers", "the secret headers again, or `\"headers\": {}`")),
        Some(forms) => split(forms, if stays { &was.headers } else { &[] })?,
    };
    let auth = match auth {
        Patch::Keep if stays || was.auth.is_none() => was.auth.clone(),
        Patch::Keep => return Err(moved("auth", "it again with its secret, or null")),
        Patch::Clear => None,
        Patch::Set(form) => Some(form.parse(app, was.auth.as_ref().filter(|_| stays))?),
    };
    // A certificate's key never leaves this server: it may show itself elsewhere.
    let tls = match tls {
        Patch::Keep => was.tls.clone(),
        Patch::Clear => None,
        Patch::Set(form) => Some(form.parse(was.tls.as_ref(), app.clock.now())?),
    };
    checked(shown, Access { headers: secret, auth, tls }, dialect)
}

fn checked(shown: Vec<Header>, access: Access, dialect: &Dialect) -> Result<(Vec<Header>, Arc<Access>), ApiError> {
    access.check(&shown, dialect).map_err(|bad| below("auth", bad))?;
    Ok((shown, Arc::new(access)))
}

fn below(field: &str, bad: BadAccess) -> ApiError {
    let field = if bad.field.is_empty() { field.to_owned() } else { format!("{field}.{}", bad.field) };
    ApiError::invalid(field, bad.problem)
}

/// The headers that are shown and those that are not. One without a value has
/// that of `kept`.
fn split(forms: HeaderForms, kept: &[SecretHeader]) -> Result<(Vec<Header>, Vec<SecretHeader>), ApiError> {
    if forms.len() > MAX_HEADERS {
        return Err(ApiError::invalid("headers", HeaderError::TooMany(forms.len())));
    }
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    for (name, form) in forms {
        let lower = name.to_ascii_lowercase();
        let of_old = || kept.iter().find(|header| header.name == lower).map(|header| header.value.reveal().to_owned());
        let (value, is_secret) = match form {
            HeaderForm::Shown(value) => (Some(value), false),
            HeaderForm::Spelt(SpeltHeader { value, secret }) => (value.or_else(|| of_old().filter(|_| secret)), secret),
        };
        let wrong = |problem: String| ApiError::invalid(format!("headers.{name}"), problem);
        let value = value.ok_or_else(|| wrong("give its `value`: there is none to keep".to_owned()))?;
        let header = Header::parse(&name, &value).map_err(|problem| wrong(problem.to_string()))?;
        match is_secret {
            true => hidden.push(SecretHeader { name: header.name, value: Arc::new(Secret::stored(header.value)) }),
            false => shown.push(header),
        }
    }
    Ok((shown, hidden))
}

impl AuthForm {
    /// A secret that is left out is that of `kept`, where it is for the same.
    fn parse(self, app: &App, kept: Option<&Auth>) -> Result<Auth, ApiError> {
        self.check_fields()?;
        let made = match self.kind {
            AuthKind::Basic => {
                let username = needed("auth.username", self.username)?;
                let kept = match kept {
                    Some(Auth::Basic { username: before, password }) if *before == username => Some(password),
                    _ => None,
                };
                Auth::basic(username, secret("auth.password", self.password, kept)?)
            }
            AuthKind::Bearer => {
                let kept = match kept {
                    Some(Auth::Bearer { token }) => Some(token),
                    _ => None,
                };
                Auth::bearer(secret("auth.token", self.token, kept)?)
            }
            AuthKind::OAuth2 => {
                let token_url = DeliveryUrl::parse(&needed("auth.token_url", self.token_url)?, &app.urls)
                    .map_err(|problem| ApiError::invalid("auth.token_url", problem))?;
                let client_id = needed("auth.client_id", self.client_id)?;
                let same = |before: &OAuth| {
                    before.client_id == client_id && before.token_url.as_url().origin() == token_url.as_url().origin()
                };
                let kept = match kept {
                    Some(Auth::OAuth(before)) if same(before) => Some(&before.client_secret),
                    _ => None,
                };
                let client_secret = secret("auth.client_secret", self.client_secret, kept)?;
                let (scope, audience, client_auth) = (self.scope, self.audience, self.client_auth.unwrap_or_default());
                OAuth { token_url, client_id, client_secret, scope, audience, client_auth }.check().map(Auth::OAuth)
            }
        };
        made.map_err(|bad| below("auth", bad))
    }

    /// Nothing is given that its type does not have.
    fn check_fields(&self) -> Result<(), ApiError> {
        use AuthKind::{Basic, Bearer, OAuth2};
        let fields = [
            ("auth.username", Basic, self.username.is_some()),
            ("auth.password", Basic, self.password.is_some()),
            ("auth.token", Bearer, self.token.is_some()),
            ("auth.token_url", OAuth2, self.token_url.is_some()),
            ("auth.client_id", OAuth2, self.client_id.is_some()),
            ("auth.client_secret", OAuth2, self.client_secret.is_some()),
            ("auth.scope", OAuth2, self.scope.is_some()),
            ("auth.audience", OAuth2, self.audience.is_some()),
            ("auth.client_auth", OAuth2, self.client_auth.is_some()),
        ];
        match fields.into_iter().find(|(_, kind, given)| *given && *kind != self.kind) {
            Some((field, ..)) => Err(ApiError::invalid(field, "is not for this `type`; leave it out")),
            None => Ok(()),
        }
    }
}

fn needed(field: &'static str, given: Option<String>) -> Result<String, ApiError> {
    given.ok_or_else(|| ApiError::invalid(field, "is needed for this `type`"))
}

fn secret(field: &'static str, given: Option<String>, kept: Option<&Arc<Secret>>) -> Result<Arc<Secret>, ApiError> {
    let kept = || kept.cloned().ok_or_else(|| ApiError::invalid(field, "is needed: there is none to keep"));
    given.map_or_else(kept, |text| Ok(Arc::new(Secret::stored(text))))
}

impl TlsForm {
    /// A key that is left out is that of `kept`.
    fn parse(self, kept: Option<&Tls>, now: Timestamp) -> Result<Tls, ApiError> {
        let kept = kept.and_then(|tls| tls.client.as_ref()).map(|client| client.key.clone());
        let client = match (self.client_certificate, self.client_key) {
            (None, None) => None,
            (None, Some(_)) => return Err(ApiError::invalid("tls.client_certificate", "is needed with a key")),
            (Some(chain), key) => {
                let key = key.map(|text| Arc::new(Secret::stored(text))).or(kept);
                let missing = || ApiError::invalid("tls.client_key", "is needed: there is none to keep");
                Some(ClientCertificate { chain, key: key.ok_or_else(missing)? })
            }
        };
        Tls { client, ca: self.ca }.check(now).map_err(|bad| below("tls", bad))
    }
}
