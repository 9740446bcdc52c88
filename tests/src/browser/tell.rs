//! What a page tells that it should not have to: errors, refusals of its policy,
//! dialogs, and scripts that ran although they are somebody's data.

use serde_json::Value;

/// A function that every page has. Hostile text calls it, and nothing else does.
pub(super) const CANARY: &str = "canary";

/// Runs in every document before its own scripts: what the policy refuses is told,
/// and what moves that was there already is noted.
pub(super) const WATCH: &str = r"
    addEventListener('securitypolicyviolation', (refused) =>
        console.error(`refused by the policy: ${refused.violatedDirective} ${refused.blockedURI} ${refused.sample}`));
    window.moved = [];
    new PerformanceObserver((list) => {
        const what = ({node}) => node?.outerHTML?.slice(0, 100) ?? node?.data;
        for (const {hadRecentInput, value, sources} of list.getEntries()) {
            if (!hadRecentInput) window.moved.push(`moved by ${value.toFixed(4)}: ${sources.map(what).join(' and ')}`);
        }
    }).observe({type: 'layout-shift', buffered: true});
";

/// What is wrong, if anything is.
pub(super) fn complaint(told: &Value) -> Option<String> {
    let what = &told["params"];
    match told["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("an exception: {}", what["exceptionDetails"])),
        "Runtime.consoleAPICalled" => {
            let kind = what["type"].as_str()?;
            ["error", "assert"].contains(&kind).then(|| format!("console.{kind}: {}", what["args"]))
        }
        "Log.entryAdded" => {
            let entry = &what["entry"];
            (entry["level"] == "error").then(|| format!("{}: {} {}", entry["source"], entry["text"], entry["url"]))
        }
        "Inspector.targetCrashed" => Some("its process has crashed".to_owned()),
        "Page.javascriptDialogOpening" => Some(format!("a dialog: {}", what["message"])),
        "Runtime.bindingCalled" if what["name"] == CANARY => Some(format!("a script of theirs: {}", what["payload"])),
        _ => None,
    }
}
