//! From templates and an event to a message.

use crate::config::{Body, Config};
use hookyard_plugin::{Event, Issue, Message, Refusal};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

/// The message that the templates make of an event.
pub(crate) fn message(event: &Event, mut message: Message, config: &Config) -> Result<Message, Refusal> {
    let environment = environment(config);
    let context = context(event)?;
    message.body = match &config.body {
        Body::Text(source) => {
            let text = text(&environment, "body", source, &context)?;
            if config.is_json()
                && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text)
            {
                return Err(Refusal::bad_input(format!("body: what the template makes is no JSON: {error}")));
            }
            text.into_bytes()
        }
        Body::Json(json) => {
            let value = json.try_map("json", &mut |path, source| value(&environment, path, source, &context))?;
            serde_json::to_vec(&value).map_err(|error| Refusal::bad_input(format!("json: {error}")))?
        }
    };
    message.set_header("content-type", config.content_type.as_str());
    for (name, source) in &config.headers {
        let path = format!("headers.{name}");
        let value = text(&environment, &path, source, &context)?;
        // A line break would end the header, and begin another.
        if value.chars().any(char::is_control) {
            return Err(Refusal::bad_input(format!("{path}: a control character in a header")));
        }
        message.set_header(name, value);
    }
    Ok(message)
}

/// What is wrong with the templates.
pub(crate) fn check(config: &Config) -> Vec<Issue> {
    let mut environment = environment(config);
    // For the rehearsal below: nothing is there, and nothing is missed.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let mut issues = Vec::new();
    let mut check = |path: &str, source: &str| {
        let misspelt = match only_expression(source) {
            Some(expression) if path.starts_with("json") => rehearse_expression(&environment, expression),
            _ => rehearse_text(&environment, path, source),
        };
        if let Err(error) = misspelt {
            issues.push(Issue::at(path, told(&error)));
        }
    };
    match &config.body {
        Body::Text(source) => check("body", source),
        Body::Json(json) => {
            let Ok(_) = json.try_map::<_, std::convert::Infallible>("json", &mut |path, source| {
                check(path, source);
                Ok(())
            });
        }
    }
    for (name, source) in &config.headers {
        check(&format!("headers.{name}"), source);
    }
    issues
}

fn rehearse_text(environment: &Environment<'_>, path: &str, source: &str) -> Result<(), Error> {
    let template = environment.template_from_named_str(path, source)?;
    spelling(template.render(Value::UNDEFINED).map(drop))
}

fn rehearse_expression(environment: &Environment<'_>, source: &str) -> Result<(), Error> {
    let expression = environment.compile_expression(source)?;
    spelling(expression.eval(Value::UNDEFINED).map(drop))
}

/// A filter that does not exist shows only when it is called. What else goes
/// wrong without data says nothing about how it goes with data.
fn spelling(outcome: Result<(), Error>) -> Result<(), Error> {
    outcome.or_else(|error| match error.kind() {
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => Err(error),
        _ => Ok(()),
    })
}

/// What templates see.
fn context(event: &Event) -> Result<Value, Refusal> {
    let data: Value = event.data()?;
    let about = Value::from_pairs([
        ("id", Value::from(event.id.as_str())),
        ("type", Value::from(event.type_.as_str())),
        ("occurred_at", Value::from(event.occurred_at.as_str())),
        ("subject", Value::from(event.subject.as_deref())),
        ("account", Value::from(event.account.as_deref())),
        ("tags", Value::from(event.tags.clone())),
    ]);
    Ok(Value::from_pairs([("event", about), ("data", data)]))
}

