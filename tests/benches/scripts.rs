//! `cargo bench --workspace --bench scripts`: what a call of a tenant's
//! script costs, with an instance of its own for each, and what making the
//! interpreters ready costs.
//!
//! Times are those inside the sandbox: instantiation, the call, and its end. The
//! two scripts take turns, so that a busy neighbour meets both.
//! `HOOKYARD_BENCH_CALLS` (default 4000) says how many calls of each.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hookyard::domain::event::{Draft, Event};
use hookyard::domain::id::{EventId, TenantId};
use hookyard::domain::message::Message;
use hookyard::domain::pipeline::{Pipeline, Step};
use hookyard::domain::plugin::Job;
use hookyard::domain::time::Timestamp;
use hookyard::house;
use hookyard::sandbox::{EndpointJob, EndpointResult, Sandbox, SandboxSettings};
use hookyard_tests::{TempDir, build};
use serde_json::json;

const JAVASCRIPT: &str = "function transform(event) {
  const order = event.data;
  const total = order.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  return {
    body: {
      orderId: order.id,
      customer: `${order.customer.first} ${order.customer.last}`,
      total,
      skus: order.items.map((item) => item.sku),
    },
  };
}
";
const JQ: &str = r#".data | {
  orderId: .id,
  customer: "\(.customer.first) \(.customer.last)",
  total: ([.items[] | .price * .quantity] | add),
  skus: (.items | map(.sku))
}"#;
const DATA: &str = r#"{"id":4711,"status":"paid","customer":{"first":"Jane","last":"Doe","email":"jane@example.com","phone":"+12025551234","vip":true},"items":[{"sku":"A-1","price":12.5,"quantity":2,"name":"Blue shirt"},{"sku":"B-22","price":99,"quantity":1,"name":"Boots"},{"sku":"C-3","price":3.25,"quantity":4,"name":"Socks"}],"note":"please ring twice, the bell is broken and the dog does not mind at all","address":{"street":"Main 1","city":"Utrecht","country":"NL"},"coupon":null,"shipping":{"method":"parcel","price":4.95}}"#;

/// First calls are rare, so that few are enough to see how long they take.
const COLD: u32 = 9;

struct Subject {
    name: &'static str,
    pipeline: Pipeline,
    warm: Vec<u64>,
    cold: Vec<u64>,
    /// The same with reading the compiled code, its seal and its loading.
    disk: Vec<u64>,
    fuel: u64,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let data = TempDir::new();
    let mac_key = [7; 32];
    let mut sandbox = start(data.path(), mac_key);
    let mut subjects = Vec::new();
    for (name, config) in [("javascript", json!({"source": JAVASCRIPT})), ("jq", json!({"program": JQ}))] {
        subjects.push(admit(&sandbox, data.path(), name, config.to_string()).await);
    }
    let event = Arc::new(event());
    println!("event: {} bytes of data; javascript: {} bytes; jq: {} bytes", DATA.len(), JAVASCRIPT.len(), JQ.len());
    for _ in 0..COLD {
        // As after a restart: the code is in the cache, no slot has an image.
        sandbox = start(data.path(), mac_key);
        for subject in &mut subjects {
            let started = Instant::now();
            let took = subject.call(&sandbox, &event).await;
            subject.cold.push(took);
            subject.disk.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
    let calls = std::env::var("HOOKYARD_BENCH_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4_000);
    for _ in 0..calls {
        for subject in &mut subjects {
            let took = subject.call(&sandbox, &event).await;
            subject.warm.push(took);
        }
    }
    println!(
        "{:<12} {:>9} {:>9} {:>11} {:>11} {:>12}",
        "us a call", "warm p50", "warm p99", "cold p50", "from disk", "fuel"
    );
    subjects.into_iter().for_each(report);
}

fn report(subject: Subject) {
    let Subject { name, pipeline: _, mut warm, mut cold, mut disk, fuel } = subject;
    warm.sort_unstable();
    disk.sort_unstable();
    cold.sort_unstable();
    let (p50, p99) = (warm[warm.len() / 2], warm[warm.len() * 99 / 100]);
    let (cold, disk) = (cold[cold.len() / 2], disk[disk.len() / 2]);
    println!("{name:<12} {p50:>9} {p99:>9} {cold:>11} {disk:>11} {fuel:>12}");
}

fn start(compiled_dir: &Path, mac_key: [u8; 32]) -> Sandbox {
    let compiled_dir = compiled_dir.to_owned();
    let settings =
        SandboxSettings { compiled_dir, mac_key, compiler: build::hookyard().to_owned(), ..SandboxSettings::default() };
    Sandbox::start(settings).expect("the sandbox starts")
}

async fn admit(sandbox: &Sandbox, dir: &Path, name: &'static str, config: String) -> Subject {
    let component = house::component(name).expect("it is embedded");
    let (before, started) = (size(dir), Instant::now());
    let admitted = sandbox.admit_own(component.into()).await.expect("it is admitted");
    let (took, code) = (started.elapsed(), size(dir) - before);
    let (compiling, kib) = (admitted.compile_time, component.len() >> 10);
    println!(
        "{name}: {kib} KiB, prepared and compiled in {compiling:.1?}, admitted in {took:.1?}, {} KiB of code",
        code >> 10
    );
    let step = Step::new(name.parse().expect("a name"), 1, admitted.digest, Job::Transformer, config);
    let pipeline = Pipeline { steps: vec![step] };
    Subject { name, pipeline, warm: Vec::new(), cold: Vec::new(), disk: Vec::new(), fuel: 0 }
}

fn size(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("a directory").flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

impl Subject {
    /// The microseconds of one call.
    async fn call(&mut self, sandbox: &Sandbox, event: &Arc<Event>) -> u64 {
        let message = format!(r#"{{"type":"order.paid","data":{DATA}}}"#);
        let message = Message::with_type("application/json", message);
        let job = EndpointJob::new(event.tenant, self.pipeline.clone(), event.clone(), message);
        let run = sandbox.run_endpoint(job).await;
        let EndpointResult::Send(message) = run.result else { panic!("{:?}", run.steps) };
        assert!(message.body.windows(9).any(|part| part == b"\"total\":1"), "{message:?}");
        self.fuel = run.steps[0].fuel;
        run.steps[0].duration_us
    }
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
        data: serde_json::value::RawValue::from_string(DATA.to_owned()).expect("JSON").into(),
    };
    draft.into_event(EventId::floor(at), TenantId::floor(at), at, None)
}
