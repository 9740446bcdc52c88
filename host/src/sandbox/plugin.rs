//! A plugin that is ready to be called: compiled, linked, and its exports found.

use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::contract::{FILTER, MAPPER, SETTINGS, TRANSFORMER};
use super::guest::Guest;
use super::imports;
use crate::domain::grants::Capability;
use crate::domain::plugin::Job;

/// Everything about a component that does not depend on a call.
pub(super) struct Plugin {
    pub(super) pre: InstancePre<Guest>,
    pub(super) describe: ComponentExportIndex,
    pub(super) check: ComponentExportIndex,
    pub(super) map: Option<ComponentExportIndex>,
    pub(super) keep: Option<ComponentExportIndex>,
    pub(super) transform: Option<ComponentExportIndex>,
    /// What it imports of those that a description has to name.
    pub(super) capabilities: Vec<Capability>,
}

impl Plugin {
    /// Links `component`, or says what it lacks.
    pub(super) fn new(engine: &Engine, component: &Component) -> wasmtime::Result<Self> {
        let linker = imports::linker(engine, component)?;
        let pre = linker.instantiate_pre(component)?;
        // Now, and not while the first event waits.
        component.initialize_copy_on_write_image()?;
        let export = |interface, function| {
            let instance = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&instance), function)
        };
        let must = |function| {
            export(SETTINGS, function).ok_or_else(|| wasmtime::format_err!("it has no `{SETTINGS}` with `{function}`"))
        };
        // What an interface promises has to be there: found missing by an event,
        // it would be the event's trouble.
        let may = |interface, function| match component.get_export_index(None, interface) {
            None => Ok(None),
            Some(_) => export(interface, function)
                .map(Some)
                .ok_or_else(|| wasmtime::format_err!("it has `{interface}` without `{function}`")),
        };
        let imports = component.component_type();
        let capabilities = imports.imports(engine).filter_map(|(name, _)| imports::capability(name)).collect();
        Ok(Self {
            capabilities,
            describe: must("describe")?,
            check: must("check")?,
            map: may(MAPPER, "map")?,
            keep: may(FILTER, "keep")?,
            transform: may(TRANSFORMER, "transform")?,
            pre,
        })
    }

    /// What it can be used for.
    pub(super) fn jobs(&self) -> Vec<Job> {
        [(Job::Mapper, self.map), (Job::Filter, self.keep), (Job::Transformer, self.transform)]
            .into_iter()
            .filter_map(|(job, export)| export.map(|_| job))
            .collect()
    }
}
