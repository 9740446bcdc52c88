//! Settings: flags first, then `HOOKYARD_*`, then `hookyard.toml`, then
//! defaults. Each error names the setting.
//!
//! Keys are never flags: a command line is there for every process to read.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::Deserialize;

use crate::domain::address::AddressPolicy;
use crate::domain::chat::ChatSettings;
use crate::domain::egress::EgressProxy;
use crate::domain::key::KeyText;
use crate::domain::retention::{Keep, Retention};
use crate::domain::url::UrlPolicy;

/// What a run of the server needs to know.
pub struct Settings {
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
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

/// Encrypts secrets at rest. Has no `Debug` on purpose.
pub struct MasterKey([u8; 32]);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For the seal, and for what is derived from it.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

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
    /// sqlite:PATH [default: hookyard.db in the data directory]
    #[arg(long, env = "HOOKYARD_DATABASE")]
    pub database: Option<String>,
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
}

/// Where the data is, as somebody wrote it down.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Data directory [default: ./hookyard-data]
    #[arg(long, env = "HOOKYARD_DATA")]
    pub data: Option<PathBuf>,
    /// sqlite:PATH [default: hookyard.db in the data directory]
    #[arg(long, env = "HOOKYARD_DATABASE")]
    pub database: Option<String>,
}

/// Text that may have a password in it: `Debug` does not show it.
#[derive(Clone, Deserialize)]
pub struct Hidden(String);

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

/// Why the server cannot start with these settings.
#[derive(Debug)]
pub enum ConfigError {
    Invalid { setting: &'static str, value: String, problem: String },
    File { path: PathBuf, problem: String },
    Io { setting: &'static str, path: PathBuf, error: io::Error },
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

/// Reads `hookyard.toml` of the working directory, if there is one.
pub fn read_file(path: &Path) -> Result<Given, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| ConfigError::File { path: path.to_owned(), problem: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Given::default()),
        Err(error) => Err(ConfigError::File { path: path.to_owned(), problem: error.to_string() }),
    }
}

impl Given {
    /// What this says, and where it says nothing, what `other` says.
    pub fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            data: self.data.or(other.data),
            database: self.database.or(other.database),
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
        }
    }

    /// The settings that this comes to. Makes the data directory and, on the
    /// first start, the keys in it.
    pub fn settle(self) -> Result<Settings, ConfigError> {
        let retention = self.retention()?;
        let listen = self.listens_on()?;
        let (urls, egress) = self.way_out()?;
        let place = Place { data: self.data, database: self.database };
        let (data, database) = place.settle()?;
        let door = door(self.max_connections, self.max_connections_per_address, self.proxies.as_deref())?;
        make_data(&data)?;
        Ok(Settings {
            listen,
            database,
            public_url: self.public_url.map(public_url).transpose()?,
            operator_key: operator_key(&data)?,
            master_key: master_key(&data)?,
            urls,
            door,
            retention,
            egress,
            dialects: self.dialects,
            chat: chat(self.chat_url, self.chat_model)?,
            otlp: self.otlp_endpoint.as_deref().map(otlp).transpose()?,
            compiler: std::env::current_exe().map_err(|error| ConfigError::Io {
                setting: "the program's own path",
                path: PathBuf::new(),
                error,
            })?,
            data,
        })
    }
}

impl Given {
    /// Where a server with these settings listens.
    pub fn listens_on(&self) -> Result<SocketAddr, ConfigError> {
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:8400");
        parse("listen", listen, "give an address and a port, such as 127.0.0.1:8400")
    }

    /// What it may dial, and through which proxy.
    pub fn way_out(&self) -> Result<(UrlPolicy, Option<EgressProxy>), ConfigError> {
        let addresses = AddressPolicy::allowing(networks("allow-addresses", self.allow_addresses.as_deref())?)
            .denying(networks("deny-addresses", self.deny_addresses.as_deref())?)
            .own(own_addresses());
        let urls = UrlPolicy { allow_http: self.allow_http.unwrap_or(false), addresses, own_receiver: None };
        Ok((urls, self.egress_proxy.clone().map(egress).transpose()?))
    }

    fn retention(&self) -> Result<Retention, ConfigError> {
        let default = Retention::default();
        Ok(Retention {
            requests: keep("keep-requests", self.keep_requests.as_deref(), default.requests)?,
            events: keep("keep-events", self.keep_events.as_deref(), default.events)?,
            attempts: keep("keep-attempts", self.keep_attempts.as_deref(), default.attempts)?,
            bodies: keep("keep-bodies", self.keep_bodies.as_deref(), default.bodies)?,
            answers: keep("keep-answers", self.keep_answers.as_deref(), default.answers)?,
        })
    }
}

