//! `hookyard backup` and `hookyard restore`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::{self, Place};
use crate::domain::database::Database;
use crate::store::seal::Seal;
use crate::store::sqlite::backup;

#[derive(clap::Args)]
pub(super) struct Backup {
    #[command(flatten)]
    place: Place,
    /// The file to be written; it must not be there yet
    #[arg(long)]
    to: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct Restore {
    /// What `hookyard backup` has written
    #[arg(long)]
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (data, database) = settle(self.place)?;
        let bytes = runtime()?.block_on(backup::backup(&database, &self.to))?;
        say(&format!(
            "Wrote {} ({bytes} bytes). It has no keys in it: keep {} and {} as well, in another place.",
            self.to.display(),
            data.join("master.key").display(),
            data.join("operator.key").display(),
        ))
    }
}

impl Restore {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (data, database) = settle(self.place)?;
        config::make_data(&data)?;
        let key = config::master_key_there(&data)?;
        let seal = key.as_ref().map(|key| Seal::new(key.bytes()));
        let bytes = runtime()?.block_on(backup::restore(&self.from, &database, seal.as_ref()))?;
        let (master, operator) = (data.join("master.key"), data.join("operator.key"));
        let master = match key {
            Some(_) => "The master key that is here belongs to it.".to_owned(),
            None => format!(
                "Before the server starts, copy the master.key that belongs to it to {}, or set HOOKYARD_MASTER_KEY: \
                 without it the server makes another one, which does not open this database.",
                master.display()
            ),
        };
        let operator = match operator.exists() {
            true => String::new(),
            false => format!(
                " Copy operator.key to {} or set HOOKYARD_OPERATOR_KEY too, or the operator gets a new key.",
                operator.display()
            ),
        };
        say(&format!("Restored {} ({bytes} bytes). {master}{operator}", database.display()))
    }
}

fn settle(place: Place) -> Result<(PathBuf, PathBuf), Failure> {
    match place.or(config::read_file(Path::new("hookyard.toml"))?).settle()? {
        (data, Database::Sqlite(path)) => Ok((data, path)),
        (_, Database::Postgres(url, _)) => Err(Failure(format!(
            "{url} is a server's: its backups are PostgreSQL's own (continuous archiving, or pg_dump and pg_restore); \
             keep master.key and operator.key as well, in another place"
        ))),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
