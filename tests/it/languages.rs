//! The same plugin in every language does the same: the templates of
//! `plugins/examples`, built as their authors build them, asked through
//! `POST /v1/try` of a real host.

use std::fs;
use std::path::Path;

use hookyard_tests::{Api, Host, build, list, text};
use serde_json::{Value, json};

/// The others are compared with the first.
const LANGUAGES: [&str; 4] = ["rust", "javascript", "python", "c"];

#[tokio::test]
async fn every_language_answers_as_rust_does() {
    let host = Host::start().await;
    let mut tenants = Vec::new();
    for language in LANGUAGES {
        let tenant = host.tenant(language).await;
        let component = fs::read(build::example(language)).expect("it was built");
        let plugin = tenant.post_bytes("/v1/plugins?name=order-greeter", component).await.expect(201);
        assert_eq!(plugin["interfaces"], json!(["mapper", "filter", "transformer"]), "{language}");
        tenants.push((language, tenant));
    }
    let cases = cases();
    assert!(cases.len() >= 14, "the cases are not where they were");
    for case in cases {
        let name = text(&case["name"]).to_owned();
        let mut of_rust = None;
        for (language, tenant) in &tenants {
            let came_to = outcome(tenant, &case).await;
            let of_rust = of_rust.get_or_insert_with(|| came_to.clone());
            assert_eq!(&came_to, of_rust, "{language}: {name}");
        }
        check(&name, &case["output"], &of_rust.expect("Rust is among them"));
    }
}

fn cases() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples/cases");
    let files = fs::read_dir(directory).expect("the cases are there").flatten();
    let read = |file: fs::DirEntry| fs::read(file.path()).expect("a case can be read");
    files.map(|file| serde_json::from_slice(&read(file)).expect("a case is JSON")).collect()
}

/// All of the answer that does not depend on the language.
async fn outcome(tenant: &Api, case: &Value) -> Value {
    let answer = tenant.post("/v1/try", form(case)).await;
    if answer.status != 200 {
        let (status, body) = (answer.status.as_u16(), answer.body);
        return json!({"status": status, "field": body["field"], "detail": body["detail"]});
    }
    let mut trial = answer.body;
    for step in trial["steps"].as_array_mut().expect("steps") {
        let step = step.as_object_mut().expect("a step");
        for cost in ["fuel", "duration_us", "memory"] {
            step.remove(cost);
        }
        // What a step made is the trial's message here; of a refusal it is text.
        if step.get("message").is_some_and(Value::is_object) {
            step.remove("message");
        }
    }
    for event in trial["events"].as_array_mut().into_iter().flatten() {
        for minted in ["id", "request", "request_id", "tenant", "occurred_at", "received_at"] {
            event.as_object_mut().expect("an event").remove(minted);
        }
    }
    if let Some(body) = trial["message"]["body"].as_str().and_then(|body| serde_json::from_str(body).ok()) {
        trial["message"]["body"] = body;
    }
    trial
}

/// The case as `POST /v1/try` takes it. A plugin that can do all jobs filters
/// where it can do nothing else: behind another filter of a source.
fn form(case: &Value) -> Value {
    let step = json!({"plugin": "order-greeter", "config": case["config"]});
    let input = &case["input"];
    match text(&case["job"]) {
        "mapper" => {
            let query = list_of(&input["request"]["query"]);
            let query: Vec<String> =
                query.iter().map(|field| format!("{}={}", text(&field["name"]), text(&field["value"]))).collect();
            let headers = Value::Array(list_of(&input["request"]["headers"]));
            let request = json!({"body": input["request"]["body"], "headers": headers, "query": query.join("&")});
            json!({"steps": [step], "request": request})
        }
        "filter" => {
            let before = json!({"plugin": "tag-filter", "config": {"expression": "not never"}});
            let request = json!({"body": input["event"]["data"], "event_type": input["event"]["type"]});
            json!({"steps": [before, step], "request": request})
        }
        _ => {
            let mut event = input["event"].clone();
            event["occurred_at"] = json!("2026-11-21T08:30:00.000Z");
            json!({"steps": [step], "event": event})
        }
    }
}

fn list_of(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// What the case says is what the host says.
#[track_caller]
fn check(name: &str, output: &Value, answer: &Value) {
    let step = answer["steps"].as_array().and_then(|steps| steps.last()).unwrap_or(&Value::Null);
    if let Some(issues) = output["issues"].as_array() {
        assert_eq!(answer["field"], format!("steps[0].config.{}", text(&issues[0]["path"])), "{name}: {answer}");
        for issue in issues {
            assert!(text(&answer["detail"]).contains(text(&issue["message"])), "{name}: {answer}");
        }
    } else if let Some(refusal) = output.get("refusal") {
        let said = json!({"code": step["code"], "message": step["message"]});
        assert_eq!((&step["outcome"], &said), (&json!("refused"), refusal), "{name}: {answer}");
    } else if output == "keep" {
        assert_eq!(step["outcome"], "kept", "{name}: {answer}");
    } else if let Some(reason) = output.get("drop") {
        assert_eq!((&step["outcome"], &step["reason"]), (&json!("dropped"), reason), "{name}: {answer}");
    } else if let Some(drafts) = output.as_array() {
        let events = list(&answer["events"]);
        assert_eq!(events.len(), drafts.len(), "{name}: {answer}");
        for (event, draft) in events.iter().zip(drafts) {
            for (field, value) in draft.as_object().expect("a draft") {
                assert_eq!(&event[field], value, "{name}: {field}");
            }
        }
    } else {
        let body: Value = serde_json::from_str(text(&output["body"])).expect("the greeting is JSON");
        let message = &answer["message"];
        assert_eq!((&message["target"], &message["body"]), (&output["target"], &body), "{name}: {answer}");
        let number = list(&output["headers"]).iter().find(|header| header["name"] == "x-order").expect("it is sent");
        assert!(list(&message["headers"]).contains(number), "{name}: {answer}");
        assert!(!list(&step["log"]).is_empty(), "{name}: {answer}");
    }
}
