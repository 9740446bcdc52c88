//! A multi-tenant event router that its users program with WebAssembly.
//!
//! An event travels one way. Each stage hands the next a value that could not
//! exist had the stage failed:
//!
//! 1. [`http`] receives bytes and knows whose they are.
//! 2. [`intake`] turns them into events, a source's plugins helping in the
//!    [`sandbox`], and stores each with one delivery per endpoint that wants it.
//! 3. [`handoff`] passes fresh deliveries on in memory; the [`store`] is the
//!    queue for the rest.
//! 4. [`dispatch`] runs the endpoint's plugins, signs what they made, sends it,
//!    lets [`domain::delivery::settle`] decide what the outcome means, and
//!    writes that down.
//!
//! To see all of it at once, read `dispatch/attempt.rs`.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub mod activity;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod compose;
pub mod config;
mod demo;
pub mod dial;
pub mod dialects;
pub mod dispatch;
pub mod domain;
pub mod gate;
pub mod handoff;
pub mod hosts;
pub mod house;
pub mod http;
pub mod intake;
pub mod notices;
pub mod oidc;
pub mod reach;
pub mod recall;
pub mod sandbox;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod upkeep;

use activity::Activity;
use chat::Chat;
use clock::{Clock, mint};
use compose::Composer;
use config::Settings;
use dial::{Dialler, Names, SystemNames};
use dispatch::{Dispatch, InFlight, Sender};
use domain::database::Database;
use domain::dialect::Dialects;
use domain::host::Membership;
use domain::id::HostId;
use domain::limits::month;
use domain::notice::Notice;
use domain::retry::RetryPolicy;
use domain::sender::Senders;
use domain::usage::day;
use gate::Gate;
use handoff::lanes::Lanes;
use hosts::Member;
use intake::Intake;
use oidc::Provider;
use reach::Reach;
use recall::Recall;
use sandbox::{Sandbox, SandboxSettings};
use shutdown::Standing;
use store::engine::Failure;
use store::seal::Seal;
use store::{Catalog, Engine, Hosts, Ledger, People, Picture};
use telemetry::otlp::{self, Exporter};
use upkeep::Upkeep;

/// Deliveries in flight have this long to end once the server stops.
const DRAIN: Duration = Duration::from_secs(25);
/// What was not begun or has not ended is given back within this time, or runs out.
const GIVING_BACK: Duration = Duration::from_secs(5);
/// Until a first-party plugin that could not be had is tried again: what failed
/// was probably for want of memory or of room on the disk.
const MISSING: Duration = Duration::from_secs(60);

/// Why the server did not start.
#[derive(Debug)]
pub enum RunError {
    Data(PathBuf, std::io::Error),
    Store(Box<Database>, store::engine::OpenError),
    Catalogue(store::StoreError),
    Sandbox(sandbox::StartError),
    House(house::HouseError),
    Client(reqwest::Error),
    Dialects(dialects::LoadError),
    /// A task that goes on for as long as the server does has ended: a fault of ours.
    /// What it held is found again by the next start.
    Ended(&'static str),
    /// The disk failed while it served. What is on it is read again by a process
    /// that remembers nothing: start it anew.
    Disk,
    /// The database was given another master key while this host was not counted.
    MasterKey,
    /// A tenant or an endpoint speaks a dialect that is not there.
    NoSuchDialect {
        who: String,
        dialect: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(path, error) => write!(f, "the data directory {}: {error}", path.display()),
            Self::Store(database, error) => write!(f, "{database}: {}", telemetry::Chain(error)),
            Self::Catalogue(error) => write!(f, "the catalogue: {}", telemetry::Chain(error)),
            Self::Sandbox(error) => write!(f, "the sandbox: {error}"),
            Self::House(error) => write!(f, "{}", telemetry::Chain(error)),
            Self::Dialects(error) => write!(f, "the dialects: {error}"),
            Self::NoSuchDialect { who, dialect } => write!(
                f,
                "{who} speaks the dialect `{dialect}`, which is not there: put {dialect}.toml back into the directory \
                 that `dialects` names"
            ),
            Self::Ended(task) => write!(
                f,
                "`{task}` ended without being asked to, which it must not (a panic's message is on standard error), so \
                 nothing more is accepted; what was acknowledged is kept. Start again, and report it"
            ),
            Self::Disk => f.write_str(
                "the disk failed (the log has the cause), so nothing more is accepted; what was acknowledged is kept. \
                 Look after the disk and start again",
            ),
            Self::MasterKey => f.write_str(
                "the database was given another master key (`hookyard rotate-master-key`) while this host was away, so \
                 nothing more is accepted; what was acknowledged is kept. Start again with the new one",
            ),
            Self::Client(error) => write!(f, "the HTTP client: {}", telemetry::Chain(error)),
        }
    }
}

