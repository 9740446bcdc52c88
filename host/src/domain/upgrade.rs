//! Upgrades: steps of a plugin move to another of its versions, and back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{EndpointId, NotAnId, SourceId};
use super::pipeline::Pipeline;
use super::plugin::PluginName;

/// Whose pipeline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Whose {
    Source(SourceId),
    Endpoint(EndpointId),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(id) => id.fmt(f),
            Self::Endpoint(id) => id.fmt(f),
        }
    }
}

impl FromStr for Whose {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(Self::Source).or_else(|_| text.parse().map(Self::Endpoint))
    }
}

impl From<Whose> for String {
    fn from(whose: Whose) -> Self {
        whose.to_string()
    }
}

impl TryFrom<String> for Whose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|NotAnId| format!("`{text}` is no source's and no endpoint's id"))
    }
}

/// One step that changed its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub whose: Whose,
    /// Counted from 0, as in `steps[0]`.
    pub step: usize,
    pub from: u32,
    pub to: u32,
}

/// A pipeline that is to change, if it still is what it was.
#[derive(Clone, Debug)]
pub struct Repinned {
    pub whose: Whose,
    pub before: Pipeline,
    pub after: Pipeline,
}

/// What `moved` of `plugin` would take back in a pipeline: the steps that are
/// still where the upgrade put them, by index and version.
pub fn taken_back<'a>(
    plugin: &'a PluginName,
    pipeline: &'a Pipeline,
    moved: impl Iterator<Item = &'a Moved> + 'a,
) -> impl Iterator<Item = &'a Moved> + 'a {
    moved.filter(move |moved| {
        pipeline.steps.get(moved.step).is_some_and(|step| step.plugin == *plugin && step.version == moved.to)
    })
}

#[cfg(test)]
mod tests {
    use super::super::pipeline::Step;
    use super::super::plugin::{Digest, Job};
    use super::super::time::Timestamp;
    use super::*;

    #[test]
    fn whose_a_pipeline_is_survives_its_text() {
        let at = Timestamp::from_millis(7);
        for whose in [Whose::Source(SourceId::floor(at)), Whose::Endpoint(EndpointId::floor(at))] {
            assert_eq!(whose.to_string().parse(), Ok(whose));
        }
        assert!("plg_1".parse::<Whose>().is_err());
    }

    #[test]
    fn what_was_changed_since_is_not_taken_back() {
        let name = |text: &str| text.parse::<PluginName>().unwrap();
        let step = |plugin, version| Step::new(name(plugin), version, Digest::of(b""), Job::Filter, String::new());
        let pipeline = Pipeline { steps: vec![step("a", 2), step("a", 3), step("b", 2)] };
        let moved =
            |step| Moved { whose: Whose::Source(SourceId::floor(Timestamp::from_millis(1))), step, from: 1, to: 2 };
        let all = [moved(0), moved(1), moved(2), moved(3)];
        let back: Vec<usize> = taken_back(&name("a"), &pipeline, all.iter()).map(|moved| moved.step).collect();
        assert_eq!(back, [0]);
    }
}
