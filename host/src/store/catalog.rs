//! What tenants and the operator set up.

use std::sync::Arc;

use bytes::Bytes;

use super::Reply;
use super::picture::TenantPicture;
use crate::domain::audit::{Action, Entry};
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventType;
use crate::domain::event_type::OwnKind;
use crate::domain::id::{AuditId, EndpointId, KeyId, SourceId, TenantId};
use crate::domain::key::{Key, KeyHash};
use crate::domain::named_secret::NamedSecret;
use crate::domain::plugin::{Description, Digest, Job, Owner, PluginName, PluginVersion, Stock};
use crate::domain::secret::Secret;
use crate::domain::source::Source;
use crate::domain::tenant::Tenant;
use crate::domain::time::Timestamp;
use crate::domain::upgrade::{Moved, Repinned};
use crate::domain::user::Whose;

/// Tenants, keys, sources, endpoints, plugins and named secrets.
///
/// Promises that every engine keeps, and `tests/it/store_contract.rs` checks:
/// what one tenant writes, no other tenant's picture shows; a name is taken
/// once per tenant and kind; a plugin version never changes; secrets are sealed
/// before they reach the disk. Reading is done by the picture of a whole
/// tenant: the catalogue is small and is kept in memory.
///
/// Without a tenant id, because they are the operator's: [`Self::tenants`] and
/// the creation of a tenant.
///
/// Whoever changes something on somebody's behalf does so through
/// [`Self::noting`]; `tests/it/audit.rs` reads the sources and checks.
pub trait Catalog: Send + Sync {
    /// The same catalogue for one change, which writes `entry` in its
    /// transaction: both are there, or neither.
    fn noting(&self, entry: Entry) -> Arc<dyn Catalog>;

    /// Changes nothing: for an entry about what the ledger is about to do.
    fn note(&self) -> Reply<'_, ()>;

    /// The entries that `query` finds, of a tenant or of the operator's own, the
    /// newest first; those of a deleted tenant until they are purged.
    fn audit(&self, whose: Whose, query: AuditQuery) -> Reply<'_, Vec<Entry>>;

    /// Stores the tenant and its first key.
    fn create_tenant<'a>(&'a self, tenant: &'a Tenant, key: NewKey) -> Reply<'a, ()>;

    /// Every tenant that was not deleted.
    fn tenants(&self) -> Reply<'_, Vec<TenantId>>;

    /// Writes name, plan and dialect.
    fn update_tenant<'a>(&'a self, tenant: &'a Tenant) -> Reply<'a, ()>;

    /// Takes the tenant, its keys and all that it set up away, at once. What
    /// happened goes in pieces, by [`super::Ledger::purge`].
    fn delete_tenant(&self, tenant: TenantId, now: Timestamp) -> Reply<'_, ()>;

    /// Deleted tenants whose past may not be purged yet.
    fn deleted_tenants(&self) -> Reply<'_, Vec<TenantId>>;

    /// Adds a key. Refused with [`super::StoreError::OverLimit`] when the tenant
    /// would have more than `max`.
    fn create_key(&self, tenant: TenantId, key: NewKey, max: u32) -> Reply<'_, ()>;

    /// Revokes a key. Refused with [`super::StoreError::LastAdmin`] when no admin
    /// key would be left that is valid at `admin_at`, if that is given.
    fn delete_key(&self, tenant: TenantId, key: KeyId, admin_at: Option<Timestamp>) -> Reply<'_, ()>;

    fn create_source<'a>(&'a self, source: &'a Source) -> Reply<'a, ()>;

