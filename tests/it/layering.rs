//! A level imports only from below: read from the sources themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that each module may name with `crate::`.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let one = |more: &[&'static str]| [&["domain"], more].concat();
    let two = |more: &[&'static str]| {
        [one(&["store", "activity", "clock", "gate", "handoff", "notices", "telemetry", "shutdown"]), more.to_vec()]
            .concat()
    };
    BTreeMap::from([
        ("domain", vec![]),
        ("store", one(&[])),
        ("sandbox", one(&[])),
        ("config", one(&[])),
        ("telemetry", one(&[])),
        ("chat", one(&[])),
        ("oidc", one(&[])),
        ("dialects", one(&[])),
        ("clock", one(&[])),
        ("gate", one(&[])),
        ("activity", one(&[])),
        ("handoff", one(&[])),
        ("notices", one(&[])),
        ("shutdown", one(&[])),
        ("dial", one(&[])),
        ("recall", two(&["sandbox", "chat"])),
        ("reach", two(&["sandbox", "dial"])),
        ("compose", two(&["sandbox", "recall", "reach"])),
        ("intake", two(&["sandbox", "house", "reach"])),
        ("dispatch", two(&["sandbox", "compose", "dial"])),
        ("house", two(&["sandbox"])),
        ("upkeep", two(&["sandbox"])),
        ("hosts", two(&["sandbox", "house"])),
        ("http", two(&["sandbox", "intake", "compose", "house", "config", "oidc"])),
    ])
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the sources are there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `crate::NAME` wherever it stands.
fn names(source: &str) -> impl Iterator<Item = &str> {
    source.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn a_level_imports_only_from_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let allowed = allowed();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources are not where they were");
    for file in files {
        let relative = file.strip_prefix(&root).expect("it was found there");
        let module = relative.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        if ["main", "lib", "cli", "demo"].contains(&module.as_str()) {
            continue;
        }
        let allowed = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no level"));
        let source = fs::read_to_string(&file).expect("a source is text");
        for name in names(&source).filter(|name| *name != module) {
            assert!(allowed.contains(&name), "{} names crate::{name}", relative.display());
        }
    }
}

#[test]
fn the_domain_is_pure() {
    let domain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/domain");
    let mut files = Vec::new();
    sources(&domain, &mut files);
    for file in files {
        let source = fs::read_to_string(&file).expect("a source is text");
        for word in
            ["async ", ".await", "SystemTime::now", "Instant::now", "tokio::", "sqlx::", "getrandom::", "std::fs"]
        {
            assert!(!source.contains(word), "{} has `{word}`", file.display());
        }
    }
}
