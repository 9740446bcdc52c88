//! What is new in a list of the API: asked for again and again, because that is
//! all it takes.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::remote::{Client, PAGE, Query, Trouble};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(400);
/// At most this many pages are looked through for what came since the last
/// question.
const MOST_PAGES: usize = 20;

/// A list's items as they were seen last.
pub(super) struct Watch<Key> {
    /// An item's id, and what of it makes it news when it changes.
    key: Key,
    seen: HashMap<String, String>,
    newest: String,
    /// What is older was in no page: when it comes into one, it is no news.
    floor: String,
}

impl<Key: Fn(&Value) -> (String, String)> Watch<Key> {
    pub(super) fn new(key: Key) -> Self {
        Self { key, seen: HashMap::new(), newest: String::new(), floor: String::new() }
    }

    /// What is there already is no news.
    pub(super) async fn begin(&mut self, client: &Client, noun: &str, query: Query<'_>) -> Result<(), Trouble> {
        let page = client.list(&[noun], query, PAGE).await?;
        self.remember(&page, PAGE);
        Ok(())
    }

    /// What came or changed since, the oldest first. Changes are seen in the
    /// newest page.
    pub(super) async fn news(&mut self, client: &Client, noun: &str, query: Query<'_>) -> Result<Vec<Value>, Trouble> {
        let mut pages = 1;
        let mut found = client.list(&[noun], query, PAGE).await?;
        // Ids sort by age: a full page of new ones may not be all of them.
        while pages < MOST_PAGES && found.len() == pages * PAGE && self.is_new(found.last()) {
            pages *= 2;
            found = client.list(&[noun], query, pages * PAGE).await?;
        }
        let is_news = |item: &&Value| {
            let (id, state) = (self.key)(item);
            match self.seen.get(&id) {
                Some(before) => *before != state,
                None => id > self.floor,
            }
        };
        let news = found.iter().filter(is_news).rev().cloned().collect();
        self.remember(&found, pages * PAGE);
        Ok(news)
    }

    fn is_new(&self, item: Option<&Value>) -> bool {
        item.is_some_and(|item| (self.key)(item).0 > self.newest)
    }

    /// `found` is all that there is when it is fewer than were asked for.
    fn remember(&mut self, found: &[Value], asked: usize) {
        self.seen = found.iter().map(&self.key).collect();
        if let Some(newest) = self.seen.keys().max().filter(|newest| **newest > self.newest) {
            self.newest.clone_from(newest);
        }
        let oldest = found.last().filter(|_| found.len() == asked);
        self.floor = oldest.map(|item| (self.key)(item).0).unwrap_or_default();
    }
}

/// Until the next question.
pub(super) async fn pause() {
    tokio::time::sleep(EVERY).await;
}
