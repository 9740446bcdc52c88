//! What plugins reach outside of the sandbox: signatures with the tenant's named
//! secrets, the state that steps keep, and other hosts. Whether a step may was
//! decided in the sandbox, which has neither secrets nor store nor network.
//!
//! Called on a sandbox thread, which waits here for the runtime's answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::dial::Dialler;
use crate::domain::id::TenantId;
use crate::domain::outgoing::{HttpError, Incoming, Outgoing};
use crate::domain::place::PlaceId;
use crate::domain::state::{Entry, StateError, StepRef, Values};
use crate::sandbox::Outside;
use crate::store::{Ledger, Picture, Reply, StoreError};

mod exchange;

/// One request, and one operation on a step's state, take no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that one pipeline asks for takes no longer: its delivery is claimed for
/// 45 s, and its own attempt needs 15 of them.
const PATIENCE_PER_RUN: Duration = Duration::from_secs(15);

/// Makes ways out of the sandbox. Clones share what lies there.
#[derive(Clone)]
pub struct Reach(Arc<Parts>);

struct Parts {
    ledger: Arc<dyn Ledger>,
    picture: Arc<Picture>,
    dialler: Arc<Dialler>,
    runtime: Handle,
}

impl Reach {
    /// To be made where the server's tasks run.
    pub fn new(ledger: Arc<dyn Ledger>, picture: Arc<Picture>, dialler: Arc<Dialler>) -> Self {
        Self(Arc::new(Parts { ledger, picture, dialler, runtime: Handle::current() }))
    }

    /// What one run of the pipeline at `place` reaches.
    pub fn run(&self, tenant: TenantId, place: PlaceId) -> Arc<dyn Outside> {
        self.way(tenant, State::Kept(place), true)
    }

    /// What a preview reaches: the secrets; the state of `place`, if any, which
    /// it sees itself change and leaves as it was; other hosts if `http`.
    pub fn preview(&self, tenant: TenantId, place: Option<PlaceId>, http: bool) -> Arc<dyn Outside> {
        self.way(tenant, State::Rehearsed { place, steps: Mutex::default() }, http)
    }

    fn way(&self, tenant: TenantId, state: State, http: bool) -> Arc<dyn Outside> {
        let parts = Arc::clone(&self.0);
        Arc::new(Run { parts, tenant, state, http, patience: Mutex::new(PATIENCE_PER_RUN) })
    }
}

/// One run of one pipeline.
struct Run {
    parts: Arc<Parts>,
    tenant: TenantId,
    state: State,
    http: bool,
    /// How long it may still wait.
    patience: Mutex<Duration>,
}

enum State {
    Kept(PlaceId),
    /// What the run's steps would have kept.
    Rehearsed {
        place: Option<PlaceId>,
        steps: Mutex<BTreeMap<StepRef, Values>>,
    },
}

impl Run {
    /// What `asked` comes to, if it does in time.
    fn wait<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        let mut patience = lock(&self.patience);
        let (began, limit) = (Instant::now(), PATIENCE.min(*patience));
        let answer = self.parts.runtime.block_on(async { tokio::time::timeout(limit, asked).await.ok() });
        *patience = patience.saturating_sub(began.elapsed());
        answer
    }

    fn stored<T>(&self, reply: Reply<'_, T>) -> Result<T, StateError> {
        match self.wait(reply) {
            Some(Ok(answer)) => Ok(answer),
            // Deleted while the run was on its way.
            Some(Err(StoreError::NotFound)) => {
                Err(StateError::Unavailable("the endpoint or source of this step is gone".to_owned()))
            }
            Some(Err(error)) => {
                tracing::error!(tenant.id = %self.tenant, error = %error, "a step's state could not be reached");
                Err(StateError::Unavailable("the host cannot reach it now; try again later".to_owned()))
            }
            None => Err(StateError::Unavailable("it took too long; a change may have been made".to_owned())),
        }
    }

    /// What `act` does to a copy of what `step` keeps.
    fn rehearse<T>(
        &self,
        place: Option<PlaceId>,
        steps: &Mutex<BTreeMap<StepRef, Values>>,
        step: &StepRef,
        act: impl FnOnce(&mut Values) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut steps = lock(steps);
        if let Some(values) = steps.get_mut(step) {
            return act(values);
        }
        let kept = match place {
            Some(place) => self.stored(self.parts.ledger.step_entries(self.tenant, place, step))?,
            None => BTreeMap::new(),
        };
        act(steps.entry(step.clone()).or_insert(Values::new(kept)))
    }
}

impl Outside for Run {
    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Option<[u8; 32]> {
        let tenant = self.parts.picture.tenant(self.tenant)?;
        tenant.secrets.get(secret).map(|named| named.hmac_sha256(data))
    }

    fn get(&self, step: &StepRef, key: &str) -> Result<Option<Entry>, StateError> {
        match &self.state {
            State::Kept(place) => self.stored(self.parts.ledger.step_entry(self.tenant, *place, step, key)),
            State::Rehearsed { place, steps } => self.rehearse(*place, steps, step, |values| Ok(values.get(key))),
        }
    }

    fn put(&self, step: &StepRef, key: &str, value: Vec<u8>, expected: Option<u32>) -> Result<u32, StateError> {
        match &self.state {
            State::Kept(place) => {
                self.stored(self.parts.ledger.put_step_entry(self.tenant, *place, step, key, value, expected))?
            }
            State::Rehearsed { place, steps } => {
                self.rehearse(*place, steps, step, |values| values.put(key, value, expected))
            }
        }
    }

    fn delete(&self, step: &StepRef, key: &str, expected: Option<u32>) -> Result<(), StateError> {
        match &self.state {
            State::Kept(place) => {
                self.stored(self.parts.ledger.delete_step_entry(self.tenant, *place, step, key, expected))?
            }
            State::Rehearsed { place, steps } => {
                self.rehearse(*place, steps, step, |values| values.delete(key, expected))
            }
        }
    }

    fn send(&self, request: Outgoing) -> Result<Incoming, HttpError> {
        if !self.http {
            return Err(HttpError::Denied("not in a preview; ask for it with `\"http\": true`".to_owned()));
        }
        let began = Instant::now();
        let answer = self.wait(exchange::exchange(&self.parts.dialler, &request)).unwrap_or(Err(HttpError::Timeout));
        tracing::info!(
            tenant.id = %self.tenant, host = request.url.authority(), method = request.method,
            status = answer.as_ref().ok().map(|incoming| incoming.status),
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "a plugin's request: {}", exchange::outcome(&answer),
        );
        answer
    }
}

/// A run has one thread; a lock that a panic poisoned guards nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