impl std::error::Error for RunError {}

/// A server that is set up and not serving yet.
pub struct Host {
    app: http::App,
    dispatch: Arc<Dispatch>,
    arrivals: handoff::Arrivals,
    noticed: mpsc::Receiver<Notice>,
    replays: mpsc::UnboundedReceiver<intake::replay::Job>,
    member: Member,
    store: Arc<dyn Engine>,
    door: config::Door,
    exporter: Option<Exporter>,
}

impl Host {
    /// Opens the store, makes the plugins ready and takes over what an earlier
    /// run left behind.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>, public_url: String) -> Result<Self, RunError> {
        Self::start_with_names(settings, clock, public_url, Arc::new(SystemNames)).await
    }

    /// The same, with names that stand for other addresses than the system says.
    pub async fn start_with_names(
        settings: Settings,
        clock: Arc<dyn Clock>,
        public_url: String,
        names: Arc<dyn Names>,
    ) -> Result<Self, RunError> {
        let (dialects, senders) = dialects::load(settings.dialects.as_deref()).map_err(RunError::Dialects)?;
        let seal = Seal::new(settings.master_key.bytes());
        let database = &settings.database;
        let failed = |error| RunError::Store(Box::new(database.clone()), error);
        let store = store::engine::open(database, seal).await.map_err(failed)?;
        let catalog: Arc<dyn Catalog> = store.clone();
        let ledger: Arc<dyn Ledger> = store.clone();
        let hosts: Arc<dyn Hosts> = store.clone();
        let membership = if hosts.is_alone() { Membership::default() } else { Membership::outside() };
        let sandbox = Sandbox::start(SandboxSettings {
            compiled_dir: settings.data.join("compiled"),
            mac_key: derive(&settings.master_key, b"compiled plugins"),
            compiler: settings.compiler.clone(),
            components: Arc::new(house::Shelf(catalog.clone())),
            own: house::digests().collect(),
            ..SandboxSettings::default()
        })
        .map_err(RunError::Sandbox)?;
        house::register(&*catalog, &sandbox, &*clock).await.map_err(RunError::House)?;
        // What changes while the picture is made is seen afterwards.
        let (seen, _) = hosts.changed(i64::MAX).await.map_err(RunError::Catalogue)?;
        let picture = Arc::new(Picture::load(&*catalog).await.map_err(RunError::Catalogue)?);
        let mut components = picture.digests();
        components.extend(house::digests());
        sandbox.keep_only(components).await;
        if hosts.is_alone() {
            // The database is locked for this process: whoever held claims is dead.
            let taken_over = ledger.take_over(clock.now()).await.map_err(RunError::Catalogue)?;
            if taken_over > 0 {
                tracing::info!(deliveries = taken_over, "took over deliveries that an earlier run had begun");
            }
        }
        all_speak(&picture, &dialects)?;
        let healths = ledger.healths().await.map_err(RunError::Catalogue)?;
        let lanes = Lanes::remembering(healths, membership.clone());
        let from = month(day(clock.now())).0;
        let counts = ledger.event_counts(from).await.map_err(RunError::Catalogue)?;
        let gate = Gate::remembering(counts, membership.clone());
        let member = Member {
            id: mint::<HostId>(clock.now()),
            hosts,
            catalog,
            ledger,
            picture,
            seen,
            lanes,
            sandbox,
            dialects: Arc::new(dialects),
            membership,
            clock,
        };
        Self::wire(settings, names, public_url, store, gate, Arc::new(senders), member)
    }

    fn wire(
        settings: Settings,
        names: Arc<dyn Names>,
        public_url: String,
        store: Arc<dyn Engine>,
        gate: Gate,
        senders: Arc<Senders>,
        member: Member,
    ) -> Result<Self, RunError> {
        let (catalog, ledger, picture) = (member.catalog.clone(), member.ledger.clone(), member.picture.clone());
        let (sandbox, dialects, clock) = (member.sandbox.clone(), member.dialects.clone(), member.clock.clone());
        let (handoff, arrivals) = handoff::handoff(member.lanes.clone());
        let (notices, noticed) = notices::notices();
        let (urls, door) = (Arc::new(settings.urls), settings.door);
        let (tracer, exporter) = otlp::tracer(settings.otlp.as_ref()).map_err(RunError::Client)?;
        let (activity, started_at) = (Activity::default(), clock.now());
        let people: Arc<dyn People> = store.clone();
        let provider = settings.oidc.map(Provider::new).transpose().map_err(RunError::Client)?;
        let chat = settings.chat.map(Chat::new).transpose().map_err(RunError::Client)?.map(Arc::new);
        let recall = Recall::new(ledger.clone(), picture.clone(), chat);
        let dialler = Arc::new(Dialler::new(urls.clone(), names, settings.egress.as_ref()));
        let reach = Reach::new(ledger.clone(), picture.clone(), dialler.clone());
        let composer = Composer { sandbox: sandbox.clone(), recall, reach: reach.clone() };
        let origin =
            url::Url::parse(&public_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let dispatch = Arc::new(Dispatch {
            ledger: ledger.clone(),
            catalog: catalog.clone(),
            picture: picture.clone(),
            sender: Sender::new(dialler, clock.clone()),
            clock: clock.clone(),
            lanes: handoff.lanes.clone(),
            in_flight: InFlight::default(),
            dialects: dialects.clone(),
            composer: composer.clone(),
            notices: notices.clone(),
            default_retry: RetryPolicy::default(),
            origin: origin.clone(),
            activity: activity.clone(),
            tracer: tracer.clone(),
        });
        let (replays, ordered) = mpsc::unbounded_channel();
        let intake = Arc::new(Intake {
            catalog: catalog.clone(),
            ledger: ledger.clone(),
            picture: picture.clone(),
            sandbox: sandbox.clone(),
            handoff: handoff.clone(),
            clock: clock.clone(),
            dialects: dialects.clone(),
            senders: senders.clone(),
            notices,
            gate,
            reach,
            replays,
            activity,
            tracer,
        });
        let app = Arc::new(http::Parts {
            catalog,
            ledger,
            people,
            picture,
            sandbox,
            intake,
            handoff,
            clock,
            operator: settings.operator_key.hash(),
            public_url,
            urls,
            retention: settings.retention,
            dialects,
            senders,
            composer,
            origin,
            shadows: http::Turns::default(),
            guesses: http::Guesses::default(),
            provider,
            begun: http::Begun::new(derive(&settings.master_key, b"sign-ins")),
            retired: OnceLock::new(),
            id: member.id,
            hosts: member.hosts.clone(),
            membership: member.membership.clone(),
            started_at,
            traffic: Arc::default(),
        });
        Ok(Self { app, dispatch, arrivals, noticed, replays: ordered, member, store, door, exporter })
    }

    /// Makes ready what takes long, as [`serve`](Self::serve) does while it
    /// serves.
    pub async fn prepare_rest(&self) -> Result<(), house::HouseError> {
        let app = &self.app;
        house::register_later(&app.picture, &*app.catalog, &app.sandbox, &*app.clock).await
    }

    /// The link with which somebody becomes the operator's first user, until one
    /// did. Those of earlier starts open nothing any more.
    pub async fn first_link(&self) -> Result<Option<String>, RunError> {
        http::first_link(&self.app).await.map_err(RunError::Catalogue)
    }

    /// Serves until `shutdown` is over, then drains: open exchanges end,
    /// deliveries in flight are settled, the store is closed. It does so by itself
    /// when a task is missing that it cannot do without. When the disk fails it ends
    /// at once: nothing can be settled any more.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { app, dispatch, arrivals, noticed, replays, member, store, door, exporter } = self;
        let (stop, stopped) = watch::channel(false);
        // Nobody hands over a delivery any more.
        let (all_in, over) = watch::channel(false);
        let mut standing = Standing::default();
        // The task that claims is begun in there, and takes this with it.
        let handoff = app.handoff.of_claimer(standing.presence("claiming"));
        let ends = (stopped.clone(), over);
        let dispatching = standing.spawn("dispatch", dispatch::run(dispatch, handoff, arrivals, ends, DRAIN));
        // What attempts in flight come to is still told.
        let (all_told, told) = watch::channel(false);
        let exporting = exporter.map(|exporter| standing.spawn("traces", exporter.run(told.clone())));
        let membership = member.membership.clone();
        // What is in flight takes its part until it has ended.
        let belonging = standing.spawn("hosts", hosts::run(member, stopped.clone(), told.clone()));
        let noticing = standing.spawn("notices", intake::notify::run(app.intake.clone(), noticed, told));
        let replaying =
            standing.spawn("replays", intake::replay::run(app.intake.clone(), membership, replays, stopped.clone()));
        let upkeep = standing.spawn("upkeep", upkeep::run(upkeep_of(&app), stopped.clone()));
        let preparing = standing.spawn("plugins", prepare_rest(app.clone()));
        let router = http::router(app.clone());
        let serving =
            standing.spawn("connections", http::server::serve(listener, router, door, app.traffic.clone(), stopped));
        let end = tokio::select! {
            () = shutdown => Ok(()),
            failure = store.failed() => Err(match failure {
                Failure::Disk => RunError::Disk,
                Failure::MasterKey => RunError::MasterKey,
            }),
            task = standing.first_ended() => Err(RunError::Ended(task)),
        };
        app.retire(match &end {
            Err(RunError::Ended(task)) => {
                tracing::error!(task, "a task ended without being asked to; the server cannot do without it");
                format!("`{task}` has ended")
            }
            Err(RunError::MasterKey) => "the database has another master key".to_owned(),
            _ => "stopping".to_owned(),
        });
        tracing::info!("stopping: no more connections, deliveries in flight end");
        // The next start begins it again.
        preparing.abort();
        // No receiver is left only when all three have ended already.
        let _all_ended = stop.send(true);
        let _served = serving.await;
        let _kept_up = upkeep.await;
        let _replayed = replaying.await;
        let _aborted = preparing.await;
        let _all_in = all_in.send(true);
        if matches!(end, Err(RunError::Disk)) {
            dispatching.abort();
        } else if tokio::time::timeout(DRAIN + GIVING_BACK, dispatching).await.is_err() {
            tracing::warn!("what was still in flight was not given back; it is taken over when its claims run out");
        }
        let _all_told = all_told.send(true);
        let _noticed = noticing.await;
        let _left = belonging.await;
        upkeep::count(&upkeep_of(&app)).await;
        drop(app);
        store.close().await;
        // Last: whoever does not wait that long has lost nothing of what is kept.
        if let Some(exporting) = exporting {
            let _exported = exporting.await;
        }
        tracing::info!("stopped");
        end
    }
}

