//! Steps as tenants write them, and the pipeline that they come to.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use crate::domain::id::TenantId;
use crate::domain::pipeline::{MAX_STEPS, Pipeline, Place, Step};
use crate::domain::plugin::{PluginName, PluginVersion};
use crate::house;
use crate::sandbox::CheckFailure;
use crate::store::picture::{PluginVersions, TenantPicture};

/// At most this many bytes in one step's configuration.
const MAX_CONFIG: usize = 64 * 1024;

/// `{plugin, version?, config?}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepForm {
    plugin: String,
    version: Option<u32>,
    config: Option<Box<RawValue>>,
}

/// A step as it is shown: with the version that it is pinned to.
#[derive(Serialize)]
pub(super) struct StepView<'a> {
    plugin: &'a PluginName,
    version: u32,
    config: &'a RawValue,
}

impl<'a> StepView<'a> {
    fn of(step: &'a Step) -> Self {
        let config = serde_json::from_str(&step.config).unwrap_or(RawValue::NULL);
        Self { plugin: &step.plugin, version: step.version, config }
    }
}

/// The pipeline that `forms` mean at `place`. Every plugin is there, fits, and
/// has accepted its configuration.
pub(super) async fn pipeline(
    app: &App,
    caller: &TenantCaller,
    place: Place,
    forms: Vec<StepForm>,
) -> Result<Pipeline, ApiError> {
    if forms.len() > MAX_STEPS {
        return Err(ApiError::invalid("steps", format!("{} steps, at most {MAX_STEPS} are allowed", forms.len())));
    }
    let house = app.picture.house();
    let mut steps = Vec::with_capacity(forms.len());
    for (at, form) in forms.into_iter().enumerate() {
        let step = resolve(caller.picture(), &house, place, at, form)?;
        check(app, caller.id(), at, &step).await?;
        steps.push(step);
    }
    Ok(Pipeline { steps })
}

fn resolve(
    tenant: &TenantPicture,
    house: &PluginVersions,
    place: Place,
    at: usize,
    form: StepForm,
) -> Result<Step, ApiError> {
    let field = |name: &str| format!("steps[{at}].{name}");
    let plugin = find(tenant, house, &form.plugin, form.version).map_err(|wrong| match wrong {
        NotFound::Plugin => {
            ApiError::invalid(field("plugin"), format!("there is no plugin `{}`", form.plugin.escape_debug()))
        }
        NotFound::Version => ApiError::invalid(field("version"), "the plugin has no such version"),
    })?;
    let job = place.job_for(at, &plugin.jobs).map_err(|misplaced| {
        let jobs: Vec<String> = plugin.jobs.iter().map(ToString::to_string).collect();
        ApiError::invalid(field("plugin"), format!("{misplaced}, and `{}` is a {}", plugin.name, jobs.join(" and a ")))
    })?;
    let config = form.config.map_or_else(|| "{}".to_owned(), |config| config.get().to_owned());
    if config.len() > MAX_CONFIG {
        return Err(ApiError::invalid(field("config"), format!("at most {MAX_CONFIG} bytes are allowed")));
    }
    Ok(Step { plugin: plugin.name.clone(), version: plugin.version, digest: plugin.digest, job, config })
}

enum NotFound {
    Plugin,
    Version,
}

/// A tenant's own plugin goes before a first-party one of the same name: the
/// latter may have come with an update of the server.
fn find<'a>(
    tenant: &'a TenantPicture,
    house: &'a PluginVersions,
    name: &str,
    version: Option<u32>,
) -> Result<&'a PluginVersion, NotFound> {
    let name: PluginName = name.parse().map_err(|_| NotFound::Plugin)?;
    let versions = tenant.plugins.get(&name).or_else(|| house.get(&name)).ok_or(NotFound::Plugin)?;
    match version {
        Some(version) => versions.get(&version).ok_or(NotFound::Version),
        None => versions.values().next_back().ok_or(NotFound::Plugin),
    }
}

/// Asks the plugin what it thinks of its configuration, in the sandbox.
async fn check(app: &App, tenant: TenantId, at: usize, step: &Step) -> Result<(), ApiError> {
    let field = |path: &str| match path {
        "" => format!("steps[{at}].config"),
        path if path.starts_with('[') => format!("steps[{at}].config{path}"),
        path => format!("steps[{at}].config.{path}"),
    };
    if !app.sandbox.is_loaded(step.digest) {
        house::load(&*app.catalog, &app.sandbox, step.digest).await?;
    }
    match app.sandbox.check(tenant, step.digest, &step.config).await {
        Ok(()) => Ok(()),
        Err(CheckFailure::Issues(issues)) => {
            let all: Vec<String> =
                issues.iter().map(|issue| format!("{}: {}", field(&issue.path), issue.message)).collect();
            let first = issues.first().map_or("", |issue| &issue.path);
            Err(ApiError::invalid(field(first), all.join("; ")))
        }
        Err(CheckFailure::Faulted(message)) => {
            Err(ApiError::invalid(field(""), format!("the plugin failed while it checked this: {message}")))
        }
        Err(CheckFailure::Unavailable) => Err(ApiError::Busy),
    }
}

/// The steps of a pipeline, to be shown.
pub(super) fn views(pipeline: &Pipeline) -> Vec<StepView<'_>> {
    pipeline.steps.iter().map(StepView::of).collect()
}
