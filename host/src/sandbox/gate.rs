//! The gate that an upload passes before the compiler sees it: is it a
//! component, is its structure within bounds, does it import only what there
//! is, does it export what the contract asks for.
//!
//! Nothing is validated here: the compiler does, in its own process. The bounds
//! are far below what the format allows, because the worst bugs of compilers
//! are found beyond what real programs are made of.

use std::fmt;

use wasmparser::{
    ComponentExternalKind, ComponentTypeRef, Encoding, FunctionBody, ImportSectionReader, MemorySectionReader,
    Operator, Parser, Payload, TableSectionReader, TypeRef,
};

use super::contract::{FILTER, MAPPER, SETTINGS, TRANSFORMER};
use super::imports;
use super::limits::Limits;
use crate::domain::plugin::Job;

/// Core instances of one component, those that adapters add included. Python's
/// components link some twenty libraries.
pub(super) const MAX_CORE_INSTANCES: u32 = 64;
/// Linear memories of one component.
pub(super) const MAX_MEMORIES: u32 = 4;
/// And of one module, imported ones included: no language's compiler makes
/// more, and only what wasmtime writes between components needs two.
const MAX_MEMORIES_OF_MODULE: u64 = 1;
/// Tables of one component.
pub(super) const MAX_TABLES: u32 = 16;
/// Elements of one table.
pub(super) const MAX_TABLE_ELEMENTS: u32 = 50_000;

/// Modules and components inside the component. Each exported interface makes
/// the tools add a small component.
const MAX_NESTED: u64 = 128;
const MAX_DEPTH: usize = 4;
/// Components that are made of those inside. Each makes all that it is made of:
/// their numbers multiply, and the compiler writes every one of them down.
const MAX_COMPONENT_INSTANCES: u64 = 128;
const MAX_FUNCTIONS: u64 = 50_000;
/// The interpreter loop of CPython is 200 KiB.
const MAX_FUNCTION_BODY: u64 = 512 << 10;
const MAX_LOCALS: u64 = 10_000;
const MAX_BRANCH_TARGETS: u64 = 4_096;
const MAX_TYPES: u64 = 20_000;
const MAX_IMPORTS_AND_EXPORTS: u64 = 10_000;
const MAX_SEGMENTS: u64 = 20_000;
const MAX_CUSTOM: u64 = 8 << 20;

/// Why a component does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateError {
    TooLarge { size: usize, allowed: usize },
    NotAComponent(String),
    Structure { what: &'static str, found: u64, allowed: u64 },
    Import(String),
    Export(String),
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, allowed } => {
                write!(f, "the component has {size} bytes and {allowed} are allowed; build for release and strip it")
            }
            Self::NotAComponent(why) => write!(f, "not a WebAssembly component: {why}"),
            Self::Structure { what, found, allowed } => {
                write!(f, "the component has {found} {what} and {allowed} are allowed")
            }
            Self::Import(name) => write!(
                f,
                "the component imports `{name}`, which plugins do not have: no network, no files, no environment; \
                 what there is stands in `wit/` and in WASI's cli, io, clocks and random"
            ),
            Self::Export(why) => write!(f, "the component does not export what the contract asks for: {why}"),
        }
    }
}

/// The jobs that `component` can do, or why it does not pass.
pub(super) fn inspect(component: &[u8], limits: &Limits) -> Result<Vec<Job>, GateError> {
    if component.len() > limits.component {
        return Err(GateError::TooLarge { size: component.len(), allowed: limits.component });
    }
    check_header(component)?;
    let mut gate = Gate::new(limits);
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(malformed)?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            _ => {}
        }
        bound("levels of components", depth as u64, MAX_DEPTH as u64)?;
        if depth == 0 {
            gate.surface(&payload)?;
        }
        gate.structure(payload)?;
    }
    jobs(&gate.exports)
}

