//! The command line.

mod backup;
mod bench;
mod configuration;
mod copy;
mod deliveries;
mod doctor;
mod endpoints;
mod events;
mod first_link;
mod generate;
mod given;
mod listen;
mod master_key;
mod migrate;
mod named;
mod plugin;
mod remote;
mod replay;
mod requests;
mod screen;
mod send;
mod sources;
mod table;
mod watch;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::{fmt, io};

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::config::{self, Given, Settings};
use crate::{Host, demo, sandbox, telemetry};

/// An event router that its users program with WebAssembly.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server
    Serve(Given),
    /// Start the server and watch an order go through it
    Demo(Given),
    /// Publish an event
    Send(send::Send),
    /// Events: list, show, explain, cancel
    Events(events::Events),
    /// Deliveries: list, follow, show, retry, cancel
    Deliveries(deliveries::Deliveries),
    /// Endpoints: list, show, create, pause, resume, test, verify, rotate the secret, delete
    Endpoints(endpoints::Endpoints),
    /// Sources: list, show, create, delete
    Sources(sources::Sources),
    /// Requests that sources received: list, show, run again
    Requests(requests::Requests),
    /// Make an endpoint's past deliveries again
    Replay(replay::Replay),
    /// Forward a source's or an endpoint's traffic to a program on this machine
    Listen(listen::Listen),
    /// Write a tenant's whole configuration to a file
    Export(configuration::Export),
    /// Make a tenant's configuration what a file says
    Import(configuration::Import),
    /// Measure how fast a running server takes events
    Bench(bench::Bench),
    /// Look at what the server stands on, and say how to mend it
    Doctor(doctor::Doctor),
    /// Bring the database's schema up to date, before a start does
    Migrate(migrate::Migrate),
    /// Copy everything to another database, SQLite or PostgreSQL; the server must not run
    Copy(copy::Copy),
    /// Encrypt the secrets at rest with a new master key; the server must not run
    RotateMasterKey(config::Place),
    /// Copy the database to a file, while the server runs
    Backup(backup::Backup),
    /// Put a backup in place, where there is no database
    Restore(backup::Restore),
    /// Write, check, test and upload a plugin
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Print a script that completes commands in a shell
    Completions(generate::Completions),
    /// Print the manual page
    Man(generate::ManPage),
    /// Compile a component from standard input; the server runs this in a child
    /// process, because compiling strangers' code can take its process down
    #[command(hide = true)]
    Compile,
}

/// What the `hookyard` program does.
pub fn main() -> ExitCode {
    // For every client that does not bring its own. It fails only when somebody
    // has chosen one already, which is as good.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Cli::parse().command {
        Command::Serve(given) => on_runtime(given, |settings| Box::pin(serve(settings))),
        Command::Demo(given) => on_runtime(given, |settings| Box::pin(demo::run(settings))),
        Command::Migrate(migrate) => migrate.run(),
        Command::Copy(copy) => copy.run(),
        Command::RotateMasterKey(place) => master_key::rotate(place),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Send(send) => on_one_thread(send.run()),
        Command::Events(events) => on_one_thread(events.run()),
        Command::Deliveries(deliveries) => on_one_thread(deliveries.run()),
        Command::Endpoints(endpoints) => on_one_thread(endpoints.run()),
        Command::Sources(sources) => on_one_thread(sources.run()),
        Command::Requests(requests) => on_one_thread(requests.run()),
        Command::Replay(replay) => on_one_thread(replay.run()),
        Command::Listen(listen) => on_one_thread(listen.run()),
        Command::Export(export) => on_one_thread(export.run()),
        Command::Import(import) => on_one_thread(import.run()),
        Command::Bench(bench) => on_one_thread(bench.run()),
        Command::Doctor(doctor) => on_one_thread(doctor.run()),
        Command::Completions(completions) => completions.run(),
        Command::Man(page) => page.run(),
        Command::Plugin(command) => return plugin::run(command),
        Command::Compile => return sandbox::compile_child(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _closed = writeln!(io::stderr(), "hookyard: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why the program ended, for whoever typed its name.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// For commands that wait for one thing at a time.
fn on_one_thread(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

type Running = std::pin::Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

fn on_runtime(given: Given, run: impl FnOnce(Settings) -> Running) -> Result<(), Failure> {
    let mut settings = given.or(config::read_file(Path::new("hookyard.toml"))?).settle()?;
    let _log = telemetry::start();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        master_key::before_start(&mut settings).await?;
        run(settings).await
    })
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let listener = bind(&settings).await?;
    let address = listener.local_addr()?;
    let public_url = settings.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    if settings.public_url.is_none() && address.ip().is_unspecified() {
        tracing::warn!(
            url = public_url,
            "links and sources' URLs begin with an address that nobody can open: say HOOKYARD_PUBLIC_URL"
        );
    }
    let data = settings.data.clone();
    let host = Host::start(settings, Arc::new(SystemClock), public_url.clone()).await?;
    first_link::tell(&data, host.first_link().await?.as_deref())?;
    // Whoever reads that it is ready may tell it to stop.
    let told_to_stop = shutdown();
    tracing::info!(%address, url = public_url, operator_key = %data.join("operator.key").display(), "ready");
    Ok(host.serve(listener, told_to_stop).await?)
}

/// Bound before anything else is opened: a port that is taken is the commonest
/// reason not to start.
pub(crate) async fn bind(settings: &Settings) -> Result<TcpListener, Failure> {
    TcpListener::bind(settings.listen)
        .await
        .map_err(|error| Failure(format!("listen = `{}`: {error}", settings.listen)))
}

/// SIGTERM or Ctrl-C, heard from when this is called; a second one ends the process at
/// once.
pub(crate) fn shutdown() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut term), Ok(mut int)) = signals else {
            tracing::error!("signals cannot be listened for: only SIGKILL ends this process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            std::process::exit(1);
        });
    }
}
