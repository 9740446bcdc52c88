//! Versions of plugins, which have other numbers in another tenant: by their
//! digests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::remote::{Client, Trouble};
use super::super::screen::{clean, note};
use super::file::Document;

/// A server's versions of one plugin, the newest first.
type Versions = BTreeMap<String, Vec<Value>>;

/// What the steps of these lists pin, for the file.
pub(super) async fn pinned(client: &Client, lists: &Document) -> Result<Vec<Value>, Trouble> {
    let mut used = BTreeSet::new();
    for step in steps(lists) {
        if let (Some(name), Some(version)) = (step["plugin"].as_str(), step["version"].as_u64()) {
            used.insert((name.to_owned(), version));
        }
    }
    let versions = versions(client, used.iter().map(|(name, _)| name.clone()).collect()).await?;
    let pinned = used.into_iter().filter_map(|(name, version)| {
        let found = versions.get(&name)?.iter().find(|one| one["version"] == version)?;
        Some(json!({"name": name, "version": version, "digest": found["digest"], "first_party": found["first_party"]}))
    });
    Ok(pinned.collect())
}

/// Gives every step of the file the number that its version has on this server,
/// or says what is to be uploaded first.
pub(super) async fn resolve(client: &Client, document: &mut Document) -> Result<(), super::Failure> {
    let digests: BTreeMap<(String, u64), Value> = listed(document).collect();
    let names = steps(document).filter_map(|step| step["plugin"].as_str().map(str::to_owned)).collect();
    let versions = versions(client, names).await?;
    let mut missing = BTreeSet::new();
    for step in steps_mut(document) {
        let (Some(name), Some(version)) = (step["plugin"].as_str().map(str::to_owned), step["version"].as_u64()) else {
            continue;
        };
        let digest = digests.get(&(name.clone(), version));
        let here = versions.get(&name).map(Vec::as_slice).unwrap_or_default();
        let same = |one: &&Value| digest.map_or_else(|| one["version"] == version, |digest| one["digest"] == *digest);
        match (here.iter().find(same), here.first()) {
            (Some(found), _) => step["version"] = found["version"].clone(),
            (None, Some(newest)) if newest["first_party"] == true => {
                note(&format!("This server has another `{}` than the file: its newest is taken.", clean(&name)));
                step["version"] = newest["version"].clone();
            }
            (None, _) => {
                let digest = digest.and_then(Value::as_str).map(|digest| format!(" ({})", clean(digest)));
                missing.insert(format!("`{}` version {version}{}", clean(&name), digest.unwrap_or_default()));
            }
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => {
            let all = missing.into_iter().collect::<Vec<_>>().join(", ");
            Err(super::Failure(format!(
                "steps use plugins that are not here: {all}; `hookyard plugin push` uploads them"
            )))
        }
    }
}

async fn versions(client: &Client, names: BTreeSet<String>) -> Result<Versions, Trouble> {
    let mut versions = Versions::new();
    for name in names {
        match client.get(&["plugins", &name], &[]).await {
            Ok(mut plugin) => {
                if let Value::Array(all) = plugin["versions"].take() {
                    versions.insert(name, all);
                }
            }
            Err(Trouble::Problem(problem)) if problem.status == 404 => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(versions)
}

/// What the file says of its plugins.
fn listed(document: &Document) -> impl Iterator<Item = ((String, u64), Value)> + '_ {
    let list = document.get("plugins").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| Some(((one["name"].as_str()?.to_owned(), one["version"].as_u64()?), one["digest"].clone())))
}

fn steps(document: &Document) -> impl Iterator<Item = &Value> {
    let lists = ["sources", "endpoints"].into_iter().filter_map(|list| document.get(list)?.as_array());
    lists.flatten().filter_map(|item| item["steps"].as_array()).flatten()
}

fn steps_mut(document: &mut Document) -> impl Iterator<Item = &mut Value> {
    let lists = document.iter_mut().filter(|(list, _)| matches!(list.as_str(), "sources" | "endpoints"));
    let items = lists.filter_map(|(_, list)| list.as_array_mut()).flatten();
    items.filter_map(|item| item.get_mut("steps")?.as_array_mut()).flatten()
}
