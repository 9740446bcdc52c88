//! What is counted for those who watch the server, and that the documents name it
//! as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hookyard_tests::{Host, Receiver, eventually, text};
use serde_json::{Value, json};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A metric's type and labels.
type Described = BTreeMap<String, (String, BTreeSet<String>)>;

/// What the table in `METRICS.md` says.
fn documented() -> Described {
    let page = file("METRICS.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else { panic!("four cells: {row}") };
        assert!(!meaning.is_empty(), "{row}");
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        (name.trim_matches('`').to_owned(), (kind.to_owned(), labels.filter(|label| !label.is_empty()).collect()))
    })
    .collect()
}

/// A page of metrics: types, and samples by name and labels.
struct Page {
    kinds: BTreeMap<String, String>,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Page {
    async fn of(host: &Host) -> Self {
        let answer = host.operator.get("/metrics").await;
        assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::read(text(&answer.expect(200)))
    }

    fn read(page: &str) -> Self {
        let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        let samples = page.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').expect("labels end").split("\",").filter(|label| !label.is_empty());
            let labels = labels.map(|label| {
                let (name, value) = label.split_once("=\"").expect("a label has a value");
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
            (name.to_owned(), labels.collect(), value.parse().expect("a number"))
        });
        Self { kinds, samples: samples.collect() }
    }

    /// The sample with these labels, 0 when there is none.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |(other, its, _): &&(String, BTreeMap<String, String>, f64)| {
            other == name && labels.iter().all(|(label, value)| its.get(*label).is_some_and(|its| its == value))
        };
        self.samples.iter().filter(fits).map(|(.., value)| value).sum()
    }
}

/// Of a histogram's series, the metric that it belongs to.
fn metric<'a>(series: &'a str, kinds: &BTreeMap<String, String>) -> &'a str {
    let base = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| series.strip_suffix(suffix));
    base.filter(|base| kinds.get(*base).is_some_and(|kind| kind == "histogram")).unwrap_or(series)
}

#[tokio::test]
async fn the_table_names_every_metric_its_type_and_its_labels() {
    let host = Host::start().await;
    // Of every metric there is a sample.
    host.operator.get("/nowhere").await.expect(404);
    let page = Page::of(&host).await;
    let mut answered = Described::new();
    for (name, kind) in &page.kinds {
        answered.insert(name.clone(), (kind.clone(), BTreeSet::new()));
    }
    for (series, labels, _) in &page.samples {
        let (_, known) =
            answered.get_mut(metric(series, &page.kinds)).unwrap_or_else(|| panic!("{series} has no type"));
        known.extend(labels.keys().filter(|label| *label != "le").cloned());
    }
    assert_eq!(answered, documented());
}

#[tokio::test]
async fn what_happens_is_counted() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let step = json!({"plugin": "tag-filter", "config": {"expression": "paid"}});
    tenant.endpoint(&receiver.url(), json!({"steps": [step], "retry": {"schedule": []}})).await;
    let before = Page::of(&host).await;
    receiver.answer(&[500]);
    for (tag, state) in [("paid", "dead"), ("paid", "delivered"), ("other", "dropped")] {
        let event = tenant.publish(json!({"type": "a.b", "data": 1, "tags": [tag]})).await;
        tenant.delivery_in(&event, state).await;
    }
    receiver.next().await;
    // A settlement is counted once it is written down, which whoever asks may see before.
    let after = eventually("the counts", async || {
        let after = Page::of(&host).await;
        let rested = after.value("hookyard_deliveries_total", &[]) - before.value("hookyard_deliveries_total", &[]);
        (rested == 3.0).then_some(after)
    })
    .await;
    let more = |name: &str, labels: &[(&str, &str)]| after.value(name, labels) - before.value(name, labels);
    for state in ["dead", "delivered", "dropped"] {
        assert_eq!(more("hookyard_deliveries_total", &[("state", state)]), 1.0, "{state}");
    }
    assert_eq!(more("hookyard_events_total", &[]), 3.0);
    assert_eq!(more("hookyard_attempts_total", &[("outcome", "accepted")]), 1.0);
    assert_eq!(more("hookyard_attempts_total", &[("outcome", "refused")]), 1.0);
    assert_eq!(more("hookyard_attempt_seconds_count", &[]), 2.0);
    assert_eq!(more("hookyard_sandbox_calls_total", &[]), 3.0);
    assert!(more("hookyard_sandbox_fuel_total", &[]) > 0.0);
    assert!(more("hookyard_store_commit_seconds_count", &[]) > 0.0);
    assert_eq!(more("hookyard_http_requests_total", &[("route", "/v1/events"), ("status", "2xx")]), 3.0);
    assert_eq!(after.value("hookyard_attempts_in_flight", &[]), 0.0);
    assert!(after.value("hookyard_connections", &[]) >= 1.0 && after.value("process_open_fds", &[]) > 1.0);
    assert!(after.value("process_resident_memory_bytes", &[]) > 1e6);
}

