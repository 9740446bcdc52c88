//! How an endpoint proves who is calling, as it is shown: without secrets, and so
//! that it can be sent back.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::access::Auth;
use crate::domain::endpoint::Endpoint;
use crate::domain::oauth::ClientAuth;
use crate::domain::tls::Tls;

/// A header as it is shown.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EndpointHeader)]
pub(super) enum HeaderView<'a> {
    Shown(&'a str),
    Secret { value: Hidden, secret: bool },
}

/// Stands where a secret is: null.
#[derive(Serialize)]
pub(super) struct Hidden;

impl PartialSchema for Hidden {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Hidden {}

#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = Auth)]
pub(super) enum AuthView<'a> {
    Basic {
        username: &'a str,
        password: Hidden,
    },
    Bearer {
        token: Hidden,
    },
    OAuth2 {
        token_url: &'a str,
        client_id: &'a str,
        client_secret: Hidden,
        scope: Option<&'a str>,
        audience: Option<&'a str>,
        client_auth: ClientAuth,
    },
}

#[derive(Serialize, ToSchema)]
#[schema(as = Tls)]
pub(super) struct TlsView<'a> {
    client_certificate: Option<&'a str>,
    client_key: Hidden,
    ca: Option<&'a str>,
}

pub(super) fn headers(endpoint: &Endpoint) -> BTreeMap<&str, HeaderView<'_>> {
    let shown = endpoint.headers.iter().map(|header| (&*header.name, HeaderView::Shown(&header.value)));
    let hidden = endpoint.access.headers.iter();
    let hidden = hidden.map(|header| (&*header.name, HeaderView::Secret { value: Hidden, secret: true }));
    shown.chain(hidden).collect()
}

impl<'a> AuthView<'a> {
    pub(super) fn of(auth: &'a Auth) -> Self {
        match auth {
            Auth::Basic { username, .. } => Self::Basic { username, password: Hidden },
            Auth::Bearer { .. } => Self::Bearer { token: Hidden },
            Auth::OAuth(oauth) => Self::OAuth2 {
                token_url: oauth.token_url.as_str(),
                client_id: &oauth.client_id,
                client_secret: Hidden,
                scope: oauth.scope.as_deref(),
                audience: oauth.audience.as_deref(),
                client_auth: oauth.client_auth,
            },
        }
    }
}

impl<'a> TlsView<'a> {
    pub(super) fn of(tls: &'a Tls) -> Self {
        Self {
            client_certificate: tls.client.as_ref().map(|client| &*client.chain),
            client_key: Hidden,
            ca: tls.ca.as_deref(),
        }
    }
}
