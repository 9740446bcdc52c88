//! Where strangers' code runs: components are admitted, compiled once, and run
//! with a fresh instance for every call.
//!
//! ```text
//! supply   gate -> compile, snapshot (a process of its own) -> cache -> plugin -> admit, example -> loaded
//! run      crew (queue, patient) -> run -> call -> guest, imports, past, effects, wasi
//! ```
//!
//! Knows nothing of secrets, of the store or of the network. What it runs may
//! ask for what lies [outside](Outside), where it is granted that. Limits and their reasons: [`Limits`].

mod admit;
mod cache;
mod call;
mod compile;
mod contract;
mod convert;
mod crew;
mod effects;
mod engine;
mod example;
mod fault;
mod gate;
mod guest;
mod imports;
mod limits;
mod loaded;
mod outside;
mod past;
mod patient;
mod places;
mod plugin;
mod queue;
mod run;
mod snapshot;
mod supply;
mod unfit;
mod wasi;

use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use tokio::sync::Semaphore;
use wasmtime::Engine;

use self::cache::CompiledDir;
use self::crew::Crew;
use self::engine::Role;
use self::fault::Failure;
use self::guest::Guest;
use self::loaded::{Loaded, Room};
use self::places::Places;
use self::plugin::Plugin;
use self::queue::Capacity;
use crate::domain::budget::Ceilings;
use crate::domain::id::TenantId;
use crate::domain::pipeline::Step;
use crate::domain::plugin::{Digest, Owner};
use crate::domain::time::Timestamp;
use crate::domain::usage::{PluginUse, Tally, Usage};

pub use self::admit::{Admitted, Rejected};
pub use self::compile::{SUBCOMMAND, compile_child};
pub use self::example::{Case, CaseRun, comparable};
pub use self::fault::{Fault, Limit};
pub use self::gate::GateError;
pub use self::limits::{Limits, MAX_COMPONENT};
pub use self::outside::{Nowhere, Outside};
pub use self::past::Past;
pub use self::places::Place;
pub use self::run::{EndpointJob, EndpointResult, EndpointRun, SourceJob, SourceResult, SourceRun};

/// How a sandbox is set up. Holds a key, so that it has no `Debug`.
#[derive(Clone)]
pub struct SandboxSettings {
    /// Where compiled components are kept.
    pub compiled_dir: PathBuf,
    /// Seals what is kept there.
    pub mac_key: [u8; 32],
    /// The program whose hidden subcommand is [`compile_child`].
    pub compiler: PathBuf,
    /// Plugins that run at the same time.
    pub threads: usize,
    pub limits: Limits,
    /// What was admitted, for what has to be compiled again.
    pub components: Arc<dyn Components>,
    /// The components that every tenant may use.
    pub own: HashSet<Digest>,
}

/// A component's bytes, some time later; nothing when there is no such one, or
/// when it cannot be read now.
pub type ComponentBytes = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// Where components are kept that were admitted before.
pub trait Components: Send + Sync {
    fn component(&self, digest: Digest) -> ComponentBytes;
}

/// No component was ever admitted.
pub struct NoComponents;

impl Components for NoComponents {
    fn component(&self, _digest: Digest) -> ComponentBytes {
        Box::pin(std::future::ready(None))
    }
}

impl Default for SandboxSettings {
    /// As many threads as there are cores, this program as its own compiler,
    /// and a key that no file was ever sealed with.
    fn default() -> Self {
        let mut mac_key = [0; 32];
        getrandom::fill(&mut mac_key).expect("the system has randomness");
        Self {
            compiled_dir: PathBuf::from("compiled"),
            mac_key,
            compiler: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("hookyard")),
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            limits: Limits::default(),
            components: Arc::new(NoComponents),
            own: HashSet::new(),
        }
    }
}

/// Why there is no sandbox.
#[derive(Debug)]
pub enum StartError {
    Engine(String),
    Threads(io::Error),
    Directory(PathBuf, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(why) => write!(f, "wasmtime does not start: {why}"),
            Self::Threads(error) => write!(f, "no threads for plugins: {error}"),
            Self::Directory(dir, error) => {
                write!(f, "compiled plugins cannot be kept in {}: {error}", dir.display())
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(_) => None,
            Self::Threads(error) | Self::Directory(_, error) => Some(error),
        }
    }
}

