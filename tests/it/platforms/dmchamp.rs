//! DM Champ: thirteen trigger events, tag triggers, Generate Summary, Send Test
//! Event.

use axum::http::Response;
use hookyard::domain::chat::ChatSettings;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Api, Host, Receiver, list, text};
use serde_json::{Value, json};

use super::{every_type_arrives, members};

#[tokio::test]
async fn thirteen_events_have_their_snake_case_names() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    // The page has no signature, so there is nothing to keep secret.
    assert_eq!(endpoint["secret"], Value::Null);

    let requests = every_type_arrives(&tenant, &mut receiver, "dmchamp").await;

    let names: Vec<String> =
        requests.iter().map(|request| request.json()["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 13);
    for name in [
        "contact_created",
        "contact_do_not_disturb",
        "human_alerted",
        "appointment_booked",
        "new_message",
        "credits_recharged",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} of {names:?}");
    }
    for request in &requests {
        assert_eq!(members(&request.json()), ["event", "timestamp", "data"]);
    }
    let refused = json!({"name": "b", "url": receiver.url(), "event_types": ["*"], "secret": "s"});
    let said = tenant.post("/v1/endpoints", refused).await.problem(422, "secret");
    assert!(said.contains("signs nothing"), "{said}");
}

#[tokio::test]
async fn each_event_is_on_or_off_by_either_of_its_names() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({"event_types": ["contact_created"]})).await;
    tenant.publish(json!({"type": "contact_paused", "data": {}})).await;
    tenant.publish(json!({"type": "contact_created", "data": {"n": 1}})).await;
    assert_eq!(receiver.next().await.json()["data"]["n"], 1);
    // A system that names events with dots is understood, and sends the name of the page.
    tenant.publish(json!({"type": "contact.created", "data": {"n": 2}})).await;
    let request = receiver.next().await.json();
    assert_eq!((&request["event"], &request["data"]["n"]), (&json!("contact_created"), &json!(2)));
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_tag_trigger_fires_when_any_of_the_selected_tags_is_applied() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let mut receiver = Receiver::start().await;
    let more = json!({"event_types": ["contact_created", "contact_tagged"], "tags": ["qualified-lead", "booked"]});
    tenant.endpoint(&receiver.url(), more).await;
    let tagged = |tags: Value| json!({"type": "contact_tagged", "tags": tags, "data": {"tags": tags}});
    tenant.publish(tagged(json!(["newsletter"]))).await;
    tenant.publish(tagged(json!(["newsletter", "booked"]))).await;
    assert_eq!(receiver.next().await.json()["data"]["tags"], json!(["newsletter", "booked"]));
    tenant.publish(tagged(json!(["qualified-lead"]))).await;
    assert_eq!(receiver.next().await.json()["data"]["tags"], json!(["qualified-lead"]));
    // The tags are about the tagging; the other events that are on come anyway.
    tenant.publish(json!({"type": "contact_created", "data": {}})).await;
    assert_eq!(receiver.next().await.json()["event"], "contact_created");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn tags_alone_narrow_every_event() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({"tags": ["vip", "booked"]})).await;
    tenant.publish(json!({"type": "new_message", "data": {"n": 1}})).await;
    tenant.publish(json!({"type": "new_message", "tags": ["vip"], "data": {"n": 2}})).await;
    assert_eq!(receiver.next().await.json()["data"]["n"], 2);
    assert!(receiver.so_far().is_empty());
}

/// A conversation, and the tag that ends it.
async fn a_conversation(tenant: &Api, receiver: &Receiver) -> String {
    let more = json!({
        "event_types": ["contact_tagged"], "tags": ["booked"],
        "steps": [{"plugin": "summary", "config": {"types": ["new_message"], "sentences": 2}}],
    });
    tenant.endpoint(&receiver.url(), more).await;
    let said = |subject: &str, text: &str| json!({"type": "new_message", "subject": subject, "data": {"text": text}});
    for text in [
        "Hello!",
        "I would like to book the garden apartment for two weeks in July.",
        "Is the garden apartment in July still free? We are two adults and a dog.",
        "Thanks.",
    ] {
        tenant.publish(said("contact-7", text)).await;
    }
    tenant.publish(said("contact-8", "A stranger's secret plans.")).await;
    let tagged =
        json!({"type": "contact_tagged", "subject": "contact-7", "tags": ["booked"], "data": {"contact": {"id": "7"}}});
    tenant.publish(tagged).await
}

