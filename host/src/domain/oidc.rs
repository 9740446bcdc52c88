//! Sign-in by the operator's OpenID provider, with the authorization code flow
//! (OpenID Connect Core 1.0, section 3.1) and PKCE (RFC 7636): what is set up of
//! it, what it says of itself, what it is asked, and what its answers are worth.
//! What an ID token has to be is in `id_token.rs`, what is said of somebody in
//! `claims.rs`; nothing is fetched here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ::url::Url;
use ::url::form_urlencoded::{Serializer, byte_serialize};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::access::{basic_header, is_token};
use super::header::Header;
use super::oauth::{ClientAuth, NoToken, refusal};
use super::secret::Secret;
use super::session::TokenText;

/// The provider that people may sign in with. Holds a secret, so that it has no
/// `Debug`.
#[derive(Clone)]
pub struct OidcSettings {
    pub issuer: Issuer,
    pub client_id: String,
    pub client_secret: Arc<Secret>,
    /// What the button calls it.
    pub name: String,
    /// The claim that names the e-mail address.
    pub email_claim: String,
}

/// The claim that names it unless the operator says otherwise.
pub const EMAIL_CLAIM: &str = "email";

/// What a provider is called by itself and everybody: compared letter by letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

/// The text is no issuer, and what one would be.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnIssuer;

impl fmt::Display for NotAnIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "give the https URL that the provider calls itself by, such as https://id.example.com; plain http only on \
             this machine: http://127.0.0.1:port or http://localhost:port",
        )
    }
}

/// What the provider says of itself (OpenID Connect Discovery 1.0, section 3).
pub struct Metadata {
    /// Where people say who they are.
    authorization: Url,
    /// Where a code becomes tokens.
    pub token: Url,
    /// Where its keys are.
    pub keys: Url,
    /// Where it says more of somebody.
    pub userinfo: Option<Url>,
    client_auth: ClientAuth,
    /// Whether its answers say whose they are (RFC 9207).
    names_itself: bool,
}

/// What goes to the provider with somebody, and what is kept of it until they are
/// back.
pub struct Asked<'a> {
    pub redirect_uri: &'a str,
    pub state: &'a TokenText,
    pub nonce: &'a TokenText,
    pub verifier: &'a TokenText,
}

/// What the provider sent back with them.
#[derive(Clone, Copy, Default)]
pub struct Answer<'a> {
    pub code: Option<&'a str>,
    pub iss: Option<&'a str>,
    pub error: Option<&'a str>,
}

/// Why there is no code in it.
#[derive(Debug, PartialEq, Eq)]
pub enum NoCode {
    /// They did not want to, or the provider does not let them.
    Declined,
    Unusable(Unusable),
}

/// What a code was exchanged for.
pub struct Tokens {
    pub id: String,
    /// For the userinfo endpoint.
    pub access: Option<Secret>,
}

/// What the provider said lets nobody in; why, in words of ours, for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable(pub &'static str);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Issuer {
    type Err = NotAnIssuer;

    fn from_str(text: &str) -> Result<Self, NotAnIssuer> {
        let url = Url::parse(text).map_err(|_| NotAnIssuer)?;
        let is_bare = url.query().is_none() && url.fragment().is_none();
        match is_bare && is_safe(&url, is_local(&url)) {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAnIssuer),
        }
    }
}

impl Issuer {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the provider describes itself. A slash at the issuer's end is none of
    /// this URL's (section 4.1).
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0.trim_end_matches('/'))
    }

    /// What people call it when nobody said how.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// `https`, or what stays on this machine.
fn is_safe(url: &Url, may_be_local: bool) -> bool {
    let is_private = url.scheme() == "https" || (may_be_local && is_local(url));
    is_private && url.has_host() && url.username().is_empty() && url.password().is_none()
}

fn is_local(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host))
}

