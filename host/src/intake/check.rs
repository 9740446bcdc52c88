//! Whether an event's data is what the tenant said that events of its type are.
//!
//! A schema is a stranger's program like any other (a few lines of it can ask
//! for more work than a year has seconds), so it is run where strangers'
//! programs run: by the first-party plugin `json-schema`, within its limits.

use std::fmt;
use std::sync::Arc;

use super::{Intake, IntakeError};
use crate::clock::mint;
use crate::domain::event::{Draft, EventType};
use crate::domain::event_type::OwnKind;
use crate::domain::message::Message;
use crate::domain::pipeline::{Pipeline, Step};
use crate::domain::plugin::{Job, PluginName};
use crate::domain::tenant::Tenant;
use crate::house;
use crate::sandbox::{CheckFailure, EndpointJob, EndpointResult};
use crate::store::picture::TenantPicture;

/// An event's data does not fit its type's schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which of several events, from 0.
    pub at: usize,
    pub event_type: EventType,
    /// A JSON Pointer into the data.
    pub pointer: String,
    pub problem: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the data does not fit the schema of {}: at `{}`, {}",
            self.event_type,
            if self.pointer.is_empty() { "/" } else { &self.pointer },
            self.problem
        )
    }
}

impl IntakeError {
    /// The same about another of several events.
    pub(super) fn at(self, at: usize) -> Self {
        match self {
            Self::Misfit(misfit) => Self::Misfit(Misfit { at, ..misfit }),
            other => other,
        }
    }
}

impl Intake {
    /// Whether a draft's data fits, where the tenant has that checked.
    pub(super) async fn check(&self, tenant: &TenantPicture, draft: &Draft) -> Result<(), IntakeError> {
        let own = self.described(tenant, &draft.event_type).filter(|own| own.check);
        let Some(schema) = own.and_then(|own| own.kind.schema.as_ref()) else { return Ok(()) };
        let step = self.schema_step(schema).await?;
        let now = self.clock.now();
        let event = draft.clone().into_event(mint(now), tenant.tenant.id, now, None);
        let pipeline = Pipeline { steps: vec![step] };
        let message = Message::with_type("application/json", "");
        let job = EndpointJob::new(tenant.tenant.id, pipeline, Arc::new(event), message);
        let run = self.sandbox.run_endpoint(EndpointJob { ceilings: tenant.tenant.limits.ceilings, ..job });
        let misfit = |pointer: &str, problem: &str| {
            let event_type = draft.event_type.clone();
            IntakeError::Misfit(Misfit { at: 0, event_type, pointer: pointer.to_owned(), problem: problem.to_owned() })
        };
        match run.await.result {
            EndpointResult::Send(_) => Ok(()),
            EndpointResult::Dropped { reason } => {
                let (pointer, problem) = reason.split_once(": ").unwrap_or(("/", &reason));
                // The plugin writes the whole as `/`.
                Err(misfit(if pointer == "/" { "" } else { pointer }, problem))
            }
            EndpointResult::Failed { message, .. } => {
                Err(misfit("", &format!("the schema could not be checked: {message}")))
            }
            EndpointResult::Unavailable => Err(IntakeError::Busy),
        }
    }

    /// The tenant's description of a type, by either of its names.
    fn described<'a>(&self, tenant: &'a TenantPicture, event_type: &EventType) -> Option<&'a OwnKind> {
        let by_wire_name = || {
            let dialect = self.dialects.get(&tenant.tenant.dialect)?;
            tenant.event_types.get(&dialect.wire_name(event_type.as_str()).parse::<EventType>().ok()?)
        };
        tenant.event_types.get(event_type).or_else(by_wire_name)
    }

    /// Whether a schema is one, or what is wrong with it.
    pub async fn check_schema(&self, tenant: &Tenant, schema: &serde_json::Value) -> Result<(), CheckFailure> {
        let step = self.schema_step(schema).await.map_err(|_| CheckFailure::Unavailable)?;
        self.sandbox.check(tenant.id, &step, &tenant.limits.ceilings).await
    }

    async fn schema_step(&self, schema: &serde_json::Value) -> Result<Step, IntakeError> {
        let name: PluginName = house::JSON_SCHEMA.parse().expect("it is a plugin's name");
        let house = self.picture.house();
        let newest = house.get(&name).and_then(|versions| versions.values().next_back());
        let plugin = newest.ok_or(IntakeError::Busy)?;
        let config = serde_json::json!({ "schema": schema }).to_string();
        Ok(Step::new(name, plugin.version, plugin.digest, Job::Filter, config))
    }
}
