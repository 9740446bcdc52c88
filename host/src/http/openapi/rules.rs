//! What is true of many operations: parameters, problems, words.

use serde_json::{Map, Value, json};

pub(super) const ABOUT: &str = "\
An event comes in (an inbound webhook URL, or `POST /v1/events`), is stored, is matched with the tenant's endpoints, runs \
through each endpoint's plugins in a sandbox, is signed, and is delivered, with retries and a log of every attempt.\n\n\
Give the key as `Authorization: Bearer <key>`. Lists are `{\"items\": [...], \"next\": \"cursor or null\"}`, newest first. What \
goes wrong is answered with a problem (RFC 9457) whose `type` is from a closed list. Another tenant's things are not there: \
404. Fields that nobody knows are refused.";

/// The nouns of the API, in the order in which one meets them.
pub(super) const NOUNS: &[(&str, &str)] = &[
    ("tenants", "A tenant is one customer of whoever runs the server; nothing crosses from one to another."),
    ("sources", "A source is an inbound webhook: a secret URL, how its requests prove themselves, and a pipeline."),
    ("inbound", "Where webhooks arrive."),
    ("requests", "A request is what a source received, kept byte for byte, also when it led to nothing."),
    ("events", "An event is an immutable fact."),
    ("event types", "The catalogue: what the dialect's and your own types of events mean."),
    ("endpoints", "An endpoint is an outbound webhook: URL, subscription, pipeline, dialect, secret, state."),
    ("deliveries", "A delivery is one event for one endpoint; attempts belong to it."),
    ("replays", "A replay makes deliveries of the past once more."),
    ("plugins", "A plugin is an uploaded component, known by its name and an immutable version."),
    ("try", "Previews: the production engine, and nothing is stored or sent."),
    ("secrets", "Secrets that steps may be let sign with. A value comes in and never goes out."),
    ("dialects", "A dialect is how a platform speaks on the wire."),
    ("keys", "API keys and their roles."),
    ("users", "People, and how they sign in."),
    ("portal", "Links for your own customers to a part of the dashboard."),
    ("audit", "Who changed what."),
    ("erasures", "All that is kept of one subject, made to be gone."),
    ("stats", "What was brought in, what was used, what needs attention."),
    ("server", "The server itself."),
];

/// The statuses that an operation can answer by what it is, beside its own.
pub(super) fn problems(is_known: bool, has_path: bool, has_query: bool, has_body: bool) -> Vec<u16> {
    let rules: [(bool, &[u16]); 5] = [
        (is_known, &[401, 403]),
        (has_path, &[404]),
        (has_query || (is_known && has_body), &[400, 422]),
        (has_body, &[400, 408, 413]),
        (is_known || has_path, &[500, 503]),
    ];
    rules.iter().filter(|(applies, _)| *applies).flat_map(|(_, statuses)| *statuses).copied().collect()
}

fn words(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "201" => "Made",
        "202" => "Taken",
        "204" => "Gone",
        "400" => "The request could not be read",
        "401" => "A valid API key is needed",
        "403" => "This key may not do that, or the plan allows no more",
        "404" => "There is no such thing",
        "408" => "The exchange took too long",
        "409" => "It conflicts with what is there",
        "413" => "The body is too large",
        "422" => "A field is wrong",
        "429" => "Too many come in, or the quota is spent",
        "503" => "Try again in a moment",
        _ => "Something failed in here",
    }
}

/// A description, and the problem where nothing else is said.
pub(super) fn describe_response(status: &str, response: &mut Value) {
    let said = response["description"].as_str().unwrap_or_default();
    let said = if said.is_empty() { words(status) } else { said }.to_owned();
    let is_problem = status >= "400" && response.get("content").is_none();
    if is_problem {
        *response = json!({"$ref": "#/components/responses/Problem"});
    }
    response["description"] = json!(said);
}

pub(super) fn problem() -> Value {
    json!({
        "description": "What went wrong, and what to do.",
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": "urn:hookyard:problem:invalid",
                "title": "A field is wrong",
                "status": 422,
                "detail": "give 1 to 250",
                "field": "limit",
            },
        }},
    })
}

