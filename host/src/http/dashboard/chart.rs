//! Charts over time: numbers become places in a drawing, which a template draws.

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

/// The drawing's size, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;
/// What a line keeps from the upper edge.
const EDGE: f64 = 4.0;
/// Half of what is drawn of a point without neighbours, at least.
const LEAST: f64 = 9.0;

#[derive(Serialize)]
struct Bars {
    max: f64,
    total: f64,
    bars: Vec<Bar>,
}

#[derive(Serialize)]
struct Bar {
    x: f64,
    width: f64,
    at: String,
    total: f64,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    key: String,
    value: f64,
    y: f64,
    height: f64,
}

/// Stacked bars of `items`, each with what it has of `keys`, the first below.
pub(super) fn bars(items: Value, keys: Vec<String>) -> Value {
    let rows = rows(&items, &keys);
    let max = rows.iter().map(|(_, values)| values.iter().flatten().sum::<f64>()).fold(0.0, f64::max);
    let step = WIDTH / rows.len().max(1) as f64;
    let scale = if max > 0.0 { HEIGHT / max } else { 0.0 };
    let bars = rows.iter().enumerate().map(|(at, (instant, values))| {
        let mut y = HEIGHT;
        let parts = keys.iter().zip(values).map(|(key, value)| {
            let value = value.unwrap_or(0.0);
            let height = value * scale;
            y -= height;
            Part { key: key.clone(), value, y: rounded(y), height: rounded(height) }
        });
        let parts: Vec<Part> = parts.filter(|part| part.value > 0.0).collect();
        Bar {
            x: rounded(at as f64 * step),
            width: rounded((step - 1.5).max(0.5)),
            at: instant.clone(),
            total: values.iter().flatten().sum(),
            parts,
        }
    });
    let bars: Vec<Bar> = bars.collect();
    Value::from(Serde(&Bars { max, total: bars.iter().map(|bar| bar.total).sum(), bars }))
}

#[derive(Serialize)]
struct Lines {
    max: f64,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    key: String,
    /// One for each stretch without a gap, as `points` of a polyline.
    stretches: Vec<String>,
    last: Option<f64>,
}

/// A line for each of `keys`. Where an item says nothing, there is a gap.
pub(super) fn lines(items: Value, keys: Vec<String>) -> Value {
    let rows = rows(&items, &keys);
    let max = rows.iter().flat_map(|(_, values)| values.iter().flatten().copied()).fold(0.0, f64::max);
    let step = WIDTH / rows.len().max(1) as f64;
    // The highest is seen in its whole width.
    let scale = if max > 0.0 { (HEIGHT - EDGE) / max } else { 0.0 };
    let line = |(nth, key): (usize, &String)| {
        let mut stretches = vec![Vec::new()];
        for (at, (_, values)) in rows.iter().enumerate() {
            match (values[nth], stretches.last_mut()) {
                (Some(value), Some(stretch)) => {
                    stretch.push((rounded((at as f64 + 0.5) * step), rounded(HEIGHT - value * scale)));
                }
                _ => stretches.push(Vec::new()),
            }
        }
        stretches.retain(|stretch| !stretch.is_empty());
        let stretches = stretches.iter().map(|stretch| points(stretch, step)).collect();
        let last = rows.iter().rev().find_map(|(_, values)| values[nth]);
        Line { key: key.clone(), stretches, last }
    };
    Value::from(Serde(&Lines { max, lines: keys.iter().enumerate().map(line).collect() }))
}

/// A stretch as a polyline has it.
fn points(stretch: &[(f64, f64)], step: f64) -> String {
    match stretch {
        // A point alone would be no line, and one of many steps a speck.
        [(x, y)] => {
            let half = (step / 2.0).max(LEAST);
            format!("{},{y} {},{y}", rounded(x - half), rounded(x + half))
        }
        many => many.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" "),
    }
}

/// When, and what it has of each key.
type Row = (String, Vec<Option<f64>>);

fn rows(items: &Value, keys: &[String]) -> Vec<Row> {
    let Ok(items) = items.try_iter() else { return Vec::new() };
    let row = |item: Value| {
        let at = item.get_attr("at").map(|at| at.to_string()).unwrap_or_default();
        let number = |key: &String| item.get_attr(key).ok().and_then(|value| f64::try_from(value).ok());
        (at, keys.iter().map(number).collect())
    };
    items.map(row).collect()
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(value: Value) -> serde_json::Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn bars_are_stacked_to_the_height_of_the_highest() {
        let items = json!([{"at": "a", "ok": 3, "bad": 1}, {"at": "b", "ok": 0, "bad": 2}]);
        let made = json_of(bars(Value::from(Serde(&items)), vec!["ok".into(), "bad".into()]));
        assert_eq!((&made["max"], &made["total"]), (&json!(4.0), &json!(6.0)));
        let first = &made["bars"][0]["parts"];
        assert_eq!((&first[0]["y"], &first[0]["height"]), (&json!(30.0), &json!(90.0)));
        assert_eq!((&first[1]["y"], &first[1]["height"]), (&json!(0.0), &json!(30.0)));
        assert_eq!(made["bars"][1]["parts"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_is_said() {
        let items = json!([{"at": "a", "p": 10}, {"at": "b", "p": null}, {"at": "c", "p": 5}, {"at": "d", "p": 10}]);
        let made = json_of(lines(Value::from(Serde(&items)), vec!["p".into()]));
        assert_eq!(made["lines"][0]["stretches"].as_array().map(Vec::len), Some(2));
        assert_eq!(made["lines"][0]["last"], json!(10.0));
        assert_eq!(made["lines"][0]["stretches"], json!(["0,4 180,4", "450,62 630,4"]));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(json_of(bars(Value::UNDEFINED, vec!["p".into()]))["bars"], json!([]));
        assert_eq!(json_of(lines(Value::from(Serde(&json!([]))), vec!["p".into()]))["max"], json!(0.0));
    }
}
