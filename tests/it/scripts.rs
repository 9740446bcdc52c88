//! Tenants' scripts, JavaScript and jq, through the public API; and what plugins
//! do once, before there is a call.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hookyard::clock::SystemClock;
use hookyard::config::{Door, MasterKey, Settings};
use hookyard::domain::database::Database;
use hookyard::domain::key::KeyText;
use hookyard::domain::plugin::{Digest, Owner};
use hookyard::domain::retention::Retention;
use hookyard::store::Catalog as _;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard_tests::host::{MASTER_KEY, OPERATOR_KEY, local};
use hookyard_tests::{Api, Host, HostProcess, Receiver, TempDir, build, text};
use serde_json::{Value, json};
use tokio::net::TcpListener;

fn javascript(source: &str) -> Value {
    json!({"plugin": "javascript", "config": {"source": source}})
}

fn jq(program: &str) -> Value {
    json!({"plugin": "jq", "config": {"program": program}})
}

/// The step as a filter: either plugin could transform in the same place.
fn filter(mut step: Value) -> Value {
    step["job"] = json!("filter");
    step
}

/// What a trial with one step makes of an event.
async fn of_event(tenant: &Api, step: &Value) -> Value {
    let data = json!({"id": 7, "total": 49.5, "items": ["boots", "socks"]});
    let event = json!({"type": "order.paid", "data": data, "tags": ["eu"], "occurred_at": "2026-11-21T08:30:00Z"});
    tenant.post("/v1/try", json!({"steps": [step], "event": event})).await.expect(200)
}

/// What a trial with one step makes of a request.
async fn of_request(tenant: &Api, step: &Value) -> Value {
    let request = json!({"body": {"kind": "order.paid", "lines": [1, 2]}, "query": "shop=a"});
    tenant.post("/v1/try", json!({"steps": [step], "request": request})).await.expect(200)
}

fn body(trial: &Value) -> Value {
    let body = trial["message"]["body"].as_str().unwrap_or_else(|| panic!("no message: {trial}"));
    serde_json::from_str(body).unwrap_or_else(|_| json!(body))
}

#[tokio::test]
async fn a_script_does_each_job() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for step in [
        javascript(
            "export const map = ({json, query}) => json.lines.map((n) => ({type: json.kind, subject: query.shop, data: {n}}));",
        ),
        jq(".query.shop as $shop | .json | {type: .kind, subject: $shop, data: {n: .lines[]}}"),
    ] {
        let trial = of_request(&tenant, &step).await;
        assert_eq!(trial["outcome"], "events", "{trial}");
        let events = hookyard_tests::list(&trial["events"]);
        let made: Vec<_> =
            events.iter().map(|event| (&event["type"], &event["subject"], &event["data"]["n"])).collect();
        assert_eq!(
            made,
            [(&json!("order.paid"), &json!("a"), &json!(1)), (&json!("order.paid"), &json!("a"), &json!(2))]
        );
    }
    for step in [javascript("function map() { return null }"), jq("empty")] {
        assert_eq!(of_request(&tenant, &step).await["outcome"], "ignore");
    }

    for (step, reason) in [
        (javascript("function keep(event) { return event.data.total > 100 || 'too small'; }"), "too small"),
        (jq(".data.total > 100"), "not met: .data.total > 100"),
    ] {
        let trial = of_event(&tenant, &filter(step)).await;
        assert_eq!((&trial["outcome"], &trial["steps"][0]["reason"]), (&json!("drop"), &json!(reason)), "{trial}");
    }
    for step in [javascript("function keep(event) { return event.tags.includes('eu') }"), jq(".tags | index(\"eu\")")] {
        assert_eq!(of_event(&tenant, &filter(step)).await["outcome"], "send");
    }

    for step in [
        javascript(
            "function transform(event) { const {id, items} = event.data; return {body: {id, n: items.length}}; }",
        ),
        jq("{id: .data.id, n: (.data.items | length)}"),
    ] {
        assert_eq!(body(&of_event(&tenant, &step).await), json!({"id": 7, "n": 2}));
    }
}

