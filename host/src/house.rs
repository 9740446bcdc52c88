//! The first-party plugins, embedded in the binary.
//!
//! They are plugin versions like any other: a step pins one, and a newer binary
//! that brings a changed component adds a version beside the old.

use std::collections::HashSet;
use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::plugin::{Digest, Owner, PluginName};
use crate::sandbox::{ComponentBytes, Components, Rejected, Sandbox};
use crate::store::catalog::PluginUpload;
use crate::store::picture::TenantPicture;
use crate::store::{Catalog, Picture, StoreError};
use crate::telemetry::Chain;

/// Built by `build.rs` from `plugins/`. The server starts when these are ready.
const COMPONENTS: &[(&str, &[u8])] = &[
    ("field-mapper", include_bytes!(concat!(env!("OUT_DIR"), "/field_mapper.wasm"))),
    ("json-schema", include_bytes!(concat!(env!("OUT_DIR"), "/json_schema.wasm"))),
    ("summary", include_bytes!(concat!(env!("OUT_DIR"), "/summary.wasm"))),
    ("tag-filter", include_bytes!(concat!(env!("OUT_DIR"), "/tag_filter.wasm"))),
    ("template", include_bytes!(concat!(env!("OUT_DIR"), "/template.wasm"))),
];

/// Those that take seconds to compile: an interpreter each. The server starts
/// without them, and they are made ready while it serves, the quicker one first.
const LATER: &[(&str, &[u8])] = &[
    ("jq", include_bytes!(concat!(env!("OUT_DIR"), "/jq.wasm"))),
    ("javascript", include_bytes!(concat!(env!("OUT_DIR"), "/javascript.wasm"))),
];

/// The one that intake checks schemas with.
pub const JSON_SCHEMA: &str = "json-schema";

/// The embedded component of this name.
pub fn component(name: &str) -> Option<&'static [u8]> {
    COMPONENTS.iter().chain(LATER).find(|(known, _)| *known == name).map(|(_, component)| *component)
}

/// Of every embedded component, registered or not.
pub fn digests() -> impl Iterator<Item = Digest> {
    COMPONENTS.iter().chain(LATER).map(|(_, component)| Digest::of(component))
}

/// Whether a plugin that is not there yet is being made ready.
pub fn is_coming(name: &str) -> bool {
    LATER.iter().any(|(later, _)| *later == name)
}

/// Why the plugins could not be made ready.
#[derive(Debug)]
pub enum HouseError {
    Rejected(PluginName, Rejected),
    Store(StoreError),
}

impl std::fmt::Display for HouseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rejected(name, rejected) => write!(f, "the plugin {name} was not accepted: {rejected}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HouseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(..) => None,
            Self::Store(error) => Some(error),
        }
    }
}

impl From<StoreError> for HouseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Registers the components that the catalogue does not have yet, but for those
/// that [`register_later`] sees to.
pub async fn register(catalog: &dyn Catalog, sandbox: &Sandbox, clock: &dyn Clock) -> Result<(), HouseError> {
    add(COMPONENTS, catalog, sandbox, clock).await
}

/// Registers what takes long, and compiles again what a newer engine cannot load
/// and somebody uses. To be run while the server serves. Does all that it can,
/// and answers what went wrong first.
pub async fn register_later(
    picture: &Picture,
    catalog: &dyn Catalog,
    sandbox: &Sandbox,
    clock: &dyn Clock,
) -> Result<(), HouseError> {
    let mut outcome = Ok(());
    for component in LATER {
        let added = add(std::slice::from_ref(component), catalog, sandbox, clock).await;
        let shown = picture.refresh_house(catalog).await.map_err(HouseError::Store);
        outcome = outcome.and(added).and(shown);
    }
    for digest in used(picture) {
        sandbox.ready(digest).await;
    }
    outcome
}

async fn add(
    components: &[(&str, &'static [u8])],
    catalog: &dyn Catalog,
    sandbox: &Sandbox,
    clock: &dyn Clock,
) -> Result<(), HouseError> {
    let known = catalog.plugins(Owner::House).await?;
    for (name, component) in components {
        let name: PluginName = name.parse().expect("the names above are plugin names");
        let digest = Digest::of(component);
        if known.iter().any(|plugin| plugin.name == name && plugin.digest == digest) {
            continue;
        }
        tracing::info!(plugin.name = %name, "preparing a first-party plugin, once");
        let admitted = sandbox.admit_own((*component).into()).await;
        let admitted = admitted.map_err(|rejected| HouseError::Rejected(name.clone(), rejected))?;
        let compile_ms = admitted.compile_ms();
        let upload = PluginUpload {
            owner: Owner::House,
            name,
            digest,
            component: (*component).into(),
            jobs: admitted.jobs,
            description: admitted.description,
            compile_ms,
            uploaded_by: None,
            created_at: clock.now(),
            most: None,
        };
        catalog.add_plugin(upload).await?;
    }
    Ok(())
}

/// The plugin versions that a tenant's steps need.
pub fn pinned(part: &TenantPicture) -> HashSet<Digest> {
    let sources = part.sources.values().map(|source| &source.pipeline);
    let endpoints = part.endpoints.values().map(|sealed| &sealed.endpoint.pipeline);
    sources.chain(endpoints).flat_map(|pipeline| &pipeline.steps).map(|step| step.digest).collect()
}

/// The plugin versions that a step or a check of data needs.
fn used(picture: &Picture) -> HashSet<Digest> {
    let house = picture.house();
    let newest = |name: &str| {
        let name: PluginName = name.parse().ok()?;
        house.get(&name)?.values().next_back().map(|plugin| plugin.digest)
    };
    let mut used: HashSet<Digest> = HashSet::new();
    for part in picture.tenants() {
        used.extend(pinned(&part));
        if part.event_types.values().any(|own| own.check) {
            used.extend(newest(JSON_SCHEMA));
        }
    }
    used
}

/// The catalogue, as the sandbox asks for components.
pub struct Shelf(pub Arc<dyn Catalog>);

impl Components for Shelf {
    fn component(&self, digest: Digest) -> ComponentBytes {
        let catalog = self.0.clone();
        Box::pin(async move {
            let found = catalog.component(digest).await;
            found.inspect_err(|error| tracing::error!(error = %Chain(error), "a component cannot be read")).ok()?
        })
    }
}
