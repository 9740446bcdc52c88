//! What one tenant's plugin wrote, another's must not read: memory is given out
//! again and again, and each time it has to be zero.

use std::sync::Arc;

use hookyard::domain::event::{Draft, Event};
use hookyard::domain::id::{EventId, TenantId};
use hookyard::domain::message::Message;
use hookyard::domain::pipeline::{Pipeline, Step};
use hookyard::domain::plugin::{Job, Owner};
use hookyard::domain::time::Timestamp;
use hookyard::sandbox::{EndpointJob, EndpointResult, Sandbox, SandboxSettings};
use hookyard_tests::{TempDir, build};

use super::plugin::Plugin;

/// With one thread the sandbox has 64 places for memories. Each place remembers
/// whose it was and is given to the same plugin first, so that there have to be
/// more plugins than places until one gets another's.
const WRITERS: i64 = 66;
const READERS: i64 = 4;
const ROUNDS: usize = 6;

/// All the memory that a call can have.
const GROW: &str = "(local $end i32) (local $at i32)
    (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
    (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
    (local.set $end (i32.mul (memory.size) (i32.const 65536)))";

/// Fills it with a mark, `number` somewhere in the code.
fn writer(number: i64) -> Vec<u8> {
    let body = format!(
        "{GROW} (memory.fill (i32.const 65536) (i32.const 0xa5) (i32.sub (local.get $end) (i32.const 65536)))
        (drop (i64.const {number}))"
    );
    with_answer(body)
}

/// Crashes if there is anything but zeroes.
pub(super) fn reader(number: i64) -> Vec<u8> {
    let body = format!(
        "{GROW} (local.set $at (i32.const 65536))
        (loop $next
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
            (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
        (if (i32.lt_u (local.get $end) (i32.const 33554432)) (then (i32.store (i32.const -4) (i32.const 1))))
        (drop (i64.const {number}))"
    );
    with_answer(body)
}

fn with_answer(body: String) -> Vec<u8> {
    let mut plugin = Plugin::new(Job::Transformer);
    // Everything of the plugin's own is in the first page.
    plugin.description.summary = "Looks at memory.".to_owned();
    let post = plugin.image.text("POST");
    let record = plugin.image.words(&[0, post[0], post[1], 0, 0, 0, 0, 0, 0, 0]);
    plugin.at_work(format!("{body} (i32.const {record})")).build()
}

async fn admitted(sandbox: &Sandbox, component: Vec<u8>) -> Pipeline {
    let place = sandbox.place(Owner::House).expect("there is room");
    let digest = sandbox.admit(place, component.into()).await.expect("it is a plugin").digest;
    let name = "case".parse().expect("a name");
    let step = Step::new(name, 1, digest, Job::Transformer, "{}".to_owned());
    Pipeline { steps: vec![step] }
}

fn job(pipeline: &Pipeline, tenant: TenantId) -> EndpointJob {
    let at = Timestamp::from_millis(1_795_249_800_000);
    let draft = Draft {
        event_type: "a.b".parse().expect("a type"),
        occurred_at: None,
        deliver_at: None,
        subject: None,
        account: None,
        tags: Vec::new(),
        data: Arc::from(serde_json::value::RawValue::NULL.to_owned()),
    };
    let event: Event = draft.into_event(EventId::floor(at), tenant, at, None);
    let message = Message::with_type("application/json", "{}".to_owned());
    EndpointJob::new(tenant, pipeline.clone(), Arc::new(event), message)
}

#[tokio::test]
async fn a_fresh_memory_is_zero_whoever_had_it_before() {
    let data = TempDir::new();
    let sandbox = Sandbox::start(SandboxSettings {
        compiled_dir: data.path().to_owned(),
        compiler: build::hookyard().to_owned(),
        threads: 1,
        ..SandboxSettings::default()
    })
    .expect("the sandbox starts");
    let (one, other) = (TenantId::floor(Timestamp::from_millis(1)), TenantId::floor(Timestamp::from_millis(2)));
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for number in 0..WRITERS {
        writers.push(admitted(&sandbox, writer(number)).await);
    }
    for number in 0..READERS {
        readers.push(admitted(&sandbox, reader(number)).await);
    }
    for round in 0..ROUNDS {
        for (pipelines, tenant) in [(&writers, one), (&readers, other)] {
            for pipeline in pipelines {
                let run = sandbox.run_endpoint(job(pipeline, tenant)).await;
                assert!(matches!(run.result, EndpointResult::Send(_)), "round {round}: {:?}", run.steps);
                assert_eq!(run.steps[0].memory, 32 << 20, "it had all that there is");
            }
        }
    }
}
