//! A receiver: takes what is delivered, answers what it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::serve::Listener;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::tls::TlsListener;

/// One request that came.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: String,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Arrived {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether one of the signatures is that of `secret`, computed apart from
    /// the host's own code.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("whsec_")).expect("base64");
        let mut signed = format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &signed)));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

/// RFC 2104 by the letter.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    assert!(key.len() <= 64, "longer keys would be hashed first");
    let pad = |byte: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(data).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

type Script = Arc<Mutex<VecDeque<Response<String>>>>;
type Rule = Arc<Mutex<Option<Box<dyn Fn(&Arrived) -> Option<Response<String>> + Send + Sync>>>>;

/// Takes requests at any path and method.
pub struct Receiver {
    scheme: &'static str,
    address: SocketAddr,
    arrivals: mpsc::UnboundedReceiver<Arrived>,
    script: Script,
    rule: Rule,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Desk {
    arrived: mpsc::UnboundedSender<Arrived>,
    script: Script,
    rule: Rule,
}

impl Receiver {
    /// Answers 204 until told otherwise.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        Self::on("http", listener)
    }

    /// The same behind TLS.
    pub fn behind(listener: TlsListener) -> Self {
        Self::on("https", listener)
    }

    fn on<L: Listener<Addr = SocketAddr, Io: std::fmt::Debug>>(scheme: &'static str, listener: L) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let script = Script::default();
        let rule = Rule::default();
        let desk = Desk { arrived, script: script.clone(), rule: rule.clone() };
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().fallback(take).with_state(desk);
        let server = tokio::spawn(async move {
            let _until_aborted = axum::serve(listener, router).await;
        });
        Self { scheme, address, arrivals, script, rule, server }
    }

    pub fn url(&self) -> String {
        format!("{}://{}/hooks", self.scheme, self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next requests are answered so, one each, then again with 204.
    pub fn answer(&self, statuses: &[u16]) {
        for status in statuses {
            self.answer_with(Response::builder().status(*status).body(String::new()).expect("a status"));
        }
    }

    pub fn answer_with(&self, response: Response<String>) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).push_back(response);
    }

    /// From now on every request is answered by what it says, where that
    /// answers anything.
    pub fn answer_by(&self, rule: impl Fn(&Arrived) -> Option<Response<String>> + Send + Sync + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(rule));
    }

    /// The next request, once it comes.
    pub async fn next(&mut self) -> Arrived {
        match tokio::time::timeout(crate::PATIENCE, self.arrivals.recv()).await {
            Ok(Some(arrived)) => arrived,
            _ => panic!("nothing was delivered within {:?}", crate::PATIENCE),
        }
    }

    /// What has come and was not asked for yet.
    pub fn so_far(&mut self) -> Vec<Arrived> {
        std::iter::from_fn(|| self.arrivals.try_recv().ok()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(desk): State<Desk>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<String> {
    let scripted = desk.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let arrived = Arrived { method: method.to_string(), uri, headers, body };
    let ruled = || desk.rule.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|rule| rule(&arrived));
    let answer = scripted.or_else(ruled);
    let _nobody_asks = desk.arrived.send(arrived);
    answer.unwrap_or_else(|| {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    })
}