fn keep(setting: &'static str, given: Option<&str>, default: Keep) -> Result<Keep, ConfigError> {
    let Some(text) = given else { return Ok(default) };
    text.parse::<Keep>().map_err(|problem| ConfigError::Invalid {
        setting,
        value: text.to_owned(),
        problem: problem.to_string(),
    })
}

impl Place {
    /// What this says, and where it says nothing, what `hookyard.toml` says.
    pub fn or(self, file: Given) -> Self {
        Self { data: self.data.or(file.data), database: self.database.or(file.database) }
    }

    /// The data directory, which may not be there, and the SQLite file.
    pub fn settle(self) -> Result<(PathBuf, PathBuf), ConfigError> {
        let data = self.data.unwrap_or_else(|| PathBuf::from("hookyard-data"));
        let database = match &self.database {
            None => data.join("hookyard.db"),
            Some(text) => database_path(text)?,
        };
        Ok((data, database))
    }
}

/// Makes the data directory, for its owner alone.
pub fn make_data(data: &Path) -> Result<(), ConfigError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| ConfigError::Io { setting: "data", path: data.to_owned(), error })
}

/// The master key that a server on `data` would take, if there is one yet.
pub fn master_key_there(data: &Path) -> Result<Option<MasterKey>, ConfigError> {
    let is_given = std::env::var_os("HOOKYARD_MASTER_KEY").is_some() || data.join("master.key").exists();
    is_given.then(|| master_key(data)).transpose()
}

fn parse<T: std::str::FromStr>(setting: &'static str, value: &str, problem: &str) -> Result<T, ConfigError> {
    value.parse().map_err(|_| ConfigError::Invalid { setting, value: value.to_owned(), problem: problem.to_owned() })
}

fn database_path(text: &str) -> Result<PathBuf, ConfigError> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(ConfigError::Invalid {
            setting: "database",
            // A database URL may have a password in it.
            value: text.split(':').next().unwrap_or_default().to_owned() + ":...",
            problem: "give sqlite:<path>".to_owned(),
        }),
    }
}

/// Networks, and addresses that are networks of one.
fn networks(setting: &'static str, text: Option<&str>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &str| match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => parse(setting, text, "give networks such as 127.0.0.0/8,10.1.0.0/16"),
    };
    text.unwrap_or("").split(',').map(str::trim).filter(|text| !text.is_empty()).map(network).collect()
}

fn door(total: Option<usize>, per_address: Option<usize>, proxies: Option<&str>) -> Result<Door, ConfigError> {
    for (setting, given) in [("max-connections", total), ("max-connections-per-address", per_address)] {
        if given == Some(0) {
            let problem = "nobody could connect; give 1 or more".to_owned();
            return Err(ConfigError::Invalid { setting, value: "0".to_owned(), problem });
        }
    }
    let proxies = match proxies {
        Some(text) => networks("proxies", Some(text))?,
        None => Door::default().proxies,
    };
    Ok(Door { max_connections: total, max_connections_per_address: per_address, proxies })
}

/// The addresses of this machine's interfaces, as Linux shows them. What listens
/// on them may be shut to strangers by a firewall, which we would be behind.
fn own_addresses() -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    own_v4(&read("/proc/net/fib_trie")).into_iter().chain(own_v6(&read("/proc/net/if_inet6"))).collect()
}

/// An address stands in the line before each `/32 host LOCAL`.
fn own_v4(trie: &str) -> BTreeSet<IpAddr> {
    let lines = trie.lines().map(str::trim).collect::<Vec<_>>();
    let local = lines.windows(2).filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    local.filter_map(|pair| pair[0].trim_start_matches("|-- ").parse::<IpAddr>().ok()).collect()
}

/// 32 hexadecimal digits at the beginning of each line.
fn own_v6(table: &str) -> BTreeSet<IpAddr> {
    let bits = table.lines().filter_map(|line| u128::from_str_radix(line.split(' ').next()?, 16).ok());
    bits.map(|bits| Ipv6Addr::from_bits(bits).into()).collect()
}

fn egress(Hidden(text): Hidden) -> Result<EgressProxy, ConfigError> {
    EgressProxy::parse(&text).map_err(|problem| ConfigError::Invalid {
        setting: "egress-proxy",
        // It may have a password in it.
        value: text.split(':').next().unwrap_or_default().to_owned() + ":...",
        problem: problem.to_string(),
    })
}

