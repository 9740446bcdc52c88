//! The records of `wit/` as they cross the border. Wasmtime compares them with
//! the component's own types, so a field that differs from the contract is
//! found when a plugin is admitted.
//!
//! What goes in borrows and is copied once, into the plugin's memory. What
//! comes out is owned and not to be trusted before `domain` has parsed it.

use wasmtime::component::{ComponentType, Lift, Lower};

/// The package and version that every interface below belongs to.
pub(super) const SETTINGS: &str = "hookyard:plugin/settings@0.1.0";
pub(super) const MAPPER: &str = "hookyard:plugin/mapper@0.1.0";
pub(super) const FILTER: &str = "hookyard:plugin/filter@0.1.0";
pub(super) const TRANSFORMER: &str = "hookyard:plugin/transformer@0.1.0";
pub(super) const PREPARE: &str = "hookyard:plugin/prepare@0.1.0";
pub(super) const HISTORY: &str = "hookyard:plugin/history@0.1.0";
pub(super) const SUMMARIES: &str = "hookyard:plugin/summaries@0.1.0";
pub(super) const SECRETS: &str = "hookyard:plugin/secrets@0.1.0";
pub(super) const STATE: &str = "hookyard:plugin/state@0.1.0";
pub(super) const HTTP: &str = "hookyard:plugin/http@0.1.0";
pub(super) const LOG: &str = "hookyard:plugin/log@0.1.0";
pub(super) const TYPES: &str = "hookyard:plugin/types@0.1.0";

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct FieldIn<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct RequestIn<'a> {
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    #[component(name = "received-at")]
    pub(super) received_at: &'a str,
    pub(super) method: &'a str,
    pub(super) query: Vec<FieldIn<'a>>,
    pub(super) headers: Vec<FieldIn<'a>>,
    pub(super) body: &'a [u8],
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct EventIn<'a> {
    pub(super) id: &'a str,
    #[component(name = "type")]
    pub(super) event_type: &'a str,
    #[component(name = "occurred-at")]
    pub(super) occurred_at: &'a str,
    pub(super) subject: Option<&'a str>,
    pub(super) account: Option<&'a str>,
    pub(super) tags: &'a [String],
    pub(super) data: &'a str,
}

/// An event that a host function answers with. Wasmtime wants such an answer to
/// own what it is made of.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct PastEventIn {
    pub(super) id: String,
    #[component(name = "type")]
    pub(super) event_type: String,
    #[component(name = "occurred-at")]
    pub(super) occurred_at: String,
    pub(super) subject: Option<String>,
    pub(super) account: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) data: String,
}

/// A header of an answer to a plugin's request.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct HeaderIn {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct IncomingIn {
    pub(super) status: u16,
    pub(super) headers: Vec<HeaderIn>,
    pub(super) body: Vec<u8>,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(variant)]
pub(super) enum HttpErrorIn {
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "too-large")]
    TooLarge(String),
    #[component(name = "failed")]
    Failed(String),
}

#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum SecretErrorIn {
    #[component(name = "denied")]
    Denied,
    #[component(name = "missing")]
    Missing,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct EntryIn {
    pub(super) value: Vec<u8>,
    pub(super) revision: u32,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(variant)]
pub(super) enum StateErrorIn {
    #[component(name = "conflict")]
    Conflict,
    #[component(name = "quota")]
    Quota(String),
    #[component(name = "unavailable")]
    Unavailable(String),
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct MessageIn<'a> {
    pub(super) method: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) headers: Vec<FieldIn<'a>>,
    pub(super) body: &'a [u8],
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct FieldOut {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct OutgoingOut {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<FieldOut>,
    pub(super) body: Vec<u8>,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct MessageOut {
    pub(super) method: String,
    pub(super) target: Option<String>,
    pub(super) headers: Vec<FieldOut>,
    pub(super) body: Vec<u8>,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct DraftOut {
    #[component(name = "type")]
    pub(super) event_type: Option<String>,
    #[component(name = "occurred-at")]
    pub(super) occurred_at: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) account: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) data: String,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(super) enum VerdictOut {
    #[component(name = "keep")]
    Keep,
    #[component(name = "drop")]
    Drop(String),
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct RefusalOut {
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "wasmtime makes them of what a plugin says")]
pub(super) enum JobOut {
    #[component(name = "mapper")]
    Mapper,
    #[component(name = "filter")]
    Filter,
    #[component(name = "transformer")]
    Transformer,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct ExampleOut {
    pub(super) name: String,
    pub(super) job: JobOut,
    pub(super) config: String,
    pub(super) input: String,
    pub(super) output: String,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct DescriptionOut {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    #[component(name = "config-schema")]
    pub(super) config_schema: String,
    pub(super) capabilities: Vec<String>,
    pub(super) examples: Vec<ExampleOut>,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct IssueOut {
    pub(super) path: String,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "wasmtime makes them of what a plugin says")]
pub(super) enum LevelOut {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}
