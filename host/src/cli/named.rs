//! What a tenant sets up under a name: endpoints and sources. Each is given by its
//! id or its name.

use reqwest::Method;
use serde_json::Value;

use super::Failure;
use super::remote::{Client, Trouble};
use super::screen::{answer, cell, clean, confirm, print};
use super::table::columns;

/// A list of such things.
pub(super) struct Named {
    list: &'static str,
    prefix: &'static str,
}

pub(super) const ENDPOINTS: Named = Named { list: "endpoints", prefix: "ep_" };
pub(super) const SOURCES: Named = Named { list: "sources", prefix: "src_" };

impl Named {
    /// The id of the one that is given.
    pub(super) async fn id(&self, client: &Client, given: &str) -> Result<String, Failure> {
        if given.starts_with(self.prefix) {
            return Ok(given.to_owned());
        }
        let all = self.all(client).await?;
        match all.iter().find(|one| one["name"] == given).and_then(|one| one["id"].as_str()) {
            Some(id) => Ok(id.to_owned()),
            None => Err(Failure(format!("there is nothing called `{}` in `hookyard {}`", clean(given), self.list))),
        }
    }

    /// The same, where one is given.
    pub(super) async fn id_if(&self, client: &Client, given: Option<String>) -> Result<Option<String>, Failure> {
        match given {
            Some(given) => self.id(client, &given).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn all(&self, client: &Client) -> Result<Vec<Value>, Trouble> {
        client.list(&[self.list], &[], usize::MAX).await
    }

    /// Prints every field of one, in a line of its own.
    pub(super) async fn show(&self, client: &Client, given: &str, as_json: bool) -> Result<(), Failure> {
        let id = self.id(client, given).await?;
        let found = client.get(&[self.list, &id], &[]).await?;
        answer(&found, as_json, |found| {
            let rows = found.as_object().into_iter().flatten();
            columns(&rows.map(|(name, _)| vec![name.clone(), cell(found, name)]).collect::<Vec<_>>())
        })
    }

    /// Deletes the one with this id, once somebody has said yes to `question`.
    pub(super) async fn delete(&self, client: &Client, id: &str, question: &str, yes: bool) -> Result<(), Failure> {
        confirm(question, yes)?;
        client.call(Method::DELETE, &[self.list, id], None).await?;
        print(&format!("{id} is deleted\n"))
    }
}
