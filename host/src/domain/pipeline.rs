//! Pipelines: the ordered steps of a source or an endpoint, and what each step
//! came to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::grants::Grants;
use super::plugin::{Digest, Job, PluginName};

/// At most this many steps in one pipeline.
pub const MAX_STEPS: usize = 16;

/// One plugin version with one configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub plugin: PluginName,
    pub version: u32,
    pub digest: Digest,
    /// What the step does here; a plugin may be able to do more than one.
    pub job: Job,
    /// JSON text, as the plugin is given it.
    pub config: String,
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Steps of before there were grants had what there was.
    #[serde(default = "Grants::of_the_house")]
    pub grants: Grants,
    #[serde(default)]
    pub budget: Budget,
}

impl Step {
    /// A step that has nothing but its configuration.
    pub fn new(plugin: PluginName, version: u32, digest: Digest, job: Job, config: String) -> Self {
        Self {
            plugin,
            version,
            digest,
            job,
            config,
            on_failure: OnFailure::default(),
            grants: Grants::default(),
            budget: Budget::default(),
        }
    }
}

/// What happens to an event when its step refuses it or misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The delivery is dead, and can be replayed; a request is quarantined, and
    /// can be run again.
    #[default]
    Fail,
    /// It goes on as if the step were not there.
    Pass,
    /// It is not wanted.
    Drop,
}

/// The ordered steps of a source or an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pipeline {
    pub steps: Vec<Step>,
}

impl Pipeline {
    /// Whether a run may have to wait for something else than a processor.
    pub fn may_wait(&self) -> bool {
        self.steps.iter().any(|step| step.grants.may_wait())
    }
}

/// Where a pipeline stands, which says what its steps may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At most one mapper, first, then filters.
    Source,
    /// Filters and transformers in any order.
    Endpoint,
}

impl Place {
    /// The job that a plugin with `jobs` does as step number `at`, or why it
    /// has no place there.
    pub fn job_for(self, at: usize, jobs: &[Job]) -> Result<Job, Misplaced> {
        let wanted: &[Job] = match (self, at) {
            (Self::Source, 0) => &[Job::Mapper, Job::Filter],
            (Self::Source, _) => &[Job::Filter],
            (Self::Endpoint, _) => &[Job::Transformer, Job::Filter],
        };
        wanted.iter().find(|job| jobs.contains(job)).copied().ok_or(Misplaced { wanted })
    }
}

/// A plugin cannot do what its place asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Misplaced {
    wanted: &'static [Job],
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted: Vec<String> = self.wanted.iter().map(Job::to_string).collect();
        write!(f, "this step must be a {}", wanted.join(" or a "))
    }
}

/// What one step came to, with what it cost and what it said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepReport {
    pub plugin: PluginName,
    pub version: u32,
    pub job: Job,
    #[serde(flatten)]
    pub outcome: StepOutcome,
    /// It failed, and what its step says of failures was done instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    pub log: Vec<LogLine>,
    /// Deterministic units of work, the same in a preview and in production.
    pub fuel: u64,
    pub duration_us: u64,
    /// Linear memory at the end of the call, in bytes.
    pub memory: u64,
}

/// What one step came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum StepOutcome {
    /// A mapper made this many events.
    Mapped { events: usize },
    /// A filter let the event through.
    Kept,
    /// A filter stopped the event, and this is why.
    Dropped { reason: String },
    /// A transformer made a message.
    Transformed,
    /// The plugin said no on purpose.
    Refused { code: String, message: String },
    /// The plugin misbehaved.
    Faulted {
        limit: String,
        message: String,
        /// The functions that were running, the innermost first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        backtrace: Vec<String>,
    },
}

impl StepOutcome {
    /// Whether the step's policy on failures decides what is next.
    pub fn is_failure(&self) -> bool {
        self.failure().is_some()
    }

    /// What a failure says.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } | Self::Faulted { message, .. } => Some(message),
            Self::Mapped { .. } | Self::Kept | Self::Dropped { .. } | Self::Transformed => None,
        }
    }
}

/// One line that a plugin wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub level: LogLevel,
    pub text: String,
}

/// How much a plugin's line matters to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(place: Place, at: usize, jobs: &[Job], expected: &str) {
        let said = match place.job_for(at, jobs) {
            Ok(job) => job.to_string(),
            Err(misplaced) => misplaced.to_string(),
        };
        assert_eq!(said, expected, "{place:?} {at} {jobs:?}");
    }

    #[test]
    fn a_place_says_what_a_step_may_be() {
        use Job::{Filter, Mapper, Transformer};
        check(Place::Source, 0, &[Mapper, Transformer], "mapper");
        check(Place::Source, 0, &[Filter], "filter");
        check(Place::Source, 1, &[Filter], "filter");
        check(Place::Source, 1, &[Mapper, Transformer], "this step must be a filter");
        check(Place::Source, 0, &[Transformer], "this step must be a mapper or a filter");
        check(Place::Endpoint, 0, &[Mapper, Transformer], "transformer");
        check(Place::Endpoint, 3, &[Filter], "filter");
        check(Place::Endpoint, 0, &[Mapper], "this step must be a transformer or a filter");
    }
}
