//! What is one account's is nothing of another's, whatever they have in common: a
//! subject, or an endpoint that went from one to the other.

use hookyard_tests::{Host, Receiver, list, text};
use serde_json::{Value, json};

use super::portal;

#[tokio::test]
async fn a_pipeline_knows_the_past_of_its_events_account_alone() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmchamp").await;
    let receiver = Receiver::start().await;
    let steps = json!([{"plugin": "summary", "config": {"types": ["new_message"], "sentences": 3}}]);
    let endpoint = async |accounts: Value| {
        let form = json!({"event_types": ["contact_tagged"], "accounts": accounts, "steps": steps, "name": accounts.to_string()});
        text(&tenant.endpoint(&receiver.url(), form).await["id"]).to_owned()
    };
    let (berlins, everybodys) = (endpoint(json!(["berlin"])).await, endpoint(json!([])).await);
    for (account, said) in [
        (json!("paris"), "Would like the garden house in June."),
        (json!("berlin"), "Would like the lake house in July."),
        (Value::Null, "Would like the tree house in August."),
    ] {
        let event = json!({"type": "new_message", "subject": "contact-7", "account": account, "data": {"text": said}});
        tenant.publish(event).await;
    }
    let summary = async |event: &str, endpoint: &str| {
        let delivery = tenant.delivery_to(event, endpoint, "delivered").await;
        text(&delivery["message"]["body"]).to_owned()
    };
    let tagged =
        |account: Value| json!({"type": "contact_tagged", "subject": "contact-7", "account": account, "data": {}});
    for (account, own) in [(json!("berlin"), "lake"), (json!("paris"), "garden"), (Value::Null, "tree")] {
        let event = tenant.publish(tagged(account)).await;
        let said = summary(&event, &everybodys).await;
        for house in ["lake", "garden", "tree"] {
            assert_eq!(said.contains(house), house == own, "{house} in {said}");
        }
    }
    // A visitor asks for it by a test event.
    let mut tab = portal(&host, &tenant, json!({"account": "berlin", "capabilities": ["test"]})).await;
    let test = json!({"type": "contact_tagged", "subject": "contact-7", "data": {}});
    let (status, event) = tab.change(&format!("POST /v1/endpoints/{berlins}/test"), test).await;
    assert_eq!(status, 303, "{event}");
    let said = summary(&event, &berlins).await;
    assert!(said.contains("lake") && !said.contains("garden") && !said.contains("tree"), "{said}");
}

