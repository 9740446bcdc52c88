//! What a form says: which call it is, where to go afterwards, and a JSON body
//! out of fields whose names are paths with a type: `rate_limit:rate:null?`,
//! `tags[]`, `auth.password:secret?`.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::client::is_local_path;
use super::page::segment;
use crate::domain::time::Timestamp;

/// Whoever has a cookie may send what no page of ours has. A page with every event
/// type that a tenant can describe has some hundred fields.
const MAX_FIELDS: usize = 2000;
/// Values in a list of several fields. Each field's are looked for among all before.
const MAX_VALUES: usize = 1000;
/// Names in a field's path. Each is a value in a value, and whatever writes or drops
/// them goes as deep in the stack.
const MAX_DEPTH: usize = 8;
/// Bytes in a text with holes, and in what comes of it: a hole may be there more
/// than once, and what goes into it may be long.
const MAX_HOLED: usize = 2 * 1024;
const MAX_FILLED: usize = 8 * 1024;
/// A PiB.
const MAX_BYTES: f64 = (1_u64 << 50) as f64;

/// What is said to a form that another site sent.
pub(super) const ELSEWHERE: &str =
    "The form came from another site, or from a browser that does not say where forms come from.";

/// What is wrong with a form before anybody was asked.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) field: String,
    pub(super) detail: String,
}

fn problem(field: &str, detail: impl Into<String>) -> Problem {
    Problem { field: field.to_owned(), detail: detail.into() }
}

/// A form as it came.
pub(super) struct Form(Vec<(String, String)>);

/// The call that a form is.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) body: Value,
}

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Of fields with one name, the last: a checkbox behind a hidden `false`.
    fn said(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn call(&self, now: Timestamp) -> Result<Call, Problem> {
        if self.0.len() > MAX_FIELDS {
            return Err(problem("", format!("a form has at most {MAX_FIELDS} fields; send fewer")));
        }
        let too_long = || problem("_call", "the form names a call that is too long, or fields that it has not");
        let call = self.said("_call").unwrap_or_default();
        let call = filled(call, |name| self.said(name).filter(|_| name.starts_with('_')).map(str::trim));
        let (method, target) = method_and_target(&call.ok_or_else(too_long)?)?;
        let mut body = Value::Object(Map::new());
        for (name, text) in self.0.iter().filter(|(name, _)| !name.starts_with('_')) {
            let field = Field::of(name);
            if let Some(value) = field.value(text, now)? {
                put(&mut body, &field, value)?;
            }
        }
        Ok(Call { method, target, body })
    }

    /// Whether the answer is to be shown, once.
    pub(super) fn is_shown(&self) -> bool {
        self.said("_show") == Some("1")
    }

    /// Where to go now that it is done, where the form says.
    pub(super) fn next(&self, answer: &Value) -> Option<String> {
        let in_answer = |name: &str| answer.pointer(&format!("/{}", name.replace('.', "/")))?.as_str();
        let next = filled(self.said("_then")?, in_answer)?;
        is_local_path(&next).then_some(next)
    }

    /// What was typed, by the fields' paths, but for what is secret. What is a list
    /// is one.
    pub(super) fn typed(&self) -> Value {
        let mut typed: Map<String, Value> = Map::new();
        let own = ["_call", "_then", "_show"];
        for (name, text) in self.0.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            let field = Field::of(name);
            match (field.kind, field.is_list) {
                ("secret", _) => {}
                (SECRET_PAIRS, _) => drop(typed.insert(field.place(), json!(names(text)))),
                (_, false) => drop(typed.insert(field.place(), json!(text))),
                (_, true) => {
                    let items = typed.entry(format!("{}[]", field.path)).or_insert_with(|| json!([]));
                    if let Value::Array(items) = items {
                        items.push(json!(text));
                    }
                }
            }
        }
        Value::Object(typed)
    }
}

/// A text with its holes filled: `PUT /v1/secrets/{_name}`. None where nothing is
/// for one of them, or where it gets long.
fn filled<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let mut rest = Some(text).filter(|text| text.len() <= MAX_HOLED)?;
    let mut filled = String::new();
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}')?;
        let value = value(name).filter(|value| value.len() <= MAX_FILLED)?;
        filled += before;
        filled += &segment(value);
        if filled.len() > MAX_FILLED {
            return None;
        }
        rest = behind;
    }
    Some(filled + rest)
}

