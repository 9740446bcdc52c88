//! What the holder of an API key, or a user of the dashboard, may do.

use std::fmt;

/// Each key has one, and each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but keys, users, the audit log and erasures.
    Member,
    /// Reads, and previews that change nothing.
    Viewer,
    /// Publishes events.
    Publish,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Member, Self::Viewer, Self::Publish];

    /// The word that the API and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Publish => "publish",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether it may do what `least` is enough for. Viewers and publishers have
    /// nothing in common.
    pub fn covers(self, least: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Member => least != Self::Admin,
            Self::Viewer | Self::Publish => self == least,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(role: Role, covered: &[Role]) {
        let all: Vec<Role> = Role::ALL.into_iter().filter(|least| role.covers(*least)).collect();
        assert_eq!(all, covered, "{role}");
    }

    #[test]
    fn a_role_covers_what_is_less() {
        check(Role::Admin, &Role::ALL);
        check(Role::Member, &[Role::Member, Role::Viewer, Role::Publish]);
        check(Role::Viewer, &[Role::Viewer]);
        check(Role::Publish, &[Role::Publish]);
    }

    #[test]
    fn a_role_survives_its_word() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("Admin"), None);
    }
}
