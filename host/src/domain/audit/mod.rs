//! The audit log: who changed what of a tenant's or of the operator's own, when,
//! and from what to what.
//!
//! Secrets have no place in it: `facts` says of each thing what may be shown,
//! and of the rest only that it changed.

use std::fmt;

use super::id::{AuditId, KeyId, UserId};
use super::key::Key;
use super::user::{User, Whose};

mod facts;

pub use facts::{Audited, Change, Fact, created, deleted, updated};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Says when.
    pub id: AuditId,
    /// Who may read it.
    pub whose: Whose,
    pub by: Author,
    pub action: Action,
    /// The id of what was changed, or its name where it has no id.
    pub target: String,
    pub changes: Vec<Change>,
}

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// Whoever has this key. Its name is the one that it had then.
    Key { id: KeyId, name: Option<String> },
    /// This person, by the name that they had then.
    User { id: UserId, name: Option<String> },
    /// Whoever has a portal's link, for this account or for all.
    Portal { account: Option<String> },
    /// Whoever runs the server.
    Operator,
    /// The server by itself.
    Hookyard,
}

impl Author {
    pub fn of(key: &Key) -> Self {
        Self::Key { id: key.id, name: key.name.clone() }
    }

    pub fn of_user(user: &User) -> Self {
        Self::User { id: user.id, name: Some(user.name.clone()) }
    }

    /// The name that a key or a user had, or a portal's account.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Key { name, .. } | Self::User { name, .. } => name.as_deref(),
            Self::Portal { account } => account.as_deref(),
            Self::Operator | Self::Hookyard => None,
        }
    }

    /// What the store's two columns mean.
    pub fn from_parts(word: &str, name: Option<String>) -> Option<Self> {
        match word {
            "operator" => Some(Self::Operator),
            "hookyard" => Some(Self::Hookyard),
            "portal" => Some(Self::Portal { account: name }),
            id if id.starts_with("usr_") => id.parse().ok().map(|id| Self::User { id, name }),
            id => id.parse().ok().map(|id| Self::Key { id, name }),
        }
    }
}

/// The key's or the user's id, `operator`, `portal` or `hookyard`.
impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { id, .. } => id.fmt(f),
            Self::User { id, .. } => id.fmt(f),
            Self::Portal { .. } => f.write_str("portal"),
            Self::Operator => f.write_str("operator"),
            Self::Hookyard => f.write_str("hookyard"),
        }
    }
}

macro_rules! actions {
    ($($name:ident = $word:literal,)*) => {
        /// What was done. The list is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($name,)*
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word that the API and the store use.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    TenantCreated = "tenant.created",
    TenantUpdated = "tenant.updated",
    TenantDeleted = "tenant.deleted",
    TenantEntered = "tenant.entered",
    KeyCreated = "key.created",
    KeyRevoked = "key.revoked",
    UserCreated = "user.created",
    UserUpdated = "user.updated",
    UserDeleted = "user.deleted",
    UserLinkMade = "user.link-made",
    UserPasswordChosen = "user.password-chosen",
    PortalSessionCreated = "portal-session.created",
    PortalSessionsEnded = "portal-sessions.ended",
    SourceCreated = "source.created",
    SourceUpdated = "source.updated",
    SourceDeleted = "source.deleted",
    SourceRerun = "source.rerun",
    EndpointCreated = "endpoint.created",
    EndpointUpdated = "endpoint.updated",
    EndpointDeleted = "endpoint.deleted",
    EndpointPaused = "endpoint.paused",
    EndpointResumed = "endpoint.resumed",
    EndpointVerified = "endpoint.verified",
    EndpointNotVerified = "endpoint.not-verified",
    EndpointDisabled = "endpoint.disabled",
    EndpointReplayed = "endpoint.replayed",
    EndpointSecretRotated = "endpoint.secret-rotated",
    DeliveryRetried = "delivery.retried",
    DeliveryCancelled = "delivery.cancelled",
    EventCancelled = "event.cancelled",
    ReplayCancelled = "replay.cancelled",
    ErasureAsked = "erasure.asked",
    RequestRerun = "request.rerun",
    PluginUploaded = "plugin.uploaded",
    PluginDeleted = "plugin.deleted",
    PluginUpgraded = "plugin.upgraded",
    PluginRolledBack = "plugin.rolled-back",
    EventTypeDescribed = "event-type.described",
    EventTypeDeleted = "event-type.deleted",
    SecretPut = "secret.put",
    SecretDeleted = "secret.deleted",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TypedId as _;
    use crate::domain::time::Timestamp;

    #[test]
    fn an_action_survives_its_word() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::parse("endpoint.Updated"), None);
    }

    #[test]
    fn an_author_survives_its_words() {
        let id = KeyId::new(Timestamp::from_millis(7), [1; 10]);
        let name = || Some("ci".to_owned());
        let user = UserId::new(Timestamp::from_millis(7), [1; 10]);
        for author in [
            Author::Operator,
            Author::Hookyard,
            Author::Key { id, name: name() },
            Author::User { id: user, name: name() },
            Author::Portal { account: name() },
            Author::Portal { account: None },
        ] {
            let parts = (author.to_string(), author.name().map(str::to_owned));
            assert_eq!(Author::from_parts(&parts.0, parts.1), Some(author));
        }
        assert_eq!(Author::from_parts("somebody", None), None);
    }
}
