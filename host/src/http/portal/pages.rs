//! Pages of several lists, laid together into one page, the newest first.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

/// What was found in each of the lists from one cursor on.
#[derive(Default)]
pub(super) struct Pages {
    found: Vec<Value>,
    /// The newest `next` of theirs: what is older was not looked for in all lists.
    floor: Option<String>,
    searched: Option<u64>,
}

impl Pages {
    pub(super) fn add(&mut self, page: &Value) {
        self.found.extend(page["items"].as_array().into_iter().flatten().cloned());
        self.floor = self.floor.take().max(page["next"].as_str().map(str::to_owned));
        self.searched = match page["searched"].as_u64() {
            Some(searched) => Some(searched + self.searched.unwrap_or(0)),
            None => self.searched,
        };
    }

    /// The first `limit` of what was found, by ids, which sort by age. What is older
    /// than the floor is found again from there on, with what may lie between.
    pub(super) fn laid(self, limit: usize) -> Response {
        let Self { mut found, floor, searched } = self;
        let id = |thing: &Value| thing["id"].as_str().unwrap_or_default().to_owned();
        found.retain(|thing| floor.as_ref().is_none_or(|floor| id(thing) >= *floor));
        found.sort_by_key(|thing| std::cmp::Reverse(id(thing)));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(id) } else { floor };
        let mut page = Map::from_iter([("items".to_owned(), json!(found)), ("next".to_owned(), json!(next))]);
        page.extend(searched.map(|searched| ("searched".to_owned(), json!(searched))));
        Json(page).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::*;

    fn page(ids: &[&str], next: Option<&str>) -> Value {
        let items: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        json!({"items": items, "next": next})
    }

    async fn check(pages: &[Value], expected: Value) {
        let mut laid = Pages::default();
        pages.iter().for_each(|page| laid.add(page));
        let (_, page) = answer::parts(laid.laid(2)).await;
        assert_eq!(page, expected, "{pages:?}");
    }

    #[tokio::test]
    async fn pages_are_laid_together_by_age() {
        check(&[], page(&[], None)).await;
        check(&[page(&["a"], None), page(&["c"], None)], page(&["c", "a"], None)).await;
        check(&[page(&["d", "a"], None), page(&["c"], None)], page(&["d", "c"], Some("c"))).await;
        // One list has more, and the other nothing.
        check(&[page(&["d", "c"], Some("c")), page(&[], None)], page(&["d", "c"], Some("c"))).await;
    }

    #[tokio::test]
    async fn what_is_older_than_what_was_looked_at_waits() {
        // Nothing was found so far, which is not nothing at all.
        check(&[page(&[], Some("f")), page(&[], None)], page(&[], Some("f"))).await;
        // Between `f` and `b` there may be more of the first list's.
        check(&[page(&["g"], Some("f")), page(&["b"], None)], page(&["g"], Some("f"))).await;
        check(&[page(&[], Some("d")), page(&["f"], Some("e"))], page(&["f"], Some("e"))).await;
        let looked = |next: &str, searched: u64| json!({"items": [], "next": next, "searched": searched});
        check(&[looked("d", 3000), looked("e", 40)], looked("e", 3040)).await;
    }
}
