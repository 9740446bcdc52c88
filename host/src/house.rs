//! The first-party plugins, embedded in the binary.
//!
//! They are plugin versions like any other: a step pins one, and a newer binary
//! that brings a changed component adds a version beside the old.

use std::collections::{BTreeMap, HashSet};

use crate::clock::Clock;
use crate::domain::plugin::{Digest, Owner, PluginName};
use crate::sandbox::{Rejected, Sandbox};
use crate::store::catalog::PluginUpload;
use crate::store::{Catalog, Picture, StoreError};

/// Built by `build.rs` from `plugins/`.
const COMPONENTS: &[(&str, &[u8])] = &[
    ("field-mapper", include_bytes!(concat!(env!("OUT_DIR"), "/field_mapper.wasm"))),
    ("json-schema", include_bytes!(concat!(env!("OUT_DIR"), "/json_schema.wasm"))),
    ("summary", include_bytes!(concat!(env!("OUT_DIR"), "/summary.wasm"))),
    ("tag-filter", include_bytes!(concat!(env!("OUT_DIR"), "/tag_filter.wasm"))),
    ("template", include_bytes!(concat!(env!("OUT_DIR"), "/template.wasm"))),
];

/// The one that intake checks schemas with.
pub const JSON_SCHEMA: &str = "json-schema";

/// The embedded component of this name.
pub fn component(name: &str) -> Option<&'static [u8]> {
    COMPONENTS.iter().find(|(known, _)| *known == name).map(|(_, component)| *component)
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

/// Registers the components that the catalogue does not have yet.
pub async fn register(catalog: &dyn Catalog, sandbox: &Sandbox, clock: &dyn Clock) -> Result<(), HouseError> {
    let known = catalog.plugins(Owner::House).await?;
    for (name, component) in COMPONENTS {
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
        };
        catalog.add_plugin(upload).await?;
    }
    Ok(())
}

/// Loads every plugin version that somebody uses into the sandbox, and no
/// other: compiled code is large. One that cannot be loaded is reported and left
/// out: its steps wait, everything else goes on.
pub async fn load_used(picture: &Picture, catalog: &dyn Catalog, sandbox: &Sandbox) -> Result<(), StoreError> {
    let house = picture.house();
    let newest = |name: &str| {
        let name: PluginName = name.parse().ok()?;
        house.get(&name)?.values().next_back().map(|plugin| plugin.digest)
    };
    let mut used: HashSet<Digest> = HashSet::new();
    for part in picture.tenants() {
        let sources = part.sources.values().map(|source| &source.pipeline);
        let endpoints = part.endpoints.values().map(|sealed| &sealed.endpoint.pipeline);
        used.extend(sources.chain(endpoints).flat_map(|pipeline| &pipeline.steps).map(|step| step.digest));
        if part.event_types.values().any(|own| own.check) {
            used.extend(newest(JSON_SCHEMA));
        }
    }
    for plugin in house.values().flat_map(BTreeMap::values).filter(|plugin| !used.contains(&plugin.digest)) {
        // Those of a first start have just been admitted.
        sandbox.unload(plugin.digest);
    }
    for digest in used {
        load(catalog, sandbox, digest).await?;
    }
    Ok(())
}

/// Has the plugin in the sandbox, if that can be: from the compiled cache, or
/// compiled again.
pub async fn load(catalog: &dyn Catalog, sandbox: &Sandbox, digest: Digest) -> Result<(), StoreError> {
    if sandbox.load_cached(digest).await {
        return Ok(());
    }
    let Some(component) = catalog.component(digest).await? else {
        tracing::error!(plugin.digest = %digest, "the component is missing");
        return Ok(());
    };
    if let Err(rejected) = sandbox.load(component.into()).await {
        tracing::error!(plugin.digest = %digest, error = %rejected, "not loaded");
    }
    Ok(())
}
