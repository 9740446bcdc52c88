//! How plugins get into memory, where many wait for theirs.

use std::sync::Arc;

use hookyard::domain::event::{Draft, Event};
use hookyard::domain::id::{EventId, TenantId};
use hookyard::domain::message::Message;
use hookyard::domain::pipeline::{Pipeline, Step};
use hookyard::domain::plugin::{Digest, Job};
use hookyard::domain::time::Timestamp;
use hookyard::sandbox::{ComponentBytes, Components, EndpointJob, EndpointResult, Sandbox, SandboxSettings};
use hookyard_tests::{PATIENCE, TempDir, build};
use tokio::sync::Notify;

/// Is asked for components, and never brings one.
#[derive(Default)]
struct Stuck(Arc<Notify>);

impl Components for Stuck {
    fn component(&self, _digest: Digest) -> ComponentBytes {
        self.0.notify_one();
        Box::pin(std::future::pending())
    }
}

fn job(digest: Digest) -> EndpointJob {
    let at = Timestamp::from_millis(1_795_249_800_000);
    let tenant = TenantId::floor(at);
    let draft = Draft {
        event_type: "a.b".parse().expect("a type"),
        occurred_at: None,
        deliver_at: None,
        subject: None,
        account: None,
        tags: vec!["a".to_owned()],
        data: Arc::from(serde_json::value::RawValue::NULL.to_owned()),
    };
    let event: Event = draft.into_event(EventId::floor(at), tenant, at, None);
    let config = r#"{"expression": "a"}"#.to_owned();
    let step = Step::new("tag-filter".parse().expect("a name"), 1, digest, Job::Filter, config);
    let message = Message::with_type("application/json", "{}".to_owned());
    EndpointJob::new(tenant, Pipeline { steps: vec![step] }, Arc::new(event), message)
}

#[tokio::test]
async fn who_only_has_to_be_read_does_not_wait_for_who_is_compiled() {
    let data = TempDir::new();
    let stuck = Stuck::default();
    let asked = stuck.0.clone();
    let settings = SandboxSettings {
        compiled_dir: data.path().to_owned(),
        compiler: build::hookyard().to_owned(),
        threads: 1,
        components: Arc::new(stuck),
        ..SandboxSettings::default()
    };
    let before = Sandbox::start(settings.clone()).expect("the sandbox starts");
    let component = hookyard::house::component("tag-filter").expect("it is embedded");
    let kept = before.admit_own(component.into()).await.expect("it is a plugin").digest;
    drop(before);

    let sandbox = Sandbox::start(settings).expect("the sandbox starts");
    let missing = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.run_endpoint(job(Digest::of(b"not on the disk"))).await }
    });
    asked.notified().await;
    let run = tokio::time::timeout(PATIENCE, sandbox.run_endpoint(job(kept))).await.expect("it has its turn");
    assert!(matches!(run.result, EndpointResult::Send(_)), "{:?}", run.steps);
    missing.abort();
}