/// `POST /v1/events` apart. A form can name nothing but the API.
pub(super) fn method_and_target(call: &str) -> Result<(Method, String), Problem> {
    let wrong = || problem("_call", "the form names no call of the API");
    let (method, target) = call.split_once(' ').ok_or_else(wrong)?;
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let method = known.into_iter().find(|known| known.as_str() == method).ok_or_else(wrong)?;
    match target.starts_with("/v1/") && !target.contains(['\r', '\n', ' ']) {
        true => Ok((method, target.to_owned())),
        false => Err(wrong()),
    }
}

/// Whether scripts of ours have use for a call: they read, preview, and bring a
/// component, which no form can without somebody holding it whole. What changes
/// anything else is a form, which says so.
pub(super) fn is_for_scripts(method: &Method, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let previews = path.strip_prefix("/v1/endpoints/").and_then(|rest| rest.split_once('/'));
    match method.as_str() {
        "GET" => true,
        "POST" => ["/v1/try", "/v1/plugins"].contains(&path) || previews.is_some_and(|(_, what)| what == "shadow"),
        _ => false,
    }
}

/// What pairs are whose values are never shown: one without a value keeps it.
const SECRET_PAIRS: &str = "secret-pairs";

/// A field's name, taken apart.
struct Field<'a> {
    path: &'a str,
    is_list: bool,
    kind: &'a str,
    empty: Empty,
}

/// What a field without content means.
#[derive(Clone, Copy, PartialEq)]
enum Empty {
    Itself,
    Absent,
    Null,
}

impl<'a> Field<'a> {
    fn of(name: &'a str) -> Self {
        let mut parts = name.split(':');
        let path = parts.next().unwrap_or_default();
        let (path, is_list) = path.strip_suffix("[]").map_or((path, false), |path| (path, true));
        let mut field = Self { path, is_list, kind: "text", empty: Empty::Itself };
        for part in parts {
            match (part, part.strip_suffix('?')) {
                (_, Some("null")) => field.empty = Empty::Null,
                (_, Some("")) => field.empty = Empty::Absent,
                (_, Some(kind)) => (field.kind, field.empty) = (kind, Empty::Absent),
                (kind, None) => field.kind = kind,
            }
        }
        field
    }

    /// What a page knows it by. Pairs and secret pairs go to one place of the body.
    fn place(&self) -> String {
        if self.kind == SECRET_PAIRS { format!("{}:secret", self.path) } else { self.path.to_owned() }
    }

    /// What it adds to the body; none where it is left out.
    fn value(&self, text: &str, now: Timestamp) -> Result<Option<Value>, Problem> {
        if text.trim().is_empty() {
            match self.empty {
                Empty::Absent => return Ok(None),
                Empty::Null => return Ok(Some(Value::Null)),
                Empty::Itself if self.is_list => return Ok(None),
                Empty::Itself => {}
            }
        }
        let wrong = |what: &str| problem(&self.place(), what);
        Ok(Some(match self.kind {
            "number" => number(text).ok_or_else(|| wrong("give a number"))?,
            "kib" => json!(bytes(text, 1 << 10).ok_or_else(|| wrong("give a number of KiB, such as 64"))?),
            "mib" => json!(bytes(text, 1 << 20).ok_or_else(|| wrong("give a number of MiB, such as 64"))?),
            "bool" => json!(matches!(text, "true" | "on" | "1")),
            "json" => serde_json::from_str(text).map_err(|error| wrong(&format!("this is not JSON: {error}")))?,
            "lines" => words(text, &['\n']),
            "list" => words(text, &['\n', ',']),
            "pairs" => pairs(text).map_err(|at| wrong(&format!("line {at} is not `Name: value`")))?,
            SECRET_PAIRS => secret_pairs(text).map_err(|at| wrong(&format!("line {at} is not `Name: value`")))?,
            // Browsers send a carriage return at the end of each line.
            "block" | "secret" => json!(text.replace("\r\n", "\n")),
            "instant" => json!(instant(text, now)),
            "rate" => rate(text),
            "schedule" => schedule(text).ok_or_else(|| wrong("give seconds, such as 5 300 1800"))?,
            _ => json!(text),
        }))
    }
}

fn number(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    value.is_number().then_some(value)
}

/// People give a size in the unit that stands beside it, the API takes bytes.
fn bytes(text: &str, unit: u32) -> Option<u64> {
    let bytes = text.trim().parse::<f64>().ok()? * f64::from(unit);
    // Beyond that a number is not exact, and it is no size of anything here.
    (0.0..=MAX_BYTES).contains(&bytes).then_some(bytes.round() as u64)
}

fn words(text: &str, signs: &[char]) -> Value {
    text.split(signs).map(str::trim).filter(|word| !word.is_empty()).collect()
}