fn upkeep_of(app: &http::App) -> Upkeep {
    let (catalog, ledger) = (app.catalog.clone(), app.ledger.clone());
    Upkeep {
        catalog,
        ledger,
        people: app.people.clone(),
        picture: app.picture.clone(),
        retention: app.retention,
        sandbox: app.sandbox.clone(),
        gate: app.intake.gate.clone(),
        activity: app.intake.activity.clone(),
        membership: app.membership.clone(),
        clock: app.clock.clone(),
    }
}

/// Makes ready what takes long, and then has nothing more to do. While that fails,
/// its steps wait and everything else goes on.
async fn prepare_rest(app: http::App) {
    while let Err(error) = house::register_later(&app.picture, &*app.catalog, &app.sandbox, &*app.clock).await {
        tracing::error!(error = %telemetry::Chain(&error), "a first-party plugin is missing; it is tried again");
        tokio::time::sleep(MISSING).await;
    }
    std::future::pending().await
}

/// Every dialect that somebody speaks is there.
fn all_speak(picture: &Picture, dialects: &Dialects) -> Result<(), RunError> {
    for part in picture.tenants() {
        let tenant = (format!("tenant {}", part.tenant.id), part.tenant.dialect.clone());
        let endpoint = |sealed: &store::picture::SealedEndpoint| {
            (format!("endpoint {} of tenant {}", sealed.endpoint.id, part.tenant.id), sealed.endpoint.dialect.clone())
        };
        let mut speakers = std::iter::once(tenant).chain(part.endpoints.values().map(endpoint));
        if let Some((who, dialect)) = speakers.find(|(_, dialect)| dialects.get(dialect).is_none()) {
            return Err(RunError::NoSuchDialect { who, dialect });
        }
    }
    Ok(())
}

/// A key of its own for each purpose, so that none of them gives another away.
fn derive(master: &config::MasterKey, purpose: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&master.bytes()).expect("HMAC takes a key of any length");
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}
