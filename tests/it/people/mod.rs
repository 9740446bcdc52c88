//! People: how they come in, what ends their being in, and what a portal's visitor
//! reaches. By HTTP, as a browser does it.

mod cookies;
mod forms;
mod links;
mod operators;
mod passwords;
mod portal;
mod portals;
mod secrecy;
mod sessions;
mod tab;
mod users;

use std::time::Duration;

use hookyard_tests::{Api, Host, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

use tab::Tab;

const HOUR: Duration = Duration::from_secs(60 * 60);
const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

/// A user of the tenant's, who has taken their link and chosen a password.
async fn user(host: &Host, admin: &Api, email: &str, role: &str) -> (Value, Tab) {
    let made = admin.post("/v1/users", json!({"email": email, "role": role})).await.expect(201);
    let mut tab = Tab::at(host);
    let shown = tab.post(text(&made["link"]), &[("password", PASSWORD)]).await;
    assert_eq!((shown.status, &*shown.location), (StatusCode::SEE_OTHER, "/"), "{}", shown.body);
    (made, tab)
}

fn at(user: &Value) -> String {
    format!("/v1/users/{}", text(&user["id"]))
}
