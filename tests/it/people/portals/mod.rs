//! Portals beside others: other accounts, other tenants, whoever made them, and who
//! else is at the same browser.

mod apart;
mod ends;
mod few;
mod lured;
mod offered;

use hookyard_tests::{Api, Host, text};
use serde_json::Value;

use super::Tab;

/// Somebody who has opened a new portal's link.
async fn portal(host: &Host, tenant: &Api, form: Value) -> Tab {
    let mut tab = Tab::at(host);
    assert_eq!(tab.get(&link(tenant, form).await).await.status, 303);
    tab
}

/// The portal's link that a page shows.
fn shown_link(html: &str) -> String {
    let html = plain(html);
    html.split(['"', '<', '>']).find(|part| part.contains("/portal/")).expect("a link is shown").to_owned()
}

/// What is between the signs of markup, with slashes as they are.
fn plain(html: &str) -> String {
    html.replace("&#x2f;", "/")
}

/// A new portal's link.
async fn link(tenant: &Api, form: Value) -> String {
    text(&tenant.post("/v1/portal-sessions", form).await.expect(201)["url"]).to_owned()
}
