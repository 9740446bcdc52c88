//! `hookyard demo`: the server, a sample tenant, a receiver of its own, and an
//! order that arrives at an inbound URL, is mapped, signed and delivered before
//! the eyes of whoever typed it.
//!
//! Everything goes through the public API, as a user's program would do it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt::Write as _, io, io::Write as _};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::Host;
use crate::cli::{Failure, bind, shutdown};
use crate::clock::{Clock as _, SystemClock, random};
use crate::config::{Door, Settings};
use crate::dialects;
use crate::domain::evidence::Evidence;
use crate::domain::header::Header;
use crate::domain::tenant::DEFAULT_DIALECT;
use crate::domain::verification::{Judgement, Options, Verification};
use crate::http::server;

/// The order of the DMHub page: what an ordering system would send.
const ORDER: &str = r#"{"event":"order.placed","customer":{"phone":"+1 (202) 555-1234","email":"jane@example.com","name":"Jane Smith"},"data":{"order_id":"ORD-789","total":49.99}}"#;

/// The delivered request is waited for this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the receiver got.
struct Arrived {
    headers: HeaderMap,
    body: Bytes,
}

/// Runs the demonstration, then goes on serving until it is stopped.
pub(crate) async fn run(mut settings: Settings) -> Result<(), Failure> {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let receiver = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let receiver_address = receiver.local_addr()?;
    settings.urls.own_receiver = Some(receiver_address);
    let listener = bind(&settings).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let operator_key = settings.operator_key.reveal().to_owned();
    let public_url = settings.public_url.clone().unwrap_or_else(|| base.clone());
    let host = Host::start(settings, Arc::new(SystemClock), public_url).await?;

    let (stop, stopped) = watch::channel(false);
    let receiving =
        tokio::spawn(server::serve(receiver, receiver_routes(arrived), Door::default(), Arc::default(), stopped));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve(listener, async {
        tokio::select! {
            () = shutdown() => {}
            // The demonstration went wrong: there is nothing to stay up for.
            Ok(()) = ended => {}
        }
    }));

    let story = Story { client: reqwest::Client::builder().no_proxy().build()?, base, receiver_address };
    if let Err(failure) = story.tell(&operator_key, &mut arrivals).await {
        // Nobody waits for it when the server has stopped already.
        let _stopping = end.send(());
        let _stopped = serving.await;
        return Err(failure);
    }
    let served = serving.await;
    let _receiver_stops = stop.send(true);
    let _received = receiving.await;
    Ok(served??)
}

fn receiver_routes(arrived: mpsc::Sender<Arrived>) -> Router {
    async fn receive(State(arrived): State<mpsc::Sender<Arrived>>, headers: HeaderMap, body: Bytes) -> StatusCode {
        // Later orders of the user's own are received too, and not shown.
        let _first_only = arrived.try_send(Arrived { headers, body });
        StatusCode::NO_CONTENT
    }
    Router::new().route("/hooks", post(receive)).with_state(arrived)
}

struct Story {
    client: reqwest::Client,
    base: String,
    receiver_address: SocketAddr,
}

impl Story {
    async fn tell(&self, operator_key: &str, arrivals: &mut mpsc::Receiver<Arrived>) -> Result<(), Failure> {
        let suffix = u32::from_le_bytes(random());
        let tenant = self.post("/v1/tenants", operator_key, &json!({"name": format!("Demo {suffix:08x}")})).await?;
        let key = text(&tenant, "key")?;
        let users = format!("/v1/tenants/{}/users", text(&tenant, "id")?);
        let you = json!({"email": "you@example.com", "name": "You", "role": "admin"});
        let user = self.post(&users, operator_key, &you).await?;
        say(&format!("1. A tenant, {}, with a key of its own", text(&tenant, "id")?));

        let source = self.post("/v1/sources", key, &source_form()).await?;
        let url = text(&source, "url")?;
        say(&format!("2. A source: orders arrive at\n   {url}"));

        let form = endpoint_form(&format!("http://{}/hooks", self.receiver_address));
        let endpoint = self.post("/v1/endpoints", key, &form).await?;
        say(&format!(
            "3. An endpoint that wants orders, but none that are refunded, at\n   {}",
            text(&endpoint, "url")?
        ));

        say(&format!("4. An order arrives\n{}", indented(ORDER.as_bytes())));
        let path = url.split_once("/in/").map_or("", |(_, token)| token);
        let receipt = self.post_text(&format!("/in/{path}"), ORDER).await?;
        let event =
            receipt["event_ids"][0].as_str().ok_or_else(|| Failure(format!("no event came of it: {receipt}")))?;

        let arrived = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
        let Ok(Some(arrived)) = arrived else {
            return Err(Failure("the order was not delivered in time; see the log above".to_owned()));
        };
        say(&format!("5. It was stored as {event}, mapped, filtered, signed and delivered:\n{}", shown(&arrived)));
        verify(&arrived, text(&endpoint, "secret")?)?;
        say("6. The receiver verified the signature: it is genuine.");
        say(&self.what_next(text(&user, "link")?, url, key, event));
        Ok(())
    }

