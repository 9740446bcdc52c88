//! The port to listen on, names, the way out, and what time it is elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::screen::clean;
use super::finding::Finding;
use crate::clock::{Clock as _, SystemClock};
use crate::dial::{Dialler, Names as _, Reply, SystemNames};
use crate::domain::egress::EgressProxy;
use crate::domain::url::{DeliveryUrl, UrlPolicy};

const PATIENCE: Duration = Duration::from_secs(15);
/// Receivers refuse signatures that are older or younger than five minutes.
const FAR_OFF: u64 = 120;
/// An answer's date has whole seconds, and was on its way.
const OFF: u64 = 5;

/// Whether a server can listen there, or does.
pub(super) async fn port(listen: SocketAddr) -> Finding {
    let error = match TcpListener::bind(listen).await {
        Ok(_) => return Finding::ok("port", format!("{listen} is free")),
        Err(error) => error,
    };
    match tokio::time::timeout(PATIENCE, health(listen)).await {
        Ok(Some(answer)) if answer.contains("200 OK") && answer.ends_with("ok") => {
            Finding::ok("port", format!("a server answers at {listen}"))
        }
        _ => {
            let mend = "end what has it (`ss -ltnp` shows it), or give another --listen";
            Finding::fail("port", format!("{listen}: {error}"), mend)
        }
    }
}

async fn health(at: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// The way that a delivery to `reach` would take.
pub(super) async fn way_out(reach: Option<&Url>, urls: UrlPolicy, proxy: Option<EgressProxy>) -> Vec<Finding> {
    let Some(reach) = reach else {
        return vec![Finding::skip("way out", "nothing outside was asked; --reach URL tries it")];
    };
    let mut findings = vec![names(reach).await];
    let through = proxy.as_ref().map(|proxy| format!(" through {proxy:?}")).unwrap_or_default();
    let dialler = Dialler::new(Arc::new(urls), Arc::new(SystemNames), proxy.as_ref());
    match tokio::time::timeout(PATIENCE, get(&dialler, reach)).await {
        Ok(Ok(reply)) => {
            findings.push(Finding::ok("way out", format!("{reach} answers {}{through}", reply.status())));
            findings.push(date(&reply));
        }
        Ok(Err(problem)) => {
            let mend = "look at firewall, --egress-proxy, --allow-addresses and --deny-addresses";
            findings.push(Finding::fail("way out", format!("{reach}{through}: {}", clean(&problem)), mend));
        }
        Err(_) => {
            let said = format!("{reach}{through}: no answer within {} s", PATIENCE.as_secs());
            findings.push(Finding::fail("way out", said, "look at the firewall and --egress-proxy"));
        }
    }
    findings
}

async fn get(dialler: &Dialler, reach: &Url) -> Result<Reply, String> {
    let url = DeliveryUrl::read(reach.as_str()).map_err(|problem| format!("the URL {problem}"))?;
    dialler.send("GET", &url, &[], Bytes::new()).await.map_err(|problem| problem.to_string())
}

async fn names(reach: &Url) -> Finding {
    let name = reach.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let found = match tokio::time::timeout(PATIENCE, SystemNames.addresses(name)).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    match found {
        Ok(found) if !found.is_empty() => {
            let all: Vec<String> = found.iter().map(ToString::to_string).collect();
            Finding::ok("names", format!("{name} is {}", all.join(", ")))
        }
        Ok(_) => Finding::fail("names", format!("{name} has no address"), "look at /etc/resolv.conf"),
        Err(error) => Finding::fail("names", format!("{name}: {error}"), "look at /etc/resolv.conf"),
    }
}

/// Our clock beside the one that answered.
fn date(reply: &Reply) -> Finding {
    let said = reply.headers().get("date").and_then(|value| value.to_str().ok());
    let theirs = said.and_then(|text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
    let Some(theirs) = theirs else { return Finding::skip("time", "the answer had no date to compare with") };
    let off = SystemClock.now().as_secs().abs_diff(theirs.as_second());
    let mend = "set the clock: receivers refuse what is signed at another time; chrony or systemd-timesyncd keeps it";
    match off {
        0..=OFF => Finding::ok("time", "the same as the receiver's"),
        off if off < FAR_OFF => Finding::warn("time", format!("{off} s away from the receiver's"), mend),
        off => Finding::fail("time", format!("{off} s away from the receiver's"), mend),
    }
}