fn public_url(text: String) -> Result<String, ConfigError> {
    let url: url::Url = parse("public-url", &text, "give an absolute URL such as https://hooks.example.com")?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        let problem = "give an http or https URL without query and fragment".to_owned();
        return Err(ConfigError::Invalid { setting: "public-url", value: text, problem });
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn chat(url: Option<String>, model: Option<String>) -> Result<Option<ChatSettings>, ConfigError> {
    let (url, model) = match (url, model) {
        (None, None) => return Ok(None),
        (Some(url), Some(model)) => (url, model),
        (url, model) => {
            let problem = "chat-url and chat-model are needed together".to_owned();
            let (setting, value) = match url {
                Some(url) => ("chat-url", url),
                None => ("chat-model", model.unwrap_or_default()),
            };
            return Err(ConfigError::Invalid { setting, value, problem });
        }
    };
    let parsed: url::Url = parse("chat-url", &url, "give a URL such as https://api.openai.com/v1/chat/completions")?;
    if !matches!(parsed.scheme(), "http" | "https") {
        let problem = "give an http or https URL".to_owned();
        return Err(ConfigError::Invalid { setting: "chat-url", value: url, problem });
    }
    let key = std::env::var("HOOKYARD_CHAT_KEY").ok().filter(|key| !key.is_empty());
    Ok(Some(ChatSettings { url: parsed, model, key }))
}

fn otlp(text: &str) -> Result<url::Url, ConfigError> {
    const WANTED: &str = "give an http or https URL such as http://127.0.0.1:4318";
    let url: url::Url = parse("otlp-endpoint", text, WANTED)?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => {
            let (value, problem) = (text.to_owned(), WANTED.to_owned());
            Err(ConfigError::Invalid { setting: "otlp-endpoint", value, problem })
        }
    }
}

fn operator_key(data: &Path) -> Result<KeyText, ConfigError> {
    let fresh = || KeyText::new(random()).reveal().to_owned();
    let text = key("HOOKYARD_OPERATOR_KEY", &data.join("operator.key"), fresh)?;
    if text.len() < 20 {
        let problem = "an operator key has at least 20 characters".to_owned();
        return Err(ConfigError::Invalid { setting: "HOOKYARD_OPERATOR_KEY", value: "...".to_owned(), problem });
    }
    Ok(KeyText::given(text))
}

const MASTER_KEY: &str = "HOOKYARD_MASTER_KEY";
const OLD_MASTER_KEY: &str = "HOOKYARD_MASTER_KEY_OLD";

fn master_key(data: &Path) -> Result<MasterKey, ConfigError> {
    let text = key(MASTER_KEY, &data.join("master.key"), || STANDARD.encode(random::<32>()))?;
    parse_master_key(MASTER_KEY, &text)
}

/// The one before, where the environment has one.
pub fn old_master_key() -> Result<Option<MasterKey>, ConfigError> {
    let given = std::env::var(OLD_MASTER_KEY).ok();
    given.map(|text| parse_master_key(OLD_MASTER_KEY, text.trim())).transpose()
}

/// Whether the master key is the environment's, and no file's.
pub fn master_key_is_given() -> bool {
    std::env::var_os(MASTER_KEY).is_some()
}

fn parse_master_key(setting: &'static str, text: &str) -> Result<MasterKey, ConfigError> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(MasterKey).ok_or_else(|| ConfigError::Invalid {
        setting,
        value: "...".to_owned(),
        problem: "give 32 bytes in base64, such as `openssl rand -base64 32` prints".to_owned(),
    })
}

/// The file of a master key that takes the place of another: there from before
/// anything is sealed with it until the other is gone.
pub struct NextMasterKey {
    next: PathBuf,
    current: PathBuf,
}

impl NextMasterKey {
    pub fn of(data: &Path) -> Self {
        Self { next: data.join("master.key.next"), current: data.join("master.key") }
    }

