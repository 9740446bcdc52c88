//! What was given, read: a value for each setting, or an error that names it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use url::Url;

use super::keys::{master_key, operator_key};
use super::place::make_data;
use super::{ConfigError, Door, Given, Settings};
use crate::domain::chat::ChatSettings;
use crate::domain::retention::{Keep, Retention};

impl Given {
    /// The settings that this comes to. Makes the data directory and, on the
    /// first start, the keys in it; a wrong setting leaves nothing behind.
    pub fn settle(self) -> Result<Settings, ConfigError> {
        let retention = self.retention()?;
        let listen = self.listens_on()?;
        let (urls, egress) = self.way_out()?;
        let oidc = self.provider()?;
        let (data, database) = self.place().settle()?;
        let door = door(self.max_connections, self.max_connections_per_address, self.proxies.as_deref())?;
        let public_url = self.public_url.map(public_url).transpose()?;
        let chat = chat(self.chat_url, self.chat_model)?;
        let otlp = self.otlp_endpoint.as_deref().map(otlp).transpose()?;
        let compiler = std::env::current_exe().map_err(|error| ConfigError::Io {
            setting: "the program's own path",
            path: PathBuf::new(),
            error,
        })?;
        make_data(&data)?;
        Ok(Settings {
            listen,
            database,
            public_url,
            operator_key: operator_key(&data)?,
            master_key: master_key(&data)?,
            urls,
            door,
            retention,
            egress,
            dialects: self.dialects,
            chat,
            otlp,
            oidc,
            compiler,
            data,
        })
    }

    /// Where a server with these settings listens.
    pub fn listens_on(&self) -> Result<SocketAddr, ConfigError> {
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:8400");
        parse("listen", listen, "give an address and a port, such as 127.0.0.1:8400")
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
    text.parse::<Keep>().map_err(|problem| ConfigError::invalid(setting, text, problem.to_string()))
}

fn parse<T: FromStr>(setting: &'static str, value: &str, problem: &str) -> Result<T, ConfigError> {
    value.parse().map_err(|_| ConfigError::invalid(setting, value, problem))
}

/// Networks, and addresses that are networks of one.
pub(super) fn networks(setting: &'static str, text: Option<&str>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &str| match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => parse(setting, text, "give networks such as 127.0.0.0/8,10.1.0.0/16"),
    };
    text.unwrap_or("").split(',').map(str::trim).filter(|text| !text.is_empty()).map(network).collect()
}

/// An absolute URL of a server; `problem` shows one.
fn http_url(setting: &'static str, text: &str, problem: &str) -> Result<Url, ConfigError> {
    let url: Url = parse(setting, text, problem)?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(ConfigError::invalid(setting, text, problem)),
    }
}

fn door(total: Option<usize>, per_address: Option<usize>, proxies: Option<&str>) -> Result<Door, ConfigError> {
    for (setting, given) in [("max-connections", total), ("max-connections-per-address", per_address)] {
        if given == Some(0) {
            return Err(ConfigError::invalid(setting, "0", "nobody could connect; give 1 or more"));
        }
    }
    let proxies = match proxies {
        Some(text) => networks("proxies", Some(text))?,
        None => Door::default().proxies,
    };
    Ok(Door { max_connections: total, max_connections_per_address: per_address, proxies })
}

fn public_url(text: String) -> Result<String, ConfigError> {
    const WANTED: &str = "give an http or https URL without query and fragment, such as https://hooks.example.com";
    let url = http_url("public-url", &text, WANTED)?;
    match (url.query(), url.fragment()) {
        (None, None) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(ConfigError::invalid("public-url", text, WANTED)),
    }
}

fn chat(url: Option<String>, model: Option<String>) -> Result<Option<ChatSettings>, ConfigError> {
    let alone = |setting, value| ConfigError::invalid(setting, value, "chat-url and chat-model are needed together");
    let (url, model) = match (url, model) {
        (None, None) => return Ok(None),
        (Some(url), None) => return Err(alone("chat-url", url)),
        (None, Some(model)) => return Err(alone("chat-model", model)),
        (Some(url), Some(model)) => (url, model),
    };
    let wanted = "give an http or https URL such as https://api.openai.com/v1/chat/completions";
    let url = http_url("chat-url", &url, wanted)?;
    let key = std::env::var("HOOKYARD_CHAT_KEY").ok().filter(|key| !key.is_empty());
    Ok(Some(ChatSettings { url, model, key }))
}

fn otlp(text: &str) -> Result<Url, ConfigError> {
    http_url("otlp-endpoint", text, "give an http or https URL such as http://127.0.0.1:4318")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hidden;

    #[track_caller]
    fn check(given: Given, expected: &str) {
        let data = std::env::temp_dir().join(format!("hookyard-settings-{}", std::process::id()));
        let said = Given { data: Some(data.clone()), ..given }.settle().err().map(|error| error.to_string());
        assert!(said.as_deref().is_some_and(|said| said.starts_with(expected)), "{said:?}");
        assert!(!data.exists(), "a wrong setting leaves nothing behind");
    }

    #[test]
    fn an_error_names_the_setting() {
        let text = |text: &str| Some(text.to_owned());
        let none = Given::default;
        check(Given { listen: text("8400"), ..none() }, "listen = `8400`");
        check(Given { deny_addresses: text("10.0.0.0/33"), ..none() }, "deny-addresses = `10.0.0.0/33`");
        check(Given { allow_addresses: text("10.0.0.0/8,nonsense"), ..none() }, "allow-addresses = `nonsense`");
        check(Given { max_connections: Some(0), ..none() }, "max-connections = `0`");
        check(Given { proxies: text("x"), ..none() }, "proxies = `x`");
        check(
            Given { keep_bodies: text("a week"), ..none() },
            "keep-bodies = `a week`: give a number of days or hours",
        );
        check(Given { public_url: text("example.com"), ..none() }, "public-url = `example.com`");
        check(Given { public_url: text("https://example.com/?x"), ..none() }, "public-url = `https://example.com/?x`");
        check(Given { otlp_endpoint: text("127.0.0.1:4318"), ..none() }, "otlp-endpoint = `127.0.0.1:4318`");
        let database = |text: &str| Some(Hidden::from(text.to_owned()));
        check(Given { database: database("postgres://user:secret@db/"), ..none() }, "database = `postgres:...`");
        check(Given { database: database("sqlite:"), ..none() }, "database = `sqlite:...`");
        let proxy = Some(Hidden::from("https://user:secret@proxy:1".to_owned()));
        check(Given { egress_proxy: proxy, ..none() }, "egress-proxy = `https:...`: give http://");
    }

    #[test]
    fn a_chat_has_its_url_and_its_model() {
        let given = |url: Option<&str>, model: Option<&str>| Given {
            chat_url: url.map(str::to_owned),
            chat_model: model.map(str::to_owned),
            ..Given::default()
        };
        let url = "https://example.com/v1";
        check(given(Some(url), None), "chat-url = `https://example.com/v1`: chat-url and chat-model");
        check(given(None, Some("small")), "chat-model = `small`: chat-url and chat-model");
        check(given(Some("ftp://example.com/"), Some("small")), "chat-url = `ftp://example.com/`: give an http");
    }
}
