//! What is sealed before it reaches the disk, and under which label.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access::ACCESS;
use super::corrupt;
use crate::domain::header::Header;
use crate::domain::id::{EndpointId, SourceId, TenantId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::secret::Secret;
use crate::domain::verification::{Options, Verification};
use crate::store::StoreError;
use crate::store::seal::{Label, Seal};

/// A column whose values are sealed, each under a label of its row's.
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    pub(crate) what: &'static str,
    /// The columns that say whose a value is; in the label there is a space
    /// between them.
    pub(crate) whose: &'static [&'static str],
    /// The table's primary key.
    pub key: &'static [&'static str],
}

/// All of them, but for the check of the master key itself. Whoever seals
/// another adds it here, or a rotation of the master key leaves it behind; the
/// store's contract compares this list with the schema.
pub const SEALED: [SealedColumn; 6] = [
    SealedColumn {
        table: "endpoint_secrets",
        column: "sealed",
        what: SECRET,
        whose: &["endpoint_id"],
        key: &["tenant_id", "endpoint_id", "number"],
    },
    SealedColumn { table: "endpoints", column: "headers", what: HEADERS, whose: &["id"], key: &["tenant_id", "id"] },
    SealedColumn { table: "endpoints", column: "access", what: ACCESS, whose: &["id"], key: &["tenant_id", "id"] },
    SealedColumn {
        table: "sources",
        column: "verification",
        what: VERIFICATION,
        whose: &["id"],
        key: &["tenant_id", "id"],
    },
    SealedColumn { table: "users", column: "password", what: PASSWORD, whose: &["id"], key: &["owner", "id"] },
    SealedColumn {
        table: "named_secrets",
        column: "sealed",
        what: NAMED,
        whose: &["tenant_id", "name"],
        key: &["tenant_id", "name"],
    },
];

/// What shows whose key a database is sealed with. No row: nobody's yet.
pub(crate) const CHECK: Label<'_> = Label { what: "master-key", whose: "check" };
pub(crate) const READ_CHECK: &str = "SELECT value FROM meta WHERE name = 'master-key'";

const SECRET: &str = "endpoint-secret";
const VERIFICATION: &str = "source-verification";
const HEADERS: &str = "endpoint-headers";
const NAMED: &str = "named-secret";
const PASSWORD: &str = "user-password";

pub(crate) fn seal_secret(seal: &Seal, endpoint: EndpointId, secret: &Secret) -> Vec<u8> {
    seal.seal(Label { what: SECRET, whose: &endpoint.to_string() }, secret.reveal().as_bytes())
}

pub(crate) fn open_secret(seal: &Seal, endpoint: EndpointId, sealed: &[u8]) -> Result<Secret, StoreError> {
    let text = seal.open(Label { what: SECRET, whose: &endpoint.to_string() }, sealed).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    text.map(Secret::stored).ok_or_else(|| corrupt("endpoint_secrets.sealed"))
}

/// A named secret opens in its tenant and under its name only.
fn whose(tenant: TenantId, name: &str) -> String {
    format!("{tenant} {name}")
}

pub(crate) fn seal_named(seal: &Seal, tenant: TenantId, name: &str, secret: &Secret) -> Vec<u8> {
    seal.seal(Label { what: NAMED, whose: &whose(tenant, name) }, secret.reveal().as_bytes())
}

pub(crate) fn open_named(seal: &Seal, tenant: TenantId, name: &str, sealed: &[u8]) -> Result<Secret, StoreError> {
    let text = seal.open(Label { what: NAMED, whose: &whose(tenant, name) }, sealed).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    text.map(Secret::stored).ok_or_else(|| corrupt("named_secrets.sealed"))
}

/// Whoever has a copy of the database alone cannot try passwords.
pub(crate) fn seal_password(seal: &Seal, user: UserId, password: &PasswordHash) -> Vec<u8> {
    seal.seal(Label { what: PASSWORD, whose: &user.to_string() }, password.reveal().as_bytes())
}

pub(crate) fn open_password(seal: &Seal, user: UserId, sealed: &[u8]) -> Result<PasswordHash, StoreError> {
    let text = seal.open(Label { what: PASSWORD, whose: &user.to_string() }, sealed).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    text.map(PasswordHash::stored).ok_or_else(|| corrupt("users.password"))
}

pub(crate) fn seal_headers(seal: &Seal, endpoint: EndpointId, headers: &[Header]) -> Vec<u8> {
    let plain = super::text::json(&headers);
    seal.seal(Label { what: HEADERS, whose: &endpoint.to_string() }, plain.as_bytes())
}

pub(crate) fn open_headers(seal: &Seal, endpoint: EndpointId, sealed: &[u8]) -> Result<Vec<Header>, StoreError> {
    let plain = seal.open(Label { what: HEADERS, whose: &endpoint.to_string() }, sealed);
    let plain = plain.map_err(|_| corrupt("endpoints.headers"))?;
    serde_json::from_slice(&plain).map_err(|_| corrupt("endpoints.headers"))
}

/// All that a verification is, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    scheme: String,
    options: Options,
    secret: Option<String>,
    verify_token: Option<String>,
}

/// Nothing for the one that verifies nothing.
pub(crate) fn seal_verification(seal: &Seal, source: SourceId, verification: &Verification) -> Option<Vec<u8>> {
    if verification.is_none() {
        return None;
    }
    let text = |secret: &Option<Arc<Secret>>| secret.as_ref().map(|secret| secret.reveal().to_owned());
    let kept = Kept {
        scheme: verification.scheme.clone(),
        options: verification.options.clone(),
        secret: text(&verification.secret),
        verify_token: text(&verification.verify_token),
    };
    let plain = super::text::json(&kept);
    Some(seal.seal(Label { what: VERIFICATION, whose: &source.to_string() }, plain.as_bytes()))
}

pub(crate) fn open_verification(
    seal: &Seal,
    source: SourceId,
    sealed: Option<&[u8]>,
) -> Result<Verification, StoreError> {
    let Some(sealed) = sealed else { return Ok(Verification::none()) };
    let wrong = || corrupt("sources.verification");
    let plain = seal.open(Label { what: VERIFICATION, whose: &source.to_string() }, sealed).map_err(|_| wrong())?;
    let Kept { scheme, options, secret, verify_token } = serde_json::from_slice(&plain).map_err(|_| wrong())?;
    Ok(Verification::stored(scheme, options, secret, verify_token))
}
