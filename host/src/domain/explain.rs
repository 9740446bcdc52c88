//! Explanations: what became of one event at one endpoint, or why nothing did,
//! in words that a non-programmer reads, with what to do about it.

use serde::Serialize;

use super::delivery::{CANCELLED_BY_OWNER, State};
use super::dialect::{Dialect, Plan};
use super::endpoint::{Endpoint, Status};
use super::event::Event;
use super::id::DeliveryId;
use super::pipeline::{StepOutcome, StepReport};
use super::subscription::Mismatch;
use super::time::Timestamp;

/// All that is known of one event at one endpoint.
pub struct Case<'a> {
    pub event: &'a Event,
    pub endpoint: &'a Endpoint,
    pub dialect: &'a Dialect,
    /// The plan that leaves this endpoint out, and the next larger one.
    pub over_plan: Option<(&'a Plan, Option<&'a Plan>)>,
    pub story: Option<Story>,
    /// Other endpoints with the same URL that got the event as well.
    pub twins: Vec<&'a str>,
    /// Nothing is sent to the endpoint before.
    pub open_until: Option<Timestamp>,
    pub now: Timestamp,
}

/// The newest delivery, and how it went.
pub struct Story {
    pub delivery: DeliveryId,
    pub state: State,
    pub reason: Option<String>,
    pub attempts: u32,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// [`super::delivery::Outcome::name`] of the last attempt.
    pub outcome: Option<String>,
    pub error: Option<String>,
    pub next_attempt_at: Option<String>,
    /// Others come before it.
    pub is_in_line: bool,
    pub steps: Vec<StepReport>,
}

/// What happened, and what to do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// A delivery's state, or `skipped`.
    pub state: &'static str,
    /// A word for programs.
    pub reason: Reason,
    pub summary: String,
    /// Absent when there is nothing to do.
    pub advice: Option<String>,
}

/// Why it is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Delivered,
    Waiting,
    Later,
    Line,
    Circuit,
    Rate,
    Retrying,
    Paused,
    Step,
    Receiver,
    Cancelled,
    Type,
    Account,
    Tag,
    Unverified,
    Disabled,
    PlanLimit,
    CreatedLater,
    ChangedSince,
}

fn said(state: &'static str, reason: Reason, summary: String, advice: impl Into<Option<String>>) -> Explanation {
    Explanation { state, reason, summary, advice: advice.into() }
}

/// Explains one event at one endpoint.
pub fn explain(case: &Case<'_>) -> Explanation {
    match &case.story {
        Some(story) => case.sent(story),
        None => case.skipped(),
    }
}

