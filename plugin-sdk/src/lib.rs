//! Write Hookyard plugins in Rust.
//!
//! A plugin is a WebAssembly component that does one or more of three jobs: a
//! [`Mapper`] turns what a source received into events, a [`Filter`] decides
//! whether an event goes on, a [`Transformer`] reshapes the message that is
//! about to be sent. It is called once for each event, each time in a fresh
//! memory, and knows nothing but its arguments, unless it is granted more: no
//! files, no network, a clock that stands still. The same arguments always give the same answer.
//!
//! # A first plugin
//!
//! `cargo new --lib paid-only`, and in its `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]   # rlib: for your own tests
//!
//! [dependencies]
//! hookyard-plugin = "0.1"
//! ```
//!
//! `src/lib.rs`:
//!
//! ```
//! use hookyard_plugin::{Description, Event, Filter, Plugin, Refusal, Verdict};
//!
//! struct PaidOnly;
//!
//! impl Plugin for PaidOnly {
//!     type Config = (); // there is nothing to configure
//!
//!     fn describe() -> Description {
//!         Description::new("paid-only", "1.0.0", "Keeps what is paid.")
//!     }
//! }
//!
//! impl Filter for PaidOnly {
//!     fn keep(event: &Event, _: &()) -> Result<Verdict, Refusal> {
//!         match event.tags.iter().any(|tag| tag == "paid") {
//!             true => Ok(Verdict::Keep),
//!             false => Ok(Verdict::Drop("not paid".to_owned())),
//!         }
//!     }
//! }
//!
//! hookyard_plugin::export!(PaidOnly: filter);
//! ```
//!
//! A plugin with several jobs names them all: `export!(Mine: mapper,
//! transformer)`.
//!
//! # Configuration
//!
//! What a tenant writes for a step is JSON. Say which shape it has, and it
//! arrives as that type. What does not fit is refused before the plugin sees
//! it, by the path of what is wrong: `rules[2].from: invalid type: ...`.
//! [`Plugin::check`] says what is wrong with a configuration of the right
//! shape; the host asks when a step is saved. The schema is for whoever fills
//! it in, and the examples are run by the host when the plugin is uploaded.
//!
//! ```
//! use hookyard_plugin::{
//!     Description, Event, Example, Issue, Message, Plugin, Refusal, Transformer, json,
//! };
//! use serde::Deserialize;
//!
//! pub struct Greeter;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! pub struct Config {
//!     greeting: String,
//! }
//!
//! #[derive(Deserialize)]
//! struct Customer {
//!     name: String,
//! }
//!
//! impl Plugin for Greeter {
//!     type Config = Config;
//!
//!     fn describe() -> Description {
//!         Description::new("greeter", env!("CARGO_PKG_VERSION"), "Greets the customer.")
//!             .schema(r#"{"type": "object", "properties": {"greeting": {"type": "string"}}, "required": ["greeting"]}"#)
//!             .example(Example::transform(
//!                 "A customer is greeted",
//!                 json!({"greeting": "Hello"}),
//!                 Event::of("customer.created").with(json!({"name": "Jane"})),
//!                 Message::json(json!({})),
//!                 Ok(Message::json(json!({"text": "Hello, Jane!"}))),
//!             ))
//!     }
//!
//!     fn check(config: &Config) -> Vec<Issue> {
//!         match config.greeting.is_empty() {
//!             true => vec![Issue::at("greeting", "nobody likes to be greeted with nothing")],
//!             false => Vec::new(),
//!         }
//!     }
//! }
//!
//! impl Transformer for Greeter {
//!     fn transform(event: &Event, message: Message, config: &Config) -> Result<Message, Refusal> {
//!         // Data that is no customer is refused as `bad-input`, naming the field.
//!         let customer: Customer = event.data()?;
//!         let text = format!("{}, {}!", config.greeting, customer.name);
//!         hookyard_plugin::log::debug(&text);
//!         Ok(Message { body: json!({"text": text}).to_string().into_bytes(), ..message })
//!     }
//! }
//!
//! hookyard_plugin::export!(Greeter: transformer);
//!
//! # // What the next section shows, run here, where there is a plugin to run.
//! # use hookyard_plugin::native;
//! native::assert_transformer_examples::<Greeter>();
//!
//! let event = Event::of("customer.created").with(json!({"nom": "Jeanne"}));
//! let refusal = native::transform::<Greeter>(&event, Message::json("{}"), r#"{"greeting": "Salut"}"#);
//! assert_eq!(refusal.unwrap_err().message, "data: missing field `name` at line 1 column 16");
//!
//! let issues = native::check::<Greeter>(r#"{"greeting": 7}"#).unwrap_err();
//! assert_eq!(issues[0].path, "greeting");
//! ```
//!
//! # Capabilities
//!
//! Beside its arguments a plugin may ask for more. Its description names what it
//! uses ([`Description::capability`]), whoever configures a step sees that and
//! grants it, and what was not granted is denied, by name:
//!
//! | capability | what it gives | granted with |
//! |---|---|---|
//! | [`history`] | earlier events of the same subject | `{"history": true}` |
//! | [`summaries`] | what the operator's language model made of them | `{"summaries": true}` |
//! | [`secrets`] | HMAC with a named secret, never the secret | `{"secrets": ["crm"]}` |
//! | [`state`] | a few values that outlive the call | `{"state": true}` |
//! | [`http`] | requests to named hosts | `{"http": ["api.example.com"]}` |
//!
//! With `state` or `http` the same arguments may come to another answer; without
//! them they never do. A plugin that signs what it sends on, for a receiver that
//! wants a signature of its own:
//!
//! ```
//! use hookyard_plugin::{Description, Event, Message, Plugin, Refusal, Transformer, native, secrets};
//!
//! struct Signed;
//!
//! impl Plugin for Signed {
//!     type Config = ();
//!
//!     fn describe() -> Description {
//!         Description::new("signed", "1.0.0", "Signs the body with the secret `crm`.").capability("secrets")
//!     }
//! }
//!
//! impl Transformer for Signed {
//!     fn transform(_: &Event, mut message: Message, _: &()) -> Result<Message, Refusal> {
//!         let mac = secrets::hmac_sha256("crm", &message.body)
//!             .map_err(|error| Refusal::new("unsigned", error.to_string()))?;
//!         let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
//!         message.set_header("x-crm-signature", &hex);
//!         Ok(message)
//!     }
//! }
//!
//! hookyard_plugin::export!(Signed: transformer);
//!
//! native::set_secret("crm", "Jefe");
//! let message = Message::post("text/plain", "what do ya want for nothing?");
//! let signed = native::transform::<Signed>(&Event::of("a.b"), message, "null").unwrap();
//! assert!(signed.headers.iter().any(|header| header.value.starts_with("5bdcc146bf60754e")));
//! ```
//!
//! # Testing
//!
//! No host is needed: [`native`] calls a plugin as the host does, from the
//! configuration's text on, and [`Event::of`], [`Request::post`] and
//! [`Message::json`] make what it is called with. [`native::logged`] takes what
//! the plugin logged, [`native::set_history`] sets what it finds of what came
//! before, and [`native::set_secret`], [`native::clear_state`] and
//! [`native::answer_http`] stand in for what lies outside. The end of the example above shows it.
//!
//! # Building and uploading
//!
//! ```text
//! rustup target add wasm32-wasip2
//! cargo build --target wasm32-wasip2 --release
//! hookyard plugin test target/wasm32-wasip2/release/paid_only.wasm
//! HOOKYARD_KEY=... hookyard plugin push target/wasm32-wasip2/release/paid_only.wasm
//! ```
//!
//! `hookyard plugin new --lang rust paid-only` writes all of it down: a plugin
//! that works and has tests, and this crate's sources beside it.
//!
//! # Good to know
//!
//! - Every call starts from nothing: what a `static` remembers is forgotten,
//!   and what is slow to set up is slow each time, unless it is done once, in
//!   [`Prepare`]. `HashMap`s are worth avoiding.
//! - [`Refusal`] is for what cannot be done; a request that is understood and
//!   is no event is an empty list of drafts, and an event that is not wanted is
//!   [`Verdict::Drop`].
//! - A panic is a fault: the host ends the call and shows the message.

mod allocator;
#[doc(hidden)]
pub mod bindings;
mod config;
mod description;
#[doc(hidden)]
pub mod export;
pub mod history;
pub mod http;
mod json;
pub mod log;
pub mod native;
mod plugin;
mod records;
pub mod secrets;
pub mod state;
pub mod summaries;

pub use allocator::CallAllocator;
pub use bindings::imports::hookyard::plugin::types::{Draft, Event, Field, Message, Refusal, Request, Verdict};
pub use bindings::settings::exports::hookyard::plugin::settings::{Description, Example, Issue, Job};
pub use plugin::{Filter, Mapper, Plugin, Prepare, Transformer};
/// Makes a JSON value of what looks like one.
pub use serde_json::json;