#[tokio::test]
async fn a_mistake_is_found_when_the_step_is_saved_or_run_with_its_place() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (step, field, words) in [
        (javascript("function keep(event) {\n  return event..id;\n}"), "source", "source:2:17: "),
        (javascript("function other() {}"), "source", "there is no function `map`, `keep` or `transform`"),
        (jq(".a |\n  nothing"), "program", "program:2:3: there is no filter `nothing`"),
    ] {
        let form = json!({"name": "a", "url": "http://127.0.0.1:4/", "event_types": ["*"], "steps": [step]});
        let said = tenant.post("/v1/endpoints", form).await.problem(422, &format!("steps[0].config.{field}"));
        assert!(said.contains(words), "{said}");
    }
    for (step, message) in [
        (javascript("function keep(event) {\n  throw new Error('no');\n}"), "source:2:9: Error: no"),
        (
            javascript("function keep(event) {\n  return event.subject.length;\n}"),
            "source:2:24: TypeError: cannot convert 'null' or 'undefined' to object",
        ),
        (jq(".data.id | keys"), "program: cannot use 7 as iterable (array or object)"),
    ] {
        let trial = of_event(&tenant, &filter(step)).await;
        let report = &trial["steps"][0];
        assert_eq!((&report["outcome"], &report["message"]), (&json!("refused"), &json!(message)), "{trial}");
    }
}

#[tokio::test]
async fn a_script_that_lacks_the_function_of_its_place_is_not_saved() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mapper = json!({"plugin": "field-mapper", "config": {"type": {"const": "a.b"}, "rules": []}});
    let source = tenant.post("/v1/sources", json!({"name": "shop", "steps": [mapper]})).await.expect(201);
    let source = format!("/v1/sources/{}", text(&source["id"]));
    // It maps, where a filter is called.
    let map = javascript("function map(request) { return request.json; }");
    let said = tenant.patch(&source, json!({"steps": [mapper, map]})).await;
    let said = said.problem(422, "steps[1].config.source");
    assert!(said.contains("there is no function `keep`, which a step in this place calls"), "{said}");
    assert_eq!(tenant.get(&source).await.expect(200)["steps"].as_array().map(Vec::len), Some(1));
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({})).await;
    let endpoint = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    let said = tenant.patch(&endpoint, json!({"steps": [map]})).await.problem(422, "steps[0].config.source");
    assert!(said.contains("there is no function `transform`"), "{said}");
    // Those that have it are, whatever they would say to nothing.
    let keep = javascript("function keep(event) { return event.data.customer.name !== 'x'; }");
    tenant.patch(&source, json!({"steps": [map, keep]})).await.expect(200);
    tenant.patch(&source, json!({"steps": [mapper, keep]})).await.expect(200);
    tenant.patch(&endpoint, json!({"steps": [filter(keep)]})).await.expect(200);
}

#[tokio::test]
async fn a_step_may_say_which_job_it_means() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let step = |job: &str| json!({"plugin": "jq", "job": job, "config": {"program": "true"}});
    for (job, outcome) in [("filter", "kept"), ("transformer", "transformed")] {
        let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"name": job, "steps": [step(job)]})).await;
        assert_eq!(endpoint["steps"][0]["job"], job);
        assert_eq!(of_event(&tenant, &step(job)).await["steps"][0]["outcome"], outcome);
    }
    let form = |step: Value| json!({"steps": [step], "event": {"type": "a.b", "data": 1}});
    let said = tenant.post("/v1/try", form(step("mapper"))).await.problem(422, "steps[0].plugin");
    assert!(said.starts_with("this step must be a transformer or a filter"), "{said}");
    let other = json!({"plugin": "tag-filter", "job": "mapper", "config": {"expression": "a"}});
    let said = tenant.post("/v1/try", form(other)).await.problem(422, "steps[0].job");
    assert_eq!(said, "`tag-filter` is no mapper");
}

#[tokio::test]
async fn nothing_is_carried_from_one_call_to_the_next() {
    let host = Host::start().await;
    let tenants = [host.tenant("acme").await, host.tenant("globex").await];
    let spoil = javascript(
        "let calls = 0;
         export function transform(event) {
           calls++;
           globalThis.seen = (globalThis.seen ?? 0) + 1;
           const clean = {}.polluted === undefined && [].map.call([1], String)[0] === '1' && JSON.stringify({}) === '{}';
           Object.prototype.polluted = event.id;
           Array.prototype.map = () => ['spoilt'];
           JSON.stringify = JSON.parse = () => 'spoilt';
           return { body: { calls, seen, clean } };
         }",
    );
    for tenant in tenants.iter().cycle().take(12) {
        assert_eq!(body(&of_event(tenant, &spoil).await), json!({"calls": 1, "seen": 1, "clean": true}));
    }
}

