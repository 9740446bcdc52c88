//! Moves fields: a list of rules, each from one place to another, with
//! conversions on the way. What no rule names does not go on.
//!
//! As a mapper it makes one event of a request: the rules build the event's
//! `data` from the JSON body (`$headers.x` and `$query.x` beside it), and
//! `type`, `subject`, `account` and `tags` fill the event. As a transformer it
//! makes the body of a message from the event's `data` (`$event.type` and the
//! others beside it); there `type`, `subject`, `account` and `tags` have no
//! meaning and are ignored, so that one configuration can serve both.

mod config;
mod convert;
mod date;
mod describe;
mod input;
mod json;
mod map;
mod path;
mod phone;
mod put;
mod value;

pub use config::Config;
use hookyard_plugin::{Description, Draft, Event, Issue, Mapper, Message, Plugin, Refusal, Request, Transformer};
use input::Input;

/// The plugin.
pub struct FieldMapper;

/// Room for what a usual call allocates.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: hookyard_plugin::BumpAllocator<{ 128 * 1024 }> = hookyard_plugin::BumpAllocator::new();

hookyard_plugin::export!(FieldMapper: mapper, transformer);

impl Plugin for FieldMapper {
    type Config = Config;

    fn describe() -> Description {
        describe::describe()
    }

    fn check(config: &Config) -> Vec<Issue> {
        config::collisions(&config.rules)
    }
}

impl Mapper for FieldMapper {
    fn map(request: &Request, config: &Config) -> Result<Vec<Draft>, Refusal> {
        let input = Input::request(request);
        let draft = map::fill(config, &input)?;
        let data = map::build(&config.rules, &input)?;
        Ok(vec![Draft { data: text(data), ..draft }])
    }
}

impl Transformer for FieldMapper {
    fn transform(event: &Event, mut message: Message, config: &Config) -> Result<Message, Refusal> {
        message.body = map::build(&config.rules, &Input::event(event))?;
        message.set_header("content-type", "application/json");
        Ok(message)
    }
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("it is made of pieces of text")
}
