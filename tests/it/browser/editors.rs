//! The editors of a pipeline: what is typed is tried as it is typed, and a mistake
//! stands where it was made. Once by mouse, once by keyboard.

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Api, Browser, Host, Page, Role, eventually, text};
use serde_json::{Value, json};

use super::sign_in;

/// An endpoint's pipeline with a step of `plugin` added, beside thirty events.
async fn beside_events(plugin: &str) -> (Host, Api, Browser, Page, String) {
    let host = Host::start_as(local(), Extra { complete: true, ..Extra::default() }).await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({})).await;
    let event = |n: u32| {
        let tag = if n.is_multiple_of(3) { "test" } else { "paid" };
        json!({"type": "order.placed", "tags": [tag], "data": {"order_id": n, "items": [{"sku": "A1"}, {"sku": "B2"}]}})
    };
    tenant.post("/v1/events", (0..30).map(event).collect()).await.expect(202);
    let browser = Browser::start().await;
    let page = browser.page(tenant.base()).await;
    sign_in(&page, tenant.key()).await;
    // A preview of what is half typed is refused.
    page.expect_complaint("/ask?call=");
    let path = format!("/endpoints/{}/pipeline", text(&endpoint["id"]));
    page.goto(&format!("{path}?add={plugin}")).await;
    (host, tenant, browser, page, format!("/v1/endpoints/{}", text(&endpoint["id"])))
}

/// The steps as they would be saved.
async fn steps(page: &Page) -> Value {
    let typed = page.evaluate("document.querySelector('textarea[name=\"steps:json\"]').value").await;
    serde_json::from_str(text(&typed)).expect("what the editor writes is JSON")
}