    /// Writes all but id, tenant, token and time of creation.
    /// [`super::StoreError::Changed`] when it was changed since `was` was read, or
    /// the new pipeline pins what is not there.
    fn update_source<'a>(&'a self, source: &'a Source, was: &'a Source) -> Reply<'a, ()>;

    fn delete_source(&self, tenant: TenantId, source: SourceId) -> Reply<'_, ()>;

    /// With `secret`, where its dialect has one. Refused with
    /// [`super::StoreError::OverLimit`] when the tenant would have more than
    /// `max_urls` different URLs.
    fn create_endpoint<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        secret: Option<&'a Secret>,
        max_urls: Option<u32>,
    ) -> Reply<'a, ()>;

    /// Writes all but id, tenant and time of creation; secrets stay.
    /// [`super::StoreError::Changed`] when it was changed since `was` was read, or
    /// the new pipeline pins what is not there.
    fn update_endpoint<'a>(&'a self, endpoint: &'a Endpoint, was: &'a Endpoint) -> Reply<'a, ()>;

    /// Makes `secret` the first to sign; those before it go on signing beside
    /// it until `overlap_until`, where that is later than `now`.
    fn rotate_secret<'a>(
        &'a self,
        tenant: TenantId,
        endpoint: EndpointId,
        secret: &'a Secret,
        now: Timestamp,
        overlap_until: Timestamp,
    ) -> Reply<'a, ()>;

    /// Its pending deliveries are cancelled when they come up.
    fn delete_endpoint(&self, tenant: TenantId, endpoint: EndpointId) -> Reply<'_, ()>;

    /// Describes a type of event, or describes it anew.
    fn put_event_type<'a>(&'a self, tenant: TenantId, kind: &'a OwnKind) -> Reply<'a, ()>;

    fn delete_event_type<'a>(&'a self, tenant: TenantId, event_type: &'a EventType) -> Reply<'a, ()>;

    /// Stores a secret under its name, in the place of one that had it before,
    /// whose time of creation stays. Refused with
    /// [`super::StoreError::OverLimit`] when the tenant would have more than
    /// `max`.
    fn put_secret<'a>(&'a self, tenant: TenantId, secret: &'a NamedSecret, max: u32) -> Reply<'a, ()>;

    /// Refused with [`super::StoreError::InUse`] while a step is granted it.
    fn delete_secret<'a>(&'a self, tenant: TenantId, name: &'a str) -> Reply<'a, ()>;

    /// Stores a component as the name's next version, or answers the version
    /// that has the same digest already. Refused with
    /// [`super::StoreError::OverLimit`] when its owner would have more than the
    /// upload's `most`.
    fn add_plugin(&self, upload: PluginUpload) -> Reply<'_, PluginVersion>;

    /// Every version of one owner's plugins.
    fn plugins(&self, owner: Owner) -> Reply<'_, Vec<PluginVersion>>;

    /// Deletes one version of a plugin, or all. Refused with
    /// [`super::StoreError::InUse`] while a step pins one of them. Its number is
    /// never given to another.
    fn delete_plugin<'a>(&'a self, tenant: TenantId, name: &'a PluginName, version: Option<u32>) -> Reply<'a, ()>;

    /// Moves steps of a plugin to other versions: all of them, or none with
    /// [`super::StoreError::Changed`] when a pipeline is not what it was.
    fn move_steps(&self, tenant: TenantId, change: StepMove) -> Reply<'_, ()>;

    /// The plugin's last move that was not taken back, and its number.
    fn last_move<'a>(&'a self, tenant: TenantId, plugin: &'a PluginName) -> Reply<'a, Option<(i64, Vec<Moved>)>>;

    /// The component with this digest, whoever uploaded it: digests are asked
    /// for by whoever loads code into the sandbox, never by a tenant.
    fn component(&self, digest: Digest) -> Reply<'_, Option<Vec<u8>>>;

    /// All that one tenant has set up; nothing when it does not exist.
    fn picture(&self, tenant: TenantId) -> Reply<'_, Option<TenantPicture>>;
}

/// A key to be stored: only its hash is.
#[derive(Clone)]
pub struct NewKey {
    pub hash: KeyHash,
    pub key: Key,
}

/// Which entries of the audit log; absent: any.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    pub target: Option<String>,
    pub action: Option<Action>,
    /// A key's or a user's id, `operator`, `portal` or `hookyard`.
    pub by: Option<String>,
    /// At or after.
    pub after: Option<Timestamp>,
    /// Before.
    pub before: Option<Timestamp>,
    pub older_than: Option<AuditId>,
    pub limit: u32,
}

/// Steps that change their versions together.
#[derive(Clone)]
pub struct StepMove {
    pub plugin: PluginName,
    pub pipelines: Vec<Repinned>,
    pub log: MoveLog,
}

/// What a move means for the moves before it.
#[derive(Clone)]
pub enum MoveLog {
    /// It is one more, which can be taken back.
    Add { moved: Vec<Moved>, at: Timestamp },
    /// It takes back the one with this number.
    TakeBack { number: i64 },
}

/// A component that passed the gate.
#[derive(Clone)]
pub struct PluginUpload {
    pub owner: Owner,
    pub name: PluginName,
    pub digest: Digest,
    pub component: Bytes,
    pub jobs: Vec<Job>,
    pub description: Description,
    pub compile_ms: u64,
    /// The key that it came with.
    pub uploaded_by: Option<KeyId>,
    pub created_at: Timestamp,
    /// What its owner may have, this one included.
    pub most: Option<Stock>,
}
