//! `hookyard sources`: inbound webhooks.

use serde_json::{Value, json};

use super::named::SOURCES;
use super::remote::{Client, Remote};
use super::screen::{answer, answer_list, cell};
use super::{Failure, given};

#[derive(clap::Args)]
#[command(after_help = "A source is given by its id or its name. Examples:
  hookyard sources create shop --event-type order.placed
  hookyard sources create --from source.json         all that the API takes, secrets too
  curl -d '{\"order\": 7}' \"$(hookyard sources show shop --json | jq -r .url)\"")]
pub(super) struct Sources {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List sources
    List,
    /// Show one
    Show { source: String },
    /// Make one; prints the URL that senders are given
    Create(Create),
    /// Delete one; its URL ends at once, its requests stay
    Delete {
        source: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct Create {
    /// Its name
    name: Option<String>,
    /// What its events are called, where the body does not say it
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// How requests prove who sends them; GET /v1/senders lists them. A secret is given in --from: a flag is there for
    /// every process to read
    #[arg(long)]
    scheme: Option<String>,
    /// A JSON file with the rest, as POST /v1/sources takes it, or - for standard input; flags go over it
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
}

impl Sources {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (client, as_json) = (self.remote.connect()?, self.remote.json);
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&client, as_json).await,
            Action::Show { source } => SOURCES.show(&client, &source, as_json).await,
            Action::Create(create) => create.run(&client, as_json).await,
            Action::Delete { source, yes } => delete(&client, &source, yes).await,
        }
    }
}

async fn list(client: &Client, as_json: bool) -> Result<(), Failure> {
    let row = |source: &Value| {
        let [id, name, event_type, url] = ["id", "name", "event_type", "url"].map(|field| cell(source, field));
        vec![id, name, cell(&source["verification"], "scheme"), event_type, url]
    };
    let headings = ["id", "name", "verification", "type", "url"];
    answer_list(SOURCES.all(client).await?, as_json, &headings, row)
}

impl Create {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let flags = vec![("name", self.name.map(Value::from)), ("event_type", self.event_type.map(Value::from))];
        let mut form = given::form(self.from.as_deref(), flags)?;
        if let Some(scheme) = self.scheme {
            match &mut form["verification"] {
                Value::Object(verification) => verification.insert("scheme".to_owned(), scheme.into()).map_or((), drop),
                other => *other = json!({"scheme": scheme}),
            }
        }
        let made = client.post(&["sources"], &form).await?;
        answer(&made, as_json, |made| format!("{}\n{}\n", cell(made, "id"), cell(made, "url")))
    }
}

async fn delete(client: &Client, given: &str, yes: bool) -> Result<(), Failure> {
    let id = SOURCES.id(client, given).await?;
    let source = client.get(&["sources", &id], &[]).await?;
    let question = format!("Delete the source `{}`? Its URL ends at once.", cell(&source, "name"));
    SOURCES.delete(client, &id, &question, yes).await
}
