//! What may be set, in one place for flags, variables and `hookyard.toml`; and
//! who of them is heard first.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;

/// Settings as somebody wrote them down, from one place.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Given {
    /// Address and port to listen on [default: 127.0.0.1:8400]
    #[arg(long, env = "HOOKYARD_LISTEN")]
    pub listen: Option<String>,
    /// Data directory [default: ./hookyard-data]
    #[arg(long, env = "HOOKYARD_DATA")]
    pub data: Option<PathBuf>,
    /// sqlite:PATH, or postgres://USER@HOST/NAME, which many hosts may share; a password belongs into the variable or
    /// the file [default: hookyard.db in the data directory]
    #[arg(long, env = "HOOKYARD_DATABASE", hide_env_values = true)]
    pub database: Option<Hidden>,
    /// Let a PostgreSQL server be used that can lose what was acknowledged (fsync, full_page_writes or
    /// synchronous_commit off)
    #[arg(long, env = "HOOKYARD_ALLOW_UNSAFE_DURABILITY", num_args = 0..=1, default_missing_value = "true")]
    pub allow_unsafe_durability: Option<bool>,
    /// What source URLs begin with [default: http:// and where it listens]
    #[arg(long, env = "HOOKYARD_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Let endpoints be plain http
    #[arg(long, env = "HOOKYARD_ALLOW_HTTP", num_args = 0..=1, default_missing_value = "true")]
    pub allow_http: Option<bool>,
    /// Networks (CIDR, comma-separated) that may be dialled although they are private
    #[arg(long, env = "HOOKYARD_ALLOW_ADDRESSES")]
    pub allow_addresses: Option<String>,
    /// How long requests are kept, such as 30d, 12h or forever [default: 30d]
    #[arg(long, env = "HOOKYARD_KEEP_REQUESTS")]
    pub keep_requests: Option<String>,
    /// Events with their deliveries [default: 30d]
    #[arg(long, env = "HOOKYARD_KEEP_EVENTS")]
    pub keep_events: Option<String>,
    /// Attempts of deliveries that have come to rest [default: 30d]
    #[arg(long, env = "HOOKYARD_KEEP_ATTEMPTS")]
    pub keep_attempts: Option<String>,
    /// Requests' bodies, events' data and messages [default: 30d]
    #[arg(long, env = "HOOKYARD_KEEP_BODIES")]
    pub keep_bodies: Option<String>,
    /// What receivers answered; their status stays with the attempt [default: 7d]
    #[arg(long, env = "HOOKYARD_KEEP_ANSWERS")]
    pub keep_answers: Option<String>,
    /// Proxy to reach receivers through: http://host:port (CONNECT) or socks5://host:port, with user:password@ before
    /// the host if need be; a password belongs into the variable or the file
    #[arg(long, env = "HOOKYARD_EGRESS_PROXY", hide_env_values = true)]
    pub egress_proxy: Option<Hidden>,
    /// Networks (CIDR, comma-separated) that are not dialled although they are public or allowed
    #[arg(long, env = "HOOKYARD_DENY_ADDRESSES")]
    pub deny_addresses: Option<String>,
    /// Connections at once [default: what the limit of open files leaves room for, at most 16384]
    #[arg(long, env = "HOOKYARD_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,
    /// Connections at once from one address [default: a quarter of all]
    #[arg(long, env = "HOOKYARD_MAX_CONNECTIONS_PER_ADDRESS")]
    pub max_connections_per_address: Option<usize>,
    /// Networks of proxies in front, whose connections are not counted by address [default: 127.0.0.1,::1]
    #[arg(long, env = "HOOKYARD_PROXIES")]
    pub proxies: Option<String>,
    /// Directory with dialects of your own, one TOML file each
    #[arg(long, env = "HOOKYARD_DIALECTS")]
    pub dialects: Option<PathBuf>,
    /// URL of an OpenAI-compatible chat endpoint that writes summaries; its key is HOOKYARD_CHAT_KEY
    #[arg(long, env = "HOOKYARD_CHAT_URL")]
    pub chat_url: Option<String>,
    /// The model to ask there
    #[arg(long, env = "HOOKYARD_CHAT_MODEL")]
    pub chat_model: Option<String>,
    /// OpenTelemetry collector that traces are sent to (OTLP over HTTP), such as http://127.0.0.1:4318
    #[arg(long, env = "HOOKYARD_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// OpenID provider that people may sign in with, by the URL that it calls itself; the client's secret is
    /// HOOKYARD_OIDC_CLIENT_SECRET
    #[arg(long, env = "HOOKYARD_OIDC_ISSUER")]
    pub oidc_issuer: Option<String>,
    /// What the provider calls this server
    #[arg(long, env = "HOOKYARD_OIDC_CLIENT_ID")]
    pub oidc_client_id: Option<String>,
    /// The secret that it knows it by.
    #[arg(skip)]
    pub oidc_client_secret: Option<Hidden>,
    /// What people know the provider by [default: the issuer's host]
    #[arg(long, env = "HOOKYARD_OIDC_NAME")]
    pub oidc_name: Option<String>,
    /// The claim that names somebody's e-mail address, one that people cannot change by themselves [default: email]
    #[arg(long, env = "HOOKYARD_OIDC_EMAIL_CLAIM")]
    pub oidc_email_claim: Option<String>,
}

