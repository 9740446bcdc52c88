//! Earlier events of the same subject. A plugin that asks for them declares it:
//! `Description::capability("history")`.
//!
//! There are some in an endpoint's pipeline and for events with a subject;
//! examples find none. Outside a component they are what a test says: see
//! [`native::set_history`](crate::native::set_history).

use crate::Event;

/// Events that were received before the current one, which is never among them,
/// the newest first. `types` are compared whole; none means every type.
///
/// There are no more than the host has looked up, 4 MiB at most: `limit` can
/// make them fewer, not more.
pub fn recent(types: &[&str], limit: u32) -> Vec<Event> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::history::hookyard::plugin::history::recent(types, limit);
    #[cfg(not(target_arch = "wasm32"))]
    return crate::native::recent(types, limit);
}