#[tokio::test]
async fn a_summary_of_the_subjects_messages_goes_along() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let mut receiver = Receiver::start().await;

    let event = a_conversation(&tenant, &receiver).await;

    let body = receiver.next().await.json();
    assert_eq!(body["event"], "contact_tagged");
    assert_eq!(body["data"]["contact"]["id"], "7");
    let summary = body["data"]["summary"].to_string();
    assert!(summary.contains("garden apartment") && summary.contains("July"), "{summary}");
    assert!(!summary.contains("secret plans"), "another subject's: {summary}");
    let delivery = tenant.delivery_in(&event, "delivered").await;
    assert_eq!(delivery["steps"][0]["plugin"], "summary");
    // A preview sees the same history.
    let trial = json!({
        "steps": [{"plugin": "summary", "config": {"types": ["new_message"], "sentences": 2}}],
        "event": {"type": "contact_tagged", "subject": "contact-7", "data": {"contact": {"id": "7"}}},
    });
    let tried = tenant.post("/v1/try", trial).await.expect(200);
    let tried: Value = serde_json::from_str(text(&tried["message"]["body"])).unwrap();
    assert_eq!(tried["data"]["summary"], body["data"]["summary"]);
    // No subject, no history, and no failure.
    let nobody = json!({"type": "contact_tagged", "tags": ["booked"], "data": {}});
    tenant.publish(nobody).await;
    assert_eq!(receiver.next().await.json()["data"]["summary"], Value::Null);
}

#[tokio::test]
async fn another_tenants_history_is_never_seen() {
    let host = Host::start().await;
    let (one, other) = (host.tenant_of("dmchamp").await, host.tenant("other").await);
    let said = json!({"type": "new_message", "subject": "contact-7", "data": {"text": "Their private garden plans."}});
    other.publish(said).await;
    let mut receiver = Receiver::start().await;
    let event = a_conversation(&one, &receiver).await;
    one.delivery_in(&event, "delivered").await;
    assert!(!receiver.next().await.json().to_string().contains("private"), "another tenant's words");
}

#[tokio::test]
async fn an_operators_language_model_writes_the_summary_instead() {
    let mut model = Receiver::start().await;
    model.answer_by(|_| {
        let answer =
            json!({"choices": [{"message": {"role": "assistant", "content": "Wants the garden flat in July."}}]});
        Some(Response::new(answer.to_string()))
    });
    let chat = ChatSettings { url: model.url().parse().unwrap(), model: "small".to_owned(), key: Some("k".to_owned()) };
    let host = Host::start_as(local(), Extra { chat: Some(chat), ..Extra::default() }).await;
    let tenant = host.tenant_of("dmchamp").await;
    let mut receiver = Receiver::start().await;

    a_conversation(&tenant, &receiver).await;

    let summary = receiver.next().await.json()["data"]["summary"].to_string();
    assert!(summary.contains("Wants the garden flat in July."), "{summary}");
    let asked = model.next().await;
    assert_eq!(asked.header("authorization"), "Bearer k");
    assert_eq!(asked.json()["model"], "small");
    let shown = asked.json()["messages"].to_string();
    assert!(shown.contains("garden apartment") && !shown.contains("secret plans"), "{shown}");

    // A model that fails is done without.
    model.answer_by(|_| Some(Response::builder().status(500).body(String::new()).unwrap()));
    tenant.publish(json!({"type": "contact_tagged", "subject": "contact-7", "tags": ["booked"], "data": {}})).await;
    let summary = receiver.next().await.json()["data"]["summary"].to_string();
    assert!(summary.contains("garden apartment"), "{summary}");
}

#[tokio::test]
async fn a_test_event_takes_the_way_of_every_event() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let (mut receiver, mut other) = (Receiver::start().await, Receiver::start().await);
    let endpoint =
        tenant.endpoint(&receiver.url(), json!({"event_types": ["appointment_booked"], "tags": ["vip"]})).await;
    tenant.endpoint(&other.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}/test", text(&endpoint["id"]));

    let sent = tenant.post(&path, json!({})).await.expect(202);

    let request = receiver.next().await.json();
    let kinds = tenant.get("/v1/event-types").await.expect(200);
    let booked = list(&kinds["items"]).iter().find(|kind| kind["type"] == "appointment_booked").unwrap();
    assert_eq!((&request["event"], &request["data"]), (&json!("appointment_booked"), &booked["example"]));
    let delivery = tenant.delivery_in(text(&sent["event_id"]), "delivered").await;
    assert_eq!(delivery["id"], sent["delivery_id"]);
    // Another type and other data, and nobody else gets any of it.
    tenant.post(&path, json!({"type": "credits_spent", "data": {"n": 1}})).await.expect(202);
    assert_eq!(receiver.next().await.json()["data"], json!({"n": 1}));
    assert!(other.so_far().is_empty());
}

#[tokio::test]
async fn an_error_is_a_failed_delivery() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    receiver.answer(&[500]);
    let event = tenant.publish(json!({"type": "reads", "data": {}})).await;
    let dead = tenant.delivery_in(&event, "dead").await;
    assert_eq!(list(&dead["attempts"]).len(), 1);
}