impl Case<'_> {
    fn name(&self) -> &str {
        &self.endpoint.name
    }

    fn sent(&self, story: &Story) -> Explanation {
        let name = self.name();
        let state = story.state.as_str();
        match story.state {
            State::Delivered => self.delivered(story),
            State::Pending if self.endpoint.status == Status::Paused => said(
                state,
                Reason::Paused,
                format!("The event is held for “{name}”, which is paused."),
                "Resume the endpoint; what is held is sent then.".to_owned(),
            ),
            State::Pending if matches!(self.endpoint.status, Status::Unverified { .. }) => said(
                state,
                Reason::Unverified,
                format!("The event is held for “{name}”, whose receiver is not verified any more."),
                "Make the receiver answer the verification request, then verify the endpoint again.".to_owned(),
            ),
            State::Pending if story.attempts == 0 || story.is_in_line || self.open_until.is_some() => self.waits(story),
            State::Pending => said(
                state,
                Reason::Retrying,
                format!("“{name}” {}. It is tried again{}.", last_words(story), at(story)),
                cure(story),
            ),
            State::Dropped => dropped(name, story),
            State::Dead => match step_that_failed(story) {
                Some((number, plugin, message)) => said(
                    state,
                    Reason::Step,
                    format!("Step {number} ({plugin}) of “{name}” could not handle the event: {message}"),
                    "Correct the step's configuration or the plugin, try it with `POST /v1/try`, then replay it: \
                     `POST /v1/endpoints/{id}/replay` with `pipeline: \"current\"`."
                        .to_owned(),
                ),
                None if story.attempts == 0 => said(
                    state,
                    Reason::Step,
                    format!(
                        "What the steps of “{name}” made cannot be sent: {}.",
                        story.reason.as_deref().unwrap_or("no reason was kept")
                    ),
                    "Correct the step that makes the message, then replay it: `POST \
                     /v1/endpoints/{id}/replay` with `pipeline: \"current\"`."
                        .to_owned(),
                ),
                None => said(
                    state,
                    Reason::Receiver,
                    format!(
                        "“{name}” {}, and no more attempts are made ({} so far).",
                        last_words(story),
                        story.attempts
                    ),
                    cure(story).map(|cure| format!("{cure} Then retry the delivery.")),
                ),
            },
            State::Cancelled => said(
                state,
                Reason::Cancelled,
                format!(
                    "The delivery to “{name}” was cancelled: {}.",
                    story.reason.as_deref().unwrap_or("no reason was kept")
                ),
                match story.reason.as_deref() {
                    Some(CANCELLED_BY_OWNER) => {
                        "If that was a mistake, replay it: `POST /v1/endpoints/{id}/replay` with `states: \
                         [\"cancelled\"]`."
                    }
                    _ => "Put the endpoint right, then replay what was cancelled.",
                }
                .to_owned(),
            ),
        }
    }

    /// It is not its receiver's last answer that it waits for.
    fn waits(&self, story: &Story) -> Explanation {
        let (name, state) = (self.name(), story.state.as_str());
        let later = self.event.deliver_at.filter(|at| *at > self.now);
        match (later, self.open_until) {
            _ if story.is_in_line => said(
                state,
                Reason::Line,
                format!(
                    "The event waits in line for “{name}”, until those before it are delivered, dead or cancelled."
                ),
                "Look at the endpoint's older deliveries: the first that is pending is the one that is waited for."
                    .to_owned(),
            ),
            (Some(at), _) => said(
                state,
                Reason::Later,
                format!("The event is sent to “{name}” at {at}, as its `deliver_at` says."),
                "`POST /v1/deliveries/{id}/retry` sends it now, `/cancel` never.".to_owned(),
            ),
            (None, Some(until)) => said(
                state,
                Reason::Circuit,
                format!("Nothing is sent to “{name}” until {until}: its last attempts have failed."),
                "Put the receiver right; `POST /v1/deliveries/{id}/retry` tries it at once.".to_owned(),
            ),
            (None, None) if self.endpoint.pace.rate_limit.is_some() => {
                said(state, Reason::Rate, format!("The event waits for its turn: “{name}” has a rate limit."), None)
            }
            (None, None) => said(state, Reason::Waiting, format!("The event is on its way to “{name}”."), None),
        }
    }

    fn delivered(&self, story: &Story) -> Explanation {
        let tries = match story.attempts {
            0 | 1 => "at the first attempt".to_owned(),
            attempts => format!("at attempt {attempts}"),
        };
        let status = story.status.map_or(String::new(), |status| format!(" The receiver answered {status}."));
        let mut summary = format!("The event was delivered to “{}” {tries}.{status}", self.name());
        if self.twins.is_empty() {
            return said(story.state.as_str(), Reason::Delivered, summary, None);
        }
        summary += &format!(
            " {} has the same URL and got the event as well, so the receiver saw it more than once.",
            self.twins.iter().map(|twin| format!("“{twin}”")).collect::<Vec<_>>().join(", ")
        );
        let advice = "Delete one of the endpoints, or select different events for each.".to_owned();
        said(story.state.as_str(), Reason::Delivered, summary, advice)
    }

    /// In the order in which routing decides.
    fn skipped(&self) -> Explanation {
        let (name, event, subscription) = (self.name(), self.event, &self.endpoint.subscription);
        let skipped = |reason, why: String, advice: String| {
            said("skipped", reason, format!("“{name}” did not get the event: {why}."), advice)
        };
        if self.endpoint.created_at > event.received_at {
            let advice = "Publish the event again if the endpoint should have it.";
            return skipped(Reason::CreatedLater, "it was created later".to_owned(), advice.to_owned());
        }
        let list = |texts: Vec<&str>| texts.join(", ");
        match self.dialect.wants(subscription, event) {
            Err(Mismatch::Type) => {
                let types = subscription.event_types.iter().map(|pattern| pattern.as_str()).collect();
                let why = format!("it selects {}, and the event's type is {}", list(types), event.event_type);
                let advice = format!("Add {} to the endpoint's event types.", event.event_type);
                return skipped(Reason::Type, why, advice);
            }
            Err(Mismatch::Account) => {
                let accounts = list(subscription.accounts.iter().map(String::as_str).collect());
                let has = event.account.as_deref().map_or("has none".to_owned(), |account| format!("is of {account}"));
                let why = format!("it selects the accounts {accounts}, and the event {has}");
                let advice = "Add the account to the endpoint, or leave its accounts empty to get all of them.";
                return skipped(Reason::Account, why, advice.to_owned());
            }
            Err(Mismatch::Tag) => {
                let tags = list(subscription.tags.iter().map(String::as_str).collect());
                let has = match event.tags.is_empty() {
                    true => "has no tags".to_owned(),
                    false => format!("has {}", event.tags.join(", ")),
                };
                let why = format!("it wants one of the tags {tags}, and the event {has}");
                let advice = "Select one of the event's tags, or leave the tags empty to get every event.";
                return skipped(Reason::Tag, why, advice.to_owned());
            }
            Ok(()) => {}
        }
        match &self.endpoint.status {
            Status::Disabled { reason } => skipped(
                Reason::Disabled,
                format!("it is switched off ({reason})"),
                "Set `active` to true. Events that came meanwhile are not sent by themselves; publish them again."
                    .to_owned(),
            ),
            Status::Unverified { reason } => skipped(
                Reason::Unverified,
                format!("its receiver is not verified ({reason})"),
                "Make the receiver answer the verification request, then verify the endpoint again.".to_owned(),
            ),
            Status::Active | Status::Paused => match self.over_plan {
                Some((plan, larger)) => skipped(
                    Reason::PlanLimit,
                    format!("the plan {} covers {}, and this one is over it", plan.name, urls(plan)),
                    match larger {
                        Some(larger) => {
                            format!("The plan {} covers {}; or delete other endpoints.", larger.name, urls(larger))
                        }
                        None => "Delete other endpoints.".to_owned(),
                    },
                ),
                None => skipped(
                    Reason::ChangedSince,
                    "it would get it now, but did not when the event came in: its settings have changed since, or the \
                     event was a test for another endpoint"
                        .to_owned(),
                    "Publish the event again if the endpoint should have it.".to_owned(),
                ),
            },
        }
    }
}

