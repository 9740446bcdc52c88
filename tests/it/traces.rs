//! One trace from whoever published to every attempt: what receivers are told, and
//! what a collector gets.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use hookyard::domain::time::Timestamp;
use hookyard::domain::trace::{Side, Span, SpanId, TraceParent};
use hookyard::telemetry::otlp::{Exporter, Tracer, tracer};
use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Api, Arrived, Host, PATIENCE, Receiver, list, text};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn host_with(collector: &Receiver) -> Host {
    let otlp = format!("http://{}", collector.address()).parse().expect("a URL");
    Host::start_as(local(), Extra { otlp: Some(otlp), ..Extra::default() }).await
}

async fn publish_in(tenant: &Api, traceparent: &str) -> String {
    let event = json!({"type": "a.b", "data": {"n": 1}}).to_string();
    let request = tenant.request(Method::POST, "/v1/events").header("traceparent", traceparent).body(event);
    text(&tenant.send(request).await.expect(202)["id"]).to_owned()
}

/// The parts of what a receiver was told.
fn told(arrived: &Arrived) -> [String; 4] {
    let parts: Vec<String> = arrived.header("traceparent").split('-').map(str::to_owned).collect();
    parts.try_into().unwrap_or_else(|parts| panic!("no traceparent: {parts:?}"))
}

/// Spans as the collector gets them, until there are as many as wanted.
async fn spans(collector: &mut Receiver, wanted: usize) -> Vec<Value> {
    let mut spans = Vec::new();
    while spans.len() < wanted {
        let arrived = collector.next().await;
        assert_eq!((arrived.uri.path(), arrived.header("content-type")), ("/v1/traces", "application/json"));
        let body = arrived.json();
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "hookyard");
        spans.extend(list(&resource["scopeSpans"][0]["spans"]).iter().cloned());
    }
    spans
}

fn fields(span: &Value) -> BTreeMap<&str, &str> {
    let attributes = list(&span["attributes"]).iter();
    attributes.map(|one| (text(&one["key"]), text(&one["value"]["stringValue"]))).collect()
}

fn named<'s>(spans: &'s [Value], name: &str) -> Vec<&'s Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

fn nanos(span: &Value, name: &str) -> u128 {
    text(&span[name]).parse().expect("nanoseconds as text")
}

