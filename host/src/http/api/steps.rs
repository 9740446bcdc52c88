//! Steps as tenants write them, and the pipeline that they come to.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use crate::domain::budget::Budget;
use crate::domain::grants::{Capability, Grants};
use crate::domain::pipeline::{MAX_STEPS, OnFailure, Pipeline, Place, Step};
use crate::domain::plugin::{Job, Owner, PluginName, PluginVersion};
use crate::domain::role::Role;
use crate::domain::tenant::Tenant;
use crate::house;
use crate::sandbox::CheckFailure;
use crate::store::picture::{PluginVersions, TenantPicture};

/// At most this many bytes in one step's configuration.
const MAX_CONFIG: usize = 64 * 1024;

/// `{plugin, version?, job?, config?, on_failure?, grants?, budget?}`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewStep)]
pub(super) struct StepForm {
    #[schema(value_type = PluginName)]
    plugin: String,
    version: Option<u32>,
    /// For a plugin that could do several in this place.
    job: Option<Job>,
    #[schema(value_type = Option<serde_json::Value>)]
    config: Option<Box<RawValue>>,
    on_failure: Option<OnFailure>,
    grants: Option<Grants>,
    budget: Option<Budget>,
}

/// A step as it is shown: with the version that it is pinned to.
#[derive(Serialize, ToSchema)]
#[schema(as = Step)]
pub(super) struct StepView<'a> {
    plugin: &'a PluginName,
    version: u32,
    job: Job,
    #[schema(value_type = serde_json::Value)]
    config: &'a RawValue,
    on_failure: OnFailure,
    grants: &'a Grants,
    #[serde(skip_serializing_if = "Budget::is_default")]
    budget: Budget,
}

impl<'a> StepView<'a> {
    fn of(step: &'a Step) -> Self {
        let config = serde_json::from_str(&step.config).unwrap_or(RawValue::NULL);
        let Step { plugin, version, job, on_failure, grants, budget, .. } = step;
        Self { plugin, version: *version, job: *job, config, on_failure: *on_failure, grants, budget: *budget }
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
        check(app, &caller.picture().tenant, at, &step).await?;
        steps.push(step);
    }
    let pipeline = Pipeline { steps };
    may_run(caller, &pipeline)?;
    Ok(pipeline)
}

/// Whether the caller may see what the pipeline makes of any input: a preview by a
/// step that signs is a signature, and whoever only reads has none to give.
pub(super) fn may_run(caller: &TenantCaller, pipeline: &Pipeline) -> Result<(), ApiError> {
    let signs = pipeline.steps.iter().any(|step| !step.grants.secrets.is_empty());
    if signs { caller.require(Role::Member) } else { Ok(()) }
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
        NotFound::Plugin if house::is_coming(&form.plugin) => ApiError::Preparing(form.plugin.clone()),
        NotFound::Plugin => {
            ApiError::invalid(field("plugin"), format!("there is no plugin `{}`", form.plugin.escape_debug()))
        }
        NotFound::Version => ApiError::invalid(field("version"), "the plugin has no such version"),
    })?;
    let config = form.config.map_or_else(|| "{}".to_owned(), |config| config.get().to_owned());
    if config.len() > MAX_CONFIG {
        return Err(ApiError::invalid(field("config"), format!("at most {MAX_CONFIG} bytes are allowed")));
    }
    // Its job is found by `fit`.
    let step = Step::new(plugin.name.clone(), plugin.version, plugin.digest, Job::Filter, config);
    let step = Step {
        on_failure: form.on_failure.unwrap_or_default(),
        grants: form.grants.unwrap_or_default(),
        budget: form.budget.unwrap_or_default(),
        ..step
    };
    fit(tenant, (place, at, form.job), plugin, step)
}

/// A step that is to have another version of its plugin. It fits, and has
/// accepted its configuration.
pub(super) async fn refit(
    app: &App,
    caller: &TenantCaller,
    place: Place,
    at: usize,
    plugin: &PluginVersion,
    step: Step,
) -> Result<Step, ApiError> {
    let tenant = caller.picture();
    let job = Some(step.job);
    // Whoever saved it may have been asked for no grant, or for one that this
    // version has no use for: it says itself what it reads.
    let grants = step.grants.without_idle_reading(|one| wants(plugin, one));
    let step = Step { grants, ..step };
    let step = fit(tenant, (place, at, job), plugin, step)?;
    check(app, &tenant.tenant, at, &step).await?;
    Ok(step)
}

/// The step with the job that its plugin does there and the grants that it has,
/// if it may stand there with all that it says. `wanted` is the job for a plugin
/// that could do several.
fn fit(
    tenant: &TenantPicture,
    (place, at, wanted): (Place, usize, Option<Job>),
    plugin: &PluginVersion,
    step: Step,
) -> Result<Step, ApiError> {
    let field = |name: &str| format!("steps[{at}].{name}");
    let jobs: Vec<Job> = plugin.jobs.iter().copied().filter(|job| wanted.is_none_or(|wanted| wanted == *job)).collect();
    if let Some(job) = wanted.filter(|_| jobs.is_empty()) {
        return Err(ApiError::invalid(field("job"), format!("`{}` is no {job}", plugin.name)));
    }
    let job = place.job_for(at, &jobs).map_err(|misplaced| {
        let jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        ApiError::invalid(field("plugin"), format!("{misplaced}, and `{}` is a {}", plugin.name, jobs.join(" and a ")))
    })?;
    if job == Job::Mapper && step.on_failure == OnFailure::Pass {
        let problem = "a mapper cannot be passed over, because nothing would be left to go on with; `fail` keeps the \
                       request to be run again, `drop` ignores it";
        return Err(ApiError::invalid(field("on_failure"), problem));
    }
    let grants = grants(plugin, step.grants)
        .map_err(|(name, problem)| ApiError::invalid(field(&format!("grants{name}")), problem))?;
    check_reach(tenant, &grants).map_err(|(name, problem)| ApiError::invalid(field(name), problem))?;
    if let Err(excess) = step.budget.check(&tenant.tenant.limits.ceilings) {
        return Err(ApiError::invalid(field(&format!("budget.{}", excess.field)), excess.to_string()));
    }
    Ok(Step { job, grants, ..step })
}

