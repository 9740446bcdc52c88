//! Client credentials (RFC 6749, section 4.4): what is asked of a token endpoint,
//! and what its answer is worth. Nothing is fetched here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::url::form_urlencoded::{Serializer, byte_serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::access::{BadAccess, basic_header, is_token, wrong};
use super::header::Header;
use super::secret::Secret;
use super::url::DeliveryUrl;

/// At most this many bytes in each of the texts.
const MAX_TEXT: usize = 1024;

/// A token that comes without an end is used for this long.
const USUAL_LIFE: Duration = Duration::from_secs(5 * 60);
/// And none for longer than this, whatever it says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// This long before its end a token is not used any more, or a quarter of its
/// life: it has to get to the receiver, whose clock may be ahead.
const MARGIN: Duration = Duration::from_secs(30);

/// Where a token comes from, and who asks for it.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth {
    pub token_url: DeliveryUrl,
    pub client_id: String,
    pub client_secret: Arc<Secret>,
    pub scope: Option<String>,
    pub audience: Option<String>,
    pub client_auth: ClientAuth,
}

/// Where the client's name and secret stand (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    #[default]
    Basic,
    Body,
}

/// A token that receivers take for a while.
pub struct AccessToken {
    pub text: Secret,
    /// How long it may be used.
    pub life: Duration,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OAuth({:?} of {:?})", self.client_id, self.token_url.as_str())
    }
}

/// An answer without a usable token.
#[derive(Debug, PartialEq, Eq)]
pub enum NoToken {
    /// With the word of RFC 6749, section 5.2, if it is one.
    Status(u16, Option<&'static str>),
    Unreadable(&'static str),
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, None) => write!(f, "it answered status {status}"),
            Self::Status(status, Some(word)) => write!(f, "it answered status {status} ({word})"),
            Self::Unreadable(what) => write!(f, "it answered status 200, and {what}"),
        }
    }
}

impl OAuth {
    /// Whether its texts can be sent.
    pub fn check(self) -> Result<Self, BadAccess> {
        // VSCHAR of RFC 6749, appendix A; the secret may be longer elsewhere, but
        // it has to be something.
        let plain =
            |text: &str| (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let texts = [
            ("client_id", Some(&*self.client_id)),
            ("client_secret", Some(self.client_secret.reveal())),
            ("scope", self.scope.as_deref()),
            ("audience", self.audience.as_deref()),
        ];
        let bad = texts.into_iter().find(|(_, text)| text.is_some_and(|text| !plain(text))).map(|(field, _)| field);
        match bad {
            Some(field) => wrong(field, format!("give 1 to {MAX_TEXT} printable ASCII characters")),
            None => Ok(self),
        }
    }

    /// The form that asks for a token, and the headers that go with it.
    pub fn question(&self) -> (String, Vec<Header>) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, text) in [("scope", &self.scope), ("audience", &self.audience)] {
            if let Some(text) = text {
                form.append_pair(name, text);
            }
        }
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        let mut headers =
            vec![header("accept", "application/json"), header("content-type", "application/x-www-form-urlencoded")];
        match self.client_auth {
            ClientAuth::Basic => {
                // Both are form-encoded before they are Basic's.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                headers.push(basic_header(&encoded(&self.client_id), &encoded(self.client_secret.reveal())));
            }
            ClientAuth::Body => {
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_secret", self.client_secret.reveal());
            }
        }
        (form.finish(), headers)
    }

    /// Tells one way of asking from another: what was fetched by one is not used
    /// for the other.
    pub fn fingerprint(&self) -> [u8; 32] {
        let (form, headers) = self.question();
        let header = headers.last().map(|header| &*header.value).unwrap_or_default();
        [self.token_url.as_str(), &form, header]
            .iter()
            .fold(Sha256::new(), |hash, part| hash.chain_update(part.len().to_be_bytes()).chain_update(part))
            .finalize()
            .into()
    }
}

/// What the token endpoint answered: a token, or why there is none. No part of
/// the answer but a known word gets into the reason.
pub fn read_token(status: u16, body: &[u8]) -> Result<AccessToken, NoToken> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        token_type: String,
        expires_in: Option<Seconds>,
    }
    if status != 200 {
        return Err(NoToken::Status(status, refusal(body)));
    }
    let granted: Granted = serde_json::from_slice(body)
        .map_err(|_| NoToken::Unreadable("its body is not JSON with `access_token` and `token_type`"))?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err(NoToken::Unreadable("the `token_type` is not `Bearer`"));
    }
    if !is_token(&granted.access_token) {
        return Err(NoToken::Unreadable("the `access_token` cannot stand in a header"));
    }
    let life = granted.expires_in.map_or(USUAL_LIFE, Seconds::duration).min(LONGEST_LIFE);
    Ok(AccessToken { text: Secret::stored(granted.access_token), life: life - MARGIN.min(life / 4) })
}

