//! Plugins as the house knows them: a name, a numbered version, a digest and
//! the jobs it can do. How one runs is the sandbox's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::{KeyId, TenantId};
use super::time::Timestamp;

/// Whose a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// First-party, embedded in the binary, for every tenant to use.
    House,
    Tenant(TenantId),
}

/// Lower case letters, digits and hyphens, at most 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PluginName(String);

/// The text is no plugin name.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAPluginName;

impl fmt::Display for NotAPluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plugin name is 1 to 64 lower case letters, digits and hyphens, the first a letter")
    }
}

impl std::error::Error for NotAPluginName {}

impl FromStr for PluginName {
    type Err = NotAPluginName;

    fn from_str(text: &str) -> Result<Self, NotAPluginName> {
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if starts && rest && text.len() <= 64 { Ok(Self(text.to_owned())) } else { Err(NotAPluginName) }
    }
}

impl TryFrom<String> for PluginName {
    type Error = NotAPluginName;

    fn try_from(text: String) -> Result<Self, NotAPluginName> {
        text.parse()
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of a component: what a plugin version is, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(component: &[u8]) -> Self {
        Self(Sha256::digest(component).into())
    }
}

/// `sha256:` and 64 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no `sha256:...` digest.
#[derive(Debug, PartialEq, Eq)]
pub struct NotADigest;

impl fmt::Display for NotADigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is `sha256:` and 64 hexadecimal digits")
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or(NotADigest)?;
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a plugin can be used for: the interface of the contract it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    Mapper,
    Filter,
    Transformer,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mapper => "mapper",
            Self::Filter => "filter",
            Self::Transformer => "transformer",
        })
    }
}

/// One immutable upload.
#[derive(Clone, Debug)]
pub struct PluginVersion {
    pub owner: Owner,
    pub name: PluginName,
    /// Counted from 1 for each name.
    pub version: u32,
    pub digest: Digest,
    /// Of the component, in bytes.
    pub size: u64,
    pub jobs: Vec<Job>,
    pub description: Description,
    /// How long compiling it took here.
    pub compile_ms: u64,
    /// The key that it came with; absent for what comes with the server.
    pub uploaded_by: Option<KeyId>,
    pub created_at: Timestamp,
}

/// What one tenant's plugin versions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    pub versions: u64,
    /// Of the components, each counted once for every version that it is.
    pub bytes: u64,
    /// Bytes of their descriptions, as JSON.
    pub described: u64,
}

impl Stock {
    /// The most that a tenant may have. Descriptions are in memory, where they
    /// take up to sixteen times the room of their text, and components on the
    /// disk; neither is to be filled by one tenant. A description has usually 2
    /// KiB.
    pub const MOST: Self = Self { versions: 1_000, bytes: 1 << 30, described: 16 << 20 };

    pub fn fits(&self, most: &Self) -> bool {
        self.versions <= most.versions && self.bytes <= most.bytes && self.described <= most.described
    }
}

/// What a plugin says of itself; see `wit/settings.wit`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub config_schema: serde_json::Value,
    pub capabilities: Vec<String>,
    pub examples: Vec<Example>,
}

/// A case that shows what a configuration does, and is run at upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Example {
    pub name: String,
    pub job: Job,
    pub config: serde_json::Value,
    pub input: serde_json::Value,
    pub output: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_names_are_short_and_plain() {
        for good in ["a", "field-mapper", "x9"] {
            assert!(good.parse::<PluginName>().is_ok(), "{good}");
        }
        for bad in ["", "9x", "-a", "Field", "a_b", "a/b", "ä", &"a".repeat(65)] {
            assert_eq!(bad.parse::<PluginName>(), Err(NotAPluginName), "{bad}");
        }
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest::of(b"component");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("sha256:zz".parse::<Digest>(), Err(NotADigest));
        assert_eq!(format!("sha256:{}", "é".repeat(32)).parse::<Digest>(), Err(NotADigest));
    }
}
