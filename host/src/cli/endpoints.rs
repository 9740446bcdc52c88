//! `hookyard endpoints`: outbound webhooks, set up and looked after.

use serde_json::{Map, Value, json};

use super::named::ENDPOINTS;
use super::remote::{Client, Remote};
use super::screen::{answer, answer_list, cell, clean, note, state_of};
use super::{Failure, given};

#[derive(clap::Args)]
#[command(after_help = "An endpoint is given by its id or its name. Examples:
  hookyard endpoints create crm --url https://crm.example.com/hooks --type 'order.*'
  hookyard endpoints create --from endpoint.json     all that the API takes
  hookyard endpoints test crm --type order.paid
  hookyard endpoints rotate-secret crm --overlap 86400")]
pub(super) struct Endpoints {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List endpoints
    List,
    /// Show one
    Show { endpoint: String },
    /// Make one; prints its secret, once
    Create(Create),
    /// Hold what is due
    Pause { endpoint: String },
    /// Send what was held
    Resume { endpoint: String },
    /// Send one event to this endpoint alone
    Test(Test),
    /// Ask the receiver to confirm again
    Verify { endpoint: String },
    /// Sign with a new secret; prints it, once
    RotateSecret(Rotate),
    /// Delete one; what is pending is cancelled
    Delete {
        endpoint: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct Create {
    /// Its name
    name: Option<String>,
    /// Where its messages go
    #[arg(long)]
    url: Option<String>,
    /// A type that it wants, such as order.*; may be given several times [default: *]
    #[arg(long = "type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// An account whose events it wants; several times
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// A tag that its events have; several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// How it speaks on the wire
    #[arg(long)]
    dialect: Option<String>,
    /// A JSON file with the rest, as POST /v1/endpoints takes it, or - for standard input; flags go over it
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
}

#[derive(clap::Args)]
struct Test {
    endpoint: String,
    /// The event's type [default: the first that the endpoint wants]
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Its data: JSON, @FILE or - [default: the catalogue's example]
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    about: given::About,
}

#[derive(clap::Args)]
struct Rotate {
    endpoint: String,
    /// How long the old secret goes on signing, in seconds [default: a day]
    #[arg(long, value_name = "SECONDS")]
    overlap: Option<u64>,
}

impl Endpoints {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (client, as_json) = (self.remote.connect()?, self.remote.json);
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&client, as_json).await,
            Action::Show { endpoint } => ENDPOINTS.show(&client, &endpoint, as_json).await,
            Action::Create(create) => create.run(&client, as_json).await,
            Action::Pause { endpoint } => done(&client, &endpoint, "pause", as_json).await,
            Action::Resume { endpoint } => done(&client, &endpoint, "resume", as_json).await,
            Action::Verify { endpoint } => done(&client, &endpoint, "verify", as_json).await,
            Action::Test(test) => test.run(&client, as_json).await,
            Action::RotateSecret(rotate) => rotate.run(&client, as_json).await,
            Action::Delete { endpoint, yes } => delete(&client, &endpoint, yes).await,
        }
    }
}

async fn list(client: &Client, as_json: bool) -> Result<(), Failure> {
    let row = |endpoint: &Value| {
        let [id, name, url, types, reason] =
            ["id", "name", "url", "event_types", "reason"].map(|field| cell(endpoint, field));
        vec![id, name, state_of(endpoint), url, types, reason]
    };
    let headings = ["id", "name", "state", "url", "types", "reason"];
    answer_list(ENDPOINTS.all(client).await?, as_json, &headings, row)
}

impl Create {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let flags = vec![
            ("name", self.name.map(Value::from)),
            ("url", self.url.map(Value::from)),
            ("event_types", given::some(&self.event_types)),
            ("accounts", given::some(&self.accounts)),
            ("tags", given::some(&self.tags)),
            ("dialect", self.dialect.map(Value::from)),
        ];
        let mut form = given::form(self.from.as_deref(), flags)?;
        if form["event_types"].is_null() && form["events"].is_null() {
            form["event_types"] = json!(["*"]);
        }
        let made = client.post(&["endpoints"], &form).await?;
        for warning in made["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            note(&format!("Mind: {}", clean(warning)));
        }
        answer(&made, as_json, |made| format!("{}  {}\n{}", cell(made, "id"), state_of(made), secret(made)))
    }
}

/// The only time that it is shown.
fn secret(of: &Value) -> String {
    match of["secret"].as_str() {
        Some(secret) => format!("secret  {}  (shown this once)\n", clean(secret)),
        None => String::new(),
    }
}

async fn done(client: &Client, given: &str, action: &str, as_json: bool) -> Result<(), Failure> {
    let id = ENDPOINTS.id(client, given).await?;
    let endpoint = client.post(&["endpoints", &id, action], &json!({})).await?;
    answer(&endpoint, as_json, |endpoint| format!("{id}  {}  {}\n", state_of(endpoint), cell(endpoint, "reason")))
}

impl Test {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let id = ENDPOINTS.id(client, &self.endpoint).await?;
        let mut form = Map::new();
        if let Some(data) = &self.data {
            let data = serde_json::from_str(&given::text("--data", data)?)
                .map_err(|error| Failure(format!("--data: that is no JSON: {error}")))?;
            form.insert("data".to_owned(), data);
        }
        let flags = [
            ("type", self.event_type.map(Value::from)),
            ("subject", self.about.subject.map(Value::from)),
            ("account", self.about.account.map(Value::from)),
            ("tags", given::some(&self.about.tags)),
        ];
        form.extend(flags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let sent = client.post(&["endpoints", &id, "test"], &Value::Object(form)).await?;
        answer(&sent, as_json, |sent| {
            let (kind, delivery) = (cell(sent, "type"), cell(sent, "delivery_id"));
            format!("sent {kind} as {delivery}; `hookyard deliveries show {delivery}` says how it went\n")
        })
    }
}

impl Rotate {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let id = ENDPOINTS.id(client, &self.endpoint).await?;
        let form = self.overlap.map_or_else(|| json!({}), |seconds| json!({"overlap_seconds": seconds}));
        let rotated = client.post(&["endpoints", &id, "rotate-secret"], &form).await?;
        answer(&rotated, as_json, |rotated| {
            format!("{}the old one signs until {}\n", secret(rotated), cell(rotated, "overlap_until"))
        })
    }
}

async fn delete(client: &Client, given: &str, yes: bool) -> Result<(), Failure> {
    let id = ENDPOINTS.id(client, given).await?;
    let endpoint = client.get(&["endpoints", &id], &[]).await?;
    let pending = [("endpoint", Some(id.clone())), ("state", Some("pending".to_owned()))];
    let waiting = client.list(&["deliveries"], &pending, 1000).await?.len();
    let waiting = if waiting == 1000 { "1000 or more".to_owned() } else { waiting.to_string() };
    let question = format!(
        "Delete the endpoint `{}` ({})? {waiting} pending deliveries are cancelled.",
        cell(&endpoint, "name"),
        cell(&endpoint, "url")
    );
    ENDPOINTS.delete(client, &id, &question, yes).await
}
