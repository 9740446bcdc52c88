//! `hookyard plugin`: what a plugin's author types, from nothing to an upload.
//! `new`, `check` and `test` need no server and no network.
//!
//! The exit code is 0 when all is well, 1 when the plugin is not, and 2 when the
//! command could not be carried out.

mod bench;
mod check;
mod diff;
mod golden;
mod new;
mod push;
mod test;

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Start a plugin from a template
    New(new::Args),
    /// Judge a component as an upload would
    Check(check::Args),
    /// Run a component's examples and cases of your own
    Test(test::Args),
    /// Upload a component; the tenant's key is in HOOKYARD_KEY
    Push(push::Args),
}

/// Why a command ended before it was done.
enum Stop {
    /// The plugin is not as it should be.
    Plugin(String),
    /// The command could not be carried out.
    Command(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(said) | Self::Command(said) => f.write_str(said),
        }
    }
}

impl Stop {
    /// Something about a file, which is named first.
    fn at(path: &Path, what: impl fmt::Display) -> Self {
        Self::Command(format!("{}: {what}", path.display()))
    }

    fn code(&self) -> ExitCode {
        match self {
            Self::Plugin(_) => ExitCode::from(1),
            Self::Command(_) => ExitCode::from(2),
        }
    }
}

pub(super) fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::New(args) => new::run(&args),
        Command::Check(args) => on_runtime(check::run(&args)),
        Command::Test(args) => on_runtime(test::run(&args)),
        Command::Push(args) => on_runtime(push::run(&args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            // Nobody is left to tell if standard error is closed.
            let _closed = writeln!(io::stderr(), "hookyard: {stop}");
            stop.code()
        }
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Stop>>) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Stop::Command(error.to_string()))?.block_on(command)
}

/// What a command came to, for whoever or whatever reads it.
fn print(text: &str) -> Result<(), Stop> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|error| Stop::Command(format!("standard output: {error}")))
}

fn print_json(value: &serde_json::Value) -> Result<(), Stop> {
    print(&format!("{value:#}\n"))
}
