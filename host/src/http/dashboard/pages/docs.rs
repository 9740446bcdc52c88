//! `/docs`: the API for people, made of the document that programs read. It is
//! for everybody, like the document.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::super::super::openapi;
use super::super::Desk;

pub(in super::super) const TEMPLATES: &[(&str, &str)] = &[
    ("docs.html", include_str!("../templates/docs.html")),
    ("docs_macros.html", include_str!("../templates/docs_macros.html")),
    ("docs_calls.html", include_str!("../templates/docs_calls.html")),
    ("docs_schemas.html", include_str!("../templates/docs_schemas.html")),
];

pub(in super::super) fn routes() -> Router<Desk> {
    let made = Arc::new(OnceLock::new());
    let page = |template| {
        let made = made.clone();
        get(async move |State(desk): State<Desk>| {
            let context: &Value = made.get_or_init(|| contents(&openapi::document(&desk.app.public_url)));
            desk.bare(template, context.clone(), StatusCode::OK)
        })
    };
    Router::new().route("/docs", page("docs_calls.html")).route("/docs/schemas", page("docs_schemas.html"))
}

/// What the templates show: the document by nouns, with a call to copy for each
/// operation, and what there is in bodies.
fn contents(document: &Value) -> Value {
    let server = document["servers"][0]["url"].as_str().unwrap_or_default();
    let nouns = document["tags"].as_array().into_iter().flatten();
    let nouns: Vec<Value> = nouns
        .map(|noun| {
            let calls: Vec<Value> = operations(document)
                .filter(|(.., operation)| operation["tags"][0] == noun["name"])
                .map(|(method, path, operation)| call(server, method, path, operation))
                .collect();
            let anchor = noun["name"].as_str().unwrap_or_default().replace(' ', "-");
            json!({"name": noun["name"], "about": noun["description"], "anchor": anchor, "calls": calls})
        })
        .filter(|noun| noun["calls"].as_array().is_some_and(|calls| !calls.is_empty()))
        .collect();
    let mut schemas: Vec<(&String, &Value)> =
        document["components"]["schemas"].as_object().into_iter().flatten().collect();
    schemas.sort_by_key(|(name, _)| *name);
    let schemas: Vec<Value> = schemas.into_iter().map(|(name, schema)| shape(name, schema)).collect();
    json!({
        "about": document["info"]["description"],
        "version": document["info"]["version"],
        "nouns": nouns,
        "problems": problems(document),
        "schemas": schemas,
    })
}

/// The statuses of problems, and what each means: the same for every operation.
fn problems(document: &Value) -> Value {
    let answers = operations(document).filter_map(|(.., operation)| operation["responses"].as_object()).flatten();
    let problems: BTreeMap<&str, &Value> = answers
        .filter(|(_, answer)| answer.get("$ref").is_some())
        .map(|(status, answer)| (status.as_str(), &answer["description"]))
        .collect();
    json!(problems)
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let item = item.as_object().into_iter().flatten();
        item.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn call(server: &str, method: &str, path: &str, operation: &Value) -> Value {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters: Vec<Value> = parameters
        .map(|one| {
            json!({
                "name": one["name"],
                "place": one["in"],
                "about": one["description"],
                "required": one["required"] == true,
                "kind": kind(&one["schema"]),
            })
        })
        .collect();
    let answers = operation["responses"].as_object().into_iter().flatten();
    let (problems, answers): (Vec<_>, Vec<_>) = answers.partition(|(_, answer)| answer.get("$ref").is_some());
    let answers: Vec<Value> = answers
        .into_iter()
        .map(|(status, answer)| json!({"status": status, "about": answer["description"], "kind": body_kind(answer)}))
        .collect();
    let problems: Vec<&String> = problems.into_iter().map(|(status, _)| status).collect();
    let body = operation.get("requestBody");
    json!({
        "id": operation["operationId"],
        "method": method.to_uppercase(),
        "path": path,
        "summary": operation["summary"],
        "about": operation["description"],
        "old": operation["deprecated"] == true,
        "parameters": parameters,
        "body": body.map(|body| json!({"kind": body_kind(body), "about": body["description"]})),
        "answers": answers,
        "problems": problems,
        "curl": curl(server, method, path, operation),
    })
}

/// The operation as one types it in a shell.
fn curl(server: &str, method: &str, path: &str, operation: &Value) -> String {
    let mut url = format!("{server}{path}");
    for one in operation["parameters"].as_array().into_iter().flatten() {
        let (name, example) = (one["name"].as_str().unwrap_or_default(), one["example"].as_str().unwrap_or_default());
        url = url.replace(&format!("{{{name}}}"), example);
    }
    let mut typed = match method {
        "get" => format!("curl {url}"),
        method => format!("curl -X {} {url}", method.to_uppercase()),
    };
    if operation["security"].as_array().is_some_and(|keys| !keys.is_empty()) {
        typed.push_str(" \\\n  -H \"Authorization: Bearer $HOOKYARD_KEY\"");
    }
    match operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next()) {
        Some((_, content)) if content.get("example").is_some() => {
            // A quote ends the shell's text; none of the examples has one.
            let text = serde_json::to_string_pretty(&content["example"]).unwrap_or_default();
            typed.push_str(&format!(" \\\n  -d '{text}'"));
        }
        Some((content_type, _)) => {
            typed.push_str(&format!(" \\\n  -H \"Content-Type: {content_type}\" --data-binary @FILE"))
        }
        None => {}
    }
    typed
}

