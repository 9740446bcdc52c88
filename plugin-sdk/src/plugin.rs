//! The traits that a plugin implements.

use crate::{Description, Draft, Event, Issue, Message, Refusal, Request, Verdict};
use serde::de::DeserializeOwned;

/// What every plugin has: a configuration, and a description of itself.
pub trait Plugin {
    /// What a tenant writes, as JSON, for each step that uses the plugin. `()`
    /// accepts `null` and nothing else.
    type Config: DeserializeOwned;

    /// Name, purpose, the configuration's schema, and examples that the host
    /// runs when the plugin is uploaded.
    fn describe() -> Description;

    /// What is wrong with a configuration although it has the right shape.
    fn check(config: &Self::Config) -> Vec<Issue> {
        let _ = config;
        Vec::new()
    }
}

/// Turns what a source received into events.
pub trait Mapper: Plugin {
    /// No drafts: the request was understood and is no event.
    fn map(request: &Request, config: &Self::Config) -> Result<Vec<Draft>, Refusal>;
}

/// Decides whether an event goes on.
pub trait Filter: Plugin {
    /// `drop`'s reason is shown to the tenant.
    fn keep(event: &Event, config: &Self::Config) -> Result<Verdict, Refusal>;
}

/// Reshapes the message that is about to be sent.
pub trait Transformer: Plugin {
    /// `message` is the envelope around the event, or what the step before
    /// made of it.
    fn transform(event: &Event, message: Message, config: &Self::Config) -> Result<Message, Refusal>;
}

/// Does once what every call would repeat: parsing a table, building a regular
/// expression, waking an interpreter.
///
/// The host calls it when it compiles the component and keeps the memory as it
/// is then: every call begins with that. A `thread_local!` or a `static` is where
/// to leave things. Calls still do not see each other.
///
/// ```
/// use hookyard_plugin::{Description, Event, Filter, Plugin, Prepare, Refusal, Verdict};
/// use std::cell::RefCell;
/// use std::collections::BTreeSet;
///
/// thread_local! {
///     static KNOWN: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
/// }
///
/// pub struct Known;
///
/// impl Prepare for Known {
///     fn prepare() {
///         // Ten thousand of them would take too long in each call.
///         KNOWN.with_borrow_mut(|known| known.extend("berlin utrecht".split(' ')));
///     }
/// }
/// #
/// # impl Plugin for Known {
/// #     type Config = ();
/// #     fn describe() -> Description { Description::new("known", "1.0.0", "Keeps what is known.") }
/// # }
///
/// impl Filter for Known {
///     fn keep(event: &Event, _: &()) -> Result<Verdict, Refusal> {
///         let is_known = KNOWN.with_borrow(|known| event.tags.iter().any(|tag| known.contains(tag.as_str())));
///         Ok(if is_known { Verdict::Keep } else { Verdict::Drop("not known".to_owned()) })
///     }
/// }
///
/// hookyard_plugin::export!(Known: filter, prepare);
/// #
/// # // As in a component, where the host does it.
/// # Known::prepare();
/// # assert_eq!(Known::keep(&Event::of("a").tag("utrecht"), &()), Ok(Verdict::Keep));
/// ```
pub trait Prepare: Plugin {
    /// There is no event and no configuration yet. It cannot look at the clock,
    /// ask for random numbers or use a capability; if it panics, the upload is
    /// refused.
    fn prepare();
}