#[tokio::test]
async fn one_trace_leads_from_a_publisher_over_the_steps_to_both_attempts() {
    let mut collector = Receiver::start().await;
    let host = host_with(&collector).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let step = json!({"plugin": "field-mapper", "config": {"rules": [{"to": "n", "from": "data.n"}]}});
    tenant.endpoint(&receiver.url(), json!({"steps": [step], "retry": {"schedule": [0], "jitter": 0}})).await;
    receiver.answer(&[500]);
    let event = publish_in(&tenant, GIVEN).await;
    let arrived = [receiver.next().await, receiver.next().await];
    let delivery = tenant.delivery_in(&event, "delivered").await;

    let spans = spans(&mut collector, 5).await;
    assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{spans:#?}");
    let [publish] = named(&spans, "publish")[..] else { panic!("{spans:#?}") };
    assert_eq!((&publish["parentSpanId"], &publish["kind"]), (&json!("00f067aa0ba902b7"), &json!(2)));
    let [pipeline] = named(&spans, "pipeline")[..] else { panic!("{spans:#?}") };
    let [step] = named(&spans, "step field-mapper")[..] else { panic!("{spans:#?}") };
    assert_eq!(pipeline["parentSpanId"], publish["spanId"]);
    assert_eq!(step["parentSpanId"], pipeline["spanId"]);
    assert!(fields(step)["fuel"].parse::<u64>().expect("a number") > 0);

    let mut attempts = named(&spans, "attempt");
    attempts.sort_by_key(|attempt| fields(attempt)["delivery.attempt"].to_owned());
    assert_eq!(attempts.len(), 2, "{spans:#?}");
    for (number, (attempt, arrived)) in attempts.iter().zip(&arrived).enumerate() {
        // The receiver's own work belongs under the attempt that led to it.
        assert_eq!(told(arrived), ["00".into(), TRACE.into(), text(&attempt["spanId"]).to_owned(), "01".to_owned()]);
        assert_eq!((&attempt["parentSpanId"], &attempt["kind"]), (&publish["spanId"], &json!(3)));
        assert!(nanos(attempt, "endTimeUnixNano") > nanos(attempt, "startTimeUnixNano"), "{attempt}");
        let fields = fields(attempt);
        assert_eq!((fields["event.id"], fields["delivery.id"]), (event.as_str(), text(&delivery["id"])));
        let (status, code) = if number == 0 { ("500", 2) } else { ("204", 1) };
        assert_eq!((fields["http.response.status_code"], &attempt["status"]["code"]), (status, &json!(code)));
        // What was sent is shown.
        let sent = list(&delivery["attempts"][number]["signed_headers"]);
        assert!(sent.iter().any(|header| header["name"] == "traceparent"), "{delivery}");
    }
    assert_ne!(attempts[0]["spanId"], attempts[1]["spanId"]);
    let kept = tenant.get(&format!("/v1/events/{event}")).await.expect(200);
    assert_eq!(kept["traceparent"], format!("00-{TRACE}-{}-01", text(&publish["spanId"])));
}

#[tokio::test]
async fn a_request_at_an_inbound_url_is_part_of_its_senders_trace() {
    let mut collector = Receiver::start().await;
    let host = host_with(&collector).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let step = json!({"plugin": "tag-filter", "config": {"expression": "not test"}});
    let source = json!({"name": "shop", "event_type": "a.b", "steps": [step]});
    let source = tenant.post("/v1/sources", source).await.expect(201);
    let request = tenant.request(Method::POST, text(&source["url"])).header("traceparent", GIVEN).body("{}");
    tenant.send(request).await.expect(202);
    let arrived = receiver.next().await;
    let spans = spans(&mut collector, 4).await;
    let [receive] = named(&spans, "receive")[..] else { panic!("{spans:#?}") };
    let [pipeline] = named(&spans, "pipeline")[..] else { panic!("{spans:#?}") };
    let [attempt] = named(&spans, "attempt")[..] else { panic!("{spans:#?}") };
    assert_eq!((&receive["parentSpanId"], fields(receive)["state"]), (&json!("00f067aa0ba902b7"), "accepted"));
    assert_eq!((&pipeline["parentSpanId"], &attempt["parentSpanId"]), (&receive["spanId"], &receive["spanId"]));
    assert_eq!(told(&arrived)[1..3], [TRACE.to_owned(), text(&attempt["spanId"]).to_owned()]);
}

#[tokio::test]
async fn a_trace_is_begun_only_where_somebody_wants_to_see_it() {
    let mut collector = Receiver::start().await;
    let host = host_with(&collector).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let [_, trace, parent, flags] = told(&receiver.next().await);
    let seen = spans(&mut collector, 2).await;
    let [publish] = named(&seen, "publish")[..] else { panic!("{seen:#?}") };
    let [attempt] = named(&seen, "attempt")[..] else { panic!("{seen:#?}") };
    assert_eq!((text(&publish["traceId"]), text(&attempt["spanId"]), &*flags), (&*trace, &*parent, "01"));
    assert!(publish.get("parentSpanId").is_none(), "{publish}");
    // Whoever began this one does not record it: it is passed on, and that is all.
    publish_in(&tenant, &GIVEN.replace("-01", "-00")).await;
    let [_, trace, _, flags] = told(&receiver.next().await);
    assert_eq!((&*trace, &*flags), (TRACE, "00"));
    tenant.publish(json!({"type": "a.b", "data": 2})).await;
    receiver.next().await;
    let seen = spans(&mut collector, 2).await;
    assert!(seen.iter().all(|span| span["traceId"] != TRACE), "{seen:#?}");

    // Without a collector, who brings no trace is given none.
    let host = host.restart().await;
    let tenant = Api::new(host.operator.base(), Some(tenant.key()));
    tenant.publish(json!({"type": "a.b", "data": 3})).await;
    assert_eq!(receiver.next().await.header("traceparent"), "");
    publish_in(&tenant, GIVEN).await;
    assert_eq!(told(&receiver.next().await)[1], TRACE);
    for nonsense in ["00-4bf9-00f0-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x"] {
        publish_in(&tenant, nonsense).await;
        assert_eq!(receiver.next().await.header("traceparent"), "", "{nonsense}");
    }
}

#[tokio::test]
async fn a_header_that_somebody_set_goes_over_the_traces() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let own = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00";
    let endpoint = tenant.endpoint(&receiver.url(), json!({"headers": {"traceparent": own}})).await;
    let event = publish_in(&tenant, GIVEN).await;
    let arrived = receiver.next().await;
    assert_eq!(arrived.headers.get_all("traceparent").iter().collect::<Vec<_>>(), [own]);
    assert!(arrived.is_signed_with(text(&endpoint["secret"])));
    let delivery = tenant.delivery_in(&event, "delivered").await;
    let sent = list(&delivery["attempts"][0]["signed_headers"]);
    assert!(!sent.iter().any(|header| header["name"] == "traceparent"), "{delivery}");
}

