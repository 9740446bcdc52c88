//! What a pipeline may know of its event's past: read before the sandbox is
//! entered, because the sandbox cannot reach the store, and only for plugins
//! that said that they want it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::chat::Chat;
use crate::domain::event::Event;
use crate::domain::grants::Capability;
use crate::domain::id::TenantId;
use crate::domain::pipeline::Pipeline;
use crate::sandbox::Past;
use crate::store::ledger::EventQuery;
use crate::store::picture::TenantPicture;
use crate::store::{Ledger, Picture, StoreError};

/// At most this many earlier events are brought along, none of them larger.
const MAX_PAST: u32 = 50;
const MAX_DATA: u32 = 64 * 1024;
/// At most this many pasts are in memory, and of one tenant: whoever wants more
/// waits, before anything is read or a model is asked.
const ROOM: usize = 32;
const ROOM_PER_TENANT: usize = 4;

/// Reads a subject's earlier events.
#[derive(Clone)]
pub struct Recall {
    ledger: Arc<dyn Ledger>,
    picture: Arc<Picture>,
    chat: Option<Arc<Chat>>,
    room: Arc<Semaphore>,
    tenants: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
}

/// The room that a past takes up until its pipeline has run.
#[derive(Default)]
pub struct Room {
    _held: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Recall {
    pub fn new(ledger: Arc<dyn Ledger>, picture: Arc<Picture>, chat: Option<Arc<Chat>>) -> Self {
        Self { ledger, picture, chat, room: Arc::new(Semaphore::new(ROOM)), tenants: Arc::default() }
    }

    /// The past of `event`, as far as a step of `pipeline` wants it. The same
    /// whenever it is asked: what came later than the event is not in it.
    pub async fn past(
        &self,
        tenant: &TenantPicture,
        pipeline: &Pipeline,
        event: &Event,
    ) -> Result<(Past, Room), StoreError> {
        let wanted = self.capabilities(tenant, pipeline);
        let (Some(subject), false) = (&event.subject, wanted.is_empty()) else {
            return Ok((Past::default(), Room::default()));
        };
        let room = self.enter(event.tenant).await;
        let query = EventQuery {
            subject: Some(subject.clone()),
            // Accounts may call their subjects alike.
            account: event.account.clone(),
            without_account: event.account.is_none(),
            older_than: Some(event.id),
            max_data: Some(MAX_DATA),
            with_data: true,
            limit: MAX_PAST,
            ..EventQuery::default()
        };
        let events: Vec<Arc<Event>> =
            self.ledger.events(event.tenant, query).await?.items.into_iter().map(Arc::new).collect();
        let summary = match &self.chat {
            Some(chat) if wanted.contains(&Capability::Summaries) && !events.is_empty() => {
                match chat.summary(&events).await {
                    Ok(summary) => Some(summary),
                    Err(error) => {
                        // The plugin makes one of its own.
                        tracing::warn!(event.id = %event.id, error = %error, "the language model gave no summary");
                        None
                    }
                }
            }
            _ => None,
        };
        Ok((Past { events, summary }, room))
    }

    /// Whether a step of `pipeline` may see what came before.
    pub fn is_wanted(&self, tenant: &TenantPicture, pipeline: &Pipeline) -> bool {
        !self.capabilities(tenant, pipeline).is_empty()
    }

    /// First the tenant's own room: one that waits there keeps nobody out.
    async fn enter(&self, tenant: TenantId) -> Room {
        let own = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.retain(|_, room| Arc::strong_count(room) > 1 || room.available_permits() < ROOM_PER_TENANT);
            tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(ROOM_PER_TENANT))).clone()
        };
        // They are never closed.
        let own = own.acquire_owned().await.ok();
        let all = self.room.clone().acquire_owned().await.ok();
        Room { _held: own.zip(all) }
    }

    fn capabilities(&self, tenant: &TenantPicture, pipeline: &Pipeline) -> BTreeSet<Capability> {
        let house = self.picture.house();
        let mut wanted = BTreeSet::new();
        for step in &pipeline.steps {
            let versions = [&tenant.plugins, &*house];
            let plugin = versions.iter().find_map(|versions| {
                let plugin = versions.get(&step.plugin)?.get(&step.version)?;
                (plugin.digest == step.digest).then_some(plugin)
            });
            let named = plugin.into_iter().flat_map(|plugin| &plugin.description.capabilities);
            let granted = named.filter_map(|name| Capability::named(name)).filter(|one| step.grants.has(*one));
            wanted.extend(granted);
        }
        wanted.retain(|capability| matches!(capability, Capability::History | Capability::Summaries));
        wanted
    }
}
