//! A page as a person uses it: things are found by their role and name, as
//! assistive technology tells them, then clicked or typed into.
//!
//! Every method waits until what it needs is there. Whatever the page complains of
//! meanwhile fails the test.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::find::Role;
use super::pipe::Pipe;
use super::{keys, tell};
use crate::PATIENCE;

/// One tab.
pub struct Page {
    pipe: Arc<Pipe>,
    session: String,
    base: String,
    /// Complaints that the test has asked for, by a part of them.
    expected: Mutex<Vec<String>>,
}

impl Page {
    pub(super) async fn open(pipe: Arc<Pipe>, session: String, base: String) -> Self {
        let page = Self { pipe, session, base, expected: Mutex::default() };
        for domain in ["Inspector", "Page", "Runtime", "Log", "DOM"] {
            page.must(&format!("{domain}.enable"), json!({})).await;
        }
        page.must("Runtime.addBinding", json!({"name": tell::CANARY})).await;
        page.must("Page.addScriptToEvaluateOnNewDocument", json!({"source": tell::WATCH})).await;
        page.desktop().await;
        page
    }

    pub(super) async fn ask(&self, method: &str, parameters: Value) -> Result<Value, String> {
        self.pipe.ask(Some(&self.session), method, parameters).await
    }

    pub(super) async fn must(&self, method: &str, parameters: Value) -> Value {
        self.ask(method, parameters).await.unwrap_or_else(|why| panic!("{method}: {why}"))
    }

    /// Opens a path of the site, or a whole URL, and waits until it is there.
    pub async fn goto(&self, path: &str) {
        let url = if path.contains("://") { path.to_owned() } else { format!("{}{path}", self.base) };
        let answer = self.must("Page.navigate", json!({"url": url})).await;
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.loaded().await;
    }

    /// The same, whatever the page complains of.
    pub async fn goto_regardless(&self, path: &str) {
        self.must("Page.navigate", json!({"url": format!("{}{path}", self.base)})).await;
        crate::eventually("the page is loaded", async || {
            let state = self.try_evaluate("document.readyState").await.ok()?;
            (state == "complete").then_some(())
        })
        .await;
    }

    /// Waits until the document that is shown is whole.
    pub async fn loaded(&self) {
        self.wait_for("the page is loaded", "document.readyState === 'complete' && location.href !== 'about:blank'")
            .await;
    }

    pub async fn click(&self, role: Role, name: &str) {
        let what = format!("a {role:?} named {name:?}");
        let (x, y) = self.until(&what, async || self.place(self.find(role, name).await?).await).await;
        self.click_at(x, y).await;
    }

    /// The same for what has no name of its own, such as the first of a list.
    pub async fn click_css(&self, selector: &str) {
        let (x, y) = self
            .until(selector, async || {
                let document = self.ask_soon("DOM.getDocument", json!({"depth": 0})).await?;
                let form = json!({"nodeId": document["root"]["nodeId"], "selector": selector});
                let found = self.ask_soon("DOM.querySelector", form).await?;
                let node = self.ask_soon("DOM.describeNode", json!({"nodeId": found["nodeId"]})).await?;
                self.place(node["node"]["backendNodeId"].as_i64().ok_or("it is not there")?).await
            })
            .await;
        self.click_at(x, y).await;
    }

