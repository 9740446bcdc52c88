//! The work: from a configuration and an input to what the rules build.

use crate::config::{Mapping, Origin, Rule, Value as Spec};
use crate::input::Input;
use crate::json;
use crate::path::Segment;
use crate::put::put;
use crate::value::Value;
use hookyard_plugin::{Draft, Refusal};
use std::borrow::Cow;

/// More of a value than this does not help in a refusal.
const SHOWN: usize = 80;

/// The event that a mapping makes. `place` is what the paths of its parts begin
/// with.
pub(crate) fn draft<'a>(place: &str, mapping: &'a Mapping, input: &Input<'a>) -> Result<Draft, Refusal> {
    let draft = fill(place, mapping, input)?;
    let data = String::from_utf8(build(place, &mapping.rules, input)?).expect("it is made of pieces of text");
    Ok(Draft { data, ..draft })
}

/// What the rules build, as JSON.
pub(crate) fn build<'a>(place: &str, rules: &'a [Rule], input: &Input<'a>) -> Result<Vec<u8>, Refusal> {
    let mut built = Value::Object(Vec::with_capacity(rules.len()));
    for (index, rule) in rules.iter().enumerate() {
        let place = || format!("{place}rules[{index}]");
        let value = evaluate(&rule.value, input).map_err(|problem| problem.at(place()))?;
        if matches!(value, Value::Absent) {
            continue;
        }
        let eaches = rule.to.segments.iter().filter(|segment| **segment == Segment::Each).count();
        let value = if eaches == 0 { value.flattened() } else { value };
        if !put(&mut built, &rule.to.segments, value) {
            let problem = format!("{}.to: `{}` collides with another rule", place(), rule.to.text);
            return Err(Refusal::bad_config(problem));
        }
    }
    let mut json = Vec::with_capacity(256);
    built.write(&mut json);
    Ok(json)
}

/// The draft without its data.
fn fill<'a>(place: &str, mapping: &'a Mapping, input: &Input<'a>) -> Result<Draft, Refusal> {
    let mut tags = Vec::new();
    for (index, spec) in mapping.tags.iter().enumerate() {
        let place = || format!("{place}tags[{index}]");
        let value = evaluate(spec, input).map_err(|problem| problem.at(place()))?;
        match value.opened().flattened() {
            Value::List(values) => {
                for value in values {
                    tags.extend(as_text(value, place)?);
                }
            }
            value => tags.extend(as_text(value, place)?),
        }
    }
    let field = |name: &str, spec: &'a Option<Spec>| field(|| format!("{place}{name}"), spec.as_ref(), input);
    Ok(Draft {
        type_: field("type", &mapping.event_type)?,
        occurred_at: None,
        subject: field("subject", &mapping.subject)?,
        account: field("account", &mapping.account)?,
        tags,
        data: String::new(),
    })
}

fn field<'a>(place: impl Fn() -> String, spec: Option<&'a Spec>, input: &Input<'a>) -> Result<Option<String>, Refusal> {
    let Some(spec) = spec else { return Ok(None) };
    let value = evaluate(spec, input).map_err(|problem| problem.at(place()))?;
    as_text(value, place)
}

/// Numbers too: an order's number is often the subject.
fn as_text(value: Value<'_>, place: impl Fn() -> String) -> Result<Option<String>, Refusal> {
    match value {
        Value::Absent => Ok(None),
        Value::Json(raw) if raw == "null" => Ok(None),
        Value::Json(raw) if !raw.starts_with(['{', '[']) => {
            let text = json::unquote(&raw).unwrap_or(Cow::Borrowed(&raw));
            Ok(Some(text.into_owned()))
        }
        Value::Json(_) | Value::List(_) | Value::Object(_) => {
            Err(Refusal::bad_input(format!("{}: a list or an object cannot be text", place())))
        }
    }
}

/// Why a value could not be had; the caller knows whose value it is.
enum Problem {
    Refused(Refusal),
    Input(String),
}

impl Problem {
    fn at(self, place: String) -> Refusal {
        match self {
            Self::Refused(refusal) => Refusal { message: format!("{place}: {}", refusal.message), ..refusal },
            Self::Input(problem) => Refusal::bad_input(format!("{place}: {problem}")),
        }
    }
}

fn evaluate<'a>(spec: &'a Spec, input: &Input<'a>) -> Result<Value<'a>, Problem> {
    let found = match &spec.origin {
        Origin::Const(constant) => Value::raw(constant.get()),
        Origin::From(path) => input.find(path).map_err(Problem::Refused)?,
    };
    let mut value = settle_absence(spec, found)?;
    for conversion in &spec.convert.0 {
        value = conversion.apply(value).map_err(|failed| {
            Problem::Input(format!(
                "{}: {} did not convert ({}): {}",
                name_of(spec),
                cut(&failed.value),
                failed.conversion,
                failed.reason
            ))
        })?;
    }
    Ok(value)
}