    /// What a rotation that did not end has left.
    pub fn read(&self) -> Result<Option<MasterKey>, ConfigError> {
        match fs::read_to_string(&self.next) {
            Ok(text) => parse_master_key(MASTER_KEY, text.trim()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Makes one. It is on the disk, whole, when this answers.
    pub fn make(&self) -> Result<MasterKey, ConfigError> {
        let key = MasterKey(random());
        let aside = self.next.with_extension("unfinished");
        let mut options = OpenOptions::new();
        let written = options.write(true).create(true).truncate(true).mode(0o600).open(&aside).and_then(|mut file| {
            file.write_all(format!("{}\n", STANDARD.encode(key.0)).as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&aside, &self.next)).map_err(|error| self.io(error))?;
        self.sync().map(|()| key)
    }

    /// Puts it into the other's place.
    pub fn install(&self) -> Result<(), ConfigError> {
        fs::rename(&self.next, &self.current).map_err(|error| self.io(error))?;
        self.sync()
    }

    /// Takes it away: nothing was sealed with it.
    pub fn discard(&self) -> Result<(), ConfigError> {
        fs::remove_file(&self.next).map_err(|error| self.io(error))?;
        self.sync()
    }

    /// What was renamed stays renamed when the power fails.
    fn sync(&self) -> Result<(), ConfigError> {
        let directory = self.current.parent().expect("the key is in the data directory");
        fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> ConfigError {
        ConfigError::Io { setting: "the next master key", path: self.next.clone(), error }
    }
}

/// A key from the environment, or from its file, which is made when there is
/// none.
fn key(variable: &'static str, path: &Path, fresh: impl FnOnce() -> String) -> Result<String, ConfigError> {
    if let Ok(text) = std::env::var(variable) {
        return Ok(text.trim().to_owned());
    }
    let io = |error| ConfigError::Io { setting: variable, path: path.to_owned(), error };
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = fresh();
            // Written aside and renamed: a crash must not leave half a key,
            // with which the next start would fail for ever.
            let aside = path.with_extension(format!("{}.new", std::process::id()));
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside).map_err(io)?;
            file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            // A link and not a rename: of two first starts at once, the second
            // must not replace the key that the first already seals with.
            let linked = fs::hard_link(&aside, path);
            fs::remove_file(&aside).map_err(io)?;
            match linked {
                Ok(()) => {
                    let directory = path.parent().expect("the key is in the data directory");
                    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
                    Ok(text)
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(io)
                }
                Err(error) => Err(io(error)),
            }
        }
        Err(error) => Err(io(error)),
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("an operating system without random bytes cannot keep a secret");
    bytes
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

    #[track_caller]
    fn check(error: Result<impl Sized, ConfigError>, expected: &str) {
        let said = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn the_machines_own_addresses_are_found() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n     \
            |-- 93.184.216.34\n        /32 host LOCAL\n     |-- 93.184.216.255\n        /32 link BROADCAST\n";
        assert_eq!(own_v4(trie).into_iter().collect::<Vec<_>>(), ["93.184.216.34".parse::<IpAddr>().unwrap()]);
        let table = "fe80000000000000504300fffe000001 02 40 20 80     eth0\nnonsense\n";
        assert_eq!(own_v6(table).into_iter().collect::<Vec<_>>(), ["fe80::5043:ff:fe00:1".parse::<IpAddr>().unwrap()]);
        assert!(own_addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "every Linux has loopback");
    }

    #[test]
    fn an_error_names_the_setting() {
        check(networks("deny-addresses", Some("10.0.0.0/33")), "deny-addresses = `10.0.0.0/33`");
        check(door(Some(0), None, None), "max-connections = `0`");
        check(door(None, None, Some("x")), "proxies = `x`");
        check(networks("allow-addresses", Some("10.0.0.0/8,nonsense")), "allow-addresses = `nonsense`");
        let text = |text: &str| Some(text.to_owned());
        check(
            chat(text("https://example.com/v1"), None),
            "chat-url = `https://example.com/v1`: chat-url and chat-model",
        );
        check(chat(None, text("small")), "chat-model = `small`");
        check(chat(text("ftp://example.com/"), text("small")), "chat-url = `ftp://example.com/`: give an http");
        let keeps = Given { keep_bodies: text("a week"), ..Given::default() };
        check(keeps.settle(), "keep-bodies = `a week`: give a number of days or hours");
        check(public_url("example.com".to_owned()), "public-url = `example.com`");
        check(database_path("postgres://user:secret@db/x"), "database = `postgres:...`");
        check(egress(Hidden("https://user:secret@proxy:1".to_owned())), "egress-proxy = `https:...`: give http://");
        check(Given { listen: Some("8400".to_owned()), ..Given::default() }.settle(), "listen = `8400`");
        assert!(toml::from_str::<Given>("listne = \"x\"").is_err());
    }
}
