//! Every page of the dashboard, read out of its sources: one that is new is looked
//! at without anybody having to think of it.

use std::fs;
use std::path::Path;

/// Those that are in no table.
const MORE: [&str; 1] = ["/docs"];

/// Paths as the table has them, names in braces.
pub(super) fn of_tenants() -> Vec<String> {
    let mut pages = all();
    pages.retain(|page| !is_operators(page));
    pages
}

pub(super) fn of_the_operator() -> Vec<String> {
    let mut pages = all();
    pages.retain(|page| is_operators(page));
    pages
}

fn is_operators(page: &str) -> bool {
    page.starts_with("/operator")
}

fn all() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/http/dashboard/pages");
    let mut pages: Vec<String> = MORE.map(str::to_owned).into();
    for file in fs::read_dir(directory).expect("the pages are there").flatten() {
        let source = fs::read_to_string(file.path()).expect("a source is text");
        let paths = source.split("path: \"").skip(1).filter_map(|rest| rest.split('"').next());
        pages.extend(paths.map(str::to_owned));
    }
    assert!(pages.len() > 20, "the pages are not where they were: {pages:?}");
    pages.sort();
    pages.dedup();
    pages
}
