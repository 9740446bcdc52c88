//! `hookyard plugin test`: a component's own examples and an author's golden
//! files, with the engine and the limits of a server.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::super::table::{bytes, columns, duration};
use super::bench::Bench;
use super::diff::{Difference, differences};
use super::golden::Golden;
use super::{Stop, print, print_json};
use crate::domain::pipeline::LogLine;
use crate::domain::plugin::{Example, Job};
use crate::sandbox::{Case, CaseRun, comparable};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The component
    file: PathBuf,
    /// Cases of your own: JSON files with name, job, config, input and output
    cases: Vec<PathBuf>,
    /// Write what was made into the cases as their output
    #[arg(long)]
    update: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What one case came to.
#[derive(Serialize)]
struct Report {
    /// Absent for the component's own examples.
    file: Option<PathBuf>,
    name: String,
    job: Job,
    outcome: Outcome,
    /// What went wrong, where that is not a difference.
    problem: Option<String>,
    differences: Vec<Difference>,
    made: Option<Value>,
    log: Vec<LogLine>,
    fuel: u64,
    duration_us: u64,
    memory: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Passed,
    Failed,
    /// Its output is what was made now.
    Updated,
}

pub(super) async fn run(args: &Args) -> Result<(), Stop> {
    // Before anything is compiled: a slip in a path should not cost seconds.
    let cases: Vec<Golden> = args.cases.iter().map(|file| Golden::read(file)).collect::<Result<_, _>>()?;
    let bench = Bench::admit(&args.file).await?;
    let mut reports = Vec::new();
    for example in &bench.admitted.description.examples {
        let run = attempt(&bench, &case_of(example)).await?;
        reports.push(Report::of(&example.name, example.job, Some(&example.output), run));
    }
    for (mut golden, file) in cases.into_iter().zip(&args.cases) {
        let run = attempt(&bench, &golden.case()).await?;
        let mut report = Report::of(&golden.name, golden.job, golden.expected().as_ref(), run);
        if args.update {
            report.update(&mut golden, file)?;
        }
        reports.push(Report { file: Some(file.clone()), ..report });
    }
    let failed = reports.iter().filter(|report| report.outcome == Outcome::Failed).count();
    match args.json {
        true => print_json(&json!({ "passed": reports.len() - failed, "failed": failed, "cases": reports }))?,
        false => print(&shown(&reports))?,
    }
    match failed {
        0 => Ok(()),
        _ => Err(Stop::Plugin(format!("{failed} of {} cases failed", reports.len()))),
    }
}

fn case_of(example: &Example) -> Case {
    Case { job: example.job, config: example.config.to_string(), input: example.input.to_string() }
}

/// Runs the case twice: a plugin must give the same answer for the same
/// arguments.
async fn attempt(bench: &Bench, case: &Case) -> Result<CaseRun, Stop> {
    let once = async || {
        let run = bench.sandbox.run_case(bench.admitted.digest, case.clone()).await;
        run.ok_or_else(|| Stop::Command("the sandbox has no room; try again".to_owned()))
    };
    let (run, again) = (once().await?, once().await?);
    match run.made == again.made {
        true => Ok(run),
        false => Ok(CaseRun { made: Err("two runs came to different outputs".to_owned()), ..run }),
    }
}

impl Report {
    fn of(name: &str, job: Job, expected: Option<&Value>, run: CaseRun) -> Self {
        let CaseRun { made, log, fuel, duration_us, memory } = run;
        let (made, mut problem) = match made {
            Ok(made) => (Some(made), None),
            Err(problem) => (None, Some(problem)),
        };
        let mut found = Vec::new();
        match (&made, expected) {
            (Some(made), Some(expected)) => {
                found = differences(&comparable(expected.clone()), &comparable(made.clone()));
            }
            (Some(_), None) => problem = Some("it has no output yet; --update writes it".to_owned()),
            (None, _) => {}
        }
        let passed = problem.is_none() && found.is_empty();
        let outcome = if passed { Outcome::Passed } else { Outcome::Failed };
        let name = name.to_owned();
        Self { file: None, name, job, outcome, problem, differences: found, made, log, fuel, duration_us, memory }
    }

    /// What failed with an output has that output from now on.
    fn update(&mut self, golden: &mut Golden, file: &Path) -> Result<(), Stop> {
        if self.outcome == Outcome::Failed
            && let Some(made) = &self.made
        {
            golden.update(file, made)?;
            (self.outcome, self.problem) = (Outcome::Updated, None);
        }
        Ok(())
    }
}

fn shown(reports: &[Report]) -> String {
    let rows: Vec<Vec<String>> = reports.iter().map(row).collect();
    let table = columns(&rows);
    let mut text = String::new();
    for (line, report) in table.lines().zip(reports) {
        text.push_str(line);
        text.push('\n');
        if report.outcome == Outcome::Failed {
            text.push_str(&why(report));
        }
    }
    let failed = reports.iter().filter(|report| report.outcome == Outcome::Failed).count();
    text + &format!("{} passed, {failed} failed\n", reports.len() - failed)
}

fn row(report: &Report) -> Vec<String> {
    let outcome = match report.outcome {
        Outcome::Passed => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Updated => "updated",
    };
    let place = report.file.as_deref().map_or_else(|| "example".to_owned(), |file| file.display().to_string());
    vec![
        outcome.to_owned(),
        report.job.to_string(),
        place,
        report.name.clone(),
        duration(report.duration_us),
        format!("{} fuel", report.fuel),
        bytes(report.memory),
    ]
}

fn why(report: &Report) -> String {
    let mut lines: Vec<String> = report.problem.iter().map(|problem| format!("    {problem}\n")).collect();
    let said = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
    lines.extend(report.differences.iter().map(|Difference { path, expected, made }| {
        let place = if path.is_empty() { "(all of it)" } else { path };
        format!("    {place}\n      expected  {}\n      made      {}\n", said(expected), said(made))
    }));
    lines.extend(report.log.iter().map(|line| format!("    log: {}\n", line.text)));
    lines.concat()
}