#[tokio::test]
async fn an_expression_tells_how_many_events_match_and_where_it_is_wrong() {
    let (_host, tenant, _browser, page, call) = beside_events("tag-filter").await;
    page.see("20 of the last 30 events match").await;
    page.fill("Keep the events whose tags satisfy", "test or free").await;
    page.see("10 of the last 30 events match").await;
    page.fill("Keep the events whose tags satisfy", "test orr free").await;
    page.see("column 6: expected and, or or the end, found orr").await;
    page.wait_for("the word is marked", "document.querySelector('.code-behind mark')?.textContent === 'orr'").await;
    page.fill("Keep the events whose tags satisfy", "test").await;
    page.click(Role::Button, "Compare").await;
    page.see("Of the last 30 events:").await;
    page.see("are dropped that were sent before").await;
    page.click(Role::Button, "Save the pipeline").await;
    page.wait_for("it is saved", "!location.search && document.readyState === 'complete'").await;
    page.see("Saved.").await;
    let once = "!location.hash && document.querySelector('#saved').checkVisibility()";
    page.wait_for("it is not said again when the page is loaded again", once).await;
    let saved = tenant.get(&call).await.expect(200);
    assert_eq!(saved["steps"][0]["config"], json!({"expression": "test"}));
    assert_eq!(page.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_script_shows_its_result_and_marks_the_line_that_is_wrong() {
    let (_host, _tenant, _browser, page, _call) = beside_events("javascript").await;
    page.fill("Script", "function transform(event) {\n  return { body: { id: event.data.order_id } };\n}").await;
    page.wait_for("the result", "document.querySelector('#pipeline-result').innerText.includes('\"id\": 29')").await;
    page.fill("Script", "function transform(event) {\n  return { body: event.data.none.id };\n}").await;
    page.see("source:2:").await;
    let wrong = "document.querySelector('.code-numbers .is-wrong')?.textContent.trim() === '2'";
    page.wait_for("line 2 is marked", wrong).await;
    page.click(Role::Button, "Go to line 2").await;
    page.wait_for("the caret is there", "document.activeElement.selectionStart > 27").await;
}

#[tokio::test]
async fn a_script_behind_a_mapper_begins_as_what_it_is() {
    let host = Host::start_as(local(), Extra { complete: true, ..Extra::default() }).await;
    let tenant = host.tenant("acme").await;
    let mapper = json!({"plugin": "field-mapper", "config": {"type": {"from": "event"}, "rules": []}});
    let source = tenant.post("/v1/sources", json!({"name": "shop", "steps": [mapper]})).await.expect(201);
    let order = json!({"event": "order.placed", "id": 7});
    tenant.post(text(&source["url"]), order.clone()).await.expect(202);
    let browser = Browser::start().await;
    let page = browser.page(tenant.base()).await;
    sign_in(&page, tenant.key()).await;
    let path = format!("/sources/{}", text(&source["id"]));
    page.goto(&path).await;
    page.click(Role::Link, "Filter with a script").await;
    page.see("1 event would be made").await;
    page.screenshot("script").await;
    page.click(Role::Button, "Save the pipeline").await;
    page.see("Saved.").await;
    let taken = tenant.post(text(&source["url"]), order).await.expect(202);
    assert_eq!(taken["event_ids"].as_array().map(Vec::len), Some(1), "{taken}");

    // A source's events are made by one step.
    let script = json!({"plugin": "javascript", "config": {"source": "function map(request) { return null; }"}});
    tenant.patch(&format!("/v1{path}"), json!({"steps": [script]})).await.expect(200);
    page.goto(&format!("{path}/pipeline?add=field-mapper")).await;
    page.see("javascript makes the events already").await;
    page.click(Role::Button, "Use field-mapper instead").await;
    page.see("1 event would be made").await;
    let steps = steps(&page).await;
    assert_eq!((steps.as_array().map(Vec::len), &steps[0]["plugin"]), (Some(1), &json!("field-mapper")));
    assert_eq!(page.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn fields_are_picked_and_steps_are_ordered_by_keyboard() {
    let (_host, _tenant, _browser, page, _call) = beside_events("field-mapper").await;
    page.find_a(Role::Button, "Add a rule").await;
    page.wait_for("the tree", "!!document.querySelector('.tree [tabindex=\"0\"]')").await;
    page.evaluate("document.querySelector('.tree [tabindex=\"0\"]').focus()").await;
    // Data, order_id.
    for key in ["ArrowDown", "Enter"] {
        page.press(key).await;
    }
    page.fill("Rule 1: to", "order.id").await;
    page.see("\"order\": {").await;
    page.evaluate("document.querySelector('.tree [tabindex=\"0\"]').focus()").await;
    // items, each of them, its sku.
    for key in ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "Enter"] {
        page.press(key).await;
    }
    let rules = &steps(&page).await[0]["config"]["rules"];
    let expected = json!([{"to": "order.id", "from": "order_id"}, {"to": "sku[]", "from": "items[].sku"}]);
    assert_eq!(*rules, expected);

    page.fill("Rule 1: to", "order.").await;
    page.wait_for("the row is wrong", "!!document.querySelector('[data-row=\"rules[0]\"].is-wrong')").await;
    page.fill("Rule 1: to", "order.id").await;
    page.wait_for("it is right again", "!document.querySelector('.mapper-row.is-wrong')").await;

    page.choose("Add a step", "tag-filter").await;
    page.click(Role::Button, "Add").await;
    page.find_a(Role::Button, "Move step 2, tag-filter, up").await;
    page.evaluate("document.querySelector('[aria-label=\"Move step 2, tag-filter, up\"]').focus()").await;
    page.press("Enter").await;
    page.find_a(Role::Button, "Move step 2, field-mapper, up").await;
    let steps = steps(&page).await;
    assert_eq!([&steps[0]["plugin"], &steps[1]["plugin"]], ["tag-filter", "field-mapper"]);
}

#[tokio::test]
async fn each_event_of_a_request_has_a_tab_of_its_own() {
    let host = Host::start_as(local(), Extra { complete: true, ..Extra::default() }).await;
    let tenant = host.tenant("acme").await;
    let also = json!({"when": {"from": "coupon", "exists": true}, "type": {"const": "coupon.used"},
        "rules": [{"to": "code", "from": "coupon"}]});
    let config = json!({"type": {"from": "event"}, "rules": [{"to": "id", "from": "id"}], "also": [also]});
    let step = json!({"plugin": "field-mapper", "config": config});
    let source = tenant.post("/v1/sources", json!({"name": "shop", "steps": [step]})).await.expect(201);
    let order = json!({"event": "order.placed", "id": 7, "coupon": "SPRING", "total": 12});
    tenant.post(text(&source["url"]), order).await.expect(202);
    let browser = Browser::start().await;
    let page = browser.page(tenant.base()).await;
    sign_in(&page, tenant.key()).await;
    page.expect_complaint("/ask?call=");
    page.goto(&format!("/sources/{}/pipeline", text(&source["id"]))).await;
    page.see("2 events would be made").await;
    assert_eq!(steps(&page).await[0]["config"], config, "nothing was touched");

    page.click(Role::Anything, "Event 2").await;
    page.fill("Rule 1: to", "coupon.code").await;
    page.choose("The condition: what has to be so", "is").await;
    page.fill("The condition: the value", "SUMMER").await;
    page.see("1 event would be made").await;
    page.click(Role::Button, "Make another event of the same request").await;
    page.click(Role::Button, "Set a condition").await;
    page.fill("The condition: field", "total").await;
    page.click(Role::Button, "Set the type").await;
    page.choose("Type: where the value comes from", "Fixed value").await;
    page.fill("Type: the value", "order.counted").await;
    page.click(Role::Button, "Add a rule").await;
    page.fill("Rule 1: from", "total").await;
    page.fill("Rule 1: to", "total.").await;
    page.wait_for("the row is wrong", "!!document.querySelector('[data-row=\"also[1].rules[0]\"].is-wrong')").await;
    // Whoever looks at another event is told where it is.
    page.click(Role::Anything, "Event 1").await;
    page.see("Event 3: not right yet").await;
    assert_eq!(page.violations().await, Vec::<String>::new());
    page.click(Role::Anything, "Event 3").await;
    page.fill("Rule 1: to", "total").await;
    page.see("2 events would be made").await;
    page.click(Role::Anything, "Event 2").await;
    page.click(Role::Button, "Remove this event").await;
    page.click(Role::Button, "Save the pipeline").await;
    let counted = json!({"when": {"from": "total", "exists": true}, "type": {"const": "order.counted"},
        "rules": [{"to": "total", "from": "total"}]});
    let expected = json!({"type": {"from": "event"}, "rules": [{"to": "id", "from": "id"}], "also": [counted]});
    let path = format!("/v1/sources/{}", text(&source["id"]));
    eventually("the pipeline to be saved", async || {
        let saved = tenant.get(&path).await.expect(200);
        (saved["steps"][0]["config"] == expected).then_some(())
    })
    .await;
}
