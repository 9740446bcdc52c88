//! Templates, and what they are made into. Whatever a tenant or a receiver
//! wrote is escaped: every template is HTML, and none says otherwise.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value};

use super::chart;
use super::page;

pub(super) struct Views(Environment<'static>);

impl Views {
    pub(super) fn new(templates: impl Iterator<Item = (&'static str, &'static str)>) -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_formatter(|out, state, value| match value.is_none() {
            true => Ok(()),
            false => minijinja::escape_formatter(out, state, value),
        });
        environment.add_filter("json", pretty);
        environment.add_filter("bytes", bytes);
        environment.add_filter("ms", millis);
        environment.add_filter("num", thousands);
        environment.add_filter("pathseg", |text: String| page::segment(&text));
        environment.add_function("bars", chart::bars);
        environment.add_function("lines", chart::lines);
        for (name, source) in templates {
            environment.add_template(name, source).expect("a test parses every template");
        }
        Self(environment)
    }

    pub(super) fn render(&self, template: &str, context: &serde_json::Value) -> Result<String, Error> {
        self.0.get_template(template)?.render(Serde(context))
    }

    #[cfg(test)]
    pub(super) fn has(&self, template: &str) -> bool {
        self.0.get_template(template).is_ok()
    }
}

/// As text that people read. What is text already and JSON is shown as JSON.
fn pretty(value: Value) -> String {
    let json = match value.as_str() {
        Some(text) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) if json.is_object() || json.is_array() => serde_json::to_string_pretty(&json),
            _ => return text.to_owned(),
        },
        None => serde_json::to_string_pretty(&value),
    };
    json.unwrap_or_default()
}

fn bytes(count: Value) -> String {
    let Ok(count) = u64::try_from(count) else { return String::new() };
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

fn millis(count: Value) -> String {
    let Ok(count) = f64::try_from(count) else { return String::new() };
    match count {
        ..1000.0 => format!("{count:.0} ms"),
        1000.0..60_000.0 => format!("{:.1} s", count / 1000.0),
        _ => format!("{:.0} min", count / 60_000.0),
    }
}

/// A number with its thousands apart, by a space that does not break.
fn thousands(number: Value) -> String {
    let Ok(number) = i64::try_from(number) else { return String::new() };
    let digits = number.unsigned_abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{}{}", if number < 0 { "-" } else { "" }, groups.join("\u{202f}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::pages;
    use super::*;

    #[test]
    fn every_page_has_its_template() {
        let views = Views::new(pages::templates());
        for page in pages::all() {
            assert!(views.has(page.template), "{} has no {}", page.path, page.template);
        }
    }

    #[test]
    fn every_page_can_be_made_of_nothing() {
        let views = Views::new(pages::templates());
        for page in pages::all() {
            let context = json!({"me": {"kind": "user", "can_write": true, "is_admin": true}, "here": "/"});
            if let Err(error) = views.render(page.template, &context) {
                panic!("{}: {error:#}", page.template);
            }
        }
    }

    #[test]
    fn what_strangers_wrote_is_text() {
        let source = [("x.html", "<a title=\"{{ a }}\">{{ a }}</a><pre>{{ b|json }}</pre>{{ none }}{{ x.y.z }}")];
        let views = Views::new(source.into_iter());
        let made = views.render("x.html", &json!({"a": "\"><script>", "b": {"<b>": "</pre>"}})).unwrap();
        assert!(!made.contains("<script>") && !made.contains("<b>") && made.matches("</pre>").count() == 1, "{made}");
        assert!(!made.contains("\"\">"), "{made}");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(thousands(Value::from(1_234_567)), "1\u{202f}234\u{202f}567");
        assert_eq!(thousands(Value::from(12)), "12");
        assert_eq!(bytes(Value::from(1536)), "1.5 KiB");
        assert_eq!([5, 1500, 120_000].map(|ms| millis(Value::from(ms))), ["5 ms", "1.5 s", "2 min"]);
        assert_eq!(pretty(Value::from("{\"b\":1,\"a\":2}")), "{\n  \"b\": 1,\n  \"a\": 2\n}");
        assert_eq!(pretty(Value::from("<x>")), "<x>");
    }
}