#[tokio::test]
async fn no_label_grows_with_what_callers_ask_for() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for number in 0..20 {
        tenant.get(&format!("/v1/endpoints/{number}")).await.expect(404);
        tenant.get(&format!("/v1/{number}")).await.expect(404);
        tenant.get(&format!("/{number}")).await.expect(404);
    }
    let page = Page::of(&host).await;
    assert_eq!(page.value("hookyard_http_requests_total", &[("route", "/v1/endpoints/{id}"), ("status", "4xx")]), 20.0);
    assert_eq!(page.value("hookyard_http_requests_total", &[("route", "none"), ("status", "4xx")]), 40.0);
    let routes = page.samples.iter().filter(|(name, ..)| name == "hookyard_http_requests_total").count();
    assert!(routes < 8, "{routes}");
    for key in [None, Some(tenant.key())] {
        let status = if key.is_none() { 401 } else { 403 };
        host.operator.with_key(key).get("/metrics").await.problem(status, "");
    }
}

/// The names in a Prometheus expression: words that no bracket or label follows.
fn names(expression: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut word, mut in_labels, mut in_text) = (String::new(), false, false);
    for c in expression.chars().chain([' ']) {
        match c {
            '"' => in_text = !in_text,
            _ if in_text => {}
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | ':' | '$' => word.push(c),
            _ => {
                if !in_labels && (word.starts_with("hookyard_") || word.starts_with("process_")) {
                    names.push(std::mem::take(&mut word));
                }
                word.clear();
                in_labels = match c {
                    '{' => true,
                    '}' => false,
                    _ => in_labels,
                };
            }
        }
    }
    names
}

fn expressions(panel: &Value, found: &mut Vec<String>) {
    match panel {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("expr", Value::String(expression)) => found.push(expression.clone()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    assert_eq!(
        names("sum by (le) (rate(hookyard_a_bucket{state=\"x y\", z=~\"hookyard_b\"}[5m])) / hookyard_c"),
        ["hookyard_a_bucket", "hookyard_c"]
    );
    let documented = documented();
    let kinds: BTreeMap<String, String> =
        documented.iter().map(|(name, (kind, _))| (name.clone(), kind.clone())).collect();
    let dashboard: Value = serde_json::from_str(&file("operations/grafana.json")).expect("it is JSON");
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 15, "{found:?}");
    for expression in &found {
        let names = names(expression);
        assert!(!names.is_empty(), "{expression} asks for nothing");
        for name in names {
            assert!(kinds.contains_key(metric(&name, &kinds)), "{expression}: there is no {name}");
            let is_part = metric(&name, &kinds) != name;
            assert_eq!(
                kinds.get(metric(&name, &kinds)).is_some_and(|kind| kind == "histogram"),
                is_part,
                "{expression}"
            );
        }
    }
    // Whoever reads the page on alerts asks for what there is, too.
    let page = file("METRICS.md");
    let (_, alerts) = page.split_once("## What to be woken for").expect("the heading is there");
    let asked: Vec<String> = alerts.split('`').skip(1).step_by(2).flat_map(names).collect();
    assert!(asked.len() > 5 && asked.iter().all(|name| kinds.contains_key(name)), "{asked:?}");
}
