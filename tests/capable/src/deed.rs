//! What can be reached, and what comes of it.

use hookyard_plugin::http::{self, Outgoing};
use hookyard_plugin::state::{self, StateError};
use hookyard_plugin::{Field, json, secrets};
use serde::Deserialize;
use std::fmt::Debug;

/// One way to reach out.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Deed {
    /// HMAC with a named secret: in hex.
    Hmac {
        name: String,
        data: String,
    },
    /// The value and revision under a key, or null.
    Get {
        key: String,
    },
    /// The new revision.
    Put {
        key: String,
        value: String,
        expected: Option<u32>,
    },
    Delete {
        key: String,
        expected: Option<u32>,
    },
    /// Counts under a key, without losing a count to anybody: the count.
    Count {
        key: String,
    },
    /// Puts a value of this many bytes under as many keys: how many went well,
    /// and what the first that did not said.
    Fill {
        keys: u32,
        bytes: usize,
    },
    /// The status and the body of the answer.
    Send {
        #[serde(default = "get")]
        method: String,
        url: String,
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Bytes in the request's body.
        #[serde(default)]
        bytes: usize,
    },
    /// How many bytes the answer had.
    Fetch {
        url: String,
    },
}

fn get() -> String {
    "GET".to_owned()
}

impl Deed {
    pub(crate) fn result(&self) -> serde_json::Value {
        match self {
            Self::Hmac { name, data } => said(secrets::hmac_sha256(name, data.as_bytes()).map(|mac| hex(&mac))),
            Self::Get { key } => said(state::get(key).map(|entry| entry.map(|entry| (entry.text(), entry.revision)))),
            Self::Put { key, value, expected } => said(state::put(key, value, *expected)),
            Self::Delete { key, expected } => said(state::delete(key, *expected)),
            Self::Count { key } => said(count(key)),
            Self::Fill { keys, bytes } => fill(*keys, *bytes),
            Self::Send { method, url, headers, bytes } => {
                let headers = headers.iter().map(|(name, value)| Field { name: name.clone(), value: value.clone() });
                let asked = Outgoing {
                    method: method.clone(),
                    url: url.clone(),
                    headers: headers.collect(),
                    body: vec![b'x'; *bytes],
                };
                said(
                    http::send(&asked)
                        .map(|answer| (answer.status, String::from_utf8_lossy(&answer.body).into_owned())),
                )
            }
            Self::Fetch { url } => said(http::send(&Outgoing::get(url)).map(|answer| answer.body.len())),
        }
    }
}

fn said<E: Debug>(result: Result<impl serde::Serialize, E>) -> serde_json::Value {
    match result {
        Ok(value) => json!(value),
        Err(error) => json!(format!("{error:?}")),
    }
}

fn count(key: &str) -> Result<u32, StateError> {
    loop {
        let (count, revision) = match state::get(key)? {
            Some(entry) => (entry.text().parse().unwrap_or(0), entry.revision),
            None => (0, 0),
        };
        match state::put(key, (count + 1_u32).to_string(), Some(revision)) {
            Ok(_) => return Ok(count + 1),
            Err(StateError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
}

fn fill(keys: u32, bytes: usize) -> serde_json::Value {
    for key in 0..keys {
        if let Err(error) = state::put(&format!("fill-{key}"), vec![b'x'; bytes], None) {
            return json!([key, format!("{error:?}")]);
        }
    }
    json!([keys, null])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