impl Metadata {
    /// What is read at [`Issuer::discovery`].
    pub fn read(issuer: &Issuer, body: &[u8]) -> Result<Self, Unusable> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            authorization_endpoint: String,
            token_endpoint: String,
            jwks_uri: String,
            userinfo_endpoint: Option<String>,
            token_endpoint_auth_methods_supported: Option<Vec<String>>,
            #[serde(default)]
            authorization_response_iss_parameter_supported: bool,
        }
        let document: Document = serde_json::from_slice(body)
            .map_err(|_| Unusable("it is not JSON with `issuer`, the two endpoints and `jwks_uri`"))?;
        if document.issuer != issuer.0 {
            return Err(Unusable("its `issuer` is not oidc-issuer, letter by letter: set what it says"));
        }
        let may_be_local = Url::parse(&issuer.0).is_ok_and(|url| is_local(&url));
        let endpoint = |text: &str| {
            let url = Url::parse(text).ok().filter(|url| is_safe(url, may_be_local) && url.fragment().is_none());
            url.ok_or(Unusable("it has an endpoint that is no https URL"))
        };
        // Where it says nothing it takes `client_secret_basic`.
        let methods = document.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.as_ref().is_some_and(|all| all.iter().any(|one| one == method));
        let client_auth = match () {
            () if methods.is_none() || takes("client_secret_basic") => ClientAuth::Basic,
            () if takes("client_secret_post") => ClientAuth::Body,
            () => return Err(Unusable("it takes neither `client_secret_basic` nor `client_secret_post`")),
        };
        Ok(Self {
            authorization: endpoint(&document.authorization_endpoint)?,
            token: endpoint(&document.token_endpoint)?,
            keys: endpoint(&document.jwks_uri)?,
            userinfo: document.userinfo_endpoint.as_deref().map(endpoint).transpose()?,
            client_auth,
            names_itself: document.authorization_response_iss_parameter_supported,
        })
    }

    /// The code in an answer that is the provider's. That of another, mixed up with
    /// this one, must not get a code of ours (RFC 9207, section 2.4).
    pub fn code<'a>(&self, issuer: &Issuer, answer: Answer<'a>) -> Result<&'a str, NoCode> {
        let unusable = |why| Err(NoCode::Unusable(Unusable(why)));
        match (answer.iss, answer.error, answer.code) {
            (Some(other), ..) if other != issuer.0 => unusable("its `iss` is another issuer"),
            (None, ..) if self.names_itself => unusable("it has no `iss`, although the provider names itself"),
            (_, Some("access_denied"), _) => Err(NoCode::Declined),
            (_, Some("login_required" | "interaction_required" | "consent_required"), _) => Err(NoCode::Declined),
            (_, Some("invalid_request"), _) => unusable("it is the error invalid_request"),
            (_, Some("unauthorized_client"), _) => unusable("it is the error unauthorized_client"),
            (_, Some("invalid_scope"), _) => unusable("it is the error invalid_scope"),
            (_, Some("server_error"), _) => unusable("it is the error server_error"),
            (_, Some("temporarily_unavailable"), _) => unusable("it is the error temporarily_unavailable"),
            (_, Some(_), _) => unusable("it is an error"),
            (_, None, Some(code)) if !code.is_empty() => Ok(code),
            (_, None, _) => unusable("it has neither a code nor an error"),
        }
    }
}

impl OidcSettings {
    /// Where somebody is sent to say who they are.
    pub fn question(&self, metadata: &Metadata, asked: &Asked<'_>) -> Url {
        let scope = if self.email_claim == EMAIL_CLAIM { "openid email" } else { "openid email profile" };
        // A SHA-256 in base64url is what `S256` asks for.
        let challenge = URL_SAFE_NO_PAD.encode(asked.verifier.hash().0);
        let mut url = metadata.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", asked.redirect_uri)
            .append_pair("scope", scope)
            .append_pair("state", asked.state.reveal())
            .append_pair("nonce", asked.nonce.reveal())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// The form that exchanges a code for tokens, and the headers that go with it.
    pub fn exchange(
        &self,
        metadata: &Metadata,
        code: &str,
        verifier: &TokenText,
        redirect_uri: &str,
    ) -> (String, Vec<Header>) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_verifier", verifier.reveal());
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        let mut headers =
            vec![header("accept", "application/json"), header("content-type", "application/x-www-form-urlencoded")];
        let secret = self.client_secret.reveal();
        match metadata.client_auth {
            ClientAuth::Basic => {
                // Both are form-encoded before they are Basic's (RFC 6749, section 2.3.1).
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                headers.push(basic_header(&encoded(&self.client_id), &encoded(secret)));
            }
            ClientAuth::Body => {
                form.append_pair("client_id", &self.client_id).append_pair("client_secret", secret);
            }
        }
        (form.finish(), headers)
    }
}

