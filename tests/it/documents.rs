//! What the documents say is tested is tested.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hookyard_tests::{Host, Receiver};

/// Every `module::test_name` in backquotes.
fn named(document: &str) -> BTreeSet<(String, String)> {
    let pieces = document.split('`').skip(1).step_by(2);
    let pairs = pieces.filter_map(|piece| piece.rsplit_once("::"));
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

/// What stands in a document's `sh` blocks under a heading.
fn commands(document: &str, heading: &str) -> String {
    let (_, section) = document.split_once(heading).expect("the heading is there");
    let section = section.split("\n### ").next().unwrap_or_default();
    let blocks: Vec<&str> = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    blocks.concat()
}

#[tokio::test]
async fn the_readmes_javascript_is_live_as_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../README.md")).expect("it is there");
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let commands = commands(&readme, "### JavaScript, live in five minutes");
    assert!(commands.contains("http://127.0.0.1:8400") && commands.contains("https://example.com/hooks"), "{commands}");
    let commands =
        commands.replace("http://127.0.0.1:8400", tenant.base()).replace("https://example.com/hooks", &receiver.url());
    let directory = hookyard_tests::TempDir::new();
    let typed = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .env("TENANT", tenant.key())
        .current_dir(directory.path())
        .output()
        .await
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&typed.stdout);
    assert!(typed.status.success(), "{said} {}", String::from_utf8_lossy(&typed.stderr));
    assert!(said.contains(r#"{\"text\":\"Jane paid 25\"}"#), "the trial shows the message: {said}");
    assert_eq!(receiver.next().await.json(), serde_json::json!({"text": "Jane paid 25"}));
}

#[tokio::test]
async fn the_readmes_keys_and_audit_log_work_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../README.md")).expect("it is there");
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (heading, said) in [("## Keys and roles", "\"role\":\"publish\""), ("## Audit log", "\"new\":\"shop\"")] {
        let (_, section) = readme.split_once(&format!("\n{heading}\n")).expect("the heading is there");
        let section = section.split("\n## ").next().unwrap_or_default();
        let commands = commands(section, "").replace("http://127.0.0.1:8400", tenant.base());
        let typed = tokio::process::Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .env("TENANT", tenant.key())
            .output()
            .await
            .expect("there is a shell");
        let answers = String::from_utf8_lossy(&typed.stdout);
        assert!(typed.status.success(), "{answers} {}", String::from_utf8_lossy(&typed.stderr));
        assert!(answers.contains(said), "{heading}: {answers}");
    }
}

#[test]
fn every_test_that_the_page_on_plugins_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../plugins/README.md")).expect("it is there");
    let named = named(&page);
    assert!(named.len() >= 3, "{named:?}");
    for (module, test) in named {
        let source = fs::read_to_string(root.join(format!("it/{}.rs", module.replace("::", "/"))));
        let source = source.unwrap_or_else(|_| panic!("there is no module {module}"));
        assert!(source.contains(&format!("fn {test}(")), "{module} has no {test}");
    }
}

#[test]
fn every_test_that_the_guarantees_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../host/GUARANTEES.md")).expect("the page is there");
    let named = named(&page);
    let named: Vec<_> = named.iter().filter(|(module, _)| module != "module").collect();
    assert!(named.len() > 20, "{named:?}");
    for (module, test) in named {
        let source = fs::read_to_string(root.join(format!("it/{}.rs", module.replace("::", "/"))));
        let source = source.unwrap_or_else(|_| panic!("there is no module {module}"));
        assert!(source.contains(&format!("fn {test}(")), "{module} has no {test}");
    }
}