fn urls(plan: &Plan) -> String {
    match plan.endpoints {
        Some(1) => "1 webhook URL".to_owned(),
        Some(count) => format!("{count} webhook URLs"),
        None => "any number of webhook URLs".to_owned(),
    }
}

fn dropped(name: &str, story: &Story) -> Explanation {
    let step = story.steps.iter().enumerate().find_map(|(at, report)| match &report.outcome {
        StepOutcome::Dropped { reason } => Some((at + 1, report.plugin.to_string(), reason.clone())),
        _ => None,
    });
    let why = match step {
        Some((number, plugin, reason)) => format!("step {number} ({plugin}) dropped it: {reason}"),
        None => story.reason.clone().unwrap_or_else(|| "a step dropped it".to_owned()),
    };
    said(
        story.state.as_str(),
        Reason::Step,
        format!("“{name}” did not get the event: {why}."),
        "If the event should go through, change what the step keeps and replay it: `POST \
         /v1/endpoints/{id}/replay` with `pipeline: \"current\"` and `states: [\"dropped\"]`."
            .to_owned(),
    )
}

fn step_that_failed(story: &Story) -> Option<(usize, String, String)> {
    story.steps.iter().enumerate().find_map(|(at, report)| match &report.outcome {
        StepOutcome::Refused { message, .. } | StepOutcome::Faulted { message, .. } => {
            Some((at + 1, report.plugin.to_string(), message.clone()))
        }
        _ => None,
    })
}

fn at(story: &Story) -> String {
    story.next_attempt_at.as_ref().map_or(String::new(), |at| format!(" at {at}"))
}

fn last_words(story: &Story) -> String {
    match (story.status, &story.error) {
        (Some(status), _) => format!("answered with status {status}"),
        (None, Some(error)) => format!("could not be reached: {error}"),
        (None, None) if story.outcome.is_none() => "did not take it (its answer is not kept any more)".to_owned(),
        (None, None) => "could not be reached".to_owned(),
    }
}

/// What to do about the last attempt's end.
fn cure(story: &Story) -> Option<String> {
    let cure = match (story.status, story.outcome.as_deref().unwrap_or_default()) {
        (Some(300..400), _) => "Redirects are not followed: set the URL that it leads to.",
        (Some(401 | 403), _) => {
            "The receiver does not accept the request: check that it verifies with this endpoint's secret, over the \
             raw body as it arrived, and that it needs no other key."
        }
        (Some(404), _) => "There is nothing at this URL: check the endpoint's URL.",
        (Some(405), _) => "The receiver must accept POST requests.",
        (Some(410), _) => "The receiver said that it is gone for good; set another URL.",
        (Some(413), _) => "The receiver takes no bodies of this size: send less with a step, or raise its limit.",
        (Some(429), _) => "The receiver asks for fewer requests at a time.",
        (Some(400 | 415 | 422), _) => {
            "The receiver does not understand the body: check that it accepts JSON, and look at the delivery's \
             message to see what was sent."
        }
        (Some(_), _) => "Look into the receiver's log: it accepted the connection and then failed.",
        (None, "timeout") => "The receiver must answer sooner: take the event in, answer 200, and work afterwards.",
        (None, "tls") => {
            "The receiver needs a certificate of a public authority, or of the one that the endpoint's `tls.ca` names."
        }
        (None, "no-token") => "Check the endpoint's `auth`: its token URL, client and secret.",
        (None, "unresolved") => "The host name has no address: check the endpoint's URL.",
        (None, "forbidden") => "Use a URL that may be dialled: the error says what is in the way.",
        (None, "connect") => "Nothing answers there: check that the receiver is up and reachable from the internet.",
        (None, "broken") => "The receiver closed the connection or did not speak HTTP.",
        _ => return None,
    };
    Some(cure.to_owned())
}