/// A plugin could not be called, and is not to blame. Later it may be.
#[derive(Debug)]
enum Unavailable {
    Busy,
    NotLoaded(Digest),
    Closed,
}

impl Unavailable {
    fn report(&self, tenant: TenantId) {
        match self {
            // Whoever calls says so, and there may be thousands a second.
            Self::Busy | Self::Closed => {}
            Self::NotLoaded(digest) => {
                tracing::warn!(tenant.id = %tenant, plugin.digest = %digest, "a step's plugin is not loaded");
            }
        }
    }
}

/// Why a configuration was not accepted.
#[derive(Debug)]
pub enum CheckFailure {
    /// What the plugin says is wrong with it.
    Issues(Vec<Issue>),
    /// The plugin misbehaved.
    Faulted(String),
    /// No plugin is to blame: the host has no room, or does not have it yet.
    Unavailable,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Dotted from the configuration's root; empty for all of it.
    pub path: String,
    pub message: String,
}

/// How the sandbox does.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Since the start.
    pub used: Usage,
    /// Calls that wait for a thread, and calls that have one.
    pub waiting: usize,
    pub running: usize,
    /// Plugins in memory.
    pub loaded: usize,
}

/// The one sandbox of the process. Clones share it.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    engine: Engine,
    crew: Crew,
    compiled: CompiledDir,
    compiler: PathBuf,
    admitting: Places,
    /// One compiler at a time: it takes every core as it is.
    compiling: Semaphore,
    limits: Arc<Limits>,
    tally: Mutex<Tally>,
    loaded: Mutex<Loaded<Plugin>>,
    components: Arc<dyn Components>,
    /// Plugins that are being read: each once, and they take turns.
    loading: Semaphore,
    /// Plugins that are compiled again. Whoever only has to be read does not
    /// wait for these.
    recompiling: Semaphore,
}

impl Sandbox {
    pub fn start(settings: SandboxSettings) -> Result<Self, StartError> {
        let SandboxSettings { compiled_dir, mac_key, compiler, threads, limits, components, own } = settings;
        let threads = threads.max(1);
        let engine =
            engine::engine(&Role::run(threads, &limits)).map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let compiled = CompiledDir::open(&compiled_dir, mac_key, &engine)
            .map_err(|error| StartError::Directory(compiled_dir, error))?;
        let room = Room { plugins: limits.loaded_plugins, bytes: limits.loaded_bytes };
        let capacity = Capacity { per_owner: limits.queue_per_owner, total: limits.queue };
        let crew = Crew::start(&engine, threads, capacity).map_err(StartError::Threads)?;
        Ok(Self(Arc::new(Shared {
            engine,
            crew,
            compiled,
            compiler,
            admitting: Places::new(),
            compiling: Semaphore::new(1),
            limits: Arc::new(limits),
            tally: Mutex::default(),
            loaded: Mutex::new(Loaded::new(room, own)),
            components,
            loading: Semaphore::new(threads),
            recompiling: Semaphore::new(1),
        })))
    }

