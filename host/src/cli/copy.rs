//! `hookyard copy`: everything of a stopped server's into another database.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use super::screen::{bar, print};
use super::table::table;
use super::{Failure, on_one_thread};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Hidden, Place};
use crate::domain::database::Database;
use crate::store::copy::{Compared, Copied, CopyError, Watch, copy};
use crate::store::seal::Seal;
use crate::telemetry::Chain;

#[derive(clap::Args)]
#[command(
    after_help = "Stop the server first: a SQLite file is locked meanwhile, and a PostgreSQL database must have no living host. What is
copied to has to be empty. When the command was cut off, the same command goes on where it was; until it has compared
both sides, row by row, no server starts on the copy. Both keep the same master key, which has to be here. URLs with a
password belong into HOOKYARD_COPY_FROM and HOOKYARD_COPY_TO. Example:
  hookyard copy --data /var/lib/hookyard --from sqlite:/var/lib/hookyard/hookyard.db --to postgres://hookyard@db/hookyard"
)]
pub(super) struct Copy {
    /// What is copied: sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(long, env = "HOOKYARD_COPY_FROM", hide_env_values = true)]
    from: Hidden,
    /// Where to: the same, and empty
    #[arg(long, env = "HOOKYARD_COPY_TO", hide_env_values = true)]
    to: Hidden,
    /// Data directory, for its master.key [default: ./hookyard-data]
    #[arg(long, env = "HOOKYARD_DATA")]
    data: Option<PathBuf>,
    /// Let a PostgreSQL server be used that can lose what was acknowledged
    #[arg(long, env = "HOOKYARD_ALLOW_UNSAFE_DURABILITY", num_args = 0..=1, default_missing_value = "true")]
    allow_unsafe_durability: Option<bool>,
}

impl Copy {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = Place { data: self.data, database: None, allow_unsafe_durability: self.allow_unsafe_durability };
        let place = place.or(config::read_file(Path::new("hookyard.toml"))?);
        let named = |flag: &str, url| {
            let settled = Place { database: Some(url), ..place.clone() }.settle();
            settled.map(|(_, database)| database).map_err(|error| Failure(format!("{flag}: {error}")))
        };
        let (from, to) = (named("--from", self.from)?, named("--to", self.to)?);
        let (data, _) = Place { database: None, ..place }.settle()?;
        let Some(key) = config::master_key_there(&data)? else {
            return Err(Failure(format!(
                "the master key is needed to see that it belongs to what is copied: there is none in {}; say where \
                 with --data, or set HOOKYARD_MASTER_KEY",
                data.join("master.key").display()
            )));
        };
        on_one_thread(async {
            let bars = Bars::default();
            let seal = Seal::new(key.bytes());
            let copied = copy((&from, &to), &seal, SystemClock.now(), &bars).await;
            bars.clear();
            match copied {
                Ok(Copied::Now { tables, released, replaced }) => {
                    print(&compared(&tables))?;
                    print(&said(&tables, released, replaced))?;
                    let scheme = if matches!(to, Database::Sqlite(_)) { "sqlite:" } else { "" };
                    print(&format!("Start the server on it: --database {scheme}{to}, with the same master key.\n"))
                }
                Ok(Copied::Before) => {
                    print(&format!("{to} is a complete copy already: {from} has what it had when it was made.\n"))
                }
                Err(error) => {
                    if let CopyError::Differ(tables) = &error {
                        print(&compared(tables))?;
                    }
                    Err(Failure(Chain(&error).to_string()))
                }
            }
        })
    }
}

/// Both sides of each table; of checksums as much as tells them apart.
fn compared(tables: &[Compared]) -> String {
    let row = |of: &Compared| {
        let short = |checksum: &str| checksum.get(..16).unwrap_or(checksum).to_owned();
        vec![
            of.table.clone(),
            of.from.rows.to_string(),
            of.to.rows.to_string(),
            short(&of.from.checksum),
            short(&of.to.checksum),
            if of.is_same() { "same" } else { "differs" }.to_owned(),
        ]
    };
    let headings = ["table", "rows", "copied", "checksum", "of the copy", ""];
    table(&headings, tables.iter().map(row).collect())
}

fn said(tables: &[Compared], released: u64, replaced: u64) -> String {
    let rows: u64 = tables.iter().map(|table| table.from.rows).sum();
    let mut said = format!("{rows} rows in {} tables are the same on both sides.\n", tables.len());
    if released > 0 {
        said += &format!("{released} deliveries that the old server had begun are due again.\n");
    }
    if replaced > 0 {
        said += &format!("{replaced} texts had U+0000, which PostgreSQL does not take: it is U+FFFD in the copy.\n");
    }
    said
}

/// A bar on standard error for the table that is at work.
#[derive(Default)]
struct Bars(Mutex<Option<(String, ProgressBar)>>);

impl Bars {
    fn show(&self, what: String, reached: u64, of: u64) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shown {
            Some((before, bar)) if *before == what => bar.set_position(reached),
            _ => {
                if let Some((_, bar)) = shown.take() {
                    bar.finish_and_clear();
                }
                let bar = bar(of, &what);
                bar.set_position(reached);
                *shown = Some((what, bar));
            }
        }
    }

    fn clear(&self) {
        if let Some((_, bar)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Bars {
    fn copied(&self, table: &str, rows: u64, of: u64) {
        self.show(format!("copying {table}"), rows, of);
    }

    fn compared(&self, table: &str, rows: u64, of: u64) {
        self.show(format!("comparing {table}"), rows, of);
    }
}
