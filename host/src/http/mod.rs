//! The doors: the API under `/v1`, inbound URLs, public keys, health.
//!
//! Handlers extract, parse, call and present. What sends is not reachable from
//! here: but for the handshake that a caller asks for, and for hosts that a step
//! was granted, an answer never waits for a receiver.

use std::sync::{Arc, OnceLock};

use axum::Router;

use crate::clock::Clock;
use crate::compose::Composer;
use crate::domain::dialect::Dialects;
use crate::domain::host::Membership;
use crate::domain::id::HostId;
use crate::domain::key::KeyHash;
use crate::domain::retention::Retention;
use crate::domain::sender::Senders;
use crate::domain::time::Timestamp;
use crate::domain::url::UrlPolicy;
use crate::handoff::Handoff;
use crate::intake::Intake;
use crate::oidc::Provider;
use crate::sandbox::Sandbox;
use crate::store::{Catalog, Hosts, Ledger, People, Picture};

pub mod api;
mod auth;
mod caretaker;
mod dashboard;
mod error;
mod exchange;
mod files;
mod framing;
mod guesses;
mod health;
mod inbound;
mod input;
mod jwks;
mod links;
mod metrics;
mod openapi;
mod page;
mod portal;
mod roles;
mod room;
pub mod server;
mod session;
mod sign_in;
mod traffic;
mod turns;

pub use guesses::Guesses;
pub(crate) use links::first as first_link;
pub use sign_in::Begun;
pub use traffic::Traffic;
pub use turns::Turns;

/// What handlers work with.
pub struct Parts {
    pub catalog: Arc<dyn Catalog>,
    pub ledger: Arc<dyn Ledger>,
    pub people: Arc<dyn People>,
    pub picture: Arc<Picture>,
    pub sandbox: Sandbox,
    pub intake: Arc<Intake>,
    pub handoff: Handoff,
    pub clock: Arc<dyn Clock>,
    pub operator: KeyHash,
    /// What source URLs begin with.
    pub public_url: String,
    pub urls: Arc<UrlPolicy>,
    /// How long this server keeps what happened.
    pub retention: Retention,
    pub dialects: Arc<Dialects>,
    pub senders: Arc<Senders>,
    pub composer: Composer,
    /// This server's host name, as receivers are told it.
    pub origin: String,
    /// Shadow runs.
    pub shadows: Turns,
    /// Who tries to sign in.
    pub guesses: Guesses,
    /// The operator's OpenID provider, where there is one, and who is on the way to
    /// it and back.
    pub provider: Option<Provider>,
    pub begun: Begun,
    /// Why it is not ready any more, for good.
    pub retired: OnceLock<String>,
    /// Among those that share the database.
    pub id: HostId,
    pub hosts: Arc<dyn Hosts>,
    pub membership: Membership,
    pub started_at: Timestamp,
    pub traffic: Arc<Traffic>,
}

/// The state of every handler.
pub type App = Arc<Parts>;

impl Parts {
    /// Answers `/readyz` with no from now on, and says why.
    pub fn retire(&self, why: String) {
        // Whoever was first has said the cause.
        let _retired_already = self.retired.set(why);
    }
}

/// Every route.
pub fn router(app: App) -> Router {
    let api = Router::new().nest("/v1", api::routes());
    // What the dashboard calls: the API and nothing else.
    let within = api.clone().fallback(error::no_such_route).method_not_allowed_fallback(error::no_such_method);
    Router::new()
        .merge(health::routes())
        .merge(inbound::routes())
        .merge(jwks::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
        .merge(api)
        .merge(dashboard::routes(app.clone(), within.with_state(app.clone())))
        .method_not_allowed_fallback(error::no_such_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), traffic::count))
        .with_state(app)
}
