//! Runs a jq program ([jaq](https://github.com/01mf02/jaq) 3) on what passes.
//!
//! - A source: the input is the request (`id`, `source`, `received_at`, `method`,
//!   `query`, `headers`, `body` as text, `json`), and each output is an event:
//!   `{type, data, subject, account, tags, occurred_at}`. None, or `null`: there
//!   is no event in it.
//! - A filter: the input is the event (`id`, `type`, `occurred_at`, `subject`,
//!   `account`, `tags`, `data`), which goes on if an output is neither `false` nor
//!   `null`.
//! - An endpoint: the input is the event, `$message` is the message (`method`,
//!   `target`, `headers`, `body`), and the one output is the body.
//!
//! `now` is the event's time, `debug` writes to the step's log, and `error`
//! refuses. There are no files and modules, no `env`, `input` and `halt`. What
//! fails while it runs has no line: jaq does not keep it.

mod config;
mod prelude;
mod program;
mod record;

pub use config::Config;
use hookyard_plugin::{
    Description, Draft, Event, Example, Filter, Issue, Mapper, Message, Plugin, Prepare, Refusal, Request, Transformer,
    Verdict, json,
};
use jaq_json::Val;
use program::Program;

/// Characters of the program that a reason quotes.
const QUOTED: usize = 100;

/// The plugin.
pub struct Jq;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: hookyard_plugin::CallAllocator<{ 768 * 1024 }> = hookyard_plugin::CallAllocator::new();

hookyard_plugin::export!(Jq: mapper, filter, transformer, prepare);

impl Prepare for Jq {
    fn prepare() {
        prelude::prepare();
    }
}

impl Plugin for Jq {
    type Config = Config;

    fn describe() -> Description {
        Description::new("jq", env!("CARGO_PKG_VERSION"), "Maps, filters or transforms with a jq program.")
            .schema(include_str!("schema.json"))
            .example(mapped())
            .example(kept())
            .example(dropped())
            .example(transformed())
            .example(refused())
    }

    fn check(config: &Config) -> Vec<Issue> {
        Program::compile(&config.program).err().map(|trouble| Issue::at("program", trouble)).into_iter().collect()
    }
}

impl Mapper for Jq {
    fn map(request: &Request, config: &Config) -> Result<Vec<Draft>, Refusal> {
        let outputs = run(config, record::request(request), Val::Null)?;
        outputs.iter().filter(|output| !matches!(output, Val::Null)).map(record::draft).collect()
    }
}

impl Filter for Jq {
    fn keep(event: &Event, config: &Config) -> Result<Verdict, Refusal> {
        let outputs = run(config, record::event(event)?, Val::Null)?;
        let is_met = outputs.iter().any(|output| !matches!(output, Val::Null | Val::Bool(false)));
        Ok(if is_met { Verdict::Keep } else { Verdict::Drop(format!("not met: {}", quoted(&config.program))) })
    }
}

impl Transformer for Jq {
    fn transform(event: &Event, message: Message, config: &Config) -> Result<Message, Refusal> {
        let outputs = run(config, record::event(event)?, record::message(&message))?;
        let [output] = outputs.as_slice() else {
            let problem = format!("program: it made {} outputs, and a body is one", outputs.len());
            return Err(Refusal::new("bad-output", problem));
        };
        Ok(Message { body: record::json(output)?.into_bytes(), ..message })
    }
}

fn run(config: &Config, input: Val, message: Val) -> Result<Vec<Val>, Refusal> {
    let refused = |trouble: String| Refusal::new("script", trouble);
    Program::compile(&config.program).and_then(|program| program.run(input, message)).map_err(refused)
}

fn quoted(program: &str) -> String {
    let words: Vec<&str> = program.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn mapped() -> Example {
    let program = ".query.shop as $shop | .json | .customer as $customer | .lines[]\n| {type: \"line.sold\", subject: $customer, tags: [$shop], data: {sku, cents: (.price * 100 | round)}}";
    let draft = |sku: &str, cents: u32| {
        Draft::with(json!({"sku": sku, "cents": cents})).of("line.sold").about("c-7").tag("utrecht")
    };
    Example::map(
        "An event for each line of an order",
        json!({"program": program}),
        Request::post(json!({"customer": "c-7", "lines": [{"sku": "A1", "price": 9.95}, {"sku": "B2", "price": 20}]}))
            .query("shop", "utrecht"),
        Ok(vec![draft("A1", 995), draft("B2", 2000)]),
    )
}

fn kept() -> Example {
    let event = Event::of("order.paid").with(json!({"total": 250}));
    Example::keep("A large order goes on", json!({"program": ".data.total >= 100"}), event, Ok(Verdict::Keep))
}

fn dropped() -> Example {
    let event = Event::of("order.paid").with(json!({"total": 7}));
    let reason = Verdict::Drop("not met: .data.total >= 100".to_owned());
    Example::keep("A small one does not", json!({"program": ".data.total >= 100"}), event, Ok(reason))
}

fn transformed() -> Example {
    Example::transform(
        "The body, with what it was",
        json!({"program": "{id: .data.id, items: (.data.items | map(.name) | join(\", \")), was: $message.body}"}),
        Event::of("order.paid").with(json!({"id": 7, "items": [{"name": "boots"}, {"name": "socks"}]})),
        Message::json(json!({"a": 1})),
        Ok(Message::json(json!({"id": 7, "items": "boots, socks", "was": {"a": 1}}))),
    )
}

fn refused() -> Example {
    Example::transform(
        "More than one output is no body",
        json!({"program": ".tags[]"}),
        Event::of("order.paid").tag("a").tag("b"),
        Message::json(json!({})),
        Err(Refusal::new("bad-output", "program: it made 2 outputs, and a body is one")),
    )
}

#[cfg(test)]
mod tests;
