//! The in-memory picture of the catalogue: every routing decision and every
//! listing of what a tenant set up reads it, and no database.
//!
//! A tenant's part is replaced as a whole when the tenant changes something.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::{Catalog, StoreError};
use crate::domain::dialect::{Dialect, Dialects, Plan};
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventType;
use crate::domain::event_type::OwnKind;
use crate::domain::id::{EndpointId, SourceId, TenantId};
use crate::domain::key::{Key, KeyHash, SourceToken};
use crate::domain::named_secret::NamedSecret;
use crate::domain::plugin::{Digest, Owner, PluginName, PluginVersion};
use crate::domain::secret::Secret;
use crate::domain::source::Source;
use crate::domain::tenant::Tenant;
use crate::domain::time::Timestamp;

/// All that one tenant has set up.
pub struct TenantPicture {
    pub tenant: Tenant,
    /// The oldest first, those that have expired included.
    pub keys: Vec<(KeyHash, Arc<Key>)>,
    pub sources: BTreeMap<SourceId, Source>,
    pub endpoints: BTreeMap<EndpointId, SealedEndpoint>,
    pub plugins: PluginVersions,
    /// What the tenant described itself.
    pub event_types: BTreeMap<EventType, OwnKind>,
    /// What steps may be let sign with, by name.
    pub secrets: BTreeMap<String, NamedSecret>,
}

/// The URLs that a tenant's plan covers.
pub enum Covered<'a> {
    All,
    Some(HashSet<&'a str>),
}

impl Covered<'_> {
    pub fn has(&self, endpoint: &Endpoint) -> bool {
        match self {
            Self::All => true,
            Self::Some(urls) => urls.contains(endpoint.url.as_str()),
        }
    }
}

impl TenantPicture {
    /// The dialects that the tenant and its endpoints speak, one or more times.
    pub fn dialects(&self) -> impl Iterator<Item = &str> {
        let endpoints = self.endpoints.values().map(|sealed| sealed.endpoint.dialect.as_str());
        std::iter::once(self.tenant.dialect.as_str()).chain(endpoints)
    }

    /// The plan that limits the tenant's URLs, if any: its own dialect's.
    pub fn limiting_plan<'a>(&self, dialects: &'a Dialects) -> Option<(&'a Dialect, &'a Plan)> {
        let dialect = dialects.get(&self.tenant.dialect)?;
        dialect.plan_of(&self.tenant).filter(|plan| plan.endpoints.is_some()).map(|plan| (&**dialect, plan))
    }

    /// The oldest URLs, as many as the plan covers: a plan that became smaller
    /// leaves the newest out.
    pub fn covered_urls(&self, dialects: &Dialects) -> Covered<'_> {
        let Some(limit) = self.limiting_plan(dialects).and_then(|(_, plan)| plan.endpoints) else {
            return Covered::All;
        };
        let mut urls = HashSet::new();
        for sealed in self.endpoints.values() {
            if urls.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
            urls.insert(sealed.endpoint.url.as_str());
        }
        Covered::Some(urls)
    }
}

/// An endpoint with the secrets that sign for it. The secrets have no `Debug`,
/// and so has this.
pub struct SealedEndpoint {
    pub endpoint: Endpoint,
    /// The current one first, then those that a rotation lets run out.
    pub secrets: Vec<Overlap>,
}

/// A secret and how long it signs.
pub struct Overlap {
    pub secret: Secret,
    /// Absent: until it is replaced.
    pub until: Option<Timestamp>,
}

impl SealedEndpoint {
    /// The secrets that sign at `now`.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |overlap| overlap.until.is_none_or(|until| now < until)).map(|o| &o.secret)
    }
}

/// Plugin versions of one owner, by name and number.
pub type PluginVersions = BTreeMap<PluginName, BTreeMap<u32, PluginVersion>>;

/// The catalogue of every tenant.
#[derive(Default)]
pub struct Picture {
    state: RwLock<State>,
    /// One refresh at a time: of two that overlap, the one that read first could
    /// otherwise be the one that writes last.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    tenants: HashMap<TenantId, Arc<TenantPicture>>,
    /// When the reading of a tenant's part began, of one that is gone too.
    read_at: HashMap<TenantId, Instant>,
    keys: HashMap<KeyHash, (TenantId, Arc<Key>)>,
    inbound: HashMap<SourceToken, (TenantId, SourceId)>,
    house: Arc<PluginVersions>,
}