#[tokio::test]
async fn what_was_another_accounts_is_not_listed_counted_or_sent_again() {
    let host = Host::start().await;
    let tenant = host.tenant("agency").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"accounts": ["paris"]})).await;
    let endpoint = text(&endpoint["id"]);
    let (path, call) = (format!("/v1/endpoints/{endpoint}"), format!("POST /v1/endpoints/{endpoint}/replay"));
    let event = |account: &str| json!({"type": format!("of.{account}"), "data": {}, "account": account});
    let old = tenant.publish(event("paris")).await;
    let old = tenant.delivery_to(&old, endpoint, "delivered").await;
    let whole = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "as-sent", "states": ["delivered"]});
    let replay = tenant.post(&format!("{path}/replay"), whole.clone()).await.expect(202);
    assert_eq!((&replay["deliveries"], &replay["account"]), (&json!(1), &Value::Null));
    tenant.patch(&path, json!({"accounts": ["berlin"]})).await.expect(200);
    let own = tenant.publish(event("berlin")).await;
    let own = tenant.delivery_to(&own, endpoint, "delivered").await;
    for _ in 0..3 {
        receiver.next().await;
    }

    let capabilities = json!(["endpoints", "replay"]);
    let mut tab = portal(&host, &tenant, json!({"account": "berlin", "capabilities": capabilities})).await;
    for (list_of, ids) in [
        ("/v1/deliveries".to_owned(), vec![text(&own["id"])]),
        (format!("/v1/deliveries?endpoint={endpoint}"), vec![text(&own["id"])]),
        (format!("/v1/deliveries?endpoint={endpoint}&account=paris"), vec![text(&own["id"])]),
        ("/v1/deliveries?type=of.paris".to_owned(), vec![]),
        ("/v1/replays".to_owned(), vec![]),
        (format!("/v1/replays?endpoint={endpoint}&account=paris"), vec![]),
    ] {
        let (status, page) = tab.ask(&format!("GET {list_of}"), Value::Null).await;
        assert_eq!(status, 200, "{list_of}: {page}");
        let found: Vec<&str> = list(&page["items"]).iter().map(|item| text(&item["id"])).collect();
        assert_eq!(found, ids, "{list_of}");
        assert_eq!(page["next"], Value::Null, "{list_of}");
    }
    let old_replay = format!("/v1/replays/{}", text(&replay["id"]));
    assert_eq!(tab.ask(&format!("GET {old_replay}"), Value::Null).await.0, 404);
    assert_eq!(tab.change(&format!("POST {old_replay}/cancel"), json!({})).await.0, 404);

    assert_eq!(
        tab.change(&format!("PATCH {path}"), json!({"url": format!("{}/berlins", receiver.url())})).await.0,
        303
    );
    let counted = [
        ("_call", &*call),
        ("_show", "1"),
        ("since", "2020-01-01T00:00:00Z"),
        ("pipeline", "as-sent"),
        ("states[]", "delivered"),
        ("dry_run:bool", "true"),
    ];
    let shown = tab.post(&format!("/endpoints/{endpoint}"), &counted).await;
    assert!(shown.body.contains("<strong>1 delivery</strong>"), "{}", shown.body);
    for given in [json!("paris"), json!(["berlin"])] {
        let mut form = whole.clone();
        form["account"] = given;
        assert_eq!(tab.change(&call, form).await.0, 422);
    }
    let (status, made) = tab.change(&call, whole).await;
    assert_eq!(status, 303, "{made}");
    let (_, made) = tab.ask(&format!("GET /v1/replays/{made}"), Value::Null).await;
    assert_eq!((&made["deliveries"], &made["made"], &made["account"]), (&json!(1), &json!(1), &json!("berlin")));
    let sent = receiver.next().await;
    assert_eq!((sent.uri.path(), &sent.json()["type"]), ("/hooks/berlins", &json!("of.berlin")));
    let page = tenant.get(&format!("/v1/deliveries?endpoint={endpoint}")).await.expect(200);
    let again: Vec<&Value> = list(&page["items"]).iter().map(|item| &item["replay_of"]).collect();
    // The control: the tenant had its own made, and sees them.
    assert_eq!(again, [&own["id"], &Value::Null, &old["id"], &Value::Null]);
}

#[tokio::test]
async fn a_search_goes_on_where_nothing_was_found_and_leaves_nothing_out() {
    let host = Host::start().await;
    let tenant = host.tenant("agency").await;
    let receiver = Receiver::start().await;
    for (name, types) in [("one", ["many.*", "rare.one"]), ("two", ["rare.two", "rare.zwei"])] {
        let form = json!({"name": name, "accounts": ["berlin"], "event_types": types});
        let made = tenant.endpoint(&receiver.url(), form).await;
        tenant.post(&format!("/v1/endpoints/{}/pause", text(&made["id"])), json!({})).await.expect(200);
    }
    let event = |kind: &str| json!({"type": kind, "data": 0, "account": "berlin"});
    let mut expected = Vec::new();
    for kind in ["rare.two", "rare.one"] {
        expected.insert(0, tenant.publish(event(kind)).await);
    }
    // More than are looked at for one question.
    for _ in 0..7 {
        let many: Vec<Value> = (0..500).map(|_| event("many.more")).collect();
        tenant.post("/v1/events", json!(many)).await.expect(202);
    }

    let mut tab = portal(&host, &tenant, json!({"account": "berlin"})).await;
    let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (status, page) = tab.ask(&format!("GET /v1/deliveries?type=rare.*&limit=5{cursor}"), Value::Null).await;
        assert_eq!(status, 200, "{page}");
        assert!(page["searched"].as_u64().is_some_and(|searched| searched >= 3000), "{page}");
        found.extend(list(&page["items"]).iter().map(|item| text(&item["event_id"]).to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected);
    assert!(pages > 1, "the control: there was more than one question answers");
}