    fn what_next(&self, link: &str, url: &str, key: &str, event: &str) -> String {
        let base = &self.base;
        format!(
            "The server is up at {base}. See all of it in your browser (the link lets you in once):\n\n   {link}\n\n\
             Or try, in another terminal:\n\n   \
             curl '{url}' -d '{{\"event\":\"order.placed\",\"customer\":{{\"phone\":\"0044 20 7946 0000\"}},\"data\":{{\"order_id\":\"ORD-790\"}}}}'\n\n   \
             curl -H 'authorization: Bearer {key}' '{base}/v1/deliveries?event={event}'\n\n   \
             curl -H 'authorization: Bearer {key}' '{base}/v1/plugins'\n\nCtrl-C stops it."
        )
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(key).body(body.to_string());
        answer(path, request).await
    }

    async fn post_text(&self, path: &str, body: &'static str) -> Result<Value, Failure> {
        answer(path, self.client.post(format!("{}{path}", self.base)).body(body)).await
    }
}

fn source_form() -> Value {
    json!({
        "name": "Orders",
        "steps": [{"plugin": "field-mapper", "config": {
            "type": {"from": "event"},
            "subject": {"from": "customer.phone", "convert": "phone"},
            "tags": [{"const": "paid"}, {"from": "data.order_id"}],
            "rules": [
                {"to": "contact.phone", "from": "customer.phone", "convert": "phone", "required": true},
                {"to": "contact.name", "from": "customer.name"},
                {"to": "attributes.order_id", "from": "data.order_id"},
                {"to": "attributes.total", "from": "data.total"},
            ],
        }}],
    })
}

fn endpoint_form(url: &str) -> Value {
    json!({
        "name": "My receiver",
        "url": url,
        "event_types": ["order.*"],
        // A test event of the dashboard, which has no tags, passes.
        "steps": [{"plugin": "tag-filter", "config": {"expression": "not refunded"}}],
    })
}

async fn answer(path: &str, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
    let response = request.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    if !status.is_success() {
        return Err(Failure(format!("{path} answered {status}: {}", String::from_utf8_lossy(&body))));
    }
    Ok(serde_json::from_slice(&body)?)
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Failure> {
    value[field].as_str().ok_or_else(|| Failure(format!("the answer has no `{field}`: {value}")))
}

/// As the receiver would do it.
fn verify(arrived: &Arrived, secret: &str) -> Result<(), Failure> {
    let (_, senders) = dialects::load(None).map_err(|error| Failure(error.to_string()))?;
    let secret = Some(secret.to_owned());
    let verification = Verification::new(DEFAULT_DIALECT, Options::default(), secret, None, &senders)
        .map_err(|error| Failure(error.to_string()))?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let header = |(name, value): (&HeaderName, &HeaderValue)| Header { name: name.to_string(), value: text(value) };
    let headers: Vec<Header> = arrived.headers.iter().map(header).collect();
    let request = Evidence::new(&headers, "", "", &arrived.body);
    match verification.rules(&senders).judge("POST", &request, SystemClock.now()) {
        Judgement::Accept { .. } => Ok(()),
        other => Err(Failure(format!("the receiver could not verify the signature: {other:?}"))),
    }
}

fn shown(arrived: &Arrived) -> String {
    let mut shown = String::from("   POST /hooks\n");
    for name in ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"] {
        let value = arrived.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Writing to a String cannot fail.
        let _infallible = writeln!(shown, "   {name}: {value}");
    }
    shown + "\n" + &indented(&arrived.body)
}

fn indented(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).unwrap_or_default();
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
    pretty.lines().map(|line| format!("   {line}\n")).collect()
}

fn say(text: &str) {
    // Whoever closed standard output does not want to hear it.
    let _closed = writeln!(io::stdout(), "\n{text}");
}