/// What to do about what is not there. A null that would be moved as it is, is
/// there; one that has a default, is required or is to be converted, is not.
fn settle_absence<'a>(spec: &'a Spec, value: Value<'a>) -> Result<Value<'a>, Problem> {
    let null_is_a_value = spec.default.is_none() && !spec.required && spec.convert.0.is_empty();
    match value {
        Value::List(values) => {
            let settled = values.into_iter().map(|value| settle_absence(spec, value));
            settled.collect::<Result<_, _>>().map(Value::List)
        }
        Value::Json(text) if text == "null" && !null_is_a_value => settle_absence(spec, Value::Absent),
        Value::Absent => match &spec.default {
            Some(default) => Ok(Value::raw(default.get())),
            None if spec.required => Err(Problem::Input(format!("{} is missing", name_of(spec)))),
            None => Ok(Value::Absent),
        },
        there => Ok(there),
    }
}

fn name_of(spec: &Spec) -> &str {
    match &spec.origin {
        Origin::From(path) => &path.text,
        Origin::Const(_) => "const",
    }
}

fn cut(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(SHOWN) {
        None => Cow::Borrowed(value),
        Some((end, _)) => Cow::Owned(format!("{}...", &value[..end])),
    }
}

#[cfg(test)]
mod tests {
    use crate::FieldMapper;
    use hookyard_plugin::{Draft, Event, Message, Refusal, Request, json, native};