/// The version of a plugin that is named, or its newest.
pub(super) fn version<'a>(
    tenant: &'a TenantPicture,
    house: &'a PluginVersions,
    plugin: &PluginName,
    version: Option<u32>,
) -> Result<&'a PluginVersion, ApiError> {
    find(tenant, house, &plugin.to_string(), version).map_err(|wrong| match wrong {
        NotFound::Plugin if house::is_coming(&plugin.to_string()) => ApiError::Preparing(plugin.to_string()),
        NotFound::Plugin => ApiError::NotFound,
        NotFound::Version => {
            let problem = format!("`{plugin}` has no version {}; it may have been deleted", version.unwrap_or(0));
            ApiError::invalid("version", problem)
        }
    })
}

/// What a step with `plugin` is granted: all that it needs, and nothing that it
/// could not use. Otherwise which grant is wrong, and why.
fn grants(plugin: &PluginVersion, mut given: Grants) -> Result<Grants, (String, String)> {
    let wants = |capability: Capability| wants(plugin, capability);
    if given == Grants::of_the_house() {
        // A step of before there were grants, given back as it is shown.
        given = given.without_idle_reading(wants);
    }
    if plugin.owner == Owner::House {
        // They read what is the tenant's own, and their code is ours.
        given.history |= wants(Capability::History);
        given.summaries |= wants(Capability::Summaries);
    }
    if let Some(missing) = Capability::ALL.into_iter().find(|one| wants(*one) && !given.has(*one)) {
        let (name, example) = (missing.as_str(), Grants::example(missing));
        return Err((format!(".{name}"), format!("`{}` wants `{name}`; grant it with {example}", plugin.name)));
    }
    if let Some(needless) = Capability::ALL.into_iter().find(|one| given.has(*one) && !wants(*one)) {
        let name = needless.as_str();
        return Err((format!(".{name}"), format!("`{}` does not use `{name}`; leave the grant out", plugin.name)));
    }
    Ok(given)
}

fn wants(plugin: &PluginVersion, capability: Capability) -> bool {
    plugin.description.capabilities.iter().any(|name| name == capability.as_str())
}

/// Whether what is granted can be reached, or which grant is wrong, and why.
fn check_reach(tenant: &TenantPicture, grants: &Grants) -> Result<(), (&'static str, String)> {
    if let Some(missing) = grants.secrets.iter().find(|name| !tenant.secrets.contains_key(*name)) {
        let missing = missing.escape_debug();
        return Err(("grants.secrets", format!("there is no secret `{missing}`; PUT /v1/secrets/{missing} stores it")));
    }
    grants.check_hosts().map_err(|wrong| ("grants.http", wrong.to_string()))
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
async fn check(app: &App, tenant: &Tenant, at: usize, step: &Step) -> Result<(), ApiError> {
    let field = |path: &str| match path {
        "" => format!("steps[{at}].config"),
        path if path.starts_with('[') => format!("steps[{at}].config{path}"),
        path => format!("steps[{at}].config.{path}"),
    };
    match app.sandbox.check(tenant.id, step, &tenant.limits.ceilings).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plugin::{Description, Digest};
    use crate::domain::time::Timestamp;

    fn plugin(capabilities: &[&str]) -> PluginVersion {
        PluginVersion {
            owner: Owner::House,
            name: "mine".parse().unwrap(),
            version: 2,
            digest: Digest::of(b""),
            size: 0,
            jobs: vec![Job::Filter],
            description: Description {
                name: String::new(),
                version: String::new(),
                summary: String::new(),
                config_schema: serde_json::Value::Null,
                capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
                examples: Vec::new(),
            },
            compile_ms: 0,
            uploaded_by: None,
            created_at: Timestamp::from_millis(0),
        }
    }

    #[track_caller]
    fn check(capabilities: &[&str], given: &str, expected: &str) {
        let said = match grants(&plugin(capabilities), serde_json::from_str(given).unwrap()) {
            Ok(granted) => serde_json::to_string(&granted).unwrap(),
            Err((field, _)) => field,
        };
        assert_eq!(said, expected, "{capabilities:?} {given}");
    }

    #[test]
    fn a_step_is_granted_what_its_plugin_wants_and_nothing_else() {
        check(&[], "{}", "{}");
        check(&["history"], "{}", r#"{"history":true}"#);
        check(&["state"], "{}", ".state");
        check(&["state"], r#"{"state": true}"#, r#"{"state":true}"#);
        check(&[], r#"{"history": true}"#, ".history");
        check(&["history"], r#"{"state": true}"#, ".state");
    }

    #[test]
    fn a_step_that_was_saved_before_there_were_grants_fits_what_it_pins_and_other_versions() {
        let digest = Digest::of(b"");
        let step =
            format!(r#"{{"plugin": "mine", "version": 1, "digest": "{digest}", "job": "filter", "config": "{{}}"}}"#);
        let step: Step = serde_json::from_str(&step).unwrap();
        let shown = serde_json::to_string(&step.grants).unwrap();
        check(&[], &shown, "{}");
        check(&["history"], &shown, r#"{"history":true}"#);
        check(&["history", "summaries"], &shown, r#"{"history":true,"summaries":true}"#);
        check(&["state"], &shown, ".state");
    }
}
