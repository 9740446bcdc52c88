//! `hookyard plugin check`: what an upload would say.

use std::path::PathBuf;

use serde_json::json;

use super::super::table::{bytes, columns};
use super::bench::Bench;
use super::{Stop, print, print_json};
use crate::domain::plugin::Job;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The component
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> Result<(), Stop> {
    let bench = match Bench::admit(&args.file).await {
        Err(Stop::Plugin(problem)) if args.json => {
            print_json(&json!({ "accepted": false, "problem": problem }))?;
            return Err(Stop::Plugin(problem));
        }
        bench => bench?,
    };
    let Bench { admitted, size, .. } = &bench;
    let description = &admitted.description;
    if args.json {
        return print_json(&json!({
            "accepted": true, "name": description.name, "version": description.version,
            "summary": description.summary, "interfaces": admitted.jobs, "capabilities": description.capabilities,
            "examples": description.examples.len(), "size": size, "digest": admitted.digest,
            "compile_ms": admitted.compile_time.as_millis() as u64,
        }));
    }
    let jobs: Vec<String> = admitted.jobs.iter().map(Job::to_string).collect();
    let row = |name: &str, value: String| vec![format!("  {name}"), value];
    let table = columns(&[
        row("jobs", jobs.join(", ")),
        row("capabilities", or_none(&description.capabilities.join(", "))),
        row("examples", format!("{}, each came out as it says, twice", description.examples.len())),
        row("size", bytes(*size as u64)),
        row("digest", admitted.digest.to_string()),
        row("compiled in", format!("{} ms", admitted.compile_time.as_millis())),
    ]);
    let title = format!("{} {}: {}", description.name, description.version, description.summary);
    print(&format!("{title}\n{table}A server with these limits would accept it.\n"))
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { text.to_owned() }
}
