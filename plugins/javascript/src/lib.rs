//! Runs a tenant's JavaScript: no toolchain, no upload. The script has any of
//! three functions, declared or exported; a step calls the one for its place.
//!
//! ```js
//! // A source: the request to an event, a list of events, or null for none.
//! function map(request) {   // id, source, received_at, method, query, headers, body (text), json
//!   return { type: "order.paid", subject: request.json.customer, data: request.json };
//! }
//! // A filter: true, false, or the reason for dropping.
//! function keep(event) {    // id, type, occurred_at, subject, account, tags, data
//!   return event.data.total >= 100 || "too small";
//! }
//! // An endpoint: the fields of the message that change. `message` may also be
//! // changed in place.
//! function transform(event, message) {   // message: method, target, headers, body
//!   return { body: { id: event.data.id } };
//! }
//! ```
//!
//! `throw` refuses, with the error's message and place. `console` writes to the
//! step's log. Strict mode, in UTC; `Date` shows the event's time, and
//! `Math.random` gives the same numbers for the same event. Each call begins with
//! an interpreter in which nothing has run.
//!
//! What there is not: network, timers, files, `import`, `Intl` and `Temporal`,
//! bodies that are not UTF-8, and integers beyond 2^53: those of JSON lose digits
//! there, unless the body is left as it was. A promise is waited for only as far
//! as nothing has to come from outside.

mod config;
mod console;
mod engine;
mod given;
mod made;
mod program;
mod trouble;
mod value;

pub use config::Config;
use engine::Engine;
use hookyard_plugin::{
    Description, Draft, Event, Example, Filter, Issue, Mapper, Message, Plugin, Prepare, Refusal, Request, Transformer,
    Verdict, json,
};
use program::Program;

/// The plugin.
pub struct JavaScript;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: hookyard_plugin::CallAllocator<{ 2816 * 1024 }> = hookyard_plugin::CallAllocator::new();

hookyard_plugin::export!(JavaScript: mapper, filter, transformer, prepare);

impl Prepare for JavaScript {
    fn prepare() {
        Engine::prepare();
    }
}

impl Plugin for JavaScript {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "javascript",
            env!("CARGO_PKG_VERSION"),
            "Runs a script: map, keep or transform in JavaScript.",
        )
        .schema(include_str!("schema.json"))
        .example(mapped())
        .example(kept())
        .example(dropped())
        .example(transformed())
        .example(refused())
    }

    fn check(config: &Config) -> Vec<Issue> {
        let found = Program::load(&config.source).map(|mut program| program.has_function());
        match found {
            Ok(true) => Vec::new(),
            Ok(false) => vec![Issue::at("source", "there is no function `map`, `keep` or `transform`")],
            Err(trouble) => vec![Issue::at("source", trouble)],
        }
    }
}

impl Mapper for JavaScript {
    fn map(request: &Request, config: &Config) -> Result<Vec<Draft>, Refusal> {
        let mut program = load(config)?;
        let given = given::request(request, &mut program.engine.context);
        let made = program.call("map", &[given])?;
        made::drafts(&made, &mut program.engine)
    }
}

impl Filter for JavaScript {
    fn keep(event: &Event, config: &Config) -> Result<Verdict, Refusal> {
        let mut program = load(config)?;
        let given = given::event(event, &mut program.engine.context)?;
        let made = program.call("keep", &[given])?;
        made::verdict(&made, &mut program.engine)
    }
}

impl Transformer for JavaScript {
    fn transform(event: &Event, message: Message, config: &Config) -> Result<Message, Refusal> {
        let mut program = load(config)?;
        let event = given::event(event, &mut program.engine.context)?;
        let given = given::message(&message, &mut program.engine.context);
        let made = program.call("transform", &[event, given.clone().into()])?;
        made::message(&made, &given, message, &mut program.engine)
    }
}

fn load(config: &Config) -> Result<Program, Refusal> {
    Program::load(&config.source).map_err(|trouble| Refusal::new("script", trouble))
}

fn mapped() -> Example {
    let source = "export function map(request) {\n  const order = request.json;\n  return order.lines.map((line) => ({\n    type: 'line.sold',\n    subject: order.customer,\n    tags: [request.query.shop],\n    data: { sku: line.sku, cents: Math.round(line.price * 100) },\n  }));\n}";
    let draft = |sku: &str, cents: u32| {
        Draft::with(json!({"sku": sku, "cents": cents})).of("line.sold").about("c-7").tag("utrecht")
    };
    Example::map(
        "An event for each line of an order",
        json!({"source": source}),
        Request::post(json!({"customer": "c-7", "lines": [{"sku": "A1", "price": 9.95}, {"sku": "B2", "price": 20}]}))
            .query("shop", "utrecht"),
        Ok(vec![draft("A1", 995), draft("B2", 2000)]),
    )
}

fn keep_large() -> serde_json::Value {
    json!({"source": "function keep(event) {\n  return event.data.total >= 100 || `only ${event.data.total}`;\n}"})
}

fn kept() -> Example {
    let event = Event::of("order.paid").with(json!({"total": 250}));
    Example::keep("A large order goes on", keep_large(), event, Ok(Verdict::Keep))
}

fn dropped() -> Example {
    let event = Event::of("order.paid").with(json!({"total": 7}));
    Example::keep(
        "A small one does not, and the script says why",
        keep_large(),
        event,
        Ok(Verdict::Drop("only 7".to_owned())),
    )
}

fn transformed() -> Example {
    let source = "function transform(event, message) {\n  message.headers['x-order'] = event.data.id;\n  return { body: { text: `Order ${event.data.id}: ${event.data.items.join(', ')}` } };\n}";
    Example::transform(
        "Another body and one more header",
        json!({"source": source}),
        Event::of("order.paid").with(json!({"id": 7, "items": ["boots", "socks"]})),
        Message::json(json!({})),
        Ok(Message::json(json!({"text": "Order 7: boots, socks"})).header("x-order", "7")),
    )
}

fn refused() -> Example {
    let source = "function transform(event) {\n  return { body: event.data.customer.name };\n}";
    Example::transform(
        "A mistake is told with its line and column",
        json!({"source": source}),
        Event::of("order.paid"),
        Message::json(json!({})),
        Err(Refusal::new("script", "source:2:38: TypeError: cannot convert 'null' or 'undefined' to object")),
    )
}

#[cfg(test)]
mod tests;
