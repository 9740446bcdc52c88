//! The conversation with Chromium: commands and their answers, and what it tells by
//! itself, sorted by the page that it is about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use crate::PATIENCE;

pub(super) struct Pipe {
    said: mpsc::UnboundedSender<Value>,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    /// What each session told since it was asked.
    told: HashMap<String, Vec<Value>>,
}

impl Pipe {
    pub(super) fn over(to: ChildStdin, from: ChildStdout) -> Self {
        let (said, saying) = mpsc::unbounded_channel();
        let desk = Arc::<Mutex<Desk>>::default();
        tokio::spawn(write(saying, to));
        tokio::spawn(read(from, desk.clone(), said.downgrade()));
        Self { said, desk }
    }

    /// The command's answer, or what Chromium has against it: often only that the
    /// page has gone on meanwhile.
    pub(super) async fn ask(&self, session: Option<&str>, method: &str, parameters: Value) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut desk = lock(&self.desk);
            desk.last += 1;
            let id = desk.last;
            desk.waiting.insert(id, answer);
            id
        };
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let _ended = self.said.send(command);
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("Chromium has ended".to_owned()),
            Err(_) => Err(format!("{method} was not answered within {PATIENCE:?}")),
        }
    }

    /// What a session has told since the last time.
    pub(super) fn told(&self, session: &str) -> Vec<Value> {
        lock(&self.desk).told.remove(session).unwrap_or_default()
    }
}

async fn write(mut saying: mpsc::UnboundedReceiver<Value>, mut to: ChildStdin) {
    while let Some(command) = saying.recv().await {
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(from: ChildStdout, desk: Arc<Mutex<Desk>>, said: mpsc::WeakUnboundedSender<Value>) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while from.read_until(0, &mut bytes).await.is_ok_and(|count| count > 0) {
        let message = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
        // The last one is cut when it is killed.
        let Ok(message) = serde_json::from_slice(message) else { break };
        bytes.clear();
        take(message, &desk, &said);
    }
    lock(&desk).waiting.clear();
}

fn take(mut message: Value, desk: &Mutex<Desk>, said: &mpsc::WeakUnboundedSender<Value>) {
    let mut desk = lock(desk);
    if let Some(waiting) = message["id"].as_u64().and_then(|id| desk.waiting.remove(&id)) {
        let answer = match message.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(message["result"].take()),
        };
        let _given_up = waiting.send(answer);
        return;
    }
    let Some(session) = message["sessionId"].as_str().map(str::to_owned) else { return };
    // A page stands still while it shows a dialog, and so would whoever asks it.
    if message["method"] == "Page.javascriptDialogOpening"
        && let Some(said) = said.upgrade()
    {
        desk.last += 1;
        let parameters = json!({"accept": true});
        let method = "Page.handleJavaScriptDialog";
        let _ended = said.send(json!({"id": desk.last, "method": method, "params": parameters, "sessionId": session}));
    }
    desk.told.entry(session).or_default().push(message);
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
