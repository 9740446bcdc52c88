//! Where the data is: the data directory and the database's file.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{ConfigError, Given};

/// Where the data is, as somebody wrote it down.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Data directory [default: ./hookyard-data]
    #[arg(long, env = "HOOKYARD_DATA")]
    pub data: Option<PathBuf>,
    /// sqlite:PATH [default: hookyard.db in the data directory]
    #[arg(long, env = "HOOKYARD_DATABASE")]
    pub database: Option<String>,
}

impl Place {
    /// What this says, and where it says nothing, what `hookyard.toml` says.
    pub fn or(self, file: Given) -> Self {
        Self { data: self.data.or(file.data), database: self.database.or(file.database) }
    }

    /// The data directory, which may not be there, and the SQLite file.
    pub fn settle(self) -> Result<(PathBuf, PathBuf), ConfigError> {
        let data = self.data.unwrap_or_else(|| PathBuf::from("hookyard-data"));
        let database = match &self.database {
            None => data.join("hookyard.db"),
            Some(text) => database_path(text)?,
        };
        Ok((data, database))
    }
}

/// Makes the data directory, for its owner alone.
pub fn make_data(data: &Path) -> Result<(), ConfigError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| ConfigError::Io { setting: "data", path: data.to_owned(), error })
}

fn database_path(text: &str) -> Result<PathBuf, ConfigError> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(ConfigError::invalid_url("database", text, "give sqlite:<path>")),
    }
}
