//! An endpoint's access as it is sealed: one value, because most of it is secret.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::corrupt;
use crate::domain::access::{Access, Auth, SecretHeader};
use crate::domain::header::Header;
use crate::domain::id::EndpointId;
use crate::domain::oauth::{ClientAuth, OAuth};
use crate::domain::secret::Secret;
use crate::domain::tls::{ClientCertificate, Tls};
use crate::domain::url::DeliveryUrl;
use crate::store::StoreError;
use crate::store::seal::{Label, Seal};

pub(crate) const ACCESS: &str = "endpoint-access";

#[derive(Serialize, Deserialize)]
struct Kept {
    headers: Vec<Header>,
    auth: Option<KeptAuth>,
    tls: Option<KeptTls>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum KeptAuth {
    Basic {
        username: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    OAuth2 {
        token_url: String,
        client_id: String,
        client_secret: String,
        scope: Option<String>,
        audience: Option<String>,
        client_auth: ClientAuth,
    },
}

#[derive(Serialize, Deserialize)]
struct KeptTls {
    client_certificate: Option<String>,
    client_key: Option<String>,
    ca: Option<String>,
}

/// Nothing where there is nothing to keep.
pub(crate) fn seal(seal: &Seal, endpoint: EndpointId, access: &Access) -> Option<Vec<u8>> {
    if *access == Access::default() {
        return None;
    }
    let plain = super::text::json(&Kept::of(access));
    Some(seal.seal(Label { what: ACCESS, whose: &endpoint.to_string() }, plain.as_bytes()))
}

pub(crate) fn open(seal: &Seal, endpoint: EndpointId, sealed: Option<&[u8]>) -> Result<Arc<Access>, StoreError> {
    let Some(sealed) = sealed else { return Ok(Arc::default()) };
    let wrong = || corrupt("endpoints.access");
    let plain = seal.open(Label { what: ACCESS, whose: &endpoint.to_string() }, sealed).map_err(|_| wrong())?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(|_| wrong())?;
    kept.access().map(Arc::new).ok_or_else(wrong)
}

fn text(secret: &Secret) -> String {
    secret.reveal().to_owned()
}

fn secret(text: String) -> Arc<Secret> {
    Arc::new(Secret::stored(text))
}

impl Kept {
    fn of(access: &Access) -> Self {
        let header = |header: &SecretHeader| Header { name: header.name.clone(), value: text(&header.value) };
        Self {
            headers: access.headers.iter().map(header).collect(),
            auth: access.auth.as_ref().map(KeptAuth::of),
            tls: access.tls.as_ref().map(|tls| KeptTls {
                client_certificate: tls.client.as_ref().map(|client| client.chain.clone()),
                client_key: tls.client.as_ref().map(|client| text(&client.key)),
                ca: tls.ca.clone(),
            }),
        }
    }

    fn access(self) -> Option<Access> {
        let header = |Header { name, value }| SecretHeader { name, value: secret(value) };
        let client = |tls: &mut KeptTls| tls.client_certificate.take().zip(tls.client_key.take());
        let tls = |mut tls: KeptTls| Tls {
            client: client(&mut tls).map(|(chain, key)| ClientCertificate { chain, key: secret(key) }),
            ca: tls.ca,
        };
        let auth = match self.auth {
            Some(kept) => Some(kept.auth()?),
            None => None,
        };
        Some(Access { headers: self.headers.into_iter().map(header).collect(), auth, tls: self.tls.map(tls) })
    }
}

impl KeptAuth {
    fn of(auth: &Auth) -> Self {
        match auth {
            Auth::Basic { username, password } => Self::Basic { username: username.clone(), password: text(password) },
            Auth::Bearer { token } => Self::Bearer { token: text(token) },
            Auth::OAuth(oauth) => Self::OAuth2 {
                token_url: oauth.token_url.as_str().to_owned(),
                client_id: oauth.client_id.clone(),
                client_secret: text(&oauth.client_secret),
                scope: oauth.scope.clone(),
                audience: oauth.audience.clone(),
                client_auth: oauth.client_auth,
            },
        }
    }

    fn auth(self) -> Option<Auth> {
        Some(match self {
            Self::Basic { username, password } => Auth::Basic { username, password: secret(password) },
            Self::Bearer { token } => Auth::Bearer { token: secret(token) },
            Self::OAuth2 { token_url, client_id, client_secret, scope, audience, client_auth } => Auth::OAuth(OAuth {
                token_url: DeliveryUrl::stored(&token_url)?,
                client_id,
                client_secret: secret(client_secret),
                scope,
                audience,
                client_auth,
            }),
        })
    }
}
