//! Moves fields: a list of rules, each from one place to another, with
//! conversions on the way. What no rule names does not go on.
//!
//! As a mapper it makes an event of a request: the rules build the event's
//! `data` from the JSON body or the form (`$headers.x` and `$query.x` beside
//! it), and `type`, `subject`, `account` and `tags` fill the event. `also` makes
//! further events, each where its condition holds. As a transformer it makes the
//! body of a message from the event's `data` (`$event.type` and the others
//! beside it); there `type`, `subject`, `account`, `tags` and `also` have no
//! meaning and are ignored, so that one configuration can serve both.

mod config;
mod convert;
mod date;
mod describe;
mod form;
mod input;
mod json;
mod map;
mod path;
mod phone;
mod put;
mod value;
mod when;

pub use config::Config;
use hookyard_plugin::{Description, Draft, Event, Issue, Mapper, Message, Plugin, Refusal, Request, Transformer};
use input::Input;

/// The plugin.
pub struct FieldMapper;

/// Room for what a usual call allocates.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: hookyard_plugin::CallAllocator<{ 112 * 1024 }> = hookyard_plugin::CallAllocator::new();

hookyard_plugin::export!(FieldMapper: mapper, transformer);

impl Plugin for FieldMapper {
    type Config = Config;

    fn describe() -> Description {
        describe::describe()
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.mappings().flat_map(|(place, _, mapping)| config::collisions(&place, &mapping.rules)).collect()
    }
}

impl Mapper for FieldMapper {
    fn map(request: &Request, config: &Config) -> Result<Vec<Draft>, Refusal> {
        let form = form::json(request);
        let input = Input::request(request, form.as_deref());
        let mut drafts = Vec::with_capacity(1);
        for (place, when, mapping) in config.mappings() {
            let applies = when.map_or(Ok(true), |when| when.holds(&place, &input))?;
            if applies {
                drafts.push(map::draft(&place, mapping, &input)?);
            }
        }
        Ok(drafts)
    }
}

impl Transformer for FieldMapper {
    fn transform(event: &Event, mut message: Message, config: &Config) -> Result<Message, Refusal> {
        message.body = map::build("", &config.main.rules, &Input::event(event))?;
        message.set_header("content-type", "application/json");
        Ok(message)
    }
}