/// A list says of what it is by its name, in which the generator repeats it.
pub(super) fn refer(name: &str, schema: &mut Value) {
    if let Some(of) = name.strip_prefix("Page_").or(name.strip_prefix("List_")) {
        schema["properties"]["items"]["items"] = json!({"$ref": format!("#/components/schemas/{of}")});
    }
}

/// What the places of a path hold, by what stands before them.
const PLACES: &[(&str, &str, &str)] = &[
    ("tenants", "A tenant's id", "ten_01arz3ndektsv4rrffq69g5fav"),
    ("hookyard", "A tenant's id", "ten_01arz3ndektsv4rrffq69g5fav"),
    ("keys", "A key's id", "key_01arz3ndektsv4rrffq69g5fav"),
    ("users", "A user's id", "usr_01arz3ndektsv4rrffq69g5fav"),
    ("sources", "A source's id", "src_01arz3ndektsv4rrffq69g5fav"),
    ("endpoints", "An endpoint's id", "ep_01arz3ndektsv4rrffq69g5fav"),
    ("requests", "A request's id", "req_01arz3ndektsv4rrffq69g5fav"),
    ("events", "An event's id", "evt_01arz3ndektsv4rrffq69g5fav"),
    ("deliveries", "A delivery's id", "dlv_01arz3ndektsv4rrffq69g5fav"),
    ("replays", "A replay's id", "rpl_01arz3ndektsv4rrffq69g5fav"),
    ("erasures", "An erasure's id", "era_01arz3ndektsv4rrffq69g5fav"),
    ("versions", "A version's number", "1"),
    ("plugins", "A plugin's name", "tag-filter"),
    ("secrets", "A secret's name", "partner-key"),
    ("event-types", "An event type", "order.paid"),
    ("dialects", "A dialect's name", "standard-webhooks"),
    ("in", "What ends the source's URL", "wh_..."),
    ("inbound", "What ends the source's URL", "wh_..."),
];

pub(super) fn in_path(path: &str) -> Vec<Value> {
    let pieces: Vec<&str> = path.split('/').collect();
    let places = pieces.windows(2).filter_map(|pair| Some((pair[0], pair[1].strip_prefix('{')?.strip_suffix('}')?)));
    let parameter = |(before, name): (&str, &str)| {
        let (_, about, example) = PLACES.iter().find(|(place, ..)| *place == before).unwrap_or(&("", "A name", "name"));
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": about,
            "schema": {"type": "string", "minLength": 1},
            "example": example,
        })
    };
    places.map(parameter).collect()
}

/// A parameter that many lists have.
pub(super) fn describe(parameter: &mut Value) {
    if parameter["in"] == "query" {
        // Null cannot be written in a query.
        if let Some(kind) =
            parameter["schema"]["type"].as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null"))
        {
            parameter["schema"]["type"] = kind.clone();
        }
    }
    let instant = json!({"type": "string", "format": "date-time"});
    let (about, schema) = match parameter["name"].as_str() {
        Some("cursor") => ("What `next` of the page before was", Value::Null),
        Some("limit") => ("How many at most", json!({"type": "integer", "minimum": 1, "maximum": 250, "default": 50})),
        Some("after") => ("From then on (RFC 3339)", instant),
        Some("before") => ("Until then (RFC 3339)", instant),
        _ => ("", Value::Null),
    };
    if parameter["description"].as_str().unwrap_or_default().is_empty() && !about.is_empty() {
        parameter["description"] = json!(about);
    }
    if !schema.is_null() {
        parameter["schema"] = schema;
    }
}

/// Whether there has to be a body: none is an empty object, which will do where no
/// field is needed.
pub(super) fn needs_body(body: &Value, schemas: &Map<String, Value>) -> bool {
    let name = body["content"]["application/json"]["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    let schema = name.and_then(|name| schemas.get(name));
    schema.is_none_or(|schema| schema.get("properties").is_none() || schema.get("required").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_path_are_known_by_what_stands_before_them() {
        let parameters = in_path("/v1/tenants/{id}/keys/{key}");
        let said: Vec<_> = parameters.iter().map(|one| (one["name"].as_str(), one["description"].as_str())).collect();
        assert_eq!(said, [(Some("id"), Some("A tenant's id")), (Some("key"), Some("A key's id"))]);
    }
}
