//! Settings: flags first, then `HOOKYARD_*`, then `hookyard.toml`, then
//! defaults. Each error names the setting.
//!
//! - `given`: what may be set, and where it comes from. A new setting begins here.
//! - `settle`: what that comes to, each setting read; `way_out`: whom that lets
//!   the server dial, and through what.
//! - `provider`: whom people may sign in with.
//! - `place`: the data directory and the database's file.
//! - `keys`: the operator's key and the master key, from the environment or
//!   made; `rotation`: the master key that takes another's place.
//!
//! Keys are never flags: a command line is there for every process to read.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::domain::chat::ChatSettings;
use crate::domain::database::Database;
use crate::domain::egress::EgressProxy;
use crate::domain::key::KeyText;
use crate::domain::oidc::OidcSettings;
use crate::domain::retention::Retention;
use crate::domain::url::UrlPolicy;

mod given;
mod keys;
mod place;
mod provider;
mod rotation;
mod settle;
mod way_out;

pub use given::{Given, Hidden, read_file};
pub use keys::{MasterKey, master_key_is_given, master_key_there, old_master_key};
pub use place::{Place, database, make_data};
pub use rotation::NextMasterKey;

/// What a run of the server needs to know.
pub struct Settings {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub database: Database,
    /// What source URLs begin with; absent: `http://` and where it listens.
    pub public_url: Option<String>,
    pub operator_key: KeyText,
    pub master_key: MasterKey,
    pub urls: UrlPolicy,
    /// How long what happened is kept.
    pub retention: Retention,
    /// What all connections to strangers' hosts go through.
    pub egress: Option<EgressProxy>,
    pub door: Door,
    /// Where the operator's own dialects are.
    pub dialects: Option<PathBuf>,
    /// The language model that writes summaries, where there is one.
    pub chat: Option<ChatSettings>,
    /// Where spans are sent, as OTLP over HTTP.
    pub otlp: Option<url::Url>,
    /// The OpenID provider that people may sign in with.
    pub oidc: Option<OidcSettings>,
    /// The program whose `compile` subcommand compiles plugins: this one.
    pub compiler: PathBuf,
}

/// How many connections are held at once.
#[derive(Clone, Debug)]
pub struct Door {
    /// Absent: as many as there may be files open, less a reserve.
    pub max_connections: Option<usize>,
    /// Absent: a quarter of all.
    pub max_connections_per_address: Option<usize>,
    /// Whose connections are those of many callers, and not counted by address.
    pub proxies: Vec<IpNet>,
}

impl Default for Door {
    /// Loopback is a proxy: there is one in front of most servers.
    fn default() -> Self {
        let loopback = [IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)), IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))];
        Self { max_connections: None, max_connections_per_address: None, proxies: loopback.to_vec() }
    }
}

/// Why the server cannot start with these settings.
#[derive(Debug)]
pub enum ConfigError {
    Invalid { setting: &'static str, value: String, problem: String },
    File { path: PathBuf, problem: String },
    Io { setting: &'static str, path: PathBuf, error: io::Error },
}

impl ConfigError {
    fn invalid(setting: &'static str, value: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { setting, value: value.into(), problem: problem.into() }
    }

    /// Of a URL that may have a password in it: its scheme is all that is shown.
    fn invalid_url(setting: &'static str, url: &str, problem: impl Into<String>) -> Self {
        // RFC 3986, section 3.1. Where it has none, anything may be a password.
        let is_scheme = |text: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
        let scheme = url.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
        Self::invalid(setting, scheme.map_or_else(|| "...".to_owned(), |scheme| format!("{scheme}:...")), problem)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { setting, value, problem } => write!(f, "{setting} = `{value}`: {problem}"),
            Self::File { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Io { setting, path, error } => write!(f, "{setting} ({}): {error}", path.display()),
        }
    }
}

impl std::error::Error for ConfigError {}
