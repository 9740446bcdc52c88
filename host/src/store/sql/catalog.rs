//! The catalogue's promises. What is secret is sealed here,
//! before it is handed to the writer.

use std::sync::Arc;

use super::changes::SealedParts;
use super::words::RIPE;
use super::{Store, audit, changes, keys, moves, picture, plugins};
use crate::domain::audit::Entry;
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventType;
use crate::domain::event_type::OwnKind;
use crate::domain::id::{EndpointId, KeyId, SourceId, TenantId};
use crate::domain::named_secret::NamedSecret;
use crate::domain::plugin::{Digest, Owner, PluginName, PluginVersion};
use crate::domain::secret::Secret;
use crate::domain::source::Source;
use crate::domain::tenant::Tenant;
use crate::domain::time::Timestamp;
use crate::domain::upgrade::Moved;
use crate::domain::user::Whose;
use crate::store::catalog::{AuditQuery, Catalog, NewKey, PluginUpload, StepMove};
use crate::store::picture::TenantPicture;
use crate::store::{Reply, StoreError, access, sealed};

impl Catalog for Store {
    fn noting(&self, entry: Entry) -> Arc<dyn Catalog> {
        Arc::new(Store::noting(self, entry))
    }

    fn note(&self) -> Reply<'_, ()> {
        self.change(|_conn| Box::pin(async { Ok(()) }))
    }

    fn audit(&self, whose: Whose, query: AuditQuery) -> Reply<'_, Vec<Entry>> {
        Box::pin(audit::read(&self.readers, whose, query))
    }

    fn create_tenant<'a>(&'a self, tenant: &'a Tenant, key: NewKey) -> Reply<'a, ()> {
        let tenant = tenant.clone();
        self.change(move |conn| Box::pin(async move { changes::create_tenant(conn, &tenant, &key).await }))
    }

    fn tenants(&self) -> Reply<'_, Vec<TenantId>> {
        self.tenant_ids("SELECT id FROM tenants WHERE deleted_at IS NULL ORDER BY id")
    }

    fn update_tenant<'a>(&'a self, tenant: &'a Tenant) -> Reply<'a, ()> {
        let tenant = tenant.clone();
        self.change(move |conn| Box::pin(async move { changes::update_tenant(conn, &tenant).await }))
    }

    fn delete_tenant(&self, tenant: TenantId, now: Timestamp) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(changes::delete_tenant(conn, tenant, now)))
    }

    fn deleted_tenants(&self) -> Reply<'_, Vec<TenantId>> {
        self.tenant_ids(RIPE)
    }

    fn create_key(&self, tenant: TenantId, key: NewKey, max: u32) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(async move { keys::create(conn, tenant, &key, max).await }))
    }

    fn delete_key(&self, tenant: TenantId, key: KeyId, admin_at: Option<Timestamp>) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(keys::delete(conn, tenant, key, admin_at)))
    }

    fn create_source<'a>(&'a self, source: &'a Source) -> Reply<'a, ()> {
        let verification = sealed::seal_verification(&self.seal, source.id, &source.verification);
        let source = source.clone();
        self.change(move |conn| Box::pin(async move { changes::create_source(conn, &source, verification).await }))
    }

    fn update_source<'a>(&'a self, source: &'a Source, was: &'a Source) -> Reply<'a, ()> {
        let verification = sealed::seal_verification(&self.seal, source.id, &source.verification);
        let (source, was) = (source.clone(), was.clone());
        self.change(move |conn| {
            Box::pin(async move { changes::update_source(conn, &source, verification, &was).await })
        })
    }

    fn delete_source(&self, tenant: TenantId, source: SourceId) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(changes::delete_source(conn, tenant, source)))
    }

    fn create_endpoint<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        secret: Option<&'a Secret>,
        max_urls: Option<u32>,
    ) -> Reply<'a, ()> {
        let sealed = self.seal_endpoint(endpoint);
        let secret = secret.map(|secret| sealed::seal_secret(&self.seal, endpoint.id, secret));
        let endpoint = endpoint.clone();
        self.change(move |conn| {
            Box::pin(
                async move { changes::create_endpoint(conn, &endpoint, &sealed, secret.as_deref(), max_urls).await },
            )
        })
    }

    fn update_endpoint<'a>(&'a self, endpoint: &'a Endpoint, was: &'a Endpoint) -> Reply<'a, ()> {
        let sealed = self.seal_endpoint(endpoint);
        let (endpoint, was) = (endpoint.clone(), was.clone());
        self.change(move |conn| Box::pin(async move { changes::update_endpoint(conn, &endpoint, &sealed, &was).await }))
    }

    fn rotate_secret<'a>(
        &'a self,
        tenant: TenantId,
        endpoint: EndpointId,
        secret: &'a Secret,
        now: Timestamp,
        overlap_until: Timestamp,
    ) -> Reply<'a, ()> {
        let secret = sealed::seal_secret(&self.seal, endpoint, secret);
        let whose = (tenant, endpoint);
        self.change(move |conn| {
            Box::pin(async move { changes::rotate_secret(conn, whose, &secret, now, overlap_until).await })
        })
    }

    fn delete_endpoint(&self, tenant: TenantId, endpoint: EndpointId) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(changes::delete_endpoint(conn, tenant, endpoint)))
    }

    fn put_event_type<'a>(&'a self, tenant: TenantId, kind: &'a OwnKind) -> Reply<'a, ()> {
        let kind = kind.clone();
        self.change(move |conn| Box::pin(async move { changes::put_event_type(conn, tenant, &kind).await }))
    }

    fn delete_event_type<'a>(&'a self, tenant: TenantId, event_type: &'a EventType) -> Reply<'a, ()> {
        let event_type = event_type.clone();
        self.change(move |conn| Box::pin(async move { changes::delete_event_type(conn, tenant, &event_type).await }))
    }

    fn put_secret<'a>(&'a self, tenant: TenantId, secret: &'a NamedSecret, max: u32) -> Reply<'a, ()> {
        let sealed = sealed::seal_named(&self.seal, tenant, &secret.name, &secret.secret);
        let (name, times) = (secret.name.clone(), (secret.created_at, secret.updated_at));
        self.change(move |conn| {
            Box::pin(async move { changes::put_secret(conn, tenant, (&name, &sealed), times, max).await })
        })
    }

    fn delete_secret<'a>(&'a self, tenant: TenantId, name: &'a str) -> Reply<'a, ()> {
        let name = name.to_owned();
        self.change(move |conn| Box::pin(async move { changes::delete_secret(conn, tenant, &name).await }))
    }

    fn add_plugin(&self, upload: PluginUpload) -> Reply<'_, PluginVersion> {
        self.change(move |conn| Box::pin(plugins::add(conn, upload)))
    }

    fn plugins(&self, owner: Owner) -> Reply<'_, Vec<PluginVersion>> {
        Box::pin(plugins::versions(&self.readers, owner))
    }

    fn delete_plugin<'a>(&'a self, tenant: TenantId, name: &'a PluginName, version: Option<u32>) -> Reply<'a, ()> {
        let name = name.clone();
        self.change(move |conn| Box::pin(async move { plugins::delete(conn, tenant, &name, version).await }))
    }

    fn move_steps(&self, tenant: TenantId, change: StepMove) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(moves::steps(conn, tenant, change)))
    }

    fn last_move<'a>(&'a self, tenant: TenantId, plugin: &'a PluginName) -> Reply<'a, Option<(i64, Vec<Moved>)>> {
        Box::pin(moves::last(&self.readers, tenant, plugin.clone()))
    }

    fn component(&self, digest: Digest) -> Reply<'_, Option<Vec<u8>>> {
        Box::pin(plugins::component(&self.readers, digest))
    }

    fn picture(&self, tenant: TenantId) -> Reply<'_, Option<TenantPicture>> {
        Box::pin(picture::picture(&self.readers, &self.seal, tenant))
    }
}

impl Store {
    fn seal_endpoint(&self, endpoint: &Endpoint) -> SealedParts {
        SealedParts {
            headers: sealed::seal_headers(&self.seal, endpoint.id, &endpoint.headers),
            access: access::seal(&self.seal, endpoint.id, &endpoint.access),
        }
    }

    fn tenant_ids(&self, query: &'static str) -> Reply<'_, Vec<TenantId>> {
        Box::pin(async move {
            let ids: Vec<String> = sqlx::query_scalar(query).fetch_all(&self.readers).await?;
            ids.iter().map(|id| id.parse().map_err(|_| StoreError::Corrupt("tenants.id".to_owned()))).collect()
        })
    }
}
