//! Tenants: the customers of whoever runs Hookyard.

use serde::Serialize;

use super::id::TenantId;
use super::limits::Limits;
use super::retention::OwnRetention;
use super::time::Timestamp;

/// How Hookyard speaks on the wire when nobody says otherwise.
pub const DEFAULT_DIALECT: &str = "standard-webhooks";

/// One customer; nothing crosses from one to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub plan: Option<String>,
    pub dialect: String,
    pub limits: Limits,
    /// What of its past is kept for a shorter time than the server keeps it.
    pub retention: OwnRetention,
    pub created_at: Timestamp,
}