#[tokio::test]
async fn a_script_without_an_end_is_stopped_and_the_next_call_works() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (endless, limit) in [
        (javascript("function transform() { for (;;) {} }"), "fuel"),
        (jq("[range(1e18)] | length"), "fuel"),
        (jq("def f: f; f"), "fuel"),
    ] {
        let trial = of_event(&tenant, &endless).await;
        assert_eq!(
            (&trial["outcome"], &trial["steps"][0]["limit"]),
            (&json!("fail"), &json!(limit)),
            "{endless}: {trial}"
        );
        let good = javascript("function transform(event) { return {body: event.data.id} }");
        assert_eq!(body(&of_event(&tenant, &good).await), 7);
    }
}

#[tokio::test]
async fn the_same_event_has_the_same_dice_and_another_has_others() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let roll = "function transform(event) { return {body: {now: Date.now(), at: event.occurred_at, dice: [Math.random(), Math.random()]}} }";
    // Two steps, each an instance of its own, in each of two endpoints.
    for name in ["a", "b"] {
        tenant.endpoint(&receiver.url(), json!({"name": name, "steps": [javascript(roll)]})).await;
    }
    let mut rolls = Vec::new();
    for _ in 0..2 {
        tenant.publish(json!({"type": "a.b", "data": 1, "occurred_at": "2026-11-21T08:30:00Z"})).await;
        let (one, other) = (receiver.next().await.json(), receiver.next().await.json());
        assert_eq!(one, other, "the same event");
        assert_eq!(one["now"], 1_795_249_800_000_i64);
        assert_ne!(one["dice"][0], one["dice"][1]);
        rolls.push(one["dice"].clone());
    }
    assert_ne!(rolls[0], rolls[1], "nothing of it is in the snapshot");
}

#[tokio::test]
async fn console_and_debug_write_to_the_steps_log() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let trial =
        of_event(&tenant, &javascript("function transform(e) { console.warn('total', e.data.total, e.tags); }")).await;
    assert_eq!(trial["steps"][0]["log"], json!([{"level": "warn", "text": "total 49.5 [\"eu\"]"}]));
    let trial = of_event(&tenant, &jq(".data.id | debug")).await;
    let logged = trial["steps"][0]["log"].to_string();
    assert!(logged.contains("7"), "{logged}");
}

#[tokio::test]
async fn what_prepare_leaves_is_there_in_every_call() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    let step = json!({"plugin": "hostile", "config": {"do": "prepared"}});
    for _ in 0..3 {
        assert_eq!(body(&of_event(&tenant, &step).await), json!({"prepared": 1}));
    }
}

#[tokio::test]
async fn the_same_component_makes_the_same_code() {
    let component = build::hostile();
    let (one, other) = (compiled(&component), compiled(&component));
    assert!(one.len() > component.len(), "{} bytes", one.len());
    assert!(one == other, "what `prepare` leaves follows from the component alone");
}

/// What the compiler's process makes of a component: seconds, bytes of address
/// space, fuel and bytes of memory are said before it.
fn compiled(component: &[u8]) -> Vec<u8> {
    let allowance = [60_u64, 4 << 30, 200_000_000, 32 << 20].map(u64::to_le_bytes);
    let mut child = Command::new(build::hookyard())
        .arg(hookyard::sandbox::SUBCOMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(allowance.as_flattened()).and_then(|()| input.write_all(component)).expect("it reads");
    drop(input);
    child.wait_with_output().expect("it ends").stdout
}

/// A component that exports what the gate asks for, and a `prepare` of these
/// instructions.
fn preparing(imports: &str, parts: &str, instructions: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            {imports}
            (core module $m
                (import "i" "now" (func $now (result i64)))
                (memory 1) (table 1 funcref) (global $g (mut i32) (i32.const 0))
                {parts}
                (func (export "prepare") {instructions}))
            (core instance $i (instantiate $m (with "i" (instance (export "now" (func $now))))))
            (func $prepare (canon lift (core func $i "prepare")))
            (instance $prepared (export "prepare" (func $prepare)))
            (instance $none)
            (export "hookyard:plugin/prepare@0.1.0" (instance $prepared))
            (export "hookyard:plugin/settings@0.1.0" (instance $none))
            (export "hookyard:plugin/filter@0.1.0" (instance $none)))"#
    );
    wat::parse_str(text).expect("sound WebAssembly text")
}

