//! The master key that takes another's place.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ConfigError;
use super::keys::{MASTER_KEY, MasterKey, parse_master_key, random};

/// The file of a master key that takes the place of another: there from before
/// anything is sealed with it until the other is gone.
pub struct NextMasterKey {
    next: PathBuf,
    current: PathBuf,
}

impl NextMasterKey {
    pub fn of(data: &Path) -> Self {
        Self { next: data.join("master.key.next"), current: data.join("master.key") }
    }

    /// What a rotation that did not end has left.
    pub fn read(&self) -> Result<Option<MasterKey>, ConfigError> {
        match fs::read_to_string(&self.next) {
            Ok(text) => parse_master_key(MASTER_KEY, text.trim()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Makes one. It is on the disk, whole, when this answers.
    pub fn make(&self) -> Result<MasterKey, ConfigError> {
        let key = MasterKey::new(random());
        let aside = self.next.with_extension("unfinished");
        let mut options = OpenOptions::new();
        let written = options.write(true).create(true).truncate(true).mode(0o600).open(&aside).and_then(|mut file| {
            file.write_all(format!("{}\n", STANDARD.encode(key.bytes())).as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&aside, &self.next)).map_err(|error| self.io(error))?;
        self.sync().map(|()| key)
    }

    /// Puts it into the other's place.
    pub fn install(&self) -> Result<(), ConfigError> {
        fs::rename(&self.next, &self.current).map_err(|error| self.io(error))?;
        self.sync()
    }

    /// Takes it away: nothing was sealed with it.
    pub fn discard(&self) -> Result<(), ConfigError> {
        fs::remove_file(&self.next).map_err(|error| self.io(error))?;
        self.sync()
    }

    /// What was renamed stays renamed when the power fails.
    fn sync(&self) -> Result<(), ConfigError> {
        let directory = self.current.parent().expect("the key is in the data directory");
        fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> ConfigError {
        ConfigError::Io { setting: "the next master key", path: self.next.clone(), error }
    }
}