impl Given {
    /// What this says, and where it says nothing, what `other` says.
    pub fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            data: self.data.or(other.data),
            database: self.database.or(other.database),
            allow_unsafe_durability: self.allow_unsafe_durability.or(other.allow_unsafe_durability),
            public_url: self.public_url.or(other.public_url),
            allow_http: self.allow_http.or(other.allow_http),
            allow_addresses: self.allow_addresses.or(other.allow_addresses),
            keep_requests: self.keep_requests.or(other.keep_requests),
            keep_events: self.keep_events.or(other.keep_events),
            keep_attempts: self.keep_attempts.or(other.keep_attempts),
            keep_bodies: self.keep_bodies.or(other.keep_bodies),
            keep_answers: self.keep_answers.or(other.keep_answers),
            egress_proxy: self.egress_proxy.or(other.egress_proxy),
            deny_addresses: self.deny_addresses.or(other.deny_addresses),
            max_connections: self.max_connections.or(other.max_connections),
            max_connections_per_address: self.max_connections_per_address.or(other.max_connections_per_address),
            proxies: self.proxies.or(other.proxies),
            dialects: self.dialects.or(other.dialects),
            chat_url: self.chat_url.or(other.chat_url),
            chat_model: self.chat_model.or(other.chat_model),
            otlp_endpoint: self.otlp_endpoint.or(other.otlp_endpoint),
            oidc_issuer: self.oidc_issuer.or(other.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(other.oidc_client_id),
            oidc_client_secret: self.oidc_client_secret.or(other.oidc_client_secret),
            oidc_name: self.oidc_name.or(other.oidc_name),
            oidc_email_claim: self.oidc_email_claim.or(other.oidc_email_claim),
        }
    }
}

/// Reads `hookyard.toml` of the working directory, if there is one.
pub fn read_file(path: &Path) -> Result<Given, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| ConfigError::File { path: path.to_owned(), problem: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Given::default()),
        Err(error) => Err(ConfigError::File { path: path.to_owned(), problem: error.to_string() }),
    }
}

/// Text that may have a password in it: `Debug` does not show it.
#[derive(Clone, Deserialize)]
pub struct Hidden(pub(super) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_says_something_wins() {
        let flags = Given { listen: Some("127.0.0.1:1".to_owned()), ..Given::default() };
        let file = "listen = \"127.0.0.1:2\"\nallow-http = true\negress-proxy = \"http://me:hush@proxy:1\"";
        let file: Given = toml::from_str(file).unwrap();
        assert!(!format!("{file:?}").contains("hush"), "it is not printed");
        let both = flags.or(file);
        assert_eq!(both.listen.as_deref(), Some("127.0.0.1:1"));
        assert_eq!(both.allow_http, Some(true));
        assert!(both.egress_proxy.is_some());
    }

    #[test]
    fn a_setting_that_is_not_there_is_an_error() {
        assert!(toml::from_str::<Given>("listne = \"x\"").is_err());
    }
}
