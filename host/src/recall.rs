//! What a pipeline may know of its event's past: read before the sandbox is
//! entered, because the sandbox cannot reach the store, and only for plugins
//! that said that they want it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::chat::Chat;
use crate::domain::event::Event;
use crate::domain::pipeline::Pipeline;
use crate::sandbox::Past;
use crate::store::ledger::EventQuery;
use crate::store::picture::TenantPicture;
use crate::store::{Ledger, Picture, StoreError};

/// The capabilities, as `wit/history.wit` and a plugin's description name them.
const HISTORY: &str = "history";
const SUMMARIES: &str = "summaries";
/// At most this many earlier events are brought along.
const MAX_PAST: u32 = 50;

/// Reads a subject's earlier events.
#[derive(Clone)]
pub struct Recall {
    pub ledger: Arc<dyn Ledger>,
    pub picture: Arc<Picture>,
    pub chat: Option<Arc<Chat>>,
}

impl Recall {
    /// The past of `event`, as far as a step of `pipeline` wants it. The same
    /// whenever it is asked: what came later than the event is not in it.
    pub async fn past(&self, tenant: &TenantPicture, pipeline: &Pipeline, event: &Event) -> Result<Past, StoreError> {
        let wanted = self.capabilities(tenant, pipeline);
        let (Some(subject), false) = (&event.subject, wanted.is_empty()) else { return Ok(Past::default()) };
        let query = EventQuery {
            subject: Some(subject.clone()),
            older_than: Some(event.id),
            limit: MAX_PAST,
            ..EventQuery::default()
        };
        let events: Vec<Arc<Event>> =
            self.ledger.events(event.tenant, query).await?.into_iter().map(Arc::new).collect();
        let summary = match &self.chat {
            Some(chat) if wanted.contains(SUMMARIES) && !events.is_empty() => match chat.summary(&events).await {
                Ok(summary) => Some(summary),
                Err(error) => {
                    // The plugin makes one of its own.
                    tracing::warn!(event.id = %event.id, error = %error, "the language model gave no summary");
                    None
                }
            },
            _ => None,
        };
        Ok(Past { events, summary })
    }

    fn capabilities(&self, tenant: &TenantPicture, pipeline: &Pipeline) -> BTreeSet<String> {
        let house = self.picture.house();
        let mut wanted = BTreeSet::new();
        for step in &pipeline.steps {
            let versions = [&tenant.plugins, &*house];
            let plugin = versions.iter().find_map(|versions| {
                let plugin = versions.get(&step.plugin)?.get(&step.version)?;
                (plugin.digest == step.digest).then_some(plugin)
            });
            wanted.extend(plugin.into_iter().flat_map(|plugin| plugin.description.capabilities.iter().cloned()));
        }
        wanted.retain(|capability| [HISTORY, SUMMARIES].contains(&capability.as_str()));
        wanted
    }
}
