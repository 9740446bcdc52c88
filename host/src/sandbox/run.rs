//! Pipelines: what is asked of the sandbox and what it answers. All steps of
//! one pipeline run in one visit to a sandbox thread, each in an instance of its
//! own.

use std::sync::Arc;

use super::call::Called;
use super::contract::{RefusalOut, VerdictOut};
use super::convert::{self, EventTexts, RequestTexts};
use super::effects::Reaching;
use super::fault::{Failure, Fault};
use super::guest::Guest;
use super::limits::Limits;
use super::outside::{Nowhere, Outside};
use super::past::Past;
use super::plugin::Plugin;
use crate::domain::budget::Ceilings;
use crate::domain::event::{Draft, Event, EventType};
use crate::domain::id::{EventId, TenantId};
use crate::domain::message::Message;
use crate::domain::pipeline::{OnFailure, Pipeline, Step, StepOutcome, StepReport};
use crate::domain::plugin::Job;
use crate::domain::request::Request;
use crate::domain::state::StepRef;
use crate::domain::time::Timestamp;

/// A request that is to become events.
pub struct SourceJob {
    pub tenant: TenantId,
    pub pipeline: Pipeline,
    pub request: Arc<Request>,
    /// The name that the tenant gave the source.
    pub source: String,
    /// The type of what the mapper gives none.
    pub event_type: Option<EventType>,
    /// What the host made of the request, when no step is a mapper.
    pub drafts: Option<Vec<Draft>>,
    pub new_id: Box<dyn FnMut() -> EventId + Send>,
    pub now: Timestamp,
    pub ceilings: Ceilings,
    pub outside: Arc<dyn Outside>,
}

/// What became of a [`SourceJob`].
pub struct SourceRun {
    /// In the order in which they ran; a filter once for each event.
    pub steps: Vec<StepReport>,
    pub result: SourceResult,
}

/// What a source's pipeline came to.
pub enum SourceResult {
    Events(Vec<Event>),
    /// It was understood and nothing is wanted of it.
    Ignored {
        reason: String,
    },
    /// A step refused or misbehaved; steps are numbered from 1.
    Failed {
        number: usize,
        plugin: String,
        message: String,
    },
    /// There was no mapper and the request itself is no event. Never said by
    /// the sandbox, which gets such requests as drafts.
    Unreadable {
        reason: String,
    },
    /// No plugin is to blame: the host has no room, or not all plugins yet.
    Unavailable,
}

/// An event that is to become a message.
pub struct EndpointJob {
    pub tenant: TenantId,
    pub pipeline: Pipeline,
    pub event: Arc<Event>,
    /// The dialect's envelope around the event.
    pub message: Message,
    /// What those of its steps see that have the capabilities.
    pub past: Past,
    pub ceilings: Ceilings,
    /// Whether what each step made is to be told.
    pub trace: bool,
    /// What those of its steps reach that are granted it.
    pub outside: Arc<dyn Outside>,
}

impl EndpointJob {
    /// One that has no past, reaches nothing and asks for nothing unusual.
    pub fn new(tenant: TenantId, pipeline: Pipeline, event: Arc<Event>, message: Message) -> Self {
        let (past, ceilings, outside) = (Past::default(), Ceilings::default(), Arc::new(Nowhere));
        Self { tenant, pipeline, event, message, past, ceilings, trace: false, outside }
    }
}

/// What became of an [`EndpointJob`].
pub struct EndpointRun {
    pub steps: Vec<StepReport>,
    /// With `trace`: the message after each of the steps that made one.
    pub between: Vec<Option<Message>>,
    pub result: EndpointResult,
}

impl EndpointRun {
    /// There was nothing to run.
    pub fn of_no_steps(message: Message) -> Self {
        Self { steps: Vec::new(), between: Vec::new(), result: EndpointResult::Send(message) }
    }

    pub(super) fn unavailable() -> Self {
        Self { steps: Vec::new(), between: Vec::new(), result: EndpointResult::Unavailable }
    }
}

/// What an endpoint's pipeline came to.
pub enum EndpointResult {
    Send(Message),
    /// A filter stopped it.
    Dropped {
        reason: String,
    },
    /// A step refused or misbehaved; steps are numbered from 1.
    Failed {
        number: usize,
        plugin: String,
        message: String,
    },
    /// No plugin is to blame: the host has no room, or not all plugins yet.
    Unavailable,
}

/// A pipeline ends before its last step.
enum Halt {
    Failed { number: usize, plugin: String, message: String },
    Stopped { reason: String },
    Unavailable,
}

