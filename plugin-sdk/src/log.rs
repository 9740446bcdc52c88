//! Lines for whoever wrote or configured the plugin. The host keeps them
//! beside the step's outcome, counts them, and cuts what is too much.
//!
//! Outside a component they are kept too, for tests: see
//! [`native::logged`](crate::native::logged).

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever is writing the plugin.
    Debug,
    /// Worth knowing when a delivery is looked into.
    Info,
    /// The plugin went on, but somebody should look.
    Warn,
    /// The plugin could not do what it was asked.
    Error,
}

/// Writes a line at [`Level::Debug`].
pub fn debug(text: impl AsRef<str>) {
    write(Level::Debug, text.as_ref());
}

/// Writes a line at [`Level::Info`].
pub fn info(text: impl AsRef<str>) {
    write(Level::Info, text.as_ref());
}

/// Writes a line at [`Level::Warn`].
pub fn warn(text: impl AsRef<str>) {
    write(Level::Warn, text.as_ref());
}

/// Writes a line at [`Level::Error`].
pub fn error(text: impl AsRef<str>) {
    write(Level::Error, text.as_ref());
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, text: &str) {
    use crate::bindings::imports::hookyard::plugin::log;
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, text);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, text: &str) {
    crate::native::keep_log_line(level, text);
}
