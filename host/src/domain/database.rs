//! Where everything is kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// Where everything is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of this machine's.
    Sqlite(PathBuf),
    /// A server that many hosts share.
    Postgres(PostgresUrl, Durability),
}

/// What is asked of a server's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// What is committed outlives a crash of its machine.
    #[default]
    Required,
    /// Somebody has said that it need not.
    Waived,
}

/// `postgres://user:password@host:port/name?sslmode=verify-full`. Neither `Debug` nor
/// `Display` shows its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Url);

/// Why it is none.
#[derive(Debug, PartialEq, Eq)]
pub struct NotADatabase(&'static str);

impl fmt::Display for NotADatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a database is named by.
const WANTED: &str = "give sqlite:<path> or postgres://user@host/name";

impl FromStr for PostgresUrl {
    type Err = NotADatabase;

    fn from_str(text: &str) -> Result<Self, NotADatabase> {
        let url = Url::parse(text).map_err(|_| NotADatabase(WANTED))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(NotADatabase(WANTED));
        }
        if url.host_str().is_some_and(|host| host.contains(',')) {
            return Err(NotADatabase("it names several hosts: give one name, which leads to the primary"));
        }
        match url.path().trim_start_matches('/') {
            "" => Err(NotADatabase("it names no database: give postgres://user@host/name")),
            _ => Ok(Self(url)),
        }
    }
}

impl PostgresUrl {
    /// All of it, for whoever connects.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        f.write_str("postgres://")?;
        if !url.username().is_empty() {
            write!(f, "{}@", url.username())?;
        }
        f.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url, _) => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let url: PostgresUrl = "postgres://me:hush@db.example:5433/hookyard?sslmode=require".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), ["postgres://me@db.example:5433/hookyard"; 2].join(" "));
        assert!(url.reveal().contains("hush"));
    }

    #[test]
    fn what_is_no_server_is_refused_and_told_what_is() {
        for (text, said) in [
            ("mysql://db/x", "give sqlite:<path> or postgres://"),
            ("postgres://db", "it names no database"),
            ("postgres://one,two:5432/x", "it names several hosts"),
            ("postgres://db/", "it names no database"),
            ("hookyard", "give sqlite:<path> or postgres://"),
        ] {
            let refused = text.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(refused.starts_with(said), "{text}: {refused}");
        }
    }
}