/// A better word than "bad magic number" for what people send by mistake.
fn check_header(component: &[u8]) -> Result<(), GateError> {
    let why = match component {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "this is a core module; build for `wasm32-wasip2`, or make a component of it with `wasm-tools component new`"
        }
        [0, b'a', b's', b'm', ..] => "this is WebAssembly of an unknown version",
        [0x7f, b'E', b'L', b'F', ..] => "this is compiled code; send the `.wasm` file, the host compiles it itself",
        [b'(', ..] => "this is WebAssembly text; send the binary",
        [] => "it is empty",
        _ => "it does not begin as WebAssembly does",
    };
    Err(GateError::NotAComponent(why.to_owned()))
}

fn malformed(error: wasmparser::BinaryReaderError) -> GateError {
    GateError::NotAComponent(error.to_string())
}

fn bound(what: &'static str, found: u64, allowed: u64) -> Result<(), GateError> {
    if found > allowed { Err(GateError::Structure { what, found, allowed }) } else { Ok(()) }
}

/// What the interfaces that are exported make of the component.
fn jobs(exports: &[String]) -> Result<Vec<Job>, GateError> {
    let has = |interface: &str| exports.iter().any(|export| export == interface);
    if !has(SETTINGS) {
        return Err(GateError::Export(format!("`{SETTINGS}` is missing")));
    }
    let jobs: Vec<Job> = [(MAPPER, Job::Mapper), (FILTER, Job::Filter), (TRANSFORMER, Job::Transformer)]
        .into_iter()
        .filter_map(|(interface, job)| has(interface).then_some(job))
        .collect();
    if jobs.is_empty() {
        let why = format!("it needs at least one of `{MAPPER}`, `{FILTER}` and `{TRANSFORMER}`");
        return Err(GateError::Export(why));
    }
    Ok(jobs)
}

/// Running totals over all that is nested in the component.
struct Gate<'a> {
    limits: &'a Limits,
    exports: Vec<String>,
    nested: u64,
    functions: u64,
    types: u64,
    names: u64,
    segments: u64,
    custom: u64,
    memories: u64,
    /// Of the module that is being read.
    memories_here: u64,
    tables: u64,
    instances: u64,
    component_instances: u64,
}

