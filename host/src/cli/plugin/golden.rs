//! Golden files: an author's own cases, one in a file, in the form of a plugin's
//! examples. They are run as they are written: a number keeps its digits.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Stop;
use crate::domain::plugin::Job;
use crate::sandbox::Case;

/// `{"name", "job", "config", "input", "output"}`, as in `wit/settings.wit`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    pub(super) name: String,
    pub(super) job: Job,
    #[serde(default = "nothing")]
    config: Box<RawValue>,
    input: Box<RawValue>,
    /// Absent until somebody writes it, or `--update` does.
    output: Option<Box<RawValue>>,
}

fn nothing() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("it is JSON")
}

impl Golden {
    pub(super) fn read(file: &Path) -> Result<Self, Stop> {
        let text = fs::read_to_string(file).map_err(|error| Stop::at(file, error))?;
        serde_json::from_str(&text).map_err(|error| {
            Stop::at(file, format!("{error}; a case is {{\"name\", \"job\", \"config\", \"input\", \"output\"}}"))
        })
    }

    pub(super) fn case(&self) -> Case {
        Case { job: self.job, config: self.config.get().to_owned(), input: self.input.get().to_owned() }
    }

    pub(super) fn expected(&self) -> Option<Value> {
        self.output.as_deref().and_then(|output| serde_json::from_str(output.get()).ok())
    }

    /// Writes the file anew, with `made` as its output.
    pub(super) fn update(&mut self, file: &Path, made: &Value) -> Result<(), Stop> {
        let fail = |error: serde_json::Error| Stop::at(file, error);
        let made = serde_json::to_string_pretty(made).map_err(fail)?.replace('\n', "\n  ");
        self.output = Some(RawValue::from_string(made).map_err(fail)?);
        let text = serde_json::to_string_pretty(self).map_err(fail)?;
        fs::write(file, format!("{text}\n")).map_err(|error| Stop::at(file, error))
    }
}
