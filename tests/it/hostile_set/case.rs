//! One case: a component, what is asked of it, and what is to come of it.

use hookyard::domain::plugin::Job;
use hookyard_tests::{Api, text};
use serde_json::{Value, json};

use super::plugin::Plugin;

/// What the host says of a component.
pub(super) enum Expected {
    /// Not taken at all, with these words.
    Refused(&'static str),
    /// Taken, and no step of it can be saved.
    Unsaved(&'static str),
    /// Stopped at work by this limit, with these words.
    Fault(&'static str, &'static str),
    /// It gets what it wants, which is no harm: the outcome of the trial.
    Harmless(&'static str, fn(&Value) -> bool),
}

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) component: Vec<u8>,
    pub(super) job: Job,
    pub(super) expected: Expected,
}

impl Case {
    pub(super) fn new(name: &'static str, job: Job, plugin: Plugin, expected: Expected) -> Self {
        Self { name, component: plugin.build(), job, expected }
    }

    /// A transformer, the usual one.
    pub(super) fn transformer(name: &'static str, make: impl FnOnce(Plugin) -> Plugin, expected: Expected) -> Self {
        Self::new(name, Job::Transformer, make(Plugin::new(Job::Transformer)), expected)
    }

    /// Bytes that are no plugin.
    pub(super) fn bytes(name: &'static str, component: Vec<u8>, words: &'static str) -> Self {
        Self { name, component, job: Job::Transformer, expected: Expected::Refused(words) }
    }

    /// A component that is none of ours, in WebAssembly text.
    pub(super) fn wat(name: &'static str, text: &str, words: &'static str) -> Self {
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::bytes(name, component, words)
    }

    /// Uploads it, tries it, and takes it away again.
    pub(super) async fn run(&self, tenant: &Api) {
        let name = self.name;
        let uploaded = tenant.post_bytes("/v1/plugins?name=case", self.component.clone()).await;
        match &self.expected {
            Expected::Refused(words) => {
                assert_eq!(uploaded.status, 422, "{name}: {}", uploaded.body);
                let said = uploaded.problem(422, "");
                assert!(said.contains(words) && said.len() < 8_192, "{name}: {said}");
                tenant.get("/v1/plugins/case").await.problem(404, "");
                return;
            }
            _ => assert_eq!(uploaded.status, 201, "{name}: {}", uploaded.body),
        }
        let answer = tenant.post("/v1/try", trial(self.job)).await;
        match &self.expected {
            Expected::Refused(_) => {}
            Expected::Unsaved(words) => {
                assert_eq!(answer.status, 422, "{name}: {}", answer.body);
                assert!(text(&answer.body["field"]).starts_with("steps[0].config"), "{name}: {}", answer.body);
                let said = text(&answer.body["detail"]);
                assert!(said.contains(words) && said.len() < 8_192, "{name}: {said}");
            }
            Expected::Fault(limit, words) => {
                let trial = answer.expect(200);
                let step = &trial["steps"][0];
                assert_eq!((&trial["outcome"], &step["limit"]), (&json!("fail"), &json!(limit)), "{name}: {trial}");
                let said = text(&step["message"]);
                assert!(said.contains(words) && said.len() < 8_192, "{name}: {said}");
            }
            Expected::Harmless(outcome, is_harmless) => {
                let trial = answer.expect(200);
                // What is nested too deeply for us to parse is compared as text.
                let is_outcome = match trial.as_str() {
                    Some(text) => text.contains(&format!(r#""outcome":"{outcome}""#)),
                    None => trial["outcome"] == *outcome,
                };
                assert!(is_outcome && is_harmless(&trial), "{name}: {:.2000}", trial.to_string());
            }
        }
        tenant.delete("/v1/plugins/case").await.expect(204);
    }
}

/// A trial with the case as its only step.
fn trial(job: Job) -> Value {
    let steps = json!([{"plugin": "case"}]);
    match job {
        Job::Mapper => json!({"steps": steps, "request": {"body": {"n": 1}, "event_type": "a.b"}}),
        Job::Filter | Job::Transformer => json!({"steps": steps, "event": {"type": "a.b", "data": {"n": 1}}}),
    }
}
