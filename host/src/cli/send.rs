//! `hookyard send`: publishes an event.

use serde::Serialize;
use serde_json::value::RawValue;

use super::remote::{Remote, instant};
use super::screen::answer;
use super::{Failure, given};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard send order.paid --data '{\"order\": 7, \"total\": 49.99}' --tag paid
  hookyard send order.paid --data @order.json --subject customer-42
  jq -c .order shop.json | hookyard send order.paid --data - --idempotency-key order-7")]
pub(super) struct Send {
    #[command(flatten)]
    remote: Remote,
    /// The event's type, such as order.paid
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// The event's data: JSON, @FILE, or - for standard input
    #[arg(long, default_value = "{}")]
    data: String,
    #[command(flatten)]
    about: given::About,
    /// When it happened: RFC 3339, or how long ago, such as 15m [default: now]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    at: Option<String>,
    /// Not sent before this time: RFC 3339
    #[arg(long, value_name = "TIME")]
    deliver_at: Option<String>,
    /// Sent again with the same key within 24 hours, nothing is stored again
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// The data's bytes are not written anew.
#[derive(Serialize)]
struct Form<'a> {
    r#type: &'a str,
    data: &'a RawValue,
    subject: Option<&'a str>,
    account: Option<&'a str>,
    tags: &'a [String],
    occurred_at: Option<&'a str>,
    deliver_at: Option<&'a str>,
}

impl Send {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.connect()?;
        let data = given::text("--data", &self.data)?;
        let data: &RawValue = serde_json::from_str(data.trim()).map_err(|error| {
            Failure(format!("--data: that is no JSON: {error}; a text needs quotes in quotes, '\"...\"'"))
        })?;
        let form = Form {
            r#type: &self.event_type,
            data,
            subject: self.about.subject.as_deref(),
            account: self.about.account.as_deref(),
            tags: &self.about.tags,
            occurred_at: self.at.as_deref(),
            deliver_at: self.deliver_at.as_deref(),
        };
        let published = client.publish(serde_json::to_string(&form)?, self.idempotency_key.as_deref()).await?;
        answer(&published, self.remote.json, |event| format!("{}\n", event["id"].as_str().unwrap_or_default()))
    }
}
