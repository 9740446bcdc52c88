//! What the operator's language model says of the subject's history. A plugin
//! that asks for it declares it: `Description::capability("summaries")`.
//!
//! Outside a component it is what a test says: see
//! [`native::set_summary`](crate::native::set_summary).

/// The summary of the subject's history, as plain text. None where the operator
/// has set up no model, where it failed, and where there is no history: a plugin
/// has to be able to do without.
pub fn of_history() -> Option<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::summaries::hookyard::plugin::summaries::of_history();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::native::summary();
}