    const ORDER: &str = r#"{
        "event": "order.placed",
        "customer": {"phone": "(202) 555-1234", "email": " Customer@Example.com ", "name": "Jane \u0022J\u0022 Smith", "fax": null},
        "data": {"order_id": "ORD-789", "total": 49.990, "big": 12345678901234567890123, "a.b": 1,
                 "items": [{"sku": "A", "n": "2"}, {"n": "03"}, {"sku": "C", "n": null}], "flags": "vip, eu"}
    }"#;

    /// The rules, as a mapper, on the order above.
    #[track_caller]
    fn check(rules: &str, expected: &str) {
        let config = format!(r#"{{"rules": [{rules}]}}"#);
        let got = match native::map::<FieldMapper>(&Request::post(ORDER), &config) {
            Ok(drafts) => drafts[0].data.clone(),
            Err(refusal) => said(refusal),
        };
        assert_eq!(got, expected, "{rules}");
    }

    fn said(refusal: Refusal) -> String {
        format!("{}: {}", refusal.code, refusal.message)
    }

    #[test]
    fn an_order_becomes_a_contact_and_a_tag() {
        let config = r#"{
            "type": {"from": "event"},
            "subject": {"from": "customer.phone", "required": true, "convert": {"phone": {"country": "1"}}},
            "tags": [{"from": "data.order_id"}, {"from": "data.flags", "convert": [{"split": ","}, "trim"]}],
            "rules": [
                {"to": "contact.phone", "from": "customer.phone", "convert": {"phone": {"country": "1"}}},
                {"to": "contact.email", "from": "customer.email", "convert": ["trim", "lowercase"]},
                {"to": "attributes.order_id", "from": "data.order_id"}
            ]
        }"#;

        let drafts = native::map::<FieldMapper>(&Request::post(ORDER), config).unwrap();

        let [draft] = &drafts[..] else { panic!("one draft: {drafts:?}") };
        assert_eq!(draft.type_.as_deref(), Some("order.placed"));
        assert_eq!(draft.subject.as_deref(), Some("+12025551234"));
        assert_eq!(draft.tags, ["ORD-789", "vip", "eu"]);
        assert_eq!(
            draft.data,
            r#"{"contact":{"phone":"+12025551234","email":"customer@example.com"},"attributes":{"order_id":"ORD-789"}}"#
        );
    }

    #[test]
    fn values_move_as_they_were_written() {
        check(r#"{"to": "t", "from": "data.total"}"#, r#"{"t":49.990}"#);
        check(r#"{"to": "t", "from": "data.big"}"#, r#"{"t":12345678901234567890123}"#);
        check(r#"{"to": "t", "from": "customer.name"}"#, r#"{"t":"Jane \u0022J\u0022 Smith"}"#);
        check(r#"{"to": "t", "from": "customer.fax"}"#, r#"{"t":null}"#);
        check(r#"{"to": "t", "from": "data.items[0]"}"#, r#"{"t":{"sku": "A", "n": "2"}}"#);
        check(r#"{"to": "t", "from": "data[\"a.b\"]"}"#, r#"{"t":1}"#);
        check(r#"{"to": "[\"x.y\"].z", "const": {"a": [1.0]}}"#, r#"{"x.y":{"z":{"a": [1.0]}}}"#);
        check("", "{}");
    }

    #[test]
    fn what_is_absent_is_skipped_replaced_or_refused() {
        check(r#"{"to": "t", "from": "customer.age"}"#, "{}");
        check(r#"{"to": "t", "from": "event.x[0].y"}"#, "{}");
        check(r#"{"to": "t", "from": "customer.age", "default": 18}"#, r#"{"t":18}"#);
        check(r#"{"to": "t", "from": "customer.age", "default": null}"#, r#"{"t":null}"#);
        check(r#"{"to": "t", "from": "customer.fax", "default": "none"}"#, r#"{"t":"none"}"#);
        check(r#"{"to": "t", "from": "customer.fax", "convert": "phone"}"#, "{}");
        check(
            r#"{"to": "a", "const": 1}, {"to": "t", "from": "customer.age", "required": true}"#,
            "bad-input: rules[1]: customer.age is missing",
        );
    }

    #[test]
    fn lists_element_by_element() {
        check(r#"{"to": "t", "from": "data.items[1].n"}"#, r#"{"t":"03"}"#);
        check(r#"{"to": "t", "from": "data.items.2.sku"}"#, r#"{"t":"C"}"#);
        check(r#"{"to": "t", "from": "data.items[].sku"}"#, r#"{"t":["A","C"]}"#);
        check(r#"{"to": "t", "from": "data.items[].sku", "default": "?"}"#, r#"{"t":["A","?","C"]}"#);
        check(
            r#"{"to": "l[].id", "from": "data.items[].sku"}, {"to": "l[].n", "from": "data.items[].n", "convert": "number"}, {"to": "l[].cur", "const": "EUR"}"#,
            r#"{"l":[{"id":"A","n":2,"cur":"EUR"},{"n":3,"cur":"EUR"},{"id":"C","cur":"EUR"}]}"#,
        );
        check(r#"{"to": "l[1].x", "from": "event"}"#, r#"{"l":[{},{"x":"order.placed"}]}"#);
        check(r#"{"to": "t", "from": "data.items[].sku", "convert": {"join": "+"}}"#, r#"{"t":"A+C"}"#);
        check(r#"{"to": "t[].v", "const": [1, [2]]}"#, r#"{"t":[{"v":1},{"v":[2]}]}"#);
        check(r#"{"to": "t", "from": "data.items[].none"}"#, r#"{"t":[]}"#);
    }

    #[test]
    fn one_request_becomes_several_events() {
        let config = r#"{
            "type": {"from": "event"},
            "rules": [{"to": "id", "from": "data.order_id"}],
            "also": [
                {"type": {"const": "automation.triggered"}, "subject": {"from": "customer.phone"},
                    "when": {"from": "event", "equals": "order.placed"}, "rules": [{"to": "by", "from": "event"}]},
                {"type": {"const": "never"}, "when": {"from": "event", "equals": "order.paid"},
                    "rules": [{"to": "x", "from": "none", "required": true}]},
                {"type": {"const": "vip"}, "tags": [{"from": "data.flags", "convert": [{"split": ","}, "trim"]}],
                    "when": {"from": "data.flags", "exists": true}},
                {"account": {"const": 7}}
            ]
        }"#;
        let drafts = native::map::<FieldMapper>(&Request::post(ORDER), config).unwrap();
        let expected = [
            Draft::with(r#"{"id":"ORD-789"}"#).of("order.placed"),
            Draft::with(r#"{"by":"order.placed"}"#).of("automation.triggered").about("(202) 555-1234"),
            Draft::with("{}").of("vip").tag("vip").tag("eu"),
            Draft::with("{}").account("7"),
        ];
        assert_eq!(drafts, expected);

        let message =
            native::transform::<FieldMapper>(&Event::of("x").with(r#"{"event": 1}"#), Message::json(""), config);
        assert_eq!(message, Ok(Message::json("{}")), "a transformer makes one message");
    }

    #[test]
    fn what_a_further_event_lacks_is_told_by_its_path() {
        let refused = |also: &str| {
            let config = format!(r#"{{"rules": [], "also": [{{}}, {also}]}}"#);
            said(native::map::<FieldMapper>(&Request::post(ORDER), &config).unwrap_err())
        };
        let missing = r#"{"from": "customer.age", "required": true}"#;
        for (also, path) in [
            (format!(r#"{{"type": {missing}}}"#), "type"),
            (format!(r#"{{"tags": [{{"const": "a"}}, {missing}]}}"#), "tags[1]"),
            (r#"{"rules": [{"to": "a", "from": "customer.age", "required": true}]}"#.to_owned(), "rules[0]"),
        ] {
            assert_eq!(refused(&also), format!("bad-input: also[1].{path}: customer.age is missing"));
        }
        assert_eq!(
            refused(r#"{"when": {"from": "$event.id", "exists": true}}"#),
            "bad-config: also[1].when: `$event.id` has no meaning in a mapper: there is no event yet"
        );
    }

    #[test]
    fn a_form_is_an_object_of_strings() {
        let form =
            Request { body: b"From=%2B1+202&Body=a%26b&item=x&item=y&empty=&%C3%A4".to_vec(), ..Request::post("") };
        let map = |content_type: &str, rules: &str| {
            let mut request = form.clone();
            request.headers[0].value = content_type.to_owned();
            let config = format!(r#"{{"rules": [{rules}]}}"#);
            native::map::<FieldMapper>(&request, &config).map(|drafts| drafts[0].data.clone()).map_err(said)
        };
        let all = r#"{"to": "all", "from": "$body"}"#;
        let whole = r#"{"all":{"From":"+1 202","Body":"a&b","item":["x","y"],"empty":"","ä":""}}"#;
        assert_eq!(map("application/x-www-form-urlencoded", all), Ok(whole.to_owned()));
        assert_eq!(map("Application/X-WWW-Form-Urlencoded; charset=utf-8", all), Ok(whole.to_owned()));
        assert_eq!(
            map("application/x-www-form-urlencoded", r#"{"to": "a", "from": "item[1]"}, {"to": "b", "from": "From"}"#),
            Ok(r#"{"a":"y","b":"+1 202"}"#.to_owned())
        );
        assert_eq!(
            map("application/json", all),
            Err("bad-input: rules[0]: body: not JSON: expected a value at byte 0".to_owned())
        );
    }

    #[test]
    fn what_stands_beside_a_request() {
        let request = Request::post("no json").header("X-Shop", "eu-1").query("page", "7");
        let config = r#"{"type": {"const": "ping"}, "account": {"from": "$query.page"},
            "rules": [{"to": "shop", "from": "$headers.x-SHOP"}, {"to": "none", "from": "$headers.y"}]}"#;
        let drafts = native::map::<FieldMapper>(&request, config).unwrap();
        assert_eq!(drafts[0].data, r#"{"shop":"eu-1"}"#);
        assert_eq!(drafts[0].account.as_deref(), Some("7"));

        let refusal = native::map::<FieldMapper>(&request, r#"{"rules": [{"to": "a", "from": "$body"}]}"#);
        assert_eq!(said(refusal.unwrap_err()), "bad-input: rules[0]: body: not JSON: expected a value at byte 0");
        let refusal = native::map::<FieldMapper>(&request, r#"{"rules": [{"to": "a", "from": "$event.id"}]}"#);
        assert_eq!(
            said(refusal.unwrap_err()),
            "bad-config: rules[0]: `$event.id` has no meaning in a mapper: there is no event yet"
        );
    }

    #[test]
    fn a_transformer_builds_the_body() {
        let event = Event::of("order.paid").tag("paid").tag("eu").about("+12025551234").with(r#"{"total": 1.10}"#);
        let config = r#"{"rules": [
            {"to": "kind", "from": "$event.type"}, {"to": "who", "from": "$event.subject"},
            {"to": "account", "from": "$event.account"}, {"to": "tags", "from": "$event.tags"},
            {"to": "first", "from": "$event.tags[0]"}, {"to": "all", "from": "$event.data"}, {"to": "total", "from": "total"}
        ]}"#;
        let message = Message::post("text/plain", "old").header("x-a", "1").to("/x");

        let message = native::transform::<FieldMapper>(&event, message, config).unwrap();

        let body = r#"{"kind":"order.paid","who":"+12025551234","tags":["paid","eu"],"first":"paid","all":{"total": 1.10},"total":1.10}"#;
        assert_eq!(message, Message::json(body).header("x-a", "1").to("/x"));
    }

    #[test]
    fn rules_that_collide_are_refused_even_unchecked() {
        for targets in [["a", "a.b"], ["a.b", "a"], ["a[0]", "a.b"], ["a", "a"]] {
            let rules = targets.map(|to| json!({"to": to, "const": {"x": 1}}).to_string()).join(",");
            check(&rules, &format!("bad-config: rules[1].to: `{}` collides with another rule", targets[1]));
        }
    }
}