    /// What a step's plugin thinks of its configuration, with what the step may
    /// use, and of doing the step's job with it.
    pub async fn check(&self, tenant: TenantId, step: &Step, ceilings: &Ceilings) -> Result<(), CheckFailure> {
        let plugin = self.plugin(step.digest).await.map_err(|_| CheckFailure::Unavailable)?;
        let (limits, config) = (self.0.limits.within(&step.budget, ceilings), step.config.clone());
        let job = step.job;
        let work = move || -> Result<Result<(), Vec<Issue>>, Failure> {
            let guest = || Guest::new(&limits, "check", Timestamp::from_millis(0));
            let checked = plugin.call_check(&config, guest(), &limits).result?;
            Ok(match checked {
                Ok(()) => {
                    unfit::issue(&plugin, job, &config, guest(), &limits).map_or(Ok(()), |issue| Err(vec![issue]))
                }
                Err(issues) => Err(convert::issues(issues)),
            })
        };
        match self.0.crew.run(Owner::Tenant(tenant), work).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(issues))) => Err(CheckFailure::Issues(issues)),
            Ok(Err(Failure::Fault(fault))) => Err(CheckFailure::Faulted(fault.message)),
            Ok(Err(Failure::NoRoom)) | Err(_) => Err(CheckFailure::Unavailable),
        }
    }

    /// What a plugin makes of one case, run as the gate runs its examples. None
    /// when it is not loaded, or the host has no room.
    pub async fn run_case(&self, digest: Digest, case: Case) -> Option<CaseRun> {
        let (plugin, limits) = (self.plugin(digest).await.ok()?, Arc::clone(&self.0.limits));
        self.0.crew.run(Owner::House, move || example::run(&plugin, &case, &limits)).await.ok()
    }

    /// What a source's pipeline makes of a request.
    pub async fn run_source(&self, job: SourceJob) -> SourceRun {
        let (tenant, limits) = (job.tenant, Arc::clone(&self.0.limits));
        let run = match self.plugins(&job.pipeline).await {
            Ok(plugins) => {
                let may_wait = job.pipeline.may_wait();
                self.0.run(tenant, may_wait, move || run::source(&plugins, job, &limits)).await
            }
            Err(unavailable) => Err(unavailable),
        };
        if let Ok(run) = &run {
            self.0.tally().add(tenant, &run.steps);
        }
        run.unwrap_or_else(|unavailable| {
            unavailable.report(tenant);
            SourceRun { steps: Vec::new(), result: SourceResult::Unavailable }
        })
    }

    /// What an endpoint's pipeline makes of an event.
    pub async fn run_endpoint(&self, job: EndpointJob) -> EndpointRun {
        self.run_endpoints(vec![job]).await.pop().unwrap_or_else(EndpointRun::unavailable)
    }

    /// What one pipeline makes of several events of its tenant, in one visit to
    /// a sandbox thread.
    pub async fn run_endpoints(&self, jobs: Vec<EndpointJob>) -> Vec<EndpointRun> {
        let Some(EndpointJob { tenant, pipeline, .. }) = jobs.first() else { return Vec::new() };
        let (tenant, count, may_wait) = (*tenant, jobs.len(), pipeline.may_wait());
        let limits = Arc::clone(&self.0.limits);
        let runs = match self.plugins(pipeline).await {
            Ok(plugins) => {
                let run = move |job| run::endpoint(&plugins, job, &limits);
                let work = move || jobs.into_iter().map(run).collect::<Vec<EndpointRun>>();
                self.0.run(tenant, may_wait, work).await
            }
            Err(unavailable) => Err(unavailable),
        };
        if let Ok(runs) = &runs {
            let mut tally = self.0.tally();
            runs.iter().for_each(|run: &EndpointRun| tally.add(tenant, &run.steps));
        }
        runs.unwrap_or_else(|unavailable| {
            unavailable.report(tenant);
            std::iter::repeat_with(EndpointRun::unavailable).take(count).collect()
        })
    }

    /// What was used since this was asked last. Whoever cannot write it down
    /// puts it back.
    pub fn take_use(&self) -> Vec<PluginUse> {
        self.0.tally().take()
    }

    pub fn put_back_use(&self, uses: Vec<PluginUse>) {
        self.0.tally().put_back(uses);
    }

    /// What one tenant used and is not written down yet.
    pub fn used_by(&self, tenant: TenantId) -> Vec<PluginUse> {
        self.0.tally().of(tenant)
    }

    pub fn vitals(&self) -> Vitals {
        let (waiting, running) = self.0.crew.load();
        Vitals { used: self.0.tally().total(), waiting, running, loaded: self.0.loaded().len() }
    }
}

impl Shared {
    /// What `work` comes to, where nobody waits with it who need not.
    async fn run<R: Send + 'static>(
        &self,
        tenant: TenantId,
        may_wait: bool,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Unavailable> {
        let owner = Owner::Tenant(tenant);
        if may_wait { self.crew.run_patiently(owner, work).await } else { self.crew.run(owner, work).await }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        // Counting cannot panic half-way.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded<Plugin>> {
        // Nothing that can panic runs under the lock.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
