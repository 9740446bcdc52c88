//! `hookyard migrate`.

use std::path::Path;

use super::screen::print;
use super::{Failure, on_one_thread};
use crate::config::{self, Place};
use crate::domain::database::Database;
use crate::store::offline::migrate;
use crate::telemetry::Chain;

#[derive(clap::Args)]
#[command(
    after_help = "A start does it too. Before an update it can be done on its own: on PostgreSQL the hosts that run go on, several may
do it at once, and one that is cut off has changed nothing. A SQLite file must have no server. Example:
  HOOKYARD_DATABASE=postgres://hookyard@db/hookyard hookyard migrate"
)]
pub(super) struct Migrate {
    #[command(flatten)]
    place: Place,
}

impl Migrate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (_, database) = self.place.or(config::read_file(Path::new("hookyard.toml"))?).settle()?;
        // A first start makes one; a name that was mistyped must not.
        if let Database::Sqlite(path) = &database
            && !path.exists()
        {
            return Err(Failure(format!("database ({}): there is none to migrate", path.display())));
        }
        on_one_thread(async {
            let migrated = migrate(&database).await;
            let (had, has) = migrated.map_err(|error| Failure(Chain(&error).to_string()))?;
            print(&match had {
                None => format!("{database}: schema version {has}; it had none\n"),
                Some(had) if had == has => format!("{database}: schema version {has}, as before\n"),
                Some(had) => format!("{database}: schema version {has}; it was {had}\n"),
            })
        })
    }
}