/// Whose turn it is to read a part again.
type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Picture {
    /// The picture of everything in `catalog`.
    pub async fn load(catalog: &dyn Catalog) -> Result<Self, StoreError> {
        let picture = Self::default();
        picture.refresh_house(catalog).await?;
        for tenant in catalog.tenants().await? {
            picture.refresh(catalog, tenant).await?;
        }
        Ok(picture)
    }

    /// Reads one tenant's part again, after it changed.
    pub async fn refresh(&self, catalog: &dyn Catalog, tenant: TenantId) -> Result<(), StoreError> {
        let turn = self.refreshing.lock().await;
        self.read_again(catalog, tenant, turn).await
    }

    /// Reads one tenant's part again, unless that was done since.
    pub async fn refresh_since(
        &self,
        catalog: &dyn Catalog,
        tenant: TenantId,
        since: Instant,
    ) -> Result<(), StoreError> {
        let turn = self.refreshing.lock().await;
        match self.read(|state| state.read_at.get(&tenant).is_some_and(|read| *read >= since)) {
            true => Ok(()),
            false => self.read_again(catalog, tenant, turn).await,
        }
    }

    async fn read_again(&self, catalog: &dyn Catalog, tenant: TenantId, _turn: Turn<'_>) -> Result<(), StoreError> {
        let began = Instant::now();
        let part = catalog.picture(tenant).await?.map(Arc::new);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.read_at.insert(tenant, began);
        state.keys.retain(|_, (owner, _)| *owner != tenant);
        state.inbound.retain(|_, (owner, _)| *owner != tenant);
        let Some(part) = part else {
            state.tenants.remove(&tenant);
            return Ok(());
        };
        state.keys.extend(part.keys.iter().map(|(hash, key)| (*hash, (tenant, key.clone()))));
        state.inbound.extend(part.sources.values().map(|source| (source.token.clone(), (tenant, source.id))));
        state.tenants.insert(tenant, part);
        Ok(())
    }

    /// Reads the first-party plugins again.
    pub async fn refresh_house(&self, catalog: &dyn Catalog) -> Result<(), StoreError> {
        let _turn = self.refreshing.lock().await;
        let house = versions(catalog.plugins(Owner::House).await?);
        self.state.write().unwrap_or_else(PoisonError::into_inner).house = Arc::new(house);
        Ok(())
    }

    pub fn tenant(&self, tenant: TenantId) -> Option<Arc<TenantPicture>> {
        self.read(|state| state.tenants.get(&tenant).cloned())
    }

    /// Every tenant, oldest first.
    pub fn tenants(&self) -> Vec<Arc<TenantPicture>> {
        let mut tenants: Vec<_> = self.read(|state| state.tenants.values().cloned().collect());
        tenants.sort_by_key(|part| part.tenant.id);
        tenants
    }

    /// Whose key this is, and which; it may have expired.
    pub fn tenant_by_key(&self, key: &KeyHash) -> Option<(TenantId, Arc<Key>)> {
        self.read(|state| state.keys.get(key).cloned())
    }

    /// Whose inbound URL this is, and which source.
    pub fn source_by_token(&self, token: &SourceToken) -> Option<(Arc<TenantPicture>, SourceId)> {
        self.read(|state| {
            let (tenant, source) = state.inbound.get(token)?;
            Some((state.tenants.get(tenant)?.clone(), *source))
        })
    }

    /// The first-party plugins.
    pub fn house(&self) -> Arc<PluginVersions> {
        self.read(|state| state.house.clone())
    }

    /// Every component that somebody has.
    pub fn digests(&self) -> HashSet<Digest> {
        self.read(|state| {
            let own = state.tenants.values().map(|part| &part.plugins);
            own.chain([&*state.house]).flat_map(digests).collect()
        })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        // A panic while writing cannot leave half a picture: each change is one
        // insertion, and the next refresh makes it whole.
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Of every version.
pub fn digests(plugins: &PluginVersions) -> impl Iterator<Item = Digest> {
    plugins.values().flat_map(BTreeMap::values).map(|plugin| plugin.digest)
}

/// Orders versions by name and number.
pub fn versions(plugins: Vec<PluginVersion>) -> PluginVersions {
    let mut versions = PluginVersions::new();
    for plugin in plugins {
        versions.entry(plugin.name.clone()).or_default().insert(plugin.version, plugin);
    }
    versions
}