/// The steps of one run, their plugins, and the reports so far.
struct Course<'a> {
    plugins: &'a [Arc<Plugin>],
    steps: &'a [Step],
    limits: &'a Limits,
    ceilings: Ceilings,
    /// What was before the event; nothing before a request.
    past: Arc<Past>,
    outside: Arc<dyn Outside>,
    reports: Vec<StepReport>,
}

/// Runs a source's pipeline; `plugins` are those of its steps.
pub(super) fn source(plugins: &[Arc<Plugin>], job: SourceJob, limits: &Limits) -> SourceRun {
    let SourceJob { tenant, pipeline, request, source, event_type, drafts, new_id, now, ceilings, outside } = job;
    let past = Arc::default();
    let mut course = Course { plugins, steps: &pipeline.steps, limits, ceilings, past, outside, reports: Vec::new() };
    let events = course.draft(&request, &source, event_type.as_ref(), drafts).and_then(|(first, drafts)| {
        let events = drafts.into_iter().zip(std::iter::repeat_with(new_id)).map(|(mut draft, id)| {
            draft.occurred_at.get_or_insert(request.received_at);
            draft.into_event(id, tenant, now, Some(request.id))
        });
        course.sift(first, events.collect())
    });
    let result = match events {
        Ok(events) => SourceResult::Events(events),
        Err(Halt::Stopped { reason }) => SourceResult::Ignored { reason },
        Err(Halt::Failed { number, plugin, message }) => SourceResult::Failed { number, plugin, message },
        Err(Halt::Unavailable) => SourceResult::Unavailable,
    };
    SourceRun { steps: course.reports, result }
}

/// Runs an endpoint's pipeline; `plugins` are those of its steps.
pub(super) fn endpoint(plugins: &[Arc<Plugin>], job: EndpointJob, limits: &Limits) -> EndpointRun {
    let EndpointJob { tenant: _, pipeline, event, message, past, ceilings, trace, outside } = job;
    let past = Arc::new(past);
    let mut course = Course { plugins, steps: &pipeline.steps, limits, ceilings, past, outside, reports: Vec::new() };
    let mut between = trace.then(Vec::new);
    let result = match course.reshape(&event, message, between.as_mut()) {
        Ok(message) => EndpointResult::Send(message),
        Err(Halt::Stopped { reason }) => EndpointResult::Dropped { reason },
        Err(Halt::Failed { number, plugin, message }) => EndpointResult::Failed { number, plugin, message },
        Err(Halt::Unavailable) => EndpointResult::Unavailable,
    };
    EndpointRun { steps: course.reports, between: between.unwrap_or_default(), result }
}

