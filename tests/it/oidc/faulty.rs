//! A provider of ours: as it should be, but for one thing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookyard::clock::{Clock as _, SystemClock};
use hookyard_tests::receiver::hmac_sha256;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::{byte_serialize, parse};

use super::{CLIENT, CLIENT_SECRET, JANE};

/// What it does that it must not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    Nothing,
    /// This stands in the ID token, or null: does not.
    Claim(&'static str, Value),
    /// The ID token is signed so.
    Signed(By),
    /// This stands in its discovery document.
    Discovery(&'static str, Value),
    /// This comes back with the code.
    Answer(&'static str, &'static str),
    /// This stands in what the userinfo endpoint says.
    Userinfo(&'static str, Value),
    /// What is asked at this path is answered with a redirect to where it is.
    Moved(&'static str),
    /// It does not end.
    Flood(&'static str),
    /// It is not answered.
    Silence(&'static str),
    /// With this status.
    Status(&'static str, u16),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    /// A key of somebody else's, under the name of the provider's.
    Another,
    Nobody,
    /// What both have in secret.
    ClientSecret,
    /// The provider's key, and something else was signed.
    Before,
}

pub(super) struct Faulty {
    pub(super) issuer: String,
    desk: Arc<Desk>,
    server: tokio::task::JoinHandle<()>,
}

struct Desk {
    issuer: String,
    fault: Mutex<Fault>,
    /// What was asked with each code: the nonce and the challenge.
    codes: Mutex<HashMap<String, (String, String)>>,
    /// Where a redirect led, and somebody followed.
    followed: AtomicUsize,
}

impl Faulty {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let issuer = format!("http://{}", listener.local_addr().expect("it is bound"));
        let desk = Arc::new(Desk {
            issuer: issuer.clone(),
            fault: Mutex::new(Fault::Nothing),
            codes: Mutex::default(),
            followed: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(desk.clone());
        let server = tokio::spawn(async move {
            let _until_aborted = axum::serve(listener, router).await;
        });
        Self { issuer, desk, server }
    }

    pub(super) fn does(&self, fault: Fault) {
        *self.desk.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(super) fn followed(&self) -> usize {
        self.desk.followed.load(Ordering::SeqCst)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let fault = desk.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let path = match uri.path().strip_prefix("/moved") {
        Some(path) => {
            desk.followed.fetch_add(1, Ordering::SeqCst);
            path
        }
        None => uri.path(),
    };
    let of = |text: &[u8]| parse(text).into_owned().collect::<HashMap<String, String>>();
    match &fault {
        Fault::Silence(at) if *at == path => std::future::pending().await,
        Fault::Moved(at) if *at == uri.path() => {
            let there = format!("{}/moved{path}", desk.issuer);
            return Response::builder().status(307).header("location", there).body(Body::empty()).expect("a response");
        }
        Fault::Flood(at) if *at == path => return Response::new(Body::from(vec![b' '; 4 << 20])),
        Fault::Status(at, status) if *at == path => {
            let body = json!({"error": "invalid_client"}).to_string();
            return Response::builder().status(*status).body(Body::from(body)).expect("a response");
        }
        _ => {}
    }
    let json = |value: Value| Response::new(Body::from(value.to_string()));
    match path {
        "/.well-known/openid-configuration" => json(desk.discovery(&fault)),
        "/authorize" => desk.authorize(&fault, &of(uri.query().unwrap_or_default().as_bytes())),
        "/token" => match desk.token(&fault, &headers, &of(&body)) {
            Some(tokens) => json(tokens),
            None => {
                let body = Body::from(json!({"error": "invalid_grant"}).to_string());
                Response::builder().status(400).body(body).expect("a response")
            }
        },
        "/keys" => {
            let x = URL_SAFE_NO_PAD.encode(pair(1).public_key());
            json(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": x}]}))
        }
        "/userinfo" if headers["authorization"] == "Bearer access" => {
            let mut said = json!({"sub": "1", "email": JANE, "email_verified": true});
            if let Fault::Userinfo(name, value) = &fault {
                said[*name] = value.clone();
            }
            json(said)
        }
        _ => Response::builder().status(404).body(Body::empty()).expect("a response"),
    }
}

impl Desk {
    fn discovery(&self, fault: &Fault) -> Value {
        let at = |path: &str| format!("{}/{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
            "jwks_uri": at("keys"), "userinfo_endpoint": at("userinfo"),
        });
        if let Fault::Discovery(name, value) = fault {
            document[*name] = value.clone();
        }
        document
    }

    /// Everybody is Jane.
    fn authorize(&self, fault: &Fault, asked: &HashMap<String, String>) -> Response<Body> {
        let is = |name: &str, value: &str| assert_eq!(asked[name], value, "{asked:?}");
        is("response_type", "code");
        is("client_id", CLIENT);
        is("code_challenge_method", "S256");
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (asked["nonce"].clone(), asked["code_challenge"].clone()));
        let mut back: url::Url = asked["redirect_uri"].parse().expect("a URL");
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked["state"]);
        if let Fault::Answer(name, value) = fault {
            back.query_pairs_mut().append_pair(name, value);
        }
        Response::builder().status(303).header("location", back.as_str()).body(Body::empty()).expect("a response")
    }

    fn token(&self, fault: &Fault, headers: &HeaderMap, asked: &HashMap<String, String>) -> Option<Value> {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let login = STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(CLIENT_SECRET)));
        assert_eq!(headers["authorization"].to_str().ok(), Some(&*format!("Basic {login}")));
        let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let (nonce, challenge) = codes.get(&asked["code"])?;
        let verifier = Sha256::digest(asked["code_verifier"].as_bytes());
        if *challenge != URL_SAFE_NO_PAD.encode(verifier) {
            return None;
        }
        let now = SystemClock.now().as_secs();
        let mut claims =
            json!({"iss": self.issuer, "aud": CLIENT, "sub": "1", "nonce": nonce, "exp": now + 60, "iat": now});
        claims["email"] = JANE.into();
        claims["email_verified"] = true.into();
        match fault {
            Fault::Claim(name, Value::Null) => drop(claims.as_object_mut()?.remove(*name)),
            Fault::Claim(name, value) => claims[*name] = value.clone(),
            // So that it is asked.
            Fault::Userinfo(..) => drop(claims.as_object_mut()?.remove("email")),
            _ => {}
        }
        Some(json!({"token_type": "Bearer", "access_token": "access", "id_token": signed(fault, &claims)}))
    }
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes are a seed")
}

fn signed(fault: &Fault, claims: &Value) -> String {
    let alg = match fault {
        Fault::Signed(By::Nobody) => "none",
        Fault::Signed(By::ClientSecret) => "HS256",
        _ => "EdDSA",
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(&json!({"alg": alg, "kid": "k", "typ": "JWT"}));
    let text = format!("{head}.{}", part(claims));
    let signature = match fault {
        Fault::Signed(By::Nobody) => Vec::new(),
        Fault::Signed(By::ClientSecret) => hmac_sha256(CLIENT_SECRET.as_bytes(), text.as_bytes()).to_vec(),
        Fault::Signed(By::Another) => pair(2).sign(text.as_bytes()).as_ref().to_vec(),
        Fault::Signed(By::Before) => pair(1).sign(format!("{head}.e30").as_bytes()).as_ref().to_vec(),
        _ => pair(1).sign(text.as_bytes()).as_ref().to_vec(),
    };
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
