//! Admission: what stands between a component that a tenant sent and a plugin
//! that events meet.

use std::fmt;
use std::time::Duration;

use super::contract::{DescriptionOut, ExampleOut, JobOut};
use super::example::{self, Case};
use super::fault::{Failure, Fault};
use super::gate::GateError;
use super::guest::Guest;
use super::imports;
use super::limits::Limits;
use super::plugin::Plugin;
use crate::domain::grants::Capability;
use crate::domain::plugin::{Description, Digest, Example, Job, PluginName};
use crate::domain::time::Timestamp;

/// Bytes of a description's sentence.
const MAX_SUMMARY: usize = 500;
/// Bytes of a configuration's schema.
const MAX_SCHEMA: usize = 256 << 10;
/// Bytes of the schema and the examples together, which is nearly all of a
/// description: it stays in memory for as long as its version is there.
const MAX_TEXTS: usize = 256 << 10;
const MAX_EXAMPLES: usize = 32;
/// More than there are, so that a later host's can be named as well.
const MAX_CAPABILITIES: usize = 16;
/// Bytes of a plugin's own words in a refusal.
const MAX_QUOTE: usize = 1 << 10;

/// A component that passed.
#[derive(Debug)]
pub struct Admitted {
    pub digest: Digest,
    pub jobs: Vec<Job>,
    pub description: Description,
    /// Zero when it had been compiled before.
    pub compile_time: Duration,
}