impl Course<'_> {
    /// The request's drafts and the first step that is not the mapper.
    fn draft(
        &mut self,
        request: &Request,
        source: &str,
        event_type: Option<&EventType>,
        drafts: Option<Vec<Draft>>,
    ) -> Result<(usize, Vec<Draft>), Halt> {
        let Some(step) = self.steps.first().filter(|step| step.job == Job::Mapper) else {
            return Ok((0, drafts.unwrap_or_default()));
        };
        let texts = RequestTexts::of(request);
        let (guest, limits) = self.visit(0, &texts.id, request.received_at);
        let called = self.plugins[0].call_map(&texts.request(request, source), &step.config, guest, &limits);
        let parsed = called.and_then(|made| match made {
            Ok(made) => convert::drafts(made, event_type, &limits).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        });
        let mapped = |drafts: &Vec<Draft>| StepOutcome::Mapped { events: drafts.len() };
        // A mapper cannot be passed over: nothing would be left to go on with.
        let drafts = self.report(0, parsed, mapped)?.unwrap_or_default();
        match drafts.is_empty() {
            true => Err(Halt::Stopped { reason: format!("step 1 ({}) made no event of it", step.plugin) }),
            false => Ok((1, drafts)),
        }
    }

    /// The events that all filters from `first` on keep.
    fn sift(&mut self, first: usize, mut events: Vec<Event>) -> Result<Vec<Event>, Halt> {
        for at in first..self.steps.len() {
            let mut dropped = None;
            let mut kept = Vec::with_capacity(events.len());
            for event in events {
                match self.keep(at, &event, &EventTexts::of(&event)) {
                    Ok(()) => kept.push(event),
                    Err(Halt::Stopped { reason }) => dropped = Some(reason),
                    Err(halt) => return Err(halt),
                }
            }
            match dropped {
                Some(reason) if kept.is_empty() => return Err(Halt::Stopped { reason }),
                _ => events = kept,
            }
        }
        Ok(events)
    }

    fn reshape(
        &mut self,
        event: &Event,
        mut message: Message,
        mut between: Option<&mut Vec<Option<Message>>>,
    ) -> Result<Message, Halt> {
        let texts = EventTexts::of(event);
        for (at, step) in self.steps.iter().enumerate() {
            let made = match step.job {
                Job::Filter => {
                    self.keep(at, event, &texts)?;
                    None
                }
                // A mapper has no place here; calling it as a transformer makes
                // the step fail by name.
                Job::Transformer | Job::Mapper => self.transform(at, event, &texts, &message)?,
            };
            if let Some(between) = &mut between {
                between.push(made.clone());
            }
            message = made.unwrap_or(message);
        }
        Ok(message)
    }

    fn keep(&mut self, at: usize, event: &Event, texts: &EventTexts) -> Result<(), Halt> {
        let (guest, limits) = self.visit(at, &texts.id, event.occurred_at);
        let called = self.plugins[at].call_keep(&texts.event(event), &self.steps[at].config, guest, &limits);
        let verdict = self.report(at, called, |verdict| match verdict {
            VerdictOut::Keep => StepOutcome::Kept,
            VerdictOut::Drop(reason) => StepOutcome::Dropped { reason: convert::reason(reason.clone()) },
        })?;
        match verdict {
            None | Some(VerdictOut::Keep) => Ok(()),
            Some(VerdictOut::Drop(reason)) => Err(Halt::Stopped { reason: convert::reason(reason) }),
        }
    }

    /// Nothing when the step failed and is passed over.
    fn transform(
        &mut self,
        at: usize,
        event: &Event,
        texts: &EventTexts,
        message: &Message,
    ) -> Result<Option<Message>, Halt> {
        let (guest, limits) = self.visit(at, &texts.id, event.occurred_at);
        let (event, given) = (texts.event(event), convert::message_in(message));
        let called = self.plugins[at].call_transform(&event, &given, &self.steps[at].config, guest, &limits);
        let parsed = called.and_then(|made| match made {
            Ok(made) => convert::message(made).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        });
        self.report(at, parsed, |_| StepOutcome::Transformed)
    }

    /// A call of step `at`: what it finds, and what it may use.
    fn visit(&self, at: usize, about: &str, now: Timestamp) -> (Guest, Limits) {
        let step = &self.steps[at];
        let limits = self.limits.within(&step.budget, &self.ceilings);
        let guest = Guest::new(&limits, about, now).granted(&step.grants).after(&self.past);
        match step.grants.reach_out() {
            true => (guest.reaching(Reaching::new(Arc::clone(&self.outside), self.step_ref(at))), limits),
            false => (guest, limits),
        }
    }

    fn step_ref(&self, at: usize) -> StepRef {
        let plugin = &self.steps[at].plugin;
        let ordinal = self.steps[..at].iter().filter(|step| step.plugin == *plugin).count();
        StepRef { plugin: plugin.clone(), ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX) }
    }

    /// Writes down what step `at` came to and passes on what it made, if the
    /// pipeline goes on: nothing when the step failed and is passed over.
    fn report<R>(
        &mut self,
        at: usize,
        called: Called<Result<R, RefusalOut>>,
        outcome: impl FnOnce(&R) -> StepOutcome,
    ) -> Result<Option<R>, Halt> {
        let Step { plugin, version, job, on_failure, .. } = &self.steps[at];
        let failed = |message: &str| match on_failure {
            OnFailure::Fail => {
                Err(Halt::Failed { number: at + 1, plugin: plugin.to_string(), message: message.to_owned() })
            }
            OnFailure::Pass => Ok(None),
            OnFailure::Drop => {
                let reason = format!("step {} ({plugin}) failed, and then drops the event: {message}", at + 1);
                Err(Halt::Stopped { reason })
            }
        };
        let (outcome, result) = match called.result {
            Ok(Ok(made)) => (outcome(&made), Ok(Some(made))),
            Ok(Err(refusal)) => {
                let (code, message) = convert::refusal(refusal);
                let result = failed(&message);
                (StepOutcome::Refused { code, message }, result)
            }
            Err(Failure::Fault(Fault { limit, message, backtrace })) => {
                let result = failed(&message);
                (StepOutcome::Faulted { limit: limit.as_str().to_owned(), message, backtrace }, result)
            }
            Err(Failure::NoRoom) => return Err(Halt::Unavailable),
        };
        let spared = (outcome.is_failure() && *on_failure != OnFailure::Fail).then_some(*on_failure);
        self.reports.push(StepReport {
            plugin: plugin.clone(),
            version: *version,
            job: *job,
            outcome,
            on_failure: spared,
            log: called.log,
            fuel: called.fuel,
            duration_us: called.duration_us,
            memory: called.memory,
        });
        result
    }
}
