//! What the documents say is tested is tested.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every `module::test_name` in backquotes.
fn named(document: &str) -> BTreeSet<(String, String)> {
    let pieces = document.split('`').skip(1).step_by(2);
    let pairs = pieces.filter_map(|piece| piece.split_once("::"));
    pairs.map(|(module, test)| (module.to_owned(), test.to_owned())).collect()
}

#[test]
fn every_test_that_the_dialects_table_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("../host/dialects/README.md")).expect("the table is there");
    let named = named(&table);
    assert!(named.len() > 40, "the table names its tests: {named:?}");
    for (module, test) in named {
        let places = [format!("it/platforms/{module}.rs"), format!("it/{module}.rs")];
        let source = places.iter().find_map(|place| fs::read_to_string(root.join(place)).ok());
        let source = source.unwrap_or_else(|| panic!("there is no module {module}"));
        let before = source.split(&format!("fn {test}(")).next().unwrap_or_default();
        assert!(before.len() < source.len(), "{module} has no {test}");
        assert!(before.trim_end_matches("async ").trim_end().ends_with("test]"), "{module}::{test} is not a test");
    }
}

#[test]
fn the_documentations_own_dialect_can_be_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("../host/dialects/README.md")).expect("it is there");
    let template = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a template");
    let directory = hookyard_tests::TempDir::new();
    fs::write(directory.path().join("sixth.toml"), template).expect("it can be written");
    let (dialects, _) = hookyard::dialects::load(Some(directory.path())).unwrap_or_else(|error| panic!("{error}"));
    assert!(dialects.get("sixth").is_some());
}
