//! Users: people who sign in, each with a role in one tenant, or as the
//! operator. What signs them in is in `password.rs`, how long in `session.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::id::{TenantId, UserId};
use super::password::PasswordHash;
use super::role::Role;
use super::time::Timestamp;

/// One person in one place. Whoever works for two tenants is two users.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub whose: Whose,
    /// What they sign in with; taken once in each tenant.
    pub email: Email,
    /// For people; the part before the `@` when nobody gave one.
    pub name: String,
    /// What they may; the operator's users may what the operator may.
    pub role: Role,
    /// Absent until they have chosen one.
    pub password: Option<PasswordHash>,
    pub created_at: Timestamp,
}

/// Whose user or link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Operator,
    Tenant(TenantId),
}

impl Whose {
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Operator => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }
}

/// The tenant's id, or `operator`.
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Tenant(tenant) => tenant.fmt(f),
        }
    }
}

impl FromStr for Whose {
    type Err = super::id::NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "operator" { Ok(Self::Operator) } else { text.parse().map(Self::Tenant) }
    }
}

/// Roles that a person can have. Publishers see nothing: that is for programs.
pub const ROLES: [Role; 3] = [Role::Admin, Role::Member, Role::Viewer];

/// An address, in lower case, so that it is found however it is typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is no e-mail address that could be meant.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnEmail;

impl fmt::Display for NotAnEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "give an e-mail address, such as jane@example.com, of at most {MAX_EMAIL} bytes")
    }
}

/// RFC 5321, section 4.5.3.1.3, less the brackets.
const MAX_EMAIL: usize = 254;

impl Email {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for somebody of whom nothing else is known.
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

/// Only what could not be one is refused: whether somebody reads it shows when
/// they do.
impl FromStr for Email {
    type Err = NotAnEmail;

    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.split_once('@').ok_or(NotAnEmail)?;
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        if local.is_empty()
            || domain.is_empty()
            || domain.contains('@')
            || text.len() > MAX_EMAIL
            || text.contains(is_odd)
        {
            return Err(NotAnEmail);
        }
        Ok(Self(text))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, email: Option<&str>) {
        assert_eq!(text.parse::<Email>().ok().as_ref().map(Email::as_str), email, "{text}");
    }

    #[test]
    fn an_address_is_kept_as_it_is_looked_for() {
        check(" Jane@Example.COM ", Some("jane@example.com"));
        check("jane@localhost", Some("jane@localhost"));
        check("jane", None);
        check("@example.com", None);
        check("jane@", None);
        check("jane@a@b", None);
        check("jane doe@example.com", None);
        check("jane@example.com\nbcc: x", None);
        check(&format!("{}@example.com", "x".repeat(MAX_EMAIL)), None);
    }

    #[test]
    fn whose_it_is_survives_its_text() {
        for whose in [Whose::Operator, Whose::Tenant(TenantId::floor(Timestamp::from_millis(7)))] {
            assert_eq!(whose.to_string().parse(), Ok(whose));
        }
        assert!("somebody".parse::<Whose>().is_err());
    }
}
