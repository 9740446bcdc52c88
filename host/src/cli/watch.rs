//! What is new in a list of the API: asked for again and again, because that is
//! all it takes.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::remote::{Client, PAGE, Page, Query, Trouble};

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
    /// Where the newest page ended, which is its last item or the last that it
    /// looked at. What is older was not seen: when it comes into a page, it is no
    /// news.
    floor: String,
}

impl<Key: Fn(&Value) -> (String, String)> Watch<Key> {
    pub(super) fn new(key: Key) -> Self {
        Self { key, seen: HashMap::new(), floor: String::new() }
    }

    /// What is there already is no news.
    pub(super) async fn begin(&mut self, client: &Client, noun: &str, query: Query<'_>) -> Result<(), Trouble> {
        let page = client.page(&[noun], query, PAGE, None).await?;
        self.remember(&page.items, page.next);
        Ok(())
    }

    /// What came or changed since, the oldest first. Changes are seen in the
    /// newest page. However long the list is, and however little of it a filter
    /// lets through, what was behind that page is not looked at again.
    pub(super) async fn news(&mut self, client: &Client, noun: &str, query: Query<'_>) -> Result<Vec<Value>, Trouble> {
        let Page { items: mut found, next: end } = client.page(&[noun], query, PAGE, None).await?;
        let (mut pages, mut next) = (1, end.clone());
        // Ids sort by age: between the floor and this there may be more that is new.
        while pages < MOST_PAGES
            && let Some(cursor) = next.take_if(|next| *next > self.floor)
        {
            let page = client.page(&[noun], query, PAGE, Some(cursor)).await?;
            found.extend(page.items);
            next = page.next;
            pages += 1;
        }
        let is_news = |item: &&Value| {
            let (id, state) = (self.key)(item);
            match self.seen.get(&id) {
                Some(before) => *before != state,
                None => id > self.floor,
            }
        };
        let news = found.iter().filter(is_news).rev().cloned().collect();
        self.remember(&found, end);
        Ok(news)
    }

    /// Without an `end`, the page had all that there is.
    fn remember(&mut self, found: &[Value], end: Option<String>) {
        self.seen = found.iter().map(&self.key).collect();
        self.floor = end.unwrap_or_default();
    }
}

/// Until the next question.
pub(super) async fn pause() {
    tokio::time::sleep(EVERY).await;
}
