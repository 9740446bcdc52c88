//! How things on a page are found: by role and name, which Chromium computes as
//! assistive technology is told them; and where a click on them goes.

use std::time::Duration;

use serde_json::{Value, json};

use super::Page;
use crate::list;

/// Chromium forgets a question about a page that goes on meanwhile; it is asked again.
const SOON: Duration = Duration::from_secs(5);

/// What a thing is to whoever uses it.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Button,
    Link,
    /// Whatever takes text or a choice.
    Field,
    Checkbox,
    Radio,
    Heading,
    /// What opens and closes a section.
    Summary,
    /// Whatever can be clicked.
    Anything,
}

impl Role {
    /// Chromium's words.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Button => &["button"],
            Self::Link => &["link"],
            Self::Field => &["textbox", "searchbox", "spinbutton", "combobox", "listbox", "Date", "DateTime"],
            Self::Checkbox => &["checkbox", "switch"],
            Self::Radio => &["radio"],
            Self::Heading => &["heading"],
            Self::Summary => &["DisclosureTriangle", "DisclosureTriangleGrouped"],
            Self::Anything => {
                &["button", "link", "checkbox", "switch", "radio", "option", "tab", "treeitem", "menuitem"]
            }
        }
    }
}

/// People click on the words, where there are some.
const PLACE: &str = "function () {
    const words = document.createTreeWalker(this, NodeFilter.SHOW_TEXT);
    let box = this.getBoundingClientRect();
    while (words.nextNode()) {
        if (!words.currentNode.data.trim()) continue;
        const range = document.createRange();
        range.selectNodeContents(words.currentNode);
        const [first] = range.getClientRects();
        if (first?.width > 1 && first.height > 1) { box = first; break; }
    }
    if (!box.width || !box.height) return 'it has no size';
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const hit = document.elementFromPoint(x, y);
    const reached = hit && (this.contains(hit) || hit.closest('label')?.control === this);
    return reached ? {x, y} : `${hit?.outerHTML.slice(0, 200)} is over it`;
}";

impl Page {
    /// The thing that is called so; where nothing is, the first whose name begins
    /// so.
    pub(super) async fn find(&self, role: Role, name: &str) -> Result<i64, String> {
        // Asked for the names of what it has not drawn yet, Chromium 156 hangs and
        // then crashes.
        let state = self.ask_soon("Runtime.evaluate", json!({"expression": "document.readyState"})).await?;
        if state["result"]["value"] != "complete" {
            return Err("the page is not there yet".to_owned());
        }
        let document = self.ask_soon("DOM.getDocument", json!({"depth": 0})).await?;
        let root = &document["root"]["backendNodeId"];
        let mut named = Vec::new();
        for word in role.words() {
            let form = json!({"backendNodeId": root, "role": word});
            let answer = self.ask_soon("Accessibility.queryAXTree", form).await?;
            for node in list(&answer["nodes"]).iter().filter(|node| node["ignored"] != true) {
                let name = node["name"]["value"].as_str().unwrap_or_default().trim().to_owned();
                named.extend(node["backendDOMNodeId"].as_i64().map(|node| (name, node)));
            }
        }
        let exact = named.iter().find(|(found, _)| found == name);
        let found = exact.or_else(|| named.iter().find(|(found, _)| found.starts_with(name)));
        found.map(|(_, node)| *node).ok_or_else(|| {
            let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
            format!("there are {names:?}")
        })
    }

    pub(super) async fn ask_soon(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let asking = tokio::time::timeout(SOON, self.ask(method, parameters)).await;
        asking.unwrap_or_else(|_| Err(format!("{method} was not answered")))
    }

    /// Where to click on it, once a click there would reach it.
    pub(super) async fn place(&self, node: i64) -> Result<(f64, f64), String> {
        self.ask_soon("DOM.scrollIntoViewIfNeeded", json!({"backendNodeId": node})).await?;
        let resolved = self.ask_soon("DOM.resolveNode", json!({"backendNodeId": node})).await?;
        let object = &resolved["object"]["objectId"];
        let form = json!({"functionDeclaration": PLACE, "objectId": object, "returnByValue": true});
        let answer = self.ask_soon("Runtime.callFunctionOn", form).await?;
        let place = &answer["result"]["value"];
        place["x"].as_f64().zip(place["y"].as_f64()).ok_or_else(|| place.to_string())
    }
}