/// `Name: value` on each line, or the number of the line that is none: what stands
/// in it may be secret.
fn pairs(text: &str) -> Result<Value, usize> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let pair = |(at, line): (usize, &str)| {
        let (name, value) = line.split_once(':').ok_or(at + 1)?;
        Ok((name.trim().to_owned(), json!(value.trim())))
    };
    lines.map(pair).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// The same for values that are not shown, as the API takes them.
fn secret_pairs(text: &str) -> Result<Value, usize> {
    let mut pairs = pairs(text)?;
    for value in pairs.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let given = value.as_str().filter(|text| !text.is_empty());
        *value = json!({"value": given, "secret": true});
    }
    Ok(pairs)
}

/// The lines of pairs without their values. What has no name may be a value.
fn names(text: &str) -> String {
    let names = text.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| format!("{}:\n", name.trim())).collect()
}

/// `10/second`. What is none goes on as it is, and the API says what it takes.
fn rate(text: &str) -> Value {
    match text.split_once('/') {
        Some((limit, per)) => json!({"limit": number(limit).unwrap_or_else(|| json!(limit)), "per": per.trim()}),
        None => number(text).unwrap_or_else(|| json!(text)),
    }
}

fn schedule(text: &str) -> Option<Value> {
    let delays = text.split([' ', ',', '\n']).filter(|word| !word.trim().is_empty());
    let delays = delays.map(number).collect::<Option<Vec<Value>>>()?;
    Some(json!({"schedule": delays}))
}

