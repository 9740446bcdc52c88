//! Templates, and what they are made into. Whatever a tenant or a receiver
//! wrote is escaped: every template is HTML, and none says otherwise. Only `ticks`
//! makes markup of a text, which it escapes before.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, HtmlEscape, UndefinedBehavior, Value};

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
        environment.add_filter("us", micros);
        environment.add_filter("in_units", in_units);
        environment.add_filter("ticks", ticks);
        environment.add_filter("num", thousands);
        // What is not there has nothing in it.
        environment.add_filter("length", |list: Value| list.len().unwrap_or(0));
        environment.add_filter("items", items);
        environment.add_filter("pathseg", |text: String| page::segment(&text));
        environment.add_function("curl", curl);
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

/// A sentence with what stands between backticks as code, as it is meant: the API
/// says it so to terminals. What is markup already stays as it is.
fn ticks(sentence: Value) -> Value {
    if sentence.is_none() || sentence.is_undefined() || sentence.is_safe() {
        return sentence;
    }
    let escaped = HtmlEscape(&sentence.to_string()).to_string();
    let mut parts = escaped.split('`');
    let mut made = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        made += &match parts.next() {
            Some(rest) => format!("<code>{code}</code>{rest}"),
            // One that nothing closes is itself.
            None => format!("`{code}"),
        };
    }
    Value::from_safe_string(made)
}

/// Names and values, in their order.
fn items(map: Value) -> Vec<Vec<Value>> {
    let names = map.try_iter().ok().into_iter().flatten();
    names.map(|name| vec![name.clone(), map.get_item(&name).unwrap_or_default()]).collect()
}

/// An attempt as a command that makes it again, with the signature that it had.
fn curl(attempt: Value, message: Value) -> String {
    let text = |of: &Value, name: &str| of.get_attr(name).ok().and_then(|value| value.as_str().map(str::to_owned));
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let method = text(&message, "method").unwrap_or_else(|| "POST".to_owned());
    let url = text(&attempt, "url").unwrap_or_default();
    let mut command = format!("curl -X {} {}", quoted(&method), quoted(&url));
    for list in [message.get_attr("headers"), attempt.get_attr("signed_headers")].into_iter().flatten() {
        for header in list.try_iter().into_iter().flatten() {
            let [name, value] = ["name", "value"].map(|part| text(&header, part).unwrap_or_default());
            command += &format!(" \\\n  -H {}", quoted(&format!("{name}: {value}")));
        }
    }
    match (text(&message, "body"), text(&message, "body_base64")) {
        (Some(body), _) if !body.is_empty() => format!("{command} \\\n  --data-binary {}", quoted(&body)),
        (None, Some(body)) => format!("echo {body} | base64 -d | {command} \\\n  --data-binary @-"),
        _ => command,
    }
}

fn bytes(count: Value) -> String {
    let Ok(count) = u64::try_from(count) else { return String::new() };
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

/// A size for a form's field, in the unit that stands beside it. Nothing is lost
/// on its way back to bytes.
fn in_units(count: Value, unit: u32) -> String {
    let Ok(count) = f64::try_from(count) else { return String::new() };
    let text = format!("{:.7}", count / f64::from(unit));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn millis(count: Value) -> String {
    let Ok(count) = f64::try_from(count) else { return String::new() };
    match count {
        ..1000.0 => format!("{count:.0} ms"),
        1000.0..60_000.0 => format!("{:.1} s", count / 1000.0),
        _ => format!("{:.0} min", count / 60_000.0),
    }
}

/// What takes less than a millisecond takes some time all the same.
fn micros(count: Value) -> String {
    match u64::try_from(count) {
        Ok(count @ 0..1000) => format!("{count} µs"),
        Ok(count) => millis(Value::from(count / 1000)),
        Err(_) => String::new(),
    }
}

/// A number with a comma between its thousands, as scripts write them too.
fn thousands(number: Value) -> String {
    let Ok(number) = i64::try_from(number) else { return String::new() };
    let digits = number.unsigned_abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{}{}", if number < 0 { "-" } else { "" }, groups.join(","))
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
    fn what_stands_between_backticks_is_code_and_still_text() {
        let views = Views::new([("x.html", "{{ a|ticks }}")].into_iter());
        for (said, shown) in [
            ("no `plugin` and no `<b>`", "no <code>plugin</code> and no <code>&lt;b&gt;</code>"),
            ("one ` alone", "one ` alone"),
            ("`a` and `b", "<code>a</code> and `b"),
            ("<script>", "&lt;script&gt;"),
        ] {
            assert_eq!(views.render("x.html", &json!({"a": said})).unwrap(), shown);
        }
        assert_eq!(views.render("x.html", &json!({"a": null})).unwrap(), "");
    }

    #[test]
    fn an_attempt_as_a_command_is_quoted() {
        let attempt = json!({"url": "https://x/'$(id)'", "signed_headers": [{"name": "webhook-id", "value": "a"}]});
        let message = json!({"method": "POST", "headers": [{"name": "x", "value": "it's"}], "body": "{'b'}"});
        let made = curl(Value::from(Serde(&attempt)), Value::from(Serde(&message)));
        let expected = [
            r"curl -X 'POST' 'https://x/'\''$(id)'\''' \",
            r"  -H 'x: it'\''s' \",
            r"  -H 'webhook-id: a' \",
            r"  --data-binary '{'\''b'\''}'",
        ];
        assert_eq!(made, expected.join("\n"));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(thousands(Value::from(1_234_567)), "1,234,567");
        assert_eq!([900, 1500].map(|us| micros(Value::from(us))), ["900 µs", "1 ms"]);
        assert_eq!(thousands(Value::from(12)), "12");
        assert_eq!(bytes(Value::from(1536)), "1.5 KiB");
        assert_eq!([64 << 20, 1536 << 10].map(|count| in_units(Value::from(count), 1 << 20)), ["64", "1.5"]);
        assert_eq!(in_units(Value::UNDEFINED, 1), "");
        assert_eq!(bytes(Value::from(3_u64 << 30)), "3.0 GiB");
        assert_eq!([5, 1500, 120_000].map(|ms| millis(Value::from(ms))), ["5 ms", "1.5 s", "2 min"]);
        assert_eq!(pretty(Value::from("{\"b\":1,\"a\":2}")), "{\n  \"b\": 1,\n  \"a\": 2\n}");
        assert_eq!(pretty(Value::from("<x>")), "<x>");
    }
}
