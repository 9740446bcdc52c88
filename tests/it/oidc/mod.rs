//! Sign-in by the operator's OpenID provider: with one that other people wrote, and
//! with one of ours that does what it must not.

mod faulty;
mod here;
mod in_browser;
mod real;
mod set_up;
mod there;
mod visitor;

use std::sync::Arc;

use hookyard::domain::oidc::OidcSettings;
use hookyard::domain::secret::Secret;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Api, Host};
use serde_json::json;

use visitor::{Shown, Visitor};

const CLIENT: &str = "hookyard";
/// With letters that two encodings treat differently.
const CLIENT_SECRET: &str = "hush: 100% + more/=";
const JANE: &str = "jane@example.com";

fn settings(issuer: &str) -> OidcSettings {
    OidcSettings {
        issuer: issuer.parse().expect("an issuer"),
        client_id: CLIENT.to_owned(),
        client_secret: Arc::new(Secret::stored(CLIENT_SECRET.to_owned())),
        name: "Example ID".to_owned(),
        email_claim: "email".to_owned(),
    }
}

async fn host(issuer: &str) -> Host {
    Host::start_as(local(), Extra { oidc: Some(settings(issuer)), ..Extra::default() }).await
}

/// A user who never took their link: they have no password.
async fn add(admin: &Api, email: &str) {
    let made = admin.post("/v1/users", json!({"email": email, "role": "member"})).await.expect(201);
    assert_eq!(made["has_password"], false);
}

/// Where the provider is to send people back to.
fn redirect_uri(base: &str) -> String {
    format!("{base}/sign-in/oidc/callback")
}

/// Not let in, and told why on the page where one signs in.
#[track_caller]
fn refused(visitor: &Visitor, shown: &Shown, status: u16, why: &str) {
    assert_eq!(shown.status, status, "{}", shown.body);
    assert!(shown.body.contains(why) && shown.body.contains("name=\"password\""), "{}", shown.body);
    assert!(!visitor.has_cookie("hookyard"), "{}", shown.url);
}
