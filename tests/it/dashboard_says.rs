//! What pages say of what was done, of what is not well, and of what is not there.

use hookyard_tests::api::client;
use hookyard_tests::{Host, Receiver, text};
use reqwest::{Method, header};
use serde_json::json;

use crate::dashboard_pages::Visitor;

#[tokio::test]
async fn a_receiver_that_fails_is_told_of_before_it_is_left_alone() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let none = visitor.page("/").await;
    assert!(!none.contains("All endpoints take what they are sent"), "there are none: {none}");

    let endpoint = tenant.endpoint(&receiver.url(), json!({"name": "Till", "retry": {"schedule": []}})).await;
    let well = visitor.page("/").await;
    assert!(well.contains("All endpoints take what they are sent"), "{well}");
    assert!(well.contains("No receiver has answered in this time"), "{well}");

    receiver.answer(&[503]);
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    tenant.delivery_in(&event, "dead").await;
    let ill = visitor.page("/").await;
    assert!(!ill.contains("All endpoints take"), "{ill}");
    assert!(ill.contains("<b>1</b> receiver failing now") && ill.contains("median, last"), "{ill}");
    for path in ["/endpoints".to_owned(), format!("/endpoints/{}", text(&endpoint["id"]))] {
        let shown = visitor.page(&path).await;
        assert!(shown.contains("<span class=\"state bad\">failing</span>"), "{path}: {shown}");
        assert!(!shown.contains("<span class=\"state good\">active</span>"), "{path}: {shown}");
    }
}

#[tokio::test]
async fn what_was_saved_or_deleted_is_said() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let source = tenant.post("/v1/sources", json!({"name": "shop"})).await.expect(201);
    let page = format!("/sources/{}", text(&source["id"]));
    let call = format!("/v1{page}");
    let saved = visitor.send(&page, &[("_call", &format!("PATCH {call}")), ("name", "store")]).await;
    assert_eq!((saved.status.as_u16(), saved.to.clone()), (303, format!("{page}#saved")));
    let shown = visitor.page(&page).await;
    assert!(shown.contains("id=\"saved\"") && shown.contains("Saved."), "{shown}");
    let deleted = visitor.send(&page, &[("_call", &format!("DELETE {call}")), ("_then", "/sources")]).await;
    assert_eq!(deleted.to, "/sources#deleted");
    // What makes something leads to it, or shows it.
    let made = [("_call", "POST /v1/sources"), ("_then", "/sources/{id}"), ("name", "another")];
    let made = visitor.send("/sources/new", &made).await;
    assert!(made.to.starts_with("/sources/src_") && !made.to.contains('#'), "{}", made.to);
}

#[tokio::test]
async fn an_operators_list_of_changes_leads_nowhere_that_they_are_not() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({})).await;
    let link = format!("href=\"/endpoints/{}\"", text(&endpoint["id"]));
    let id = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    let operator = Visitor::signed_in(&host, host.operator.key()).await;
    let shown = operator.page(&format!("/operator/tenants/{id}")).await;
    assert!(shown.contains(text(&endpoint["id"])) && !shown.contains(&link), "{shown}");
    assert!(shown.contains("first key"), "whose key it was is said: {shown}");
    // The control.
    let admin = Visitor::signed_in(&host, tenant.key()).await;
    assert!(admin.page("/audit").await.contains(&link));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people() {
    let host = Host::start().await;
    let visitor = Visitor::signed_in(&host, host.operator.key()).await;
    let asked = async |path: &str, accept: &str| {
        let answer = visitor.request(Method::GET, path).header(header::ACCEPT, accept).send().await;
        let answer = answer.expect("the server answers");
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        (answer.status().as_u16(), kind, answer.text().await.expect("text"))
    };
    let browsers = "text/html,application/xhtml+xml,*/*;q=0.8";
    let (status, kind, text) = asked("/nope", browsers).await;
    assert_eq!((status, kind.as_str()), (404, "text/html; charset=utf-8"));
    assert!(text.contains("Nothing is here") && text.contains("href=\"/\""), "{text}");
    for (path, accept) in [("/nope", "*/*"), ("/v1/nope", browsers), ("/v1/nope", "application/json")] {
        let (status, kind, text) = asked(path, accept).await;
        assert_eq!((status, kind.as_str()), (404, "application/problem+json"), "{path} {accept}: {text}");
    }
    let sign_in = client().get(format!("{}/sign-in", host.operator.base())).send().await.expect("the server answers");
    let sign_in = sign_in.text().await.expect("text");
    assert!(sign_in.contains("<code>operator.key</code>"), "{sign_in}");
}

#[tokio::test]
async fn no_page_shows_the_marks_that_code_is_written_with() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({})).await;
    let endpoint = format!("/endpoints/{}", text(&endpoint["id"]));
    for path in ["/docs", "/docs/schemas", "/endpoints/new", &endpoint, "/plugins"] {
        let page = visitor.page(path).await;
        // But for commands, whose shell may want them.
        let prose: String =
            page.split("<pre").map(|part| part.split_once("</pre>").map_or(part, |(_, prose)| prose)).collect();
        let place = prose.find('`').map(|at| &prose[prose.floor_char_boundary(at.saturating_sub(80))..]);
        assert_eq!(place.map(|place| place.chars().take(160).collect::<String>()), None, "{path}");
    }
    assert!(visitor.page("/docs").await.contains(" data-copied>curl "));
    // What the API says to a form, too.
    let wrong = [("_call", &*format!("PATCH /v1{endpoint}")), ("steps:json", r#"[{"plugin": "nothing"}]"#)];
    let said = visitor.send(&format!("{endpoint}/pipeline"), &wrong).await;
    assert!(said.status == 422 && said.html.contains("<code>nothing</code>"), "{}", said.html);
}