/// A schema as a list of its fields.
fn shape(name: &str, schema: &Value) -> Value {
    let mut fields = Vec::new();
    let mut parts = Vec::new();
    gather(schema, &mut fields, &mut parts);
    json!({
        "name": name,
        "about": schema["description"],
        "kind": (fields.is_empty() && parts.is_empty()).then(|| kind(schema)),
        "words": schema["enum"],
        "example": schema["examples"][0],
        "fields": fields,
        "parts": parts,
    })
}

/// The fields of an object and of what it is made of, and the other schemas that
/// it has all fields of, or those of one.
fn gather(schema: &Value, fields: &mut Vec<Value>, parts: &mut Vec<Value>) {
    let empty = Map::new();
    let needed = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, field) in schema["properties"].as_object().unwrap_or(&empty) {
        let about = field["description"].as_str().unwrap_or_default();
        fields.push(json!({"name": name, "about": about, "required": needed(name), "kind": kind(field)}));
    }
    for (how, joined) in [("allOf", "and all of"), ("oneOf", "one of"), ("anyOf", "one of")] {
        for part in schema[how].as_array().into_iter().flatten() {
            match part.get("properties") {
                Some(_) if how == "allOf" => gather(part, fields, parts),
                _ => parts.push(json!({"how": joined, "kind": kind(part)})),
            }
        }
    }
}

fn body_kind(holder: &Value) -> Value {
    let content = holder["content"].as_object().and_then(|content| content.iter().next());
    match content {
        Some((content_type, content)) if content_type.contains("json") => kind(&content["schema"]),
        Some((content_type, _)) => json!({"words": content_type}),
        None => Value::Null,
    }
}

/// A type in words, with the schema that it is about.
fn kind(schema: &Value) -> Value {
    let mut link = None;
    let words = in_words(schema, &mut link);
    json!({"words": words, "link": link})
}

fn in_words(schema: &Value, link: &mut Option<String>) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        link.get_or_insert_with(|| name.to_owned());
        return name.to_owned();
    }
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(choices) = choices {
        let choices: Vec<String> = choices.iter().map(|choice| in_words(choice, link)).collect();
        return choices.join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
    }
    let named = |kind: &str, link: &mut Option<String>| match kind {
        "array" => format!("list of {}", in_words(&schema["items"], link)),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of {}", in_words(&schema["additionalProperties"], link))
        }
        kind => kind.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => named(kind, link),
        Value::Array(kinds) => {
            let kinds: Vec<String> = kinds.iter().filter_map(Value::as_str).map(|kind| named(kind, link)).collect();
            kinds.join(" or ")
        }
        _ if schema["allOf"].is_array() => "object".to_owned(),
        _ => "any JSON".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, words: &str, link: Option<&str>) {
        assert_eq!(kind(&schema), json!({"words": words, "link": link}));
    }

    #[test]
    fn types_are_told_in_words() {
        check(json!({"type": ["string", "null"]}), "string or null", None);
        check(json!({"type": "array", "items": {"$ref": "#/components/schemas/Step"}}), "list of Step", Some("Step"));
        check(json!({"oneOf": [{"type": "null"}, {"$ref": "#/x/Tls"}]}), "null or Tls", Some("Tls"));
        check(json!({"type": "object", "additionalProperties": {"type": "string"}}), "object of string", None);
        check(json!({}), "any JSON", None);
    }

    #[test]
    fn a_call_can_be_typed() {
        let operation = json!({
            "parameters": [{"name": "id", "example": "ep_1"}],
            "security": [{"key": []}],
            "requestBody": {"content": {"application/json": {"example": {"a": 1}}}},
        });
        let typed = curl("http://x", "patch", "/v1/endpoints/{id}", &operation);
        let expected = "curl -X PATCH http://x/v1/endpoints/ep_1 \\\n  -H \"Authorization: Bearer $HOOKYARD_KEY\" \\\n  -d '{\n  \"a\": 1\n}'";
        assert_eq!(typed, expected);
    }
}
