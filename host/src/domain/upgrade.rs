//! Upgrades: steps of a plugin move to another of its versions, and back.

use serde::{Deserialize, Serialize};

use super::pipeline::Pipeline;
use super::place::PlaceId;
use super::plugin::PluginName;

/// One step that changed its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub whose: PlaceId,
    /// Counted from 0, as in `steps[0]`.
    pub step: usize,
    pub from: u32,
    pub to: u32,
}

/// A pipeline that is to change, if it still is what it was.
#[derive(Clone, Debug)]
pub struct Repinned {
    pub whose: PlaceId,
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
    use super::super::id::SourceId;
    use super::super::pipeline::Step;
    use super::super::plugin::{Digest, Job};
    use super::super::time::Timestamp;
    use super::*;

    #[test]
    fn what_was_changed_since_is_not_taken_back() {
        let name = |text: &str| text.parse::<PluginName>().unwrap();
        let step = |plugin, version| Step::new(name(plugin), version, Digest::of(b""), Job::Filter, String::new());
        let pipeline = Pipeline { steps: vec![step("a", 2), step("a", 3), step("b", 2)] };
        let moved =
            |step| Moved { whose: PlaceId::Source(SourceId::floor(Timestamp::from_millis(1))), step, from: 1, to: 2 };
        let all = [moved(0), moved(1), moved(2), moved(3)];
        let back: Vec<usize> = taken_back(&name("a"), &pipeline, all.iter()).map(|moved| moved.step).collect();
        assert_eq!(back, [0]);
    }
}
