//! The operator's key and the master key: from the environment, or from the
//! data directory, where the first start makes them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ConfigError;
use crate::domain::key::KeyText;

pub(super) const MASTER_KEY: &str = "HOOKYARD_MASTER_KEY";
const OLD_MASTER_KEY: &str = "HOOKYARD_MASTER_KEY_OLD";

/// Encrypts secrets at rest. Has no `Debug` on purpose.
pub struct MasterKey([u8; 32]);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For the seal, and for what is derived from it.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

/// The master key that a server on `data` would take, if there is one yet.
pub fn master_key_there(data: &Path) -> Result<Option<MasterKey>, ConfigError> {
    let is_given = master_key_is_given() || data.join("master.key").exists();
    is_given.then(|| master_key(data)).transpose()
}

/// The one before, where the environment has one.
pub fn old_master_key() -> Result<Option<MasterKey>, ConfigError> {
    let given = std::env::var(OLD_MASTER_KEY).ok();
    given.map(|text| parse_master_key(OLD_MASTER_KEY, text.trim())).transpose()
}

/// Whether the master key is the environment's, and no file's.
pub fn master_key_is_given() -> bool {
    std::env::var_os(MASTER_KEY).is_some()
}

pub(super) fn operator_key(data: &Path) -> Result<KeyText, ConfigError> {
    let fresh = || KeyText::new(random()).reveal().to_owned();
    let text = key("HOOKYARD_OPERATOR_KEY", &data.join("operator.key"), fresh)?;
    if text.len() < 20 {
        let problem = "an operator key has at least 20 characters";
        return Err(ConfigError::invalid("HOOKYARD_OPERATOR_KEY", "...", problem));
    }
    Ok(KeyText::given(text))
}

pub(super) fn master_key(data: &Path) -> Result<MasterKey, ConfigError> {
    let text = key(MASTER_KEY, &data.join("master.key"), || STANDARD.encode(random::<32>()))?;
    parse_master_key(MASTER_KEY, &text)
}

pub(super) fn parse_master_key(setting: &'static str, text: &str) -> Result<MasterKey, ConfigError> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let problem = "give 32 bytes in base64, such as `openssl rand -base64 32` prints";
    bytes.map(MasterKey).ok_or_else(|| ConfigError::invalid(setting, "...", problem))
}

/// A key from the environment, or from its file, which is made when there is
/// none.
fn key(variable: &'static str, path: &Path, fresh: impl FnOnce() -> String) -> Result<String, ConfigError> {
    if let Ok(text) = std::env::var(variable) {
        return Ok(text.trim().to_owned());
    }
    let read = match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, fresh()),
        Err(error) => Err(error),
    };
    read.map_err(|error| ConfigError::Io { setting: variable, path: path.to_owned(), error })
}

/// Writes `text` down, unless there is a key by now, and answers which it is.
fn make(path: &Path, text: String) -> io::Result<String> {
    // Written aside and then put there whole: a crash must not leave half a
    // key, with which the next start would fail for ever.
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all())?;
    // A link and not a rename: of two first starts at once, the second must not
    // replace the key that the first already seals with.
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    match linked {
        Ok(()) => {
            let directory = path.parent().expect("the key is in the data directory");
            fs::File::open(directory).and_then(|directory| directory.sync_all())?;
            Ok(text)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::read_to_string(path).map(|text| text.trim().to_owned())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("an operating system without random bytes cannot keep a secret");
    bytes
}
