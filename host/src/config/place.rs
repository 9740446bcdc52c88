//! Where the data is: the data directory and the database.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{ConfigError, Given, Hidden};
use crate::domain::database::{Database, Durability, PostgresUrl};

/// Where the data is, as somebody wrote it down.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Data directory [default: ./hookyard-data]
    #[arg(long, env = "HOOKYARD_DATA")]
    pub data: Option<PathBuf>,
    /// sqlite:PATH, or postgres://USER@HOST/NAME; a password belongs into the variable or the file [default:
    /// hookyard.db in the data directory]
    #[arg(long, env = "HOOKYARD_DATABASE", hide_env_values = true)]
    pub database: Option<Hidden>,
    /// Let a PostgreSQL server be used that can lose what was acknowledged
    #[arg(long, env = "HOOKYARD_ALLOW_UNSAFE_DURABILITY", num_args = 0..=1, default_missing_value = "true")]
    pub allow_unsafe_durability: Option<bool>,
}

impl Given {
    /// Where the data is, of all that is set.
    pub fn place(&self) -> Place {
        let Self { data, database, allow_unsafe_durability, .. } = self.clone();
        Place { data, database, allow_unsafe_durability }
    }
}

impl From<Place> for Given {
    fn from(Place { data, database, allow_unsafe_durability }: Place) -> Self {
        Self { data, database, allow_unsafe_durability, ..Self::default() }
    }
}

impl Place {
    /// What this says, and where it says nothing, what `hookyard.toml` says.
    pub fn or(self, file: Given) -> Self {
        Given::from(self).or(file).place()
    }

    /// The data directory, which may not be there, and the database.
    pub fn settle(self) -> Result<(PathBuf, Database), ConfigError> {
        let data = self.data.unwrap_or_else(|| PathBuf::from("hookyard-data"));
        let database = match &self.database {
            None => Database::Sqlite(data.join("hookyard.db")),
            Some(text) => database(&text.0, self.allow_unsafe_durability.unwrap_or(false))?,
        };
        Ok((data, database))
    }
}

/// Makes the data directory, for its owner alone.
pub fn make_data(data: &Path) -> Result<(), ConfigError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| ConfigError::Io { setting: "data", path: data.to_owned(), error })
}

/// Reads `sqlite:<path>` and `postgres://...`.
pub fn database(text: &str, is_unsafe_allowed: bool) -> Result<Database, ConfigError> {
    match text.strip_prefix("sqlite:") {
        Some("") => Err(ConfigError::invalid_url("database", text, "give sqlite:<path>")),
        Some(path) => Ok(Database::Sqlite(PathBuf::from(path))),
        None => {
            let url = text.parse::<PostgresUrl>();
            let url = url.map_err(|problem| ConfigError::invalid_url("database", text, problem.to_string()))?;
            let durability = if is_unsafe_allowed { Durability::Waived } else { Durability::Required };
            Ok(Database::Postgres(url, durability))
        }
    }
}
