//! What the server did for a statement: `auto_explain` writes it to the log.

use serde_json::Value;

/// Of a cluster that explains what it is asked to.
pub(super) const EXPLAINING: &[(&str, &str)] = &[
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_min_duration", "-1"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_analyze", "on"),
    ("auto_explain.log_timing", "off"),
    ("auto_explain.log_buffers", "on"),
    ("auto_explain.log_nested_statements", "on"),
];

/// A statement that was run, and how.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) statement: String,
    root: Value,
}

/// The plans in a log: each is JSON on lines of its own, behind a tab.
pub(super) fn parse(log: &str) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.ends_with("plan:") {
            continue;
        }
        let mut json = String::new();
        while let Some(next) = lines.next_if(|next| next.starts_with('\t')) {
            json.push_str(next);
        }
        let mut told: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        let statement =
            told["Query Text"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        plans.push(Plan { statement, root: told["Plan"].take() });
    }
    plans
}

/// What a statement cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// That were looked at in tables and indexes.
    pub(super) rows: u64,
    /// Of these, by reading a table from its beginning.
    pub(super) scanned: u64,
    /// Put in order.
    pub(super) sorted: u64,
    pub(super) pages: u64,
}

impl Plan {
    pub(super) fn cost(&self) -> Cost {
        let mut cost = Cost {
            pages: number(&self.root, "Shared Hit Blocks") + number(&self.root, "Shared Read Blocks"),
            ..Cost::default()
        };
        add(&self.root, &mut cost);
        cost
    }

    /// As people read it.
    pub(super) fn told(&self) -> String {
        let mut told = format!("{}\n", self.statement);
        tell(&self.root, 0, &mut told);
        told
    }
}

fn number(node: &Value, name: &str) -> u64 {
    node[name].as_f64().map_or(0, |number| number as u64)
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node["Plans"].as_array().into_iter().flatten()
}

/// The rows that a node gave and those that it threw away, each time it was run.
fn looked_at(node: &Value) -> u64 {
    const REMOVED: [&str; 3] = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"];
    // These are averages, rounded.
    let rows: f64 = REMOVED.iter().filter_map(|name| node[*name].as_f64()).sum();
    (rows * node["Actual Loops"].as_f64().unwrap_or(0.0)).ceil() as u64
}

fn add(node: &Value, cost: &mut Cost) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if node.get("Relation Name").is_some() && kind.ends_with("Scan") {
        cost.rows += looked_at(node);
        if kind == "Seq Scan" {
            cost.scanned += looked_at(node);
        }
    }
    if kind.ends_with("Sort") {
        cost.sorted += children(node).map(looked_at).sum::<u64>();
    }
    children(node).for_each(|child| add(child, cost));
}

fn tell(node: &Value, depth: usize, told: &mut String) {
    if number(node, "Actual Loops") > 0 {
        let text = |name: &str| node[name].as_str().map(|text| format!(" {text}")).unwrap_or_default();
        let names = ["Index Name", "Relation Name", "Index Cond", "Filter", "Sort Key"].map(text).concat();
        let rows = format!("{} of {}, {} times", node["Actual Rows"], looked_at(node), node["Actual Loops"]);
        told.push_str(&format!(
            "{}{}{names}: {rows}\n",
            "  ".repeat(depth),
            node["Node Type"].as_str().unwrap_or_default()
        ));
    }
    children(node).for_each(|child| tell(child, depth + 1, told));
}