fn environment(config: &Config) -> Environment<'_> {
    let mut environment = Environment::new();
    // Off in optimised builds unless asked for, and then an error does not say
    // which value was undefined.
    environment.set_debug(true);
    // A typing mistake in a field's name must not send half a message.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let html = config.is_html();
    environment.set_auto_escape_callback(move |name| match (name, html) {
        ("body", true) => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    // A null in the data is nothing to be said; Jinja would write `none`.
    environment.set_formatter(|out, state, value| match value.is_none() {
        true => Ok(()),
        false => minijinja::escape_formatter(out, state, value),
    });
    environment
}

fn text(environment: &Environment<'_>, path: &str, source: &str, context: &Value) -> Result<String, Refusal> {
    environment.render_named_str(path, source, context).map_err(|error| refusal(path, &error))
}

/// A string that is one expression keeps the expression's type.
fn value(environment: &Environment<'_>, path: &str, source: &str, context: &Value) -> Result<Value, Refusal> {
    let Some(expression) = only_expression(source) else {
        return text(environment, path, source, context).map(Value::from);
    };
    let value = environment
        .compile_expression(expression)
        .and_then(|compiled| compiled.eval(context))
        .map_err(|error| refusal(path, &error))?;
    match value.is_undefined() {
        true => {
            Err(Refusal::bad_input(format!("{path}, line 1: undefined value: `{}` is undefined", expression.trim())))
        }
        false => Ok(value),
    }
}

/// `a.b` of `{{ a.b }}`.
fn only_expression(source: &str) -> Option<&str> {
    let inside = source.strip_prefix("{{")?.strip_suffix("}}")?;
    let several = ["{{", "}}", "{%", "{#"].iter().any(|mark| inside.contains(mark));
    (!several).then(|| inside.trim_start_matches('-').trim_end_matches('-'))
}

fn refusal(path: &str, error: &Error) -> Refusal {
    Refusal::bad_input(format!("{path}, {}", told(error)))
}

/// The error by its line; what it is about is in its detail.
fn told(error: &Error) -> String {
    let line = error.line().unwrap_or(1);
    match error.detail() {
        Some(detail) => format!("line {line}: {}: {detail}", error.kind()),
        None => format!("line {line}: {}", error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use crate::Template;
    use hookyard_plugin::{Event, Message, json, native};

    fn order() -> Event {
        Event::of("order.paid").tag("paid").about("+12025551234").with(
            r#"{"id": 7, "total": 49.95, "note": "a \"b\" <c>\n", "none": null, "items": [{"sku": "A"}, {"sku": "B"}], "z": 1, "a": 2}"#,
        )
    }

    /// Content type and body, or the refusal.
    #[track_caller]
    fn check(config: &str, expected: &str) {
        let got = match native::transform::<Template>(&order(), Message::json("{}"), config) {
            Ok(message) => {
                let content_type = message.header_value("content-type").unwrap();
                format!("{content_type} {}", message.text().unwrap())
            }
            Err(refusal) => format!("{}: {}", refusal.code, refusal.message),
        };
        assert_eq!(got, expected, "{config}");
    }

    #[track_caller]
    fn check_text(template: &str, expected: &str) {
        check(&json!({"body": template}).to_string(), &format!("text/plain; charset=utf-8 {expected}"));
    }

    #[track_caller]
    fn check_refused(template: &str, expected: &str) {
        check(&json!({"body": template}).to_string(), expected);
    }

    #[track_caller]
    fn check_json(template: &str, expected: &str) {
        check(&format!(r#"{{"json": {template}}}"#), &format!("application/json {expected}"));
    }

    #[track_caller]
    fn check_issues(config: &str, expected: &str) {
        let issues = native::check::<Template>(config).unwrap_err();
        let issues: Vec<_> = issues.iter().map(ToString::to_string).collect();
        let got = issues.join("; ");
        assert_eq!(got.split(" at line ").next(), Some(expected), "{config}");
    }

    #[test]
    fn text() {
        check_text("{{ event.type }} {{ data.id }} by {{ event.subject }}", "order.paid 7 by +12025551234");
        check_text("{% for item in data.items %}{{ item.sku }};{% endfor %}", "A;B;");
        check_text("{{ data.total }} {{ data.none }}| {{ event.tags | join(',') }}", "49.95 | paid");
        check_text("{{ data.x | default('-') }}", "-");
        check_text("{{ data.note }}", "a \"b\" <c>\n");
        check_text("{{ data.items | tojson }}", r#"[{"sku": "A"}, {"sku": "B"}]"#);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        check_refused("a\n{{ data.custmer }}", "bad-input: body, line 2: undefined value: `data.custmer` is undefined");
        check_refused("{{ data.a.b.c }}", "bad-input: body, line 1: undefined value: `data.a.b` is undefined");
        check(
            r#"{"json": {"a": ["{{ data.x }}"]}}"#,
            "bad-input: json.a[0], line 1: undefined value: `data.x` is undefined",
        );
    }

    #[test]
    fn json_keeps_types_order_and_quotes() {
        check_json(
            r#"{"z": "{{ data.id }}", "a": "{{data.total}}", "m": "no {{ data.id }}", "l": ["{{ data.items }}", 1.5, null]}"#,
            r#"{"z":7,"a":49.95,"m":"no 7","l":[[{"sku":"A"},{"sku":"B"}],1.5,null]}"#,
        );
        check_json(r#""{{ data.note }}""#, r#""a \"b\" <c>\n""#);
        check_json(r#""say {{ data.note }}""#, r#""say a \"b\" <c>\n""#);
        check_json(r#""{{ data.id }}{{ data.id }}""#, r#""77""#);
        check_json(r#""{{ data.id == 7 }}""#, "true");
        check_json(r#""{{ data.none }}""#, "null");
        check_json("null", "null");
    }

    #[test]
    fn a_content_type_decides_about_escaping() {
        check(
            r#"{"body": "<b>{{ data.note }}", "content_type": "text/html"}"#,
            "text/html <b>a &quot;b&quot; &lt;c&gt;\n",
        );
        check(
            r#"{"body": "{\"a\": {{ data.note | tojson }}}", "content_type": "application/x+json"}"#,
            r#"application/x+json {"a": "a \"b\" \u003cc\u003e\n"}"#,
        );
        check(
            r#"{"body": "{\"a\": \"{{ data.note }}\"}", "content_type": "application/json"}"#,
            "bad-input: body: what the template makes is no JSON: expected `,` or `}` at line 1 column 11",
        );
        check(
            r#"{"body": "", "headers": {"x-note": "{{ data.note }}"}}"#,
            "bad-input: headers.x-note: a control character in a header",
        );
    }

    #[test]
    fn a_mistake_in_a_template_is_told_by_path_and_line() {
        check_issues(
            r#"{"body": "a\n{{ data. }}"}"#,
            "body: line 2: syntax error: unexpected end of variable block, expected identifier or integer",
        );
        check_issues(
            r#"{"json": {"a": [1, "{{ 1 + }}"], "b": "{% if %}"}, "headers": {"x": "{{ y"}}"#,
            "json.a[1]: line 1: syntax error: unexpected end of input, expected expression; \
             json.b: line 1: syntax error: unexpected end of block; \
             headers.x: line 1: syntax error: unexpected end of input, expected end of variable block",
        );
        check_issues(
            r#"{"json": "{{ data.x | nofilter }}", "headers": {"x": "{{ data.a.b }}{{ f() }}"}}"#,
            "json: line 1: unknown filter: filter nofilter is unknown; \
             headers.x: line 1: unknown function: f is unknown",
        );
        check_issues("{}", "missing field `body` or `json`");
        check_issues(r#"{"body": "", "json": ""}"#, "`body` and `json` exclude each other");
        check_issues(
            r#"{"bdy": ""}"#,
            "bdy: unknown field `bdy`, expected one of `body`, `json`, `content_type`, `headers`",
        );
    }
}
