//! What the documents show can be typed, what they lead to is there, and what
//! they say is tested is tested.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hookyard_tests::{Api, Host, Receiver};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above")
}

/// A document, by its path from the root.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every `module::test_name` in backquotes.
fn named(document: &str) -> BTreeSet<(String, String)> {
    let pieces = document.split('`').skip(1).step_by(2);
    let pairs = pieces.filter_map(|piece| piece.rsplit_once("::"));
    pairs.map(|(module, test)| (module.to_owned(), test.to_owned())).collect()
}

#[test]
fn every_test_that_the_dialects_table_names_is_there() {
    let table = read("host/dialects/README.md");
    let named = named(&table);
    assert!(named.len() > 40, "the table names its tests: {named:?}");
    for (module, test) in named {
        let places = [format!("tests/it/platforms/{module}.rs"), format!("tests/it/{module}.rs")];
        let source = places.iter().find_map(|place| fs::read_to_string(root().join(place)).ok());
        let source = source.unwrap_or_else(|| panic!("there is no module {module}"));
        let before = source.split(&format!("fn {test}(")).next().unwrap_or_default();
        assert!(before.len() < source.len(), "{module} has no {test}");
        assert!(before.trim_end_matches("async ").trim_end().ends_with("test]"), "{module}::{test} is not a test");
    }
}

#[test]
fn the_documentations_own_dialect_can_be_used() {
    let document = read("host/dialects/README.md");
    let template = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a template");
    let directory = hookyard_tests::TempDir::new();
    fs::write(directory.path().join("sixth.toml"), template).expect("it can be written");
    let (dialects, _) = hookyard::dialects::load(Some(directory.path())).unwrap_or_else(|error| panic!("{error}"));
    assert!(dialects.get("sixth").is_some());
}

/// What stands in a text's `sh` blocks.
fn commands(text: &str) -> String {
    let blocks: Vec<&str> = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    blocks.concat()
}

/// Types commands with a tenant's key; answers what they print.
async fn typed(commands: &str, tenant: &Api) -> String {
    let directory = hookyard_tests::TempDir::new();
    let typed = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands.replace("http://127.0.0.1:8400", tenant.base())])
        .env("TENANT", tenant.key())
        .current_dir(directory.path())
        .output()
        .await
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&typed.stdout).into_owned();
    assert!(typed.status.success(), "{said} {}", String::from_utf8_lossy(&typed.stderr));
    said
}

#[tokio::test]
async fn the_readmes_javascript_is_live_as_it_says() {
    let readme = read("README.md");
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let (_, section) = readme.split_once("### JavaScript, live in five minutes").expect("the heading is there");
    let commands = commands(section.split("\n### ").next().unwrap_or_default());
    let endpoint = "http://127.0.0.1:9000/hooks";
    assert!(commands.contains("http://127.0.0.1:8400") && commands.contains(endpoint), "{commands}");
    let said = typed(&commands.replace(endpoint, &receiver.url()), &tenant).await;
    assert!(said.contains(r#"{\"text\":\"Jane paid 25\"}"#), "the trial shows the message: {said}");
    assert_eq!(receiver.next().await.json(), serde_json::json!({"text": "Jane paid 25"}));
}

#[tokio::test]
async fn what_the_pages_show_works_as_written() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), serde_json::json!({"name": "crm"})).await;
    let pages = [
        ("roles", "\"role\":\"publish\""),
        ("audit", "\"new\":\"shop\""),
        ("people", "\"link\":\"http"),
        ("portal", "\"expires_at\":"),
        ("delivery", "\"deliveries\":0"),
        ("erasure", "\"state\":"),
    ];
    for (page, said) in pages {
        let commands = commands(&read(&format!("host/docs/{page}.md")));
        assert!(!commands.is_empty(), "{page} shows how it is done");
        let answers = typed(&commands, &tenant).await;
        assert!(answers.contains(said), "{page}: {answers}");
    }
}