/// What the token endpoint answered: tokens, or why there are none. No part of the
/// answer but a known word gets into the reason.
pub fn read_tokens(status: u16, body: &[u8]) -> Result<Tokens, NoToken> {
    #[derive(Deserialize)]
    struct Granted {
        id_token: String,
        access_token: Option<String>,
    }
    if status != 200 {
        return Err(NoToken::Status(status, refusal(body)));
    }
    let granted: Granted = serde_json::from_slice(body)
        .map_err(|_| NoToken::Unreadable("its body is not JSON with `id_token`: let this client use `openid`"))?;
    let access = granted.access_token.filter(|token| is_token(token)).map(Secret::stored);
    Ok(Tokens { id: granted.id_token, access })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn issuer(text: &str) -> Issuer {
        text.parse().unwrap()
    }

    fn settings() -> OidcSettings {
        OidcSettings {
            issuer: issuer("https://id.example"),
            client_id: "our app".to_owned(),
            client_secret: Arc::new(Secret::stored("a+b:c".to_owned())),
            name: "Example".to_owned(),
            email_claim: EMAIL_CLAIM.to_owned(),
        }
    }

    fn document(change: Value) -> Vec<u8> {
        let mut document = json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://login.example/authorize?tenant=1",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://keys.example/jwks",
        });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        document.to_string().into_bytes()
    }

    fn metadata(change: Value) -> Result<Metadata, Unusable> {
        Metadata::read(&issuer("https://id.example"), &document(change))
    }

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        for text in [
            "https://id.example",
            "https://id.example/realms/us/",
            "http://127.0.0.1:1/x",
            "http://localhost:9",
            "http://[::1]:9",
        ] {
            assert_eq!(text.parse::<Issuer>().as_ref().map(Issuer::as_str), Ok(text));
        }
        for text in [
            "",
            "id.example",
            "http://id.example",
            "http://127.0.0.2:1",
            "http://localhost.example",
            "https://id.example?x=1",
            "https://id.example#x",
            "https://me:pass@id.example",
            "ftp://localhost",
        ] {
            assert_eq!(text.parse::<Issuer>(), Err(NotAnIssuer), "{text}");
        }
        let at = |text: &str| issuer(text).discovery();
        assert_eq!(at("https://id.example"), "https://id.example/.well-known/openid-configuration");
        assert_eq!(at("https://id.example/a/"), "https://id.example/a/.well-known/openid-configuration");
    }

    #[test]
    fn a_provider_describes_itself_and_nobody_else() {
        let why = |change: Value| metadata(change).err().map(|Unusable(why)| why).unwrap_or_default();
        assert_eq!(why(json!({})), "");
        assert!(why(json!({"issuer": "https://id.example/"})).contains("letter by letter"));
        assert!(why(json!({"jwks_uri": 7})).contains("not JSON"));
        for url in [
            "http://id.example/token",
            "http://127.0.0.1/token",
            "/token",
            "https://a:b@id.example/",
            "https://id.example/#x",
        ] {
            assert!(why(json!({"token_endpoint": url})).contains("no https URL"), "{url}");
        }
        assert!(why(json!({"userinfo_endpoint": "http://id.example/me"})).contains("no https URL"));
        assert!(why(json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]})).contains("neither"));
        let local = document(json!({"issuer": "http://localhost:9", "token_endpoint": "http://localhost:9/token"}));
        assert!(Metadata::read(&issuer("http://localhost:9"), &local).is_ok());
    }

    #[test]
    fn somebody_is_sent_with_all_that_ties_the_answer_to_them() {
        let token = TokenText::given;
        // RFC 7636, appendix B.
        let verifier = token("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let (state, nonce) = (token("s"), token("n"));
        let redirect_uri = "https://us.example/sign-in/oidc/callback";
        let asked = Asked { redirect_uri, state: &state, nonce: &nonce, verifier: &verifier };
        let metadata = metadata(json!({})).unwrap();
        assert_eq!(
            settings().question(&metadata, &asked).as_str(),
            "https://login.example/authorize?tenant=1&response_type=code&client_id=our+app\
             &redirect_uri=https%3A%2F%2Fus.example%2Fsign-in%2Foidc%2Fcallback&scope=openid+email&state=s&nonce=n\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        );
        let by_name = OidcSettings { email_claim: "upn".to_owned(), ..settings() };
        assert!(by_name.question(&metadata, &asked).as_str().contains("&scope=openid+email+profile&"));
    }

    #[test]
    fn a_code_is_exchanged_with_its_verifier() {
        let exchange = |methods: Value| {
            let metadata = metadata(json!({"token_endpoint_auth_methods_supported": methods})).unwrap();
            settings().exchange(&metadata, "c/1", &TokenText::given("v"), "https://us.example/x")
        };
        let (form, headers) = exchange(json!(["client_secret_post", "client_secret_basic"]));
        let common =
            "grant_type=authorization_code&code=c%2F1&redirect_uri=https%3A%2F%2Fus.example%2Fx&code_verifier=v";
        assert_eq!(form, common);
        // base64 of `our+app:a%2Bb%3Ac`
        assert_eq!(headers.last().unwrap().value, "Basic b3VyK2FwcDphJTJCYiUzQWM=");
        let (form, headers) = exchange(json!(["client_secret_post"]));
        assert_eq!(form, format!("{common}&client_id=our+app&client_secret=a%2Bb%3Ac"));
        assert!(headers.iter().all(|header| header.name != "authorization"));
    }

    #[test]
    fn a_code_is_taken_from_the_provider_alone() {
        let check = |names_itself: bool, answer: Answer<'_>, expected: Result<&str, &str>| {
            let metadata = metadata(json!({"authorization_response_iss_parameter_supported": names_itself})).unwrap();
            let said = metadata.code(&issuer("https://id.example"), answer).map_err(|why| match why {
                NoCode::Declined => "declined",
                NoCode::Unusable(Unusable(why)) => why,
            });
            assert!(said == expected || said.is_err_and(|why| expected.is_err_and(|begin| why.starts_with(begin))));
        };
        let none = Answer::default();
        let (code, iss) = (Some("c"), Some("https://id.example"));
        check(false, Answer { code, ..none }, Ok("c"));
        check(true, Answer { code, iss, ..none }, Ok("c"));
        check(true, Answer { code, ..none }, Err("it has no `iss`"));
        check(false, Answer { code, iss: Some("https://evil.example"), ..none }, Err("its `iss`"));
        check(false, Answer { error: Some("access_denied"), ..none }, Err("declined"));
        check(true, Answer { error: Some("access_denied"), ..none }, Err("it has no `iss`"));
        check(false, Answer { error: Some("<script>"), code, ..none }, Err("it is an error"));
        check(false, none, Err("it has neither"));
        check(false, Answer { code: Some(""), ..none }, Err("it has neither"));
    }

    #[test]
    fn tokens_are_there_or_a_reason() {
        let read = |status, body: &str| {
            read_tokens(status, body.as_bytes()).map(|tokens| tokens.id).map_err(|why| why.to_string())
        };
        assert_eq!(read(200, r#"{"id_token": "a.b.c", "access_token": "t"}"#), Ok("a.b.c".to_owned()));
        assert!(read(200, r#"{"access_token": "t"}"#).unwrap_err().contains("`id_token`"));
        assert_eq!(
            read(400, r#"{"error": "invalid_grant"}"#),
            Err("it answered status 400 (invalid_grant)".to_owned())
        );
        assert_eq!(read(400, r#"{"error": "your secret was hush"}"#), Err("it answered status 400".to_owned()));
        assert_eq!(read(302, ""), Err("it answered status 302".to_owned()));
    }
}
