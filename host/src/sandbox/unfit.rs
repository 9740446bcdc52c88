//! Whether a configuration says how its step's job is done. `check` is not told
//! which of its jobs a plugin is wanted for, so one that has several is asked to
//! do it once, of nothing.

use super::Issue;
use super::contract::{EventIn, MessageIn, RequestIn};
use super::convert;
use super::guest::Guest;
use super::limits::Limits;
use super::plugin::Plugin;
use crate::domain::plugin::Job;

/// The code of a refusal that is about the configuration and this job, whatever
/// comes in. `wit/types.wit` has it.
const OTHER_JOB: &str = "other-job";

const EPOCH: &str = "1970-01-01T00:00:00.000Z";
const NOTHING: &str = "{}";

/// What is wrong with `config` where the plugin is to do `job` with it.
pub(super) fn issue(plugin: &Plugin, job: Job, config: &str, guest: Guest, limits: &Limits) -> Option<Issue> {
    if plugin.jobs().len() < 2 {
        return None;
    }
    let refusal = match job {
        Job::Mapper => plugin.call_map(&request(), config, guest, limits).result.map(Result::err),
        Job::Filter => plugin.call_keep(&event(), config, guest, limits).result.map(Result::err),
        Job::Transformer => plugin.call_transform(&event(), &message(), config, guest, limits).result.map(Result::err),
    };
    // Whatever else goes wrong with nothing may go well with something.
    let refusal = refusal.ok().flatten().filter(|refusal| refusal.code == OTHER_JOB)?;
    let (_, message) = convert::refusal(refusal);
    Some(match message.split_once(": ") {
        Some((path, rest)) if is_path(path) => Issue { path: path.to_owned(), message: rest.to_owned() },
        _ => Issue { path: String::new(), message },
    })
}

/// Refusals begin with the field that they are about, as the contract asks.
fn is_path(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.[]".contains(letter))
}

fn request() -> RequestIn<'static> {
    let (query, headers) = (Vec::new(), Vec::new());
    let body = NOTHING.as_bytes();
    RequestIn { id: "req_0", source: "", received_at: EPOCH, method: "POST", query, headers, body }
}

fn event() -> EventIn<'static> {
    EventIn {
        id: "evt_0",
        event_type: "hookyard.check",
        occurred_at: EPOCH,
        subject: None,
        account: None,
        tags: &[],
        data: NOTHING,
    }
}

fn message() -> MessageIn<'static> {
    MessageIn { method: "POST", target: None, headers: Vec::new(), body: NOTHING.as_bytes() }
}