impl<'a> Gate<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            exports: Vec::new(),
            nested: 0,
            functions: 0,
            types: 0,
            names: 0,
            segments: 0,
            custom: 0,
            memories: 0,
            memories_here: 0,
            tables: 0,
            instances: 0,
            component_instances: 0,
        }
    }

    /// What the component shows to the outside: judged by name.
    fn surface(&mut self, payload: &Payload<'_>) -> Result<(), GateError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => {
                Err(GateError::NotAComponent("this is a core module".to_owned()))
            }
            Payload::ComponentImportSection(imports) => imports.clone().into_iter().try_for_each(|import| {
                let import = import.map_err(malformed)?;
                let name = import.name.name;
                match import.ty {
                    ComponentTypeRef::Instance(_) if imports::allowed(name) => Ok(()),
                    _ => Err(GateError::Import(name.chars().take(200).collect())),
                }
            }),
            Payload::ComponentExportSection(exports) => exports.clone().into_iter().try_for_each(|export| {
                let export = export.map_err(malformed)?;
                if export.kind == ComponentExternalKind::Instance {
                    self.exports.push(export.name.name.to_owned());
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn structure(&mut self, payload: Payload<'_>) -> Result<(), GateError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.nested += 1;
                bound("nested modules and components", self.nested, MAX_NESTED)
            }
            Payload::Version { .. } => {
                self.memories_here = 0;
                Ok(())
            }
            Payload::TypeSection(section) => self.count_types(section.count()),
            Payload::CoreTypeSection(section) => self.count_types(section.count()),
            Payload::ComponentTypeSection(section) => self.count_types(section.count()),
            Payload::ImportSection(section) => self.check_imports(section),
            Payload::ExportSection(section) => self.count_names(section.count()),
            Payload::ComponentImportSection(section) => self.count_names(section.count()),
            Payload::ComponentExportSection(section) => self.count_names(section.count()),
            Payload::ComponentAliasSection(section) => self.count_names(section.count()),
            Payload::ComponentCanonicalSection(section) => self.count_names(section.count()),
            Payload::GlobalSection(section) => self.count_names(section.count()),
            Payload::InstanceSection(section) => {
                self.instances += u64::from(section.count());
                // Half of them only rename what the others export.
                bound("core instances", self.instances, 4 * u64::from(MAX_CORE_INSTANCES))
            }
            Payload::ComponentInstanceSection(section) => {
                self.component_instances += u64::from(section.count());
                bound("instances of components", self.component_instances, MAX_COMPONENT_INSTANCES)
            }
            Payload::MemorySection(section) => self.check_memories(section),
            Payload::TableSection(section) => self.check_tables(section),
            Payload::ElementSection(section) => self.count_segments(section.count()),
            Payload::DataSection(section) => self.count_segments(section.count()),
            Payload::CodeSectionEntry(body) => self.check_function(&body),
            Payload::CustomSection(section) => {
                self.custom += section.data().len() as u64;
                bound("bytes of custom sections (strip the debug information)", self.custom, MAX_CUSTOM)
            }
            _ => Ok(()),
        }
    }

    fn count_types(&mut self, count: u32) -> Result<(), GateError> {
        self.types += u64::from(count);
        bound("types", self.types, MAX_TYPES)
    }

    fn count_names(&mut self, count: u32) -> Result<(), GateError> {
        self.names += u64::from(count);
        bound("imports, exports, aliases and globals", self.names, MAX_IMPORTS_AND_EXPORTS)
    }

    fn count_segments(&mut self, count: u32) -> Result<(), GateError> {
        self.segments += u64::from(count);
        bound("data and element segments", self.segments, MAX_SEGMENTS)
    }

    fn check_imports(&mut self, section: ImportSectionReader<'_>) -> Result<(), GateError> {
        self.count_names(section.count())?;
        section.into_imports().try_for_each(|import| match import.map_err(malformed)?.ty {
            TypeRef::Memory(_) => self.count_memories_here(1),
            _ => Ok(()),
        })
    }

    fn count_memories_here(&mut self, count: u32) -> Result<(), GateError> {
        self.memories_here += u64::from(count);
        bound("memories in one module", self.memories_here, MAX_MEMORIES_OF_MODULE)
    }

    fn check_memories(&mut self, section: MemorySectionReader<'_>) -> Result<(), GateError> {
        self.count_memories_here(section.count())?;
        self.memories += u64::from(section.count());
        bound("memories", self.memories, u64::from(MAX_MEMORIES))?;
        section.into_iter().try_for_each(|memory| {
            let initial = memory.map_err(malformed)?.initial.saturating_mul(64 << 10);
            bound("bytes of initial memory", initial, self.limits.memory as u64)
        })
    }

    fn check_tables(&mut self, section: TableSectionReader<'_>) -> Result<(), GateError> {
        self.tables += u64::from(section.count());
        bound("tables", self.tables, u64::from(MAX_TABLES))?;
        section.into_iter().try_for_each(|table| {
            bound("elements in a table", table.map_err(malformed)?.ty.initial, u64::from(MAX_TABLE_ELEMENTS))
        })
    }

    fn check_function(&mut self, body: &FunctionBody<'_>) -> Result<(), GateError> {
        self.functions += 1;
        bound("functions", self.functions, MAX_FUNCTIONS)?;
        let range = body.range();
        bound("bytes in one function", range.end - range.start, MAX_FUNCTION_BODY)?;
        let mut locals = 0;
        for local in body.get_locals_reader().map_err(malformed)? {
            locals += u64::from(local.map_err(malformed)?.0);
            bound("locals in one function", locals, MAX_LOCALS)?;
        }
        for operator in body.get_operators_reader().map_err(malformed)? {
            if let Operator::BrTable { targets } = operator.map_err(malformed)? {
                bound("targets of one branch", u64::from(targets.len()), MAX_BRANCH_TARGETS)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = &[0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    /// A component that imports and exports empty instances of these names.
    fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        section(&mut bytes, 7, &[&[1, 0x42, 0]]);
        for import in imports {
            section(&mut bytes, 10, &[&[1, 0, import.len() as u8], import.as_bytes(), &[5, 0]]);
        }
        // An instance that exports nothing, and its exports under other names.
        section(&mut bytes, 5, &[&[1, 1, 0]]);
        for export in exports {
            section(&mut bytes, 11, &[&[1, 0, export.len() as u8], export.as_bytes(), &[5, 0, 0]]);
        }
        bytes
    }

    fn section(bytes: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
        bytes.extend([id, parts.concat().len() as u8]);
        bytes.extend(parts.concat());
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let said = match inspect(bytes, &Limits::default()) {
            Ok(jobs) => format!("{jobs:?}"),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn what_is_no_component_is_told_what_it_is() {
        check(b"", "it is empty");
        check(b"PK\x03\x04", "it does not begin as WebAssembly does");
        check(b"(component)", "this is WebAssembly text");
        check(b"\x7fELF....", "this is compiled code");
        check(&[0, b'a', b's', b'm', 1, 0, 0, 0], "this is a core module");
        check(&[0, b'a', b's', b'm', 9, 0, 0, 0], "of an unknown version");
        check(&[HEADER, &[7, 200]].concat(), "unexpected end");
    }

    #[test]
    fn imports_and_exports_are_judged_by_name() {
        check(&component(&[], &[SETTINGS, FILTER]), "[Filter]");
        check(
            &component(&["wasi:io/streams@0.2.6", super::super::contract::LOG], &[SETTINGS, MAPPER, TRANSFORMER]),
            "[Mapper, Transformer]",
        );
        check(&component(&["wasi:sockets/tcp@0.2.6"], &[SETTINGS, FILTER]), "imports `wasi:sockets/tcp@0.2.6`, which");
        check(&component(&["hookyard:plugin/history@0.1.0"], &[SETTINGS, FILTER]), "[Filter]");
        check(
            &component(&["hookyard:plugin/history@0.2.0"], &[SETTINGS, FILTER]),
            "imports `hookyard:plugin/history@0.2.0`",
        );
        check(&component(&[], &[FILTER]), "`hookyard:plugin/settings@0.1.0` is missing");
        check(&component(&[], &[SETTINGS]), "it needs at least one of");
        check(&component(&[], &[SETTINGS, "hookyard:plugin/filter@0.2.0"]), "it needs at least one of");
    }

    #[test]
    fn what_is_too_large_is_not_looked_into() {
        let limits = Limits { component: 7, ..Limits::default() };
        assert_eq!(inspect(HEADER, &limits), Err(GateError::TooLarge { size: 8, allowed: 7 }));
    }

    /// A component around one module with these sections.
    fn around(sections: &[&[u8]]) -> Vec<u8> {
        let module = [&[0, b'a', b's', b'm', 1, 0, 0, 0], sections.concat().as_slice()].concat();
        [HEADER, &[1, module.len() as u8], &module].concat()
    }

    #[test]
    fn a_module_has_one_memory() {
        let (import, one, two) = ([2, 8, 1, 1, b'a', 1, b'b', 2, 0, 1], [5, 3, 1, 0, 1], [5, 5, 2, 0, 1, 0, 1]);
        check(&around(&[&one]), "is missing");
        check(&around(&[&import]), "is missing");
        check(&around(&[&two]), "2 memories in one module and 1 are allowed");
        check(&around(&[&import, &one]), "2 memories in one module and 1 are allowed");
        // Another module starts from none.
        let both = [around(&[&one]), around(&[&one])[HEADER.len()..].to_vec()].concat();
        check(&both, "is missing");
    }

    #[test]
    fn nesting_has_an_end() {
        let mut bytes = HEADER.to_vec();
        for _ in 0..10 {
            bytes = [HEADER, &[4, bytes.len() as u8], &bytes].concat();
        }
        check(&bytes, "5 levels of components and 4 are allowed");
    }
}