/// An instant as people give it to a page: `-24h` is a day ago, a date or what a
/// browser's field for dates gives is UTC. What is none goes on as it is.
pub(super) fn instant(text: &str, now: Timestamp) -> String {
    let text = text.trim();
    let ago = text.strip_prefix('-').and_then(|ago| {
        let unit = ago.chars().last()?;
        let count: u64 = ago.strip_suffix(unit)?.parse().ok()?;
        let seconds = match unit {
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        Duration::from_secs(count.checked_mul(seconds)?).as_millis().try_into().ok()
    });
    if let Some(ago) = ago {
        return Timestamp::from_millis(now.as_millis().saturating_sub(ago)).to_string();
    }
    match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// Puts a value where the field's path says. What is a list or pairs already gets
/// more.
fn put(body: &mut Value, field: &Field<'_>, value: Value) -> Result<(), Problem> {
    if field.path.split('.').count() > MAX_DEPTH {
        return Err(problem(field.path, format!("a field's name is at most {MAX_DEPTH} names with dots between")));
    }
    let mut place = body;
    for name in field.path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(object) = place else { return Ok(()) };
        place = object.entry(name).or_insert(Value::Null);
    }
    match (place, field.is_list, value) {
        (Value::Array(items), true, value) => add(items, vec![value], field.path),
        (Value::Array(items), false, Value::Array(more)) => add(items, more, field.path),
        (Value::Object(pairs), false, Value::Object(more)) if field.kind == SECRET_PAIRS => {
            pairs.extend(more);
            Ok(())
        }
        (place, is_list, value) => {
            *place = if is_list { Value::Array(vec![value]) } else { value };
            Ok(())
        }
    }
}

/// What is picked and typed is meant once.
fn add(items: &mut Vec<Value>, more: Vec<Value>, field: &str) -> Result<(), Problem> {
    if items.len() + more.len() > MAX_VALUES {
        return Err(problem(field, format!("this is a list of more than {MAX_VALUES} values; leave some out")));
    }
    let mut known: HashSet<String> = items.iter().map(Value::to_string).collect();
    items.extend(more.into_iter().filter(|value| known.insert(value.to_string())));
    Ok(())
}

/// Whether a request was made by a page of ours: the browser says so, or at least
/// where the request comes from.
pub(in super::super) fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str()).unwrap_or_default();
            Url::parse(origin).is_ok_and(|origin| {
                let authority = match (origin.host_str(), origin.port()) {
                    (Some(name), Some(port)) => format!("{name}:{port}"),
                    (Some(name), None) => name.to_owned(),
                    (None, _) => return false,
                };
                authority.eq_ignore_ascii_case(host)
            })
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_705_314_600_000);

    fn form(fields: &[(&str, &str)]) -> Form {
        Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], body: Value) {
        let fields = [&[("_call", "POST /v1/x")], fields].concat();
        assert_eq!(form(&fields).call(NOW).map(|call| call.body), Ok(body));
    }

    #[test]
    fn names_are_paths_and_types() {
        check(&[], json!({}));
        check(&[("name", "a"), ("name", "b")], json!({"name": "b"}));
        check(&[("retry.schedule:json", "[1, 2]")], json!({"retry": {"schedule": [1, 2]}}));
        check(&[("active:bool", "false"), ("active:bool", "true")], json!({"active": true}));
        check(&[("n:number", "7"), ("m:number?", ""), ("o:number:null?", "")], json!({"n": 7, "o": null}));
        check(&[("m:mib?", "1.5"), ("k:kib?", " 64 "), ("n:mib?", "")], json!({"m": 1_572_864, "k": 65_536}));
        check(&[("subject:?", ""), ("account:text?", " "), ("name", "")], json!({"name": ""}));
        check(&[("tags:list", "a, b,,c")], json!({"tags": ["a", "b", "c"]}));
        check(&[("headers:pairs", "X-A: 1\r\n\r\nx-b: c: d\r\n")], json!({"headers": {"X-A": "1", "x-b": "c: d"}}));
        check(&[("key:secret?", ""), ("ca:block", "a\r\nb\r\n")], json!({"ca": "a\nb\n"}));
        check(&[("r:rate:null?", "10/minute")], json!({"r": {"limit": 10, "per": "minute"}}));
        check(&[("r:rate:null?", "")], json!({"r": null}));
        check(&[("r:rate", "fast")], json!({"r": "fast"}));
        check(&[("retry:schedule:null?", "5 300, 1800")], json!({"retry": {"schedule": [5, 300, 1800]}}));
        check(&[("since:instant", "-1h")], json!({"since": "2024-01-15T09:30:00.000Z"}));
        check(&[("_then", "/x"), ("_show", "1")], json!({}));
    }

    #[test]
    fn what_is_picked_and_typed_adds_up() {
        check(&[("types[]", "a.b"), ("types[]", ""), ("types:lines", "c.*\na.b\n")], json!({"types": ["a.b", "c.*"]}));
        check(&[("types:lines", "")], json!({"types": []}));
        let typed = form(&[("types[]", "a.b"), ("types[]", "c.d"), ("types:lines", "e"), ("name", "n")]).typed();
        assert_eq!(typed, json!({"types[]": ["a.b", "c.d"], "types": "e", "name": "n"}));
    }

    #[test]
    fn what_is_secret_is_kept_or_given_and_not_shown_again() {
        let fields = [
            ("headers:pairs", "x-a: 1"),
            ("headers:secret-pairs", "X-Key:\r\n\r\nx-new: hush\r\nx-colons: hush:hush"),
            ("auth:json", r#"{"type": "basic"}"#),
            ("auth.password:secret?", "hush"),
        ];
        let hidden = |value: Option<&str>| json!({"value": value, "secret": true});
        let new = (hidden(None), hidden(Some("hush")), hidden(Some("hush:hush")));
        let headers = json!({"x-a": "1", "X-Key": new.0, "x-new": new.1, "x-colons": new.2});
        check(&fields, json!({"headers": headers, "auth": {"type": "basic", "password": "hush"}}));
        let typed = form(&fields).typed();
        let secret = "X-Key:\nx-new:\nx-colons:\n";
        assert_eq!(typed, json!({"headers": "x-a: 1", "headers:secret": secret, "auth": r#"{"type": "basic"}"#}));
        let fields = [("_call", "POST /v1/x"), ("h:secret-pairs", "x-a: 1\nhush")];
        let problem = form(&fields).call(NOW).map(|_| ()).unwrap_err();
        assert_eq!(problem, super::problem("h:secret", "line 2 is not `Name: value`"));
        assert_eq!(form(&fields).typed(), json!({"h:secret": "x-a:\n"}));
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_at_its_field() {
        for (name, text, field) in [("n:number", "x", "n"), ("d:json", "{", "d"), ("h:pairs", "x", "h")] {
            let call = form(&[("_call", "POST /v1/x"), (name, text)]).call(NOW);
            assert_eq!(call.map(|call| call.body).map_err(|problem| problem.field), Err(field.to_owned()), "{name}");
        }
    }

    #[test]
    fn a_form_calls_the_api_and_nothing_else() {
        for call in ["", "POST", "POST /in/x", "CONNECT /v1/x", "POST http://a/v1/", "POST /v1/x HTTP/1.1"] {
            assert_eq!(form(&[("_call", call)]).call(NOW).map(|_| ()).map_err(|p| p.field), Err("_call".to_owned()));
        }
    }

    #[test]
    fn scripts_read_and_preview_and_change_nothing() {
        let check = |call: &str| {
            let (method, target) = method_and_target(call).unwrap();
            is_for_scripts(&method, &target)
        };
        for call in
            ["GET /v1/events?limit=9", "POST /v1/try", "POST /v1/endpoints/ep_1/shadow", "POST /v1/plugins?name=x"]
        {
            assert!(check(call), "{call}");
        }
        for call in [
            "POST /v1/events",
            "POST /v1/endpoints",
            "POST /v1/endpoints/ep_1/replay",
            "POST /v1/endpoints/ep_1/x/shadow",
            "POST /v1/plugins/x/upgrade",
            "PATCH /v1/sources/src_1",
            "DELETE /v1/try",
        ] {
            assert!(!check(call), "{call}");
        }
    }

    #[test]
    fn a_call_may_have_holes_for_what_is_typed() {
        let named = |name: &str| {
            let form = form(&[("_call", "PUT /v1/secrets/{_name}"), ("_name", name), ("value", "x")]);
            (form.typed(), form.call(NOW).map(|call| (call.target, call.body)))
        };
        let (typed, call) = named("../a b");
        assert_eq!(call, Ok(("/v1/secrets/..%2Fa%20b".to_owned(), json!({"value": "x"}))));
        assert_eq!(typed, json!({"_name": "../a b", "value": "x"}));
    }

    #[test]
    fn holes_do_not_multiply_what_is_in_them() {
        let holes = |count: usize, long: usize| {
            let (call, text) = (format!("GET /v1/{}", "{_a}".repeat(count)), "x".repeat(long));
            let form = form(&[("_call", &call), ("_a", &text), ("_then", &format!("/{}", "{a}".repeat(count)))]);
            let call = form.call(NOW).map(|call| call.target.len()).map_err(|problem| problem.field);
            (call, form.next(&json!({"a": text})).map(|next| next.len()))
        };
        assert_eq!(holes(8, 1000), (Ok(8004), Some(8001)));
        for (count, long) in [(9, 1000), (1, 9000), (700, 1), (250_000, 1_000_000)] {
            assert_eq!(holes(count, long), (Err("_call".to_owned()), None), "{count} of {long}");
        }
    }

    #[test]
    fn a_form_is_not_deeper_or_longer_than_pages_need() {
        let refused = |fields: &[(&str, &str)]| {
            let fields = [&[("_call", "POST /v1/x")], fields].concat();
            form(&fields).call(NOW).map(|call| call.body).map_err(|problem| problem.field)
        };
        let deep = "a.a.a.a.a.a.a.a";
        assert!(refused(&[(deep, "1")]).is_ok());
        let deeper = format!("{deep}.a");
        assert_eq!(refused(&[(&deeper, "1")]), Err(deeper.clone()));
        assert_eq!(refused(&[("a", "1"); 2000]), Err(String::new()));
        let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert!(refused(&[("l[]", ""), ("l:lines", &lines)]).is_ok());
        assert_eq!(refused(&[("l[]", "x"), ("l:lines", &lines)]), Err("l".to_owned()));
        // What is JSON by itself is the API's to judge.
        assert!(refused(&[("d:json", &format!("[{}0]", "0,".repeat(5000)))]).is_ok());
    }

    #[test]
    fn it_goes_on_where_the_form_says_and_stays_here() {
        let next = |then: &str| form(&[("_then", then)]).next(&json!({"id": "ep_1/x", "a": {"b": "c"}}));
        assert_eq!(next("/endpoints/{id}").as_deref(), Some("/endpoints/ep_1%2Fx"));
        assert_eq!(next("/{a.b}?x=1").as_deref(), Some("/c?x=1"));
        for then in ["https://evil.example", "//evil.example", "/{nothing}"] {
            assert_eq!(next(then), None, "{then}");
        }
    }

    #[test]
    fn instants_are_given_as_people_do() {
        for (given, meant) in [
            ("-1d", "2024-01-14T10:30:00.000Z"),
            ("2024-01-15", "2024-01-15T00:00:00Z"),
            ("2024-01-15T10:30", "2024-01-15T10:30:00Z"),
            ("2024-01-15T10:30:00+02:00", "2024-01-15T10:30:00+02:00"),
            ("soon", "soon"),
        ] {
            assert_eq!(instant(given, NOW), meant);
        }
    }

    #[test]
    fn a_form_of_another_site_is_told_apart() {
        let check = |headers: &[(&'static str, &str)], expected| {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(same_origin(&headers), expected, "{headers:?}");
        };
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "http://h"), ("host", "h")], false);
        check(&[("origin", "http://127.0.0.1:8400"), ("host", "127.0.0.1:8400")], true);
        check(&[("origin", "https://hooks.example"), ("host", "hooks.example")], true);
        check(&[("origin", "https://evil.example"), ("host", "hooks.example")], false);
        check(&[("origin", "null"), ("host", "null")], false);
        check(&[], false);
    }
}