    async fn click_at(&self, x: f64, y: f64) {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let mut event = json!({"type": kind, "x": x, "y": y});
            if kind != "mouseMoved" {
                event["button"] = "left".into();
                event["clickCount"] = 1.into();
            }
            // What is clicked may be gone before the button is up.
            let _gone_on = self.ask_soon("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Replaces what a field has in it, as typing does.
    pub async fn fill(&self, label: &str, text: &str) {
        self.focus(label).await;
        self.evaluate("document.activeElement.select?.()").await;
        if text.is_empty() {
            self.press("Delete").await;
        } else {
            self.must("Input.insertText", json!({"text": text})).await;
        }
    }

    /// Takes the option of a list that says this.
    pub async fn choose(&self, label: &str, option: &str) {
        self.focus(label).await;
        let wanted = json!(option);
        let choice = format!(
            "(() => {{ const list = document.activeElement, wanted = {wanted};
                const fits = (option) => option.label.trim() === wanted || option.value === wanted;
                const option = [...list.options].find(fits) ?? [...list.options].find((o) => o.label.includes(wanted));
                if (!option) return [...list.options].map((option) => option.label).join(', ');
                list.value = option.value;
                list.dispatchEvent(new Event('input', {{bubbles: true}}));
                list.dispatchEvent(new Event('change', {{bubbles: true}}));
                return null; }})()"
        );
        let others = self.evaluate(&choice).await;
        assert!(others.is_null(), "{label} has no {option}: {others}");
    }

    async fn focus(&self, label: &str) {
        let what = format!("a field named {label:?}");
        self.until(&what, async || {
            let node = self.find(Role::Field, label).await?;
            self.ask_soon("DOM.scrollIntoViewIfNeeded", json!({"backendNodeId": node})).await?;
            self.ask_soon("DOM.focus", json!({"backendNodeId": node})).await
        })
        .await;
    }

    pub async fn press(&self, key: &str) {
        for stroke in keys::strokes(key) {
            let _gone_on = self.ask_soon("Input.dispatchKeyEvent", stroke).await;
        }
    }

    /// Waits until the page says this somewhere.
    pub async fn see(&self, words: &str) {
        self.until(&format!("the words {words:?}"), async || {
            let said = self.try_evaluate("document.body.innerText").await?;
            let said = said.as_str().unwrap_or_default();
            if contains(said, words) { Ok(()) } else { Err("they are not there".to_owned()) }
        })
        .await;
    }

    /// Whether it is there now.
    pub async fn has(&self, role: Role, name: &str) -> bool {
        self.find(role, name).await.is_ok()
    }

    /// Waits until it is there.
    pub async fn find_a(&self, role: Role, name: &str) {
        self.until(&format!("a {role:?} named {name:?}"), async || self.find(role, name).await).await;
    }

    /// Everything that it says.
    pub async fn text(&self) -> String {
        self.evaluate("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    pub async fn url(&self) -> String {
        self.evaluate("location.href").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script's answer is true.
    pub async fn wait_for(&self, what: &str, script: &str) {
        self.until(what, async || match self.try_evaluate(script).await? {
            Value::Bool(true) => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
    }

    /// What a script answers, once it has settled.
    pub async fn evaluate(&self, script: &str) -> Value {
        self.until(&format!("the answer of {script:.80}"), async || self.try_evaluate(script).await).await
    }

    async fn try_evaluate(&self, script: &str) -> Result<Value, String> {
        let form = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", form).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// What the page's only frame says.
    pub async fn text_of_frame(&self) -> String {
        self.until("the frame's text", async || {
            let tree = self.ask("Page.getFrameTree", json!({})).await?;
            let frame = &tree["frameTree"]["childFrames"][0]["frame"]["id"];
            let world = self.ask("Page.createIsolatedWorld", json!({"frameId": frame})).await?;
            let script = "document.readyState === 'complete' ? document.body.innerText : null";
            let form = json!({"expression": script, "contextId": world["executionContextId"], "returnByValue": true});
            let answer = self.ask("Runtime.evaluate", form).await?;
            let said = answer["result"]["value"].as_str().map(str::to_owned);
            said.ok_or_else(|| answer.to_string())
        })
        .await
    }

    /// From now on a complaint that has this in it is no failure.
    pub fn expect_complaint(&self, part: &str) {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).push(part.to_owned());
    }

    /// What the page has complained of and nobody expected, since the last time.
    pub async fn complaints(&self) -> Vec<String> {
        // Whatever it said before this answer has come before it.
        let _after_all = self.ask("Runtime.evaluate", json!({"expression": "1"})).await;
        self.complaints_so_far()
    }

    fn complaints_so_far(&self) -> Vec<String> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.pipe.told(&self.session);
        let complaints = told.iter().filter_map(tell::complaint);
        complaints.filter(|complaint| !expected.iter().any(|part| complaint.contains(part))).collect()
    }

    /// Tries again until it works.
    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
        let started = Instant::now();
        loop {
            let complaints = self.complaints_so_far();
            if !complaints.is_empty() {
                self.give_up(what, &format!("the page complains: {complaints:#?}")).await;
            }
            match look().await {
                Ok(found) => return found,
                Err(why) if started.elapsed() > PATIENCE => {
                    self.give_up(what, &format!("not within {PATIENCE:?}: {why}")).await
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn give_up(&self, what: &str, why: &str) -> ! {
        let shown = self.try_evaluate("`${location.href}\n${document.body.innerText}`").await.unwrap_or_default();
        let picture = self.picture("failed").await;
        panic!("{what}: {why}\nshown ({picture}):\n{}", shown.as_str().unwrap_or_default());
    }
}

/// Whether the words are there, whatever space is between them.
fn contains(said: &str, words: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain(said).contains(&plain(words))
}

impl Drop for Page {
    fn drop(&mut self) {
        let complaints = self.complaints_so_far();
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "the page complained: {complaints:#?}");
        }
    }
}
