//! Whether a page can be used by everybody, as far as a program can tell: axe-core,
//! which `tests/run` fetches, and a walk with the Tab key.

use std::fs;

use serde_json::Value;

use super::Page;
use crate::build::target_dir;
use crate::{list, text};

/// The two levels of the guidelines that laws ask for.
const RULES: &str = "
    axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})
    .then((found) => found.violations.flatMap(({id, nodes}) => nodes.map((node) =>
        `${id}: ${node.target.join(' ')}: ${node.html.slice(0, 200)}: ${node.failureSummary.replaceAll('\\n', ' ')}`)))";

/// Everything that is reached by Tab is noted, and whether it shows that it has the
/// focus, on itself or on what frames or begins it. Of radio buttons that belong
/// together only one is reached. Everything is reached twice: just after a page was
/// opened Chromium may not have drawn the first of it yet.
const WALK: &str = "
    window.walk = {reached: new Set(), seen: new Set()};
    walk.name = (e) => `${e.outerHTML.slice(0, 160)}`;
    addEventListener('focusin', ({target}) => {
        walk.reached.add(target);
        const ring = (e) => {
            const style = e && getComputedStyle(e);
            return style && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
        };
        const {parentElement: frame, firstElementChild: head} = target;
        if ([target, frame, frame?.parentElement, head].some(ring)) walk.seen.add(target);
    });
    walk.all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter((e) =>
        !e.disabled && e.type !== 'hidden' && e.tabIndex >= 0 && !e.closest('[inert]') &&
        e.checkVisibility({visibilityProperty: true}) &&
        (e.type !== 'radio' || e.checked || !document.querySelector(`input[name=\"${CSS.escape(e.name)}\"]:checked`)));
    walk.all.length";

const WALKED: &str = "
    [...[...walk.reached].filter((e) => !walk.seen.has(e)).map((e) => `no visible focus: ${walk.name(e)}`),
        ...walk.all.filter((e) => e.isConnected && !walk.reached.has(e)).map((e) => `not reached by Tab: ${walk.name(e)}`)]";

impl Page {
    /// What axe-core has against the page as it is shown now.
    pub async fn violations(&self) -> Vec<String> {
        let path = target_dir().join("axe/node_modules/axe-core/axe.min.js");
        let source = fs::read_to_string(&path);
        let source = source.unwrap_or_else(|_| panic!("{} is not there: tests/run fetches it", path.display()));
        self.evaluate(&format!("{source}; true")).await;
        texts(&self.evaluate(RULES).await)
    }

    /// What cannot be reached with the Tab key, or does not show that it was.
    pub async fn unreachable(&self) -> Vec<String> {
        let things = self.evaluate(WALK).await.as_u64().expect("a number of things");
        // What scrolls is reached too, and a date is many fields.
        for _ in 0..2 * things + 20 {
            self.press("Tab").await;
        }
        texts(&self.evaluate(WALKED).await)
    }

    /// Waits until nothing has changed on the page for a moment: its scripts have
    /// put it together.
    pub async fn settled(&self) {
        let quiet = "new Promise((done) => {
            let timer = setTimeout(done, 200);
            new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 200); })
                .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
        })";
        self.evaluate(quiet).await;
    }

    /// What was there already and moved while the page was put together.
    pub async fn moved(&self) -> Vec<String> {
        let drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(moved))))";
        texts(&self.evaluate(drawn).await)
    }

    /// What is wider than the window, if anything is.
    pub async fn overflow(&self) -> Vec<String> {
        let script = "document.documentElement.scrollWidth <= innerWidth ? [] :
            [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
                .map((e) => `wider than the window: ${e.outerHTML.slice(0, 120)}`).slice(0, 3)";
        texts(&self.evaluate(script).await)
    }
}

fn texts(values: &Value) -> Vec<String> {
    list(values).iter().map(|value| text(value).to_owned()).collect()
}
