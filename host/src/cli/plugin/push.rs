//! `hookyard plugin push`: uploads a component as a tenant. The key is never a
//! flag: a command line is there for every process to read.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url, header};
use serde_json::Value;

use super::bench::{Bench, read};
use super::{Stop, print, print_json};
use crate::domain::plugin::PluginName;
use crate::telemetry::Chain;

/// Compiling an interpreter on a busy server takes a while.
const DEADLINE: Duration = Duration::from_secs(180);

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The component
    file: PathBuf,
    /// What the tenant calls it [default: what it calls itself]
    #[arg(long)]
    name: Option<PluginName>,
    /// The server
    #[arg(
        long = "server",
        alias = "url",
        env = "HOOKYARD_SERVER",
        default_value = "http://127.0.0.1:8400",
        value_name = "URL"
    )]
    url: Url,
    /// Print what the server answered, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> Result<(), Stop> {
    let key = std::env::var("HOOKYARD_KEY").ok().filter(|key| !key.is_empty()).ok_or_else(|| {
        Stop::Command("HOOKYARD_KEY is not set: put the tenant's API key into this variable".to_owned())
    })?;
    let component = read(&args.file)?;
    let name = match &args.name {
        Some(name) => name.to_string(),
        None => Bench::admit(&args.file).await?.admitted.description.name.clone(),
    };
    let address = address(&args.url, &name)?;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(DEADLINE).build();
    let client = client.map_err(|error| Stop::Command(Chain(&error).to_string()))?;
    let request = client.post(address).bearer_auth(key).header(header::CONTENT_TYPE, "application/wasm");
    let answer = request.body(component).send().await.map_err(|error| unreachable(&args.url, &error))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| unreachable(&args.url, &error))?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|_| Stop::Command(format!("{}: status {status} and no JSON; is this a Hookyard server?", args.url)))?;
    report(args, status, &body)
}

fn address(url: &Url, name: &str) -> Result<Url, Stop> {
    let mut address = Url::parse(&format!("{}/v1/plugins", url.as_str().trim_end_matches('/')))
        .ok()
        .filter(|address| matches!(address.scheme(), "http" | "https"))
        .ok_or_else(|| Stop::Command(format!("--server {url}: give the server's, such as http://127.0.0.1:8400")))?;
    address.query_pairs_mut().append_pair("name", name);
    Ok(address)
}

fn unreachable(url: &Url, error: &reqwest::Error) -> Stop {
    Stop::Command(format!("{url}: {}; is the server running? --server says where", Chain(error)))
}

fn report(args: &Args, status: StatusCode, body: &Value) -> Result<(), Stop> {
    if args.json {
        print_json(body)?;
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match status {
        StatusCode::CREATED if args.json => Ok(()),
        StatusCode::CREATED => {
            let interfaces: Vec<&str> =
                body["interfaces"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            print(&format!(
                "{} version {}: {}\n{}\n",
                text("name"),
                body["version"],
                interfaces.join(", "),
                text("digest")
            ))
        }
        // The component is at fault, or what it was called.
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT | StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Stop::Plugin(format!("{}: {}", args.file.display(), text("detail"))))
        }
        StatusCode::UNAUTHORIZED => {
            Err(Stop::Command(format!("{}: the server does not know the key in HOOKYARD_KEY", args.url)))
        }
        status => Err(Stop::Command(format!("{}: status {status}: {}", args.url, text("detail")))),
    }
}
