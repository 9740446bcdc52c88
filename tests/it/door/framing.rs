//! Requests whose end two programs could see in two places are refused, and
//! leave nothing behind.

use hookyard_tests::{Host, Wire, list};
use serde_json::json;

const EVENT: &str = r#"{"type": "smuggled", "data": 1}"#;

#[tokio::test]
async fn what_has_two_ends_or_a_wrong_one_is_refused_and_leaves_nothing() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "in"})).await.expect(201);
    let path = source["url"].as_str().expect("a URL").strip_prefix(tenant.base()).expect("ours").to_owned();
    let (key, length) = (tenant.key(), EVENT.len());
    let chunk = format!("{length:x}\r\n{EVENT}\r\n0\r\n\r\n");
    // What a proxy that believed the other end would have taken for a body.
    let hidden = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{EVENT}");
    let chunked = "transfer-encoding: chunked";
    let bad: Vec<(String, String)> = [
        (format!("content-length: {length}\r\n{chunked}"), format!("0\r\n\r\n{hidden}")),
        (format!("{chunked}\r\ncontent-length: {length}"), format!("{chunk}{hidden}")),
        ("Content-Length: 0\r\nTRANSFER-ENCODING: chunked".to_owned(), format!("{chunk}{hidden}")),
        (format!("content-length: {length}\r\ncontent-length: 4"), EVENT.to_owned()),
        (format!("content-length: {length}, 4"), EVENT.to_owned()),
        (format!("content-length: +{length}"), EVENT.to_owned()),
        ("content-length: -1".to_owned(), EVENT.to_owned()),
        ("content-length: 0x1f".to_owned(), EVENT.to_owned()),
        ("content-length: 99999999999999999999".to_owned(), EVENT.to_owned()),
        (format!("content-length : {length}"), EVENT.to_owned()),
        (format!("x: a\r\n content-length: {length}"), EVENT.to_owned()),
        ("transfer-encoding: gzip".to_owned(), chunk.clone()),
        ("transfer-encoding: chunked, identity".to_owned(), chunk.clone()),
        ("transfer-encoding: xchunked".to_owned(), chunk.clone()),
        ("transfer-encoding : chunked".to_owned(), chunk.clone()),
        (chunked.to_owned(), format!("g\r\n{EVENT}\r\n0\r\n\r\n")),
        (chunked.to_owned(), format!("-{length:x}\r\n{EVENT}\r\n0\r\n\r\n")),
        (chunked.to_owned(), format!("fffffffffffffffff\r\n{EVENT}\r\n0\r\n\r\n")),
        (chunked.to_owned(), format!("{length:x}\n\n{EVENT}0\r\n\r\n")),
        (chunked.to_owned(), format!("{:x}\r\n{EVENT}\r\n0\r\n\r\n", length - 4)),
    ]
    .into();
    for (framing, body) in bad {
        for (target, header) in [("/v1/events", format!("authorization: Bearer {key}\r\n")), (&path, String::new())] {
            let mut wire = Wire::to(host.address()).await;
            wire.send(format!("POST {target} HTTP/1.1\r\nhost: a\r\n{header}{framing}\r\n\r\n{body}")).await;
            let said = wire.rest().await;
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{framing}: {said}");
            assert!(said.matches("HTTP/1.1").count() <= 1, "{framing}: {said}");
        }
    }
    for what in ["events", "requests"] {
        let found = tenant.get(&format!("/v1/{what}")).await.expect(200);
        assert!(list(&found["items"]).is_empty(), "{what}: {found}");
    }

    // The control: the same with one end is taken, and what follows a body without
    // a length is no request.
    let mut wire = Wire::to(host.address()).await;
    wire.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\n{chunked}\r\n\r\n{chunk}{hidden}")).await;
    let said = wire.rest().await;
    assert!(said.starts_with("HTTP/1.1 202") && said.matches("HTTP/1.1").count() == 1, "{said}");
    assert!(said.contains("connection: close"), "{said}");
    assert_eq!(list(&tenant.get("/v1/requests").await.expect(200)["items"]).len(), 1);
}