/// Every page that people are led to, by its path from the root.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = fs::read_dir(root().join("host/docs"))
        .expect("the pages are there")
        .map(|entry| format!("host/docs/{}", entry.expect("a file").file_name().to_string_lossy()))
        .collect();
    pages.sort();
    let more =
        ["README.md", "host/ARCHITECTURE.md", "host/GUARANTEES.md", "host/METRICS.md", "host/dialects/README.md"];
    pages.extend(more.map(str::to_owned));
    pages.push("plugins/README.md".to_owned());
    pages
}

/// Where the links of a page lead that stay here: a path from the root, and a
/// heading or nothing.
fn links(page: &str) -> Vec<(String, String)> {
    let text = read(page);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own = targets.filter(|target| !target.contains("://"));
    let own = own.map(|target| target.split_once('#').unwrap_or((target, "")));
    own.map(|(path, heading)| {
        let mut place: Vec<&str> = page.split('/').collect();
        if !path.is_empty() {
            place.pop();
        }
        for part in path.split('/').filter(|part| !part.is_empty()) {
            match part {
                ".." => drop(place.pop()),
                part => place.push(part),
            }
        }
        (place.join("/"), heading.to_owned())
    })
    .collect()
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_somewhere_and_to_every_page() {
    assert_eq!(anchor("Signatures: symmetric, RFC 9421"), "signatures-symmetric-rfc-9421");
    for page in pages() {
        for (path, heading) in links(&page) {
            assert!(root().join(&path).exists(), "{page} leads to {path}, which is not there");
            let is_there = || read(&path).lines().any(|line| anchor(line.trim_start_matches('#').trim()) == heading);
            assert!(heading.is_empty() || is_there(), "{page} leads to {path}#{heading}, which is not there");
        }
    }
    for from in ["README.md", "host/ARCHITECTURE.md"] {
        let led_to: BTreeSet<String> = links(from).into_iter().map(|(path, _)| path).collect();
        let missed: Vec<String> = pages().into_iter().filter(|page| page.starts_with("host/docs/")).collect();
        let missed: Vec<&String> = missed.iter().filter(|page| !led_to.contains(*page)).collect();
        assert!(missed.is_empty(), "{from} leads to all pages but {missed:?}");
    }
}

/// People who use it are told what it does; who proves it is said in one place.
#[test]
fn a_page_begins_with_what_it_is_for_and_names_no_test() {
    for page in pages().into_iter().filter(|page| page.starts_with("host/docs/") || page.ends_with("README.md")) {
        let text = read(&page);
        let beginning: Vec<&str> = text.splitn(4, '\n').collect();
        assert!(beginning[0].starts_with("# ") && beginning[1].is_empty(), "{page} begins with its name");
        assert!(beginning[2].starts_with(char::is_alphabetic) || beginning[2].starts_with('*'), "{page}: then prose");
        if page != "host/dialects/README.md" {
            let of_tests = |module: &str| root().join(format!("tests/it/{}.rs", module.replace("::", "/"))).exists();
            let named: Vec<_> = named(&text).into_iter().filter(|(module, _)| of_tests(module)).collect();
            assert!(!text.contains("tests/it") && named.is_empty(), "{page} names tests: {named:?}");
        }
    }
}

#[test]
fn every_test_that_the_guarantees_name_is_there() {
    let page = read("host/GUARANTEES.md");
    let named = named(&page);
    let named: Vec<_> = named.iter().filter(|(module, _)| module != "module").collect();
    assert!(named.len() > 20, "{named:?}");
    for (module, test) in named {
        let source = fs::read_to_string(root().join(format!("tests/it/{}.rs", module.replace("::", "/"))));
        let source = source.unwrap_or_else(|_| panic!("there is no module {module}"));
        assert!(source.contains(&format!("fn {test}(")), "{module} has no {test}");
    }
}
