//! What one plugin call costs: `field-mapper` in a fresh instance for every
//! call, against the same mapping by the same code natively.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use field_mapper::FieldMapper;
use hookyard::domain::event::{Draft, Event};
use hookyard::domain::id::{EventId, TenantId};
use hookyard::domain::message::Message;
use hookyard::domain::pipeline::{Pipeline, Step};
use hookyard::domain::plugin::Job;
use hookyard::domain::time::Timestamp;
use hookyard::house;
use hookyard::sandbox::{EndpointJob, EndpointResult, Sandbox, SandboxSettings};
use hookyard_plugin::native;
use hookyard_tests::{TempDir, build};

use crate::load;

const CALLS: u32 = 500;
const BATCHES: u32 = 40;

/// Prints both costs and their ratio: of the quietest batch of each, and of
/// the median batch. The two take turns, so that a busy neighbour meets both.
pub(crate) async fn run() {
    let data = TempDir::new();
    let sandbox = Sandbox::start(SandboxSettings {
        compiled_dir: data.path().to_owned(),
        compiler: build::hookyard().to_owned(),
        ..SandboxSettings::default()
    });
    let sandbox = sandbox.expect("the sandbox starts");
    let started = Instant::now();
    let component = house::component("field-mapper").expect("it is embedded");
    let digest = sandbox.admit_own(component.into()).await.expect("it is admitted").digest;
    println!("field-mapper: {} bytes, admitted in {:.0?}", component.len(), started.elapsed());

    let config = load::mapping().to_string();
    let step = Step::new("field-mapper".parse().expect("a name"), 1, digest, Job::Transformer, config);
    let pipeline = Pipeline { steps: vec![step] };
    let event = Arc::new(event());
    let mut costs: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut fuel = 0;
    for _ in 0..BATCHES {
        let (fresh, used) = fresh(&sandbox, &pipeline, &event).await;
        fuel = used;
        costs.entry("fresh").or_default().push(fresh);
        costs.entry("native").or_default().push(native(&event, &pipeline.steps[0].config));
    }
    costs.values_mut().for_each(|batches| batches.sort());
    for (name, at) in [("quietest", 0), ("median", BATCHES as usize / 2)] {
        let (fresh, native) = (costs["fresh"][at].as_secs_f64() * 1e6, costs["native"][at].as_secs_f64() * 1e6);
        println!("{name} batch: fresh {fresh:.1} us, native {native:.1} us, ratio {:.2}", fresh / native);
    }
    println!("fuel of one call: {fuel}");
}

fn event() -> Event {
    let at = Timestamp::from_millis(1_795_249_800_000);
    let draft = Draft {
        event_type: "order.paid".parse().expect("a type"),
        occurred_at: None,
        deliver_at: None,
        subject: Some("+12025551234".to_owned()),
        account: None,
        tags: vec!["paid".to_owned(), "vip".to_owned()],
        data: serde_json::value::RawValue::from_string(load::data(1)).expect("JSON").into(),
    };
    draft.into_event(EventId::floor(at), TenantId::floor(at), at, None)
}

/// What reaches the first step.
fn enveloped(event: &Event) -> Message {
    let data = event.data.get();
    let at = event.occurred_at;
    let body = format!(r#"{{"type":"{}","timestamp":"{at}","data":{data}}}"#, event.event_type);
    Message::with_type("application/json", body)
}

/// Time inside the sandbox: instantiation, the call, and its end; not the
/// hand-over to a sandbox thread.
async fn fresh(sandbox: &Sandbox, pipeline: &Pipeline, event: &Arc<Event>) -> (Duration, u64) {
    let mut spent = Duration::ZERO;
    let mut fuel = 0;
    for _ in 0..CALLS {
        let job = EndpointJob::new(event.tenant, pipeline.clone(), event.clone(), enveloped(event));
        let run = sandbox.run_endpoint(job).await;
        assert!(matches!(run.result, EndpointResult::Send(_)), "{:?}", run.steps);
        spent += Duration::from_micros(run.steps[0].duration_us);
        fuel = run.steps[0].fuel;
    }
    (spent / CALLS, fuel)
}

fn native(event: &Event, config: &str) -> Duration {
    let given = hookyard_plugin::Event::of(event.event_type.as_str())
        .about("+12025551234")
        .tag("paid")
        .tag("vip")
        .with(event.data.get().to_owned());
    let body = enveloped(event).body.to_vec();
    let started = Instant::now();
    for _ in 0..CALLS {
        let message = hookyard_plugin::Message::post("application/json", body.clone());
        let mapped = native::transform::<FieldMapper>(&given, message, config).expect("it maps");
        std::hint::black_box(mapped);
    }
    started.elapsed() / CALLS
}