#[tokio::test]
async fn a_prepare_that_fails_is_refused_with_what_and_why() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let clock = r#"(import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock (export "now" (func (result u64)))))
        (core func $now (canon lower (func $clock "now")))"#;
    for (parts, instructions, words) in [
        ("", "(loop $l (br $l))", "used up its fuel"),
        ("", "unreachable", "panicked or aborted"),
        ("", "(drop (memory.grow (i32.const 600)))", "with `describe`"),
        ("", "(drop (call $now))", "called `now` in `prepare`"),
        ("", "(table.set (i32.const 0) (ref.null func))", "cannot be kept: unsupported `table.set` instruction"),
    ] {
        let component = preparing(clock, parts, instructions);
        let said = tenant.post_bytes("/v1/plugins?name=mine", component).await.problem(422, "");
        assert!(said.contains(words), "{instructions}: {said}");
    }
}

#[tokio::test]
async fn a_server_does_not_wait_for_the_interpreters() {
    let data = TempDir::new();
    let host = HostProcess::start(data.path()).await;
    let tenant = host.operator.post("/v1/tenants", json!({"name": "acme"})).await.expect(201);
    let tenant = host.operator.with_key(Some(text(&tenant["key"])));
    let trial = json!({"steps": [jq(".")], "event": {"type": "a.b", "data": 1}});
    // It takes seconds to compile, and was begun when the server was ready.
    let said = tenant.post("/v1/try", trial.clone()).await.problem(503, "");
    assert_eq!(said, "`jq` is being prepared, which happens once after an update; try again in a few seconds");
    // Which comes after it.
    let said = tenant.post("/v1/plugins/javascript/upgrade", json!({})).await.problem(503, "");
    assert!(said.starts_with("`javascript` is being prepared"), "{said}");
    let light = json!({"steps": [{"plugin": "tag-filter", "config": {"expression": "a"}}], "event": {"type": "a.b", "data": 1}});
    tenant.post("/v1/try", light).await.expect(200);
    hookyard_tests::eventually("the interpreters", async || {
        let answer = tenant.post("/v1/try", trial.clone()).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// Copies compiled code, but for that of one first-party plugin.
fn compiled_without(plugin: &str, from: &Path, to: &Path) {
    let digest = Digest::of(hookyard::house::component(plugin).expect("it is embedded")).to_string();
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    std::fs::create_dir(to).expect("a directory can be made");
    for entry in std::fs::read_dir(from).expect("the host keeps compiled code").flatten() {
        if !entry.file_name().to_string_lossy().starts_with(hex) {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
        }
    }
}

#[tokio::test]
async fn an_interpreter_that_is_missing_keeps_no_other_away() {
    let (donor, data) = (Host::start().await, TempDir::new());
    compiled_without("jq", &donor.data().join("compiled"), &data.path().join("compiled"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let database = data.path().join("hookyard.db");
    let settings = Settings {
        listen: listener.local_addr().expect("it is bound"),
        data: data.path().to_owned(),
        database: Database::Sqlite(database.clone()),
        public_url: None,
        operator_key: KeyText::given(OPERATOR_KEY),
        master_key: MasterKey::new(MASTER_KEY),
        urls: local(),
        retention: Retention::default(),
        egress: None,
        door: Door::default(),
        dialects: None,
        chat: None,
        otlp: None,
        oidc: None,
        compiler: data.path().join("there is none"),
    };
    let host = hookyard::Host::start(settings, Arc::new(SystemClock), "http://127.0.0.1:4".to_owned()).await;
    let host = host.expect("what it starts with is compiled");
    assert!(host.prepare_rest().await.is_err(), "jq cannot be compiled");
    host.serve(listener, std::future::ready(())).await.unwrap();

    let store = SqliteStore::open(&database, Seal::new(MASTER_KEY)).await.expect("the host has closed it");
    let plugins = store.plugins(Owner::House).await.expect("it can be read");
    let has = |name: &str| plugins.iter().any(|plugin| plugin.name.to_string() == name);
    assert!(has("javascript") && !has("jq"), "{plugins:?}");
}