/// A number, which some servers write as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    fn duration(self) -> Duration {
        let seconds = match self {
            Self::Number(seconds) => seconds,
            Self::Text(text) => text.trim().parse().unwrap_or(0.0),
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_LIFE)
    }
}

/// The reason that RFC 6749, section 5.2, has a word for.
pub(super) fn refusal(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    const WORDS: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let Refused { error } = serde_json::from_slice(body).ok()?;
    WORDS.into_iter().find(|word| *word == error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oauth(client_auth: ClientAuth) -> OAuth {
        OAuth {
            token_url: DeliveryUrl::stored("https://id.example/token").unwrap(),
            client_id: "my app".to_owned(),
            client_secret: Arc::new(Secret::stored("a+b:c&d".to_owned())),
            scope: Some("a b".to_owned()),
            audience: Some("https://api.example/".to_owned()),
            client_auth,
        }
    }

    #[test]
    fn a_token_is_asked_for_as_rfc_6749_says() {
        let (form, headers) = oauth(ClientAuth::Basic).question();
        assert_eq!(form, "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi.example%2F");
        // base64 of `my+app:a%2Bb%3Ac%26d`
        assert_eq!(headers.last().unwrap().value, "Basic bXkrYXBwOmElMkJiJTNBYyUyNmQ=");
        let (form, headers) = oauth(ClientAuth::Body).question();
        assert!(form.ends_with("&client_id=my+app&client_secret=a%2Bb%3Ac%26d"), "{form}");
        assert!(headers.iter().all(|header| header.name != "authorization"));
        assert!(!format!("{:?}", oauth(ClientAuth::Body)).contains("a+b"));
    }

    #[test]
    fn another_way_of_asking_has_another_fingerprint() {
        let changed = [
            OAuth { scope: None, ..oauth(ClientAuth::Basic) },
            OAuth { client_secret: Arc::new(Secret::stored("other".to_owned())), ..oauth(ClientAuth::Basic) },
            OAuth { token_url: DeliveryUrl::stored("https://id.example/t").unwrap(), ..oauth(ClientAuth::Basic) },
            oauth(ClientAuth::Body),
        ];
        let own = oauth(ClientAuth::Basic).fingerprint();
        assert_eq!(own, oauth(ClientAuth::Basic).fingerprint());
        assert!(changed.iter().all(|other| other.fingerprint() != own));
    }

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let said = match read_token(status, body.as_bytes()) {
            Ok(token) => format!("{} for {} s", token.text.reveal(), token.life.as_secs()),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected, "{body}");
    }

    #[test]
    fn an_answer_is_a_token_or_a_reason() {
        let granted = |rest: &str| format!(r#"{{"access_token": "t0k", "token_type": "bearer"{rest}}}"#);
        check(200, &granted(r#", "expires_in": 3600"#), "t0k for 3570 s");
        check(200, &granted(r#", "expires_in": "3600""#), "t0k for 3570 s");
        check(200, &granted(r#", "expires_in": 8"#), "t0k for 6 s");
        check(200, &granted(r#", "expires_in": -5"#), "t0k for 0 s");
        check(200, &granted(r#", "expires_in": 1e300"#), "t0k for 86370 s");
        check(200, &granted(""), "t0k for 270 s");
        let unusable = "it answered status 200, and ";
        check(200, "<html>", &format!("{unusable}its body is not JSON with `access_token` and `token_type`"));
        check(
            200,
            r#"{"access_token": "x", "token_type": "mac"}"#,
            &format!("{unusable}the `token_type` is not `Bearer`"),
        );
        let bad = r#"{"access_token": "a\r\nb", "token_type": "Bearer"}"#;
        check(200, bad, &format!("{unusable}the `access_token` cannot stand in a header"));
        check(401, r#"{"error": "invalid_client"}"#, "it answered status 401 (invalid_client)");
        check(400, r#"{"error": "your secret was hush"}"#, "it answered status 400");
        check(302, "", "it answered status 302");
    }
}