impl Admitted {
    pub fn compile_ms(&self) -> u64 {
        u64::try_from(self.compile_time.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why a component did not pass.
#[derive(Debug)]
pub enum Rejected {
    /// Its size, its structure, its imports or its exports.
    Gate(GateError),
    CompileFailed(String),
    /// Its `prepare` failed, or what that left cannot be kept.
    Prepare(String),
    /// Its functions are not what the contract says they are.
    Contract(String),
    /// It misbehaved when it was asked to describe itself.
    Describe(Fault),
    /// What it says of itself is not well formed.
    Description {
        field: &'static str,
        problem: String,
    },
    /// An example does not come out as it says.
    Example {
        name: String,
        problem: String,
    },
    /// Not its fault: the host has no room, or cannot compile at the moment.
    Unavailable,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(error) => error.fmt(f),
            Self::CompileFailed(why) => write!(f, "the component does not compile: {why}"),
            Self::Prepare(why) => f.write_str(why),
            Self::Contract(why) => write!(f, "the component does not keep to the contract of `wit/`: {why}"),
            Self::Describe(fault) => write!(f, "`settings.describe` failed: {}", fault.message),
            Self::Description { field, problem } => write!(f, "the description's `{field}` {problem}"),
            Self::Example { name, problem } => {
                write!(f, "the example `{}`: {}", cut(name, 64).escape_debug(), cut(problem, MAX_QUOTE))
            }
            Self::Unavailable => f.write_str("the host has no room for it now; try again in a moment"),
        }
    }
}

impl std::error::Error for Rejected {}

impl From<GateError> for Rejected {
    fn from(error: GateError) -> Self {
        Self::Gate(error)
    }
}

/// Asks a plugin what it is and runs its examples.
pub(super) fn examine(plugin: &Plugin, limits: &Limits) -> Result<Description, Rejected> {
    let guest = || Guest::new(limits, "describe", Timestamp::from_millis(0));
    plugin.check_exports(guest(), limits).map_err(Rejected::Contract)?;
    let described = plugin.call_describe(guest(), limits).result.map_err(|failure| match failure {
        Failure::Fault(fault) => Rejected::Describe(fault),
        Failure::NoRoom => Rejected::Unavailable,
    })?;
    for example in described.examples.iter().take(MAX_EXAMPLES) {
        if !plugin.jobs().contains(&job(example.job)) {
            let problem = "is for a job that the component does not export".to_owned();
            return Err(Rejected::Example { name: example.name.clone(), problem });
        }
        let case = Case { job: job(example.job), config: example.config.clone(), input: example.input.clone() };
        example::check(plugin, &case, &example.output, limits)
            .map_err(|problem| Rejected::Example { name: example.name.clone(), problem })?;
    }
    description(described, &plugin.capabilities)
}

/// `imported` are the capabilities that the component imports.
fn description(described: DescriptionOut, imported: &[Capability]) -> Result<Description, Rejected> {
    let DescriptionOut { name, version, summary, config_schema, capabilities, examples } = described;
    let wrong = |field, problem: &str| Err(Rejected::Description { field, problem: problem.to_owned() });
    if name.parse::<PluginName>().is_err() {
        return wrong("name", "is not 1 to 64 lower case letters, digits and hyphens, the first a letter");
    }
    if version.is_empty() || version.len() > 64 {
        return wrong("version", "is empty or over 64 bytes long");
    }
    if summary.len() > MAX_SUMMARY || summary.chars().any(char::is_control) {
        return wrong("summary", "is over 500 bytes long or has control characters");
    }
    if config_schema.len() > MAX_SCHEMA {
        return wrong("config-schema", "is over 256 KiB long");
    }
    let schema_size = config_schema.len();
    let Ok(config_schema @ serde_json::Value::Object(_)) = serde_json::from_str(&config_schema) else {
        return wrong("config-schema", "is no JSON object");
    };
    check_capabilities(&capabilities, imported)
        .map_err(|problem| Rejected::Description { field: "capabilities", problem })?;
    if examples.len() > MAX_EXAMPLES {
        return wrong("examples", "has over 32 entries");
    }
    let texts = schema_size + examples.iter().map(size).sum::<usize>();
    if texts > MAX_TEXTS {
        let problem = format!(
            "and the `config-schema` are {texts} bytes long, and together {MAX_TEXTS} are allowed; shorten what the \
             examples take and give, or bring fewer"
        );
        return wrong("examples", &problem);
    }
    let examples = examples.into_iter().map(example).collect::<Result<_, _>>()?;
    Ok(Description { name, version, summary, config_schema, capabilities, examples })
}

/// Whoever reads a description sees what the plugin can learn.
fn check_capabilities(declared: &[String], imported: &[Capability]) -> Result<(), String> {
    if declared.len() > MAX_CAPABILITIES {
        return Err(format!("has {} entries and {MAX_CAPABILITIES} are allowed", declared.len()));
    }
    if let Some(unknown) = declared.iter().find(|name| Capability::named(name).is_none()) {
        return Err(format!("has `{}`, which this host does not have", cut(unknown, 64).escape_debug()));
    }
    let is_declared = |capability: &&Capability| declared.iter().any(|name| name == capability.as_str());
    match imported.iter().find(|capability| !is_declared(capability)) {
        None => Ok(()),
        Some(missing) => Err(format!(
            "lacks `{}`, although the component imports `{}`",
            missing.as_str(),
            imports::interface(*missing)
        )),
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// In bytes.
fn size(example: &ExampleOut) -> usize {
    let ExampleOut { name, job: _, config, input, output } = example;
    name.len() + config.len() + input.len() + output.len()
}

fn example(out: ExampleOut) -> Result<Example, Rejected> {
    let ExampleOut { name, job: out_job, config, input, output } = out;
    let read = |text: &str| {
        serde_json::from_str(text)
            .map_err(|problem| Rejected::Example { name: name.clone(), problem: problem.to_string() })
    };
    let (config, input, output) = (read(&config)?, read(&input)?, read(&output)?);
    Ok(Example { job: job(out_job), config, input, output, name })
}

fn job(job: JobOut) -> Job {
    match job {
        JobOut::Mapper => Job::Mapper,
        JobOut::Filter => Job::Filter,
        JobOut::Transformer => Job::Transformer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(declared: &[&str], imported: &[Capability], expected: Result<(), &str>) {
        let declared: Vec<String> = declared.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(check_capabilities(&declared, imported), expected.map_err(str::to_owned), "{declared:?}");
    }

    #[test]
    fn a_description_names_what_the_component_imports() {
        use Capability::{History, Summaries};
        check(&[], &[], Ok(()));
        check(&["history"], &[History], Ok(()));
        check(&["summaries", "history"], &[History, Summaries], Ok(()));
        // What is named for a later version, or in vain, shows nobody anything.
        check(&["history"], &[], Ok(()));
        check(&[], &[History], Err("lacks `history`, although the component imports `hookyard:plugin/history@0.1.0`"));
        check(
            &["history"],
            &[History, Summaries],
            Err("lacks `summaries`, although the component imports `hookyard:plugin/summaries@0.1.0`"),
        );
        check(&["history", "files"], &[History], Err("has `files`, which this host does not have"));
        check(&["History"], &[History], Err("has `History`, which this host does not have"));
    }

    /// A description whose schema and examples have this many bytes.
    fn described(schema: usize, examples: &[usize]) -> Result<Description, Rejected> {
        let example = |size: &usize| ExampleOut {
            name: String::new(),
            job: JobOut::Filter,
            config: "1".to_owned(),
            input: "2".to_owned(),
            output: format!("\"{}\"", "x".repeat(size - 4)),
        };
        let described = DescriptionOut {
            name: "a".to_owned(),
            version: "1".to_owned(),
            summary: String::new(),
            config_schema: format!("{{{}}}", " ".repeat(schema - 2)),
            capabilities: Vec::new(),
            examples: examples.iter().map(example).collect(),
        };
        description(described, &[])
    }

    #[test]
    fn a_description_is_bounded_as_a_whole() {
        for (schema, examples) in [(2, &[][..]), (MAX_SCHEMA, &[]), (2, &[MAX_TEXTS - 2]), (2, &[1_000; 32])] {
            assert!(described(schema, examples).is_ok(), "{schema} {examples:?}");
        }
        for (schema, examples) in [(MAX_SCHEMA, &[4][..]), (2, &[MAX_TEXTS - 1]), (2, &[10_000; 32])] {
            let rejected = described(schema, examples).expect_err("it is too long").to_string();
            assert!(rejected.contains("together 262144 are allowed; shorten"), "{rejected}");
        }
    }
}
