//! `hookyard doctor`: looks at all that a server stands on, changes nothing, and
//! says how to mend what is wrong.

mod database;
mod disk;
mod finding;
mod machine;
mod network;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Url;
use serde_json::{Value, json};

use self::finding::{Finding, Grade};
use super::Failure;
use super::screen::{print, print_json, state};
use super::table::columns;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Given};
use crate::domain::database::Database;

#[derive(clap::Args)]
#[command(
    after_help = "Give it what the server is given: the same flags, variables and hookyard.toml. It ends with 1 when something failed, and
with 0 when all is well or only a warning was given. Examples:
  hookyard doctor --data /var/lib/hookyard
  hookyard doctor --reach https://hooks.example.com  DNS, the way out and the clock, too"
)]
pub(super) struct Doctor {
    #[command(flatten)]
    given: Given,
    /// A URL to be reached as a delivery would reach it; nothing outside is asked without one
    #[arg(long, value_name = "URL")]
    reach: Option<Url>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let given = self.given.or(config::read_file(Path::new("hookyard.toml"))?);
        let began = (Instant::now(), SystemClock.now());
        let (data, database) = given.place().settle()?;
        let mut findings = disk::findings(&data);
        findings.extend(disk::keys(&data));
        match &database {
            Database::Sqlite(path) => findings.extend(database::findings(&data, path).await),
            Database::Postgres(url, durability) => findings.extend(server::findings(&data, url, *durability).await),
        }
        findings.push(machine::open_files());
        findings.push(network::port(given.listens_on()?).await);
        let (urls, proxy) = given.way_out()?;
        findings.extend(network::way_out(self.reach.as_ref(), urls, proxy).await);
        findings.push(machine::clock_runs_on(began));
        let failed = findings.iter().filter(|finding| finding.grade == Grade::Fail).count();
        match self.json {
            true => print_json(&findings.iter().map(Finding::json).collect::<Value>())?,
            false => print(&text(&findings))?,
        }
        match failed {
            0 => Ok(()),
            1 => Err(Failure("one check failed; the line says how to mend it".to_owned())),
            failed => Err(Failure(format!("{failed} checks failed; their lines say how to mend them"))),
        }
    }
}

fn text(findings: &[Finding]) -> String {
    let mut rows = Vec::new();
    for finding in findings {
        rows.push(vec![state(finding.grade.word()), finding.about.to_owned(), finding.said.clone()]);
        if let Some(mend) = &finding.mend {
            rows.push(vec![String::new(), String::new(), format!("-> {mend}")]);
        }
    }
    columns(&rows)
}

impl Finding {
    fn json(&self) -> Value {
        json!({"check": self.about, "state": self.grade.word(), "said": self.said, "mend": self.mend})
    }
}

/// Of a few tries: one that was in another's way says nothing.
fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
