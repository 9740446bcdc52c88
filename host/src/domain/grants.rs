//! Capabilities: what a plugin may reach beside its arguments, and which of
//! them a tenant lets a step have. What nobody granted cannot be called.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::url::DeliveryUrl;

/// At most this many hosts in one step's grant.
const MAX_HOSTS: usize = 16;

/// What a component can import if its description names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Earlier events of the same subject.
    History,
    /// What a language model says of these.
    Summaries,
    /// HMAC with a secret that the tenant stored under a name.
    Secrets,
    /// A few values that outlive the call.
    State,
    /// Requests to named hosts.
    Http,
}

impl Capability {
    pub const ALL: [Self; 5] = [Self::History, Self::Summaries, Self::Secrets, Self::State, Self::Http];

    /// As descriptions and grants name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Summaries => "summaries",
            Self::Secrets => "secrets",
            Self::State => "state",
            Self::Http => "http",
        }
    }

    /// The one that a description means by `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }

    /// Whether the same arguments may come to another answer with it.
    pub fn is_effect(self) -> bool {
        matches!(self, Self::State | Self::Http)
    }
}

/// What one step may reach. Nothing, unless its tenant says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    #[serde(skip_serializing_if = "is_false")]
    pub history: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub summaries: bool,
    /// The names of the tenant's secrets that it may sign with.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub state: bool,
    /// The hosts that it may send requests to, as `api.example.com`, or
    /// `api.example.com:8443` for a port that is not the scheme's own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub http: BTreeSet<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Grants {
    pub fn has(&self, capability: Capability) -> bool {
        match capability {
            Capability::History => self.history,
            Capability::Summaries => self.summaries,
            Capability::Secrets => !self.secrets.is_empty(),
            Capability::State => self.state,
            Capability::Http => !self.http.is_empty(),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is anything that a call would go out of the sandbox for.
    pub fn reach_out(&self) -> bool {
        self.state || !self.secrets.is_empty() || !self.http.is_empty()
    }

    /// Whether a call may have to wait: for the disk, or for another host.
    pub fn may_wait(&self) -> bool {
        Capability::ALL.into_iter().any(|one| one.is_effect() && self.has(one))
    }

    /// Whether every host is one, as a request's URL would have it.
    pub fn check_hosts(&self) -> Result<(), NotAHost> {
        if self.http.len() > MAX_HOSTS {
            return Err(NotAHost::TooMany(self.http.len()));
        }
        let is_host = |host: &String| {
            let url = DeliveryUrl::read(&format!("https://{host}/"));
            !host.contains('*') && url.is_ok_and(|url| url.authority() == *host)
        };
        match self.http.iter().find(|host| !is_host(host)) {
            None => Ok(()),
            Some(wrong) => Err(NotAHost::Wrong(wrong.clone())),
        }
    }

    /// What plugins that come with the server have without being asked for: to
    /// read what is the tenant's own.
    pub fn of_the_house() -> Self {
        Self { history: true, summaries: true, ..Self::default() }
    }

    /// The same without reading what is the tenant's own, where nobody `wants`
    /// to. What reaches further stays, so that its tenant is told.
    pub fn without_idle_reading(self, wants: impl Fn(Capability) -> bool) -> Self {
        let history = self.history && wants(Capability::History);
        Self { history, summaries: self.summaries && wants(Capability::Summaries), ..self }
    }

    /// How a tenant grants `capability`, as JSON.
    pub fn example(capability: Capability) -> &'static str {
        match capability {
            Capability::History => r#"{"history": true}"#,
            Capability::Summaries => r#"{"summaries": true}"#,
            Capability::Secrets => r#"{"secrets": ["name"]}"#,
            Capability::State => r#"{"state": true}"#,
            Capability::Http => r#"{"http": ["api.example.com"]}"#,
        }
    }
}

/// Something granted to `http` is no host.
#[derive(Debug, PartialEq, Eq)]
pub enum NotAHost {
    Wrong(String),
    TooMany(usize),
}

impl fmt::Display for NotAHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(text) => write!(
                f,
                "`{}` is no host; write it as `api.example.com` or `api.example.com:8443`: lower case, no scheme, no \
                 path, no wildcard, no port that is the scheme's own",
                text.escape_debug()
            ),
            Self::TooMany(count) => write!(f, "{count} hosts, at most {MAX_HOSTS} are allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_granted_by_its_name() {
        let check = |host: &str, takes: bool| {
            let grants = Grants { http: BTreeSet::from([host.to_owned()]), ..Grants::default() };
            assert_eq!(grants.check_hosts().is_ok(), takes, "{host}");
        };
        for host in ["api.example.com", "api.example.com:8443", "127.0.0.1:8080", "[::1]:8080", "xn--e1afmkfd.example"]
        {
            check(host, true);
        }
        for host in
            ["", "https://a.example", "a.example/", "a.example/path", "*.example.com", "A.example", "u@a.example"]
        {
            check(host, false);
        }
        for host in
            ["a.example:443", "a.example:", "a.example?x", "a.example#x", "a b", "a\\b", "127.1", "größe.example"]
        {
            check(host, false);
        }
        let many = (0..17).map(|number| format!("h{number}.example")).collect();
        assert_eq!(Grants { http: many, ..Grants::default() }.check_hosts(), Err(NotAHost::TooMany(17)));
    }

    #[test]
    fn nothing_is_granted_by_default_and_every_example_grants_its_capability() {
        for capability in Capability::ALL {
            assert!(!Grants::default().has(capability), "{capability:?}");
            let granted: Grants = serde_json::from_str(Grants::example(capability)).unwrap();
            for other in Capability::ALL {
                assert_eq!(granted.has(other), other == capability, "{capability:?} {other:?}");
            }
            assert_eq!(Capability::named(capability.as_str()), Some(capability));
        }
    }

    #[test]
    fn reading_that_nobody_wants_is_dropped_and_nothing_else() {
        let all = r#"{"history": true, "summaries": true, "secrets": ["a"], "state": true, "http": ["a.example"]}"#;
        let all: Grants = serde_json::from_str(all).unwrap();
        let left = all.clone().without_idle_reading(|one| one == Capability::History);
        assert_eq!(left, Grants { summaries: false, ..all.clone() });
        let left = all.clone().without_idle_reading(|_| false);
        assert_eq!(left, Grants { history: false, summaries: false, ..all });
        let left = Grants::default().without_idle_reading(|_| true);
        assert_eq!(left, Grants::default(), "nothing is added");
    }

    #[test]
    fn what_is_not_granted_is_not_written() {
        assert_eq!(serde_json::to_string(&Grants::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<Grants>(r#"{"files": true}"#).is_err());
    }
}