#[tokio::test]
async fn a_collector_that_takes_nothing_keeps_nobody_waiting() {
    let mut collector = Receiver::start().await;
    let host = host_with(&collector).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    collector.answer(&[503]);
    tenant.publish(json!({"type": "a.b", "data": 1})).await;
    receiver.next().await;
    spans(&mut collector, 1).await;
    let metrics = hookyard_tests::eventually("the loss", async || {
        let page = host.operator.get("/metrics").await.expect(200);
        let lost = text(&page).lines().find_map(|line| line.strip_prefix("hookyard_spans_dropped_total "))?.to_owned();
        (lost != "0").then_some(lost)
    })
    .await;
    assert!(metrics.parse::<u64>().expect("a number") >= 1);
}

/// As many as may wait, in batches of 512.
const WAITING: usize = 8192;

/// Both ends of the way to a collector, and no host.
fn to(collector: Url) -> (Tracer, Exporter) {
    // As the program does first of all.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let (tracer, exporter) = tracer(Some(&collector)).expect("a client");
    (tracer, exporter.expect("there is a collector"))
}

fn span(number: usize) -> Span {
    Span {
        trace: GIVEN.parse::<TraceParent>().expect("a traceparent").trace,
        id: SpanId::of("test", [1; 16], u32::try_from(number).expect("a small number")),
        parent: None,
        name: "test".to_owned(),
        side: Side::Inside,
        began: Timestamp::from_millis(1),
        took: Duration::from_millis(1),
        fields: Vec::new(),
        error: None,
    }
}

#[tokio::test]
async fn a_collector_that_says_nothing_does_not_hold_up_the_end() {
    // The system takes the connections, and nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let url = format!("http://{}", silent.local_addr().expect("it is bound")).parse().expect("a URL");
    let (tracer, exporter) = to(url);
    (0..WAITING).for_each(|number| tracer.tell(span(number)));
    let (_stop, stopped) = watch::channel(true);
    let running = exporter.run(stopped);
    tokio::time::timeout(PATIENCE, running).await.expect("one batch after the other would take minutes");
    assert_eq!((tracer.meters().dropped.get(), tracer.meters().exported.get()), (WAITING as u64, 0));
}

#[tokio::test]
async fn all_that_may_wait_is_sent_to_a_collector_that_takes_it() {
    let mut collector = Receiver::start().await;
    let url = format!("http://{}", collector.address()).parse().expect("a URL");
    let (tracer, exporter) = to(url);
    (0..WAITING).for_each(|number| tracer.tell(span(number)));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(exporter.run(stopped));
    assert_eq!(spans(&mut collector, WAITING).await.len(), WAITING);
    stop.send(true).expect("it runs");
    running.await.expect("it does not panic");
    assert_eq!((tracer.meters().dropped.get(), tracer.meters().exported.get()), (0, WAITING as u64));
}
