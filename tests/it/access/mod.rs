//! How the host proves to receivers who is calling, and how it gets there: logins,
//! tokens, certificates, and the operator's proxy. Nothing secret is ever shown.

mod egress;
mod login;
mod secrecy;
mod tls;
mod token;

use std::time::Duration;

use hookyard::domain::address::AddressPolicy;
use hookyard::domain::url::UrlPolicy;
use hookyard_tests::host::local;
use hookyard_tests::{Api, Receiver, list, text};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// All of loopback: a machine's `localhost` may be either.
fn loopback() -> UrlPolicy {
    let networks = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().expect("a network"));
    UrlPolicy { addresses: AddressPolicy::allowing(networks.to_vec()), ..local() }
}

async fn publish(tenant: &Api) -> String {
    tenant.publish(json!({"type": "a.b", "data": 1})).await
}

fn path(endpoint: &Value) -> String {
    format!("/v1/endpoints/{}", text(&endpoint["id"]))
}

/// An endpoint at the receiver with one try, so that what fails is dead at once.
async fn once(tenant: &Api, receiver: &Receiver, more: Value) -> Value {
    let mut form = json!({"retry": {"schedule": []}});
    form.as_object_mut().expect("a form").extend(more.as_object().expect("fields").clone());
    tenant.endpoint(&receiver.url(), form).await
}

/// What the only attempt of an event's only delivery came to, once it is dead.
async fn failure(tenant: &Api, event: &str) -> (String, String) {
    let delivery = tenant.delivery_in(event, "dead").await;
    let [attempt] = &list(&delivery["attempts"])[..] else { panic!("one attempt: {delivery}") };
    (text(&attempt["outcome"]).to_owned(), text(&attempt["error"]).to_owned())
}
