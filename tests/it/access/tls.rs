//! Certificates: an endpoint's own authorities, and the certificate that the host
//! shows there. Real servers, which refuse whom they should.

use hookyard_tests::tls::Authority;
use hookyard_tests::{Host, Receiver};
use serde_json::{Value, json};

use super::{failure, loopback, once, path, publish};

#[tokio::test]
async fn only_the_authorities_that_an_endpoint_names_are_believed() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));
    let mut receiver = Receiver::behind(right.listener(None).await);
    let endpoint = once(&tenant, &receiver, json!({})).await;
    let own = path(&endpoint);
    let refused = async || {
        let event = publish(&tenant).await;
        let (outcome, error) = failure(&tenant, &event).await;
        assert_eq!(outcome, "tls", "{error}");
        assert!(error.contains("UnknownIssuer"), "{error}");
    };
    // Nobody knows it, then another authority would have to have signed it.
    refused().await;
    tenant.patch(&own, json!({"tls": {"ca": wrong.pem()}})).await.expect(200);
    refused().await;

    let shown = tenant.patch(&own, json!({"tls": {"ca": right.pem()}})).await.expect(200);
    assert_eq!(shown["tls"], json!({"client_certificate": null, "client_key": null, "ca": right.pem()}));
    publish(&tenant).await;
    assert_eq!(receiver.next().await.json()["data"], 1);
    // Among several, too; and another endpoint does not believe it therefore.
    tenant.patch(&own, json!({"tls": {"ca": format!("{}\n{}", wrong.pem(), right.pem())}})).await.expect(200);
    publish(&tenant).await;
    receiver.next().await;
    tenant.patch(&own, json!({"active": false})).await.expect(200);
    once(&tenant, &receiver, json!({"name": "other"})).await;
    refused().await;
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_receiver_that_wants_a_certificate_gets_the_endpoints_own() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let (servers, clients, others) = (Authority::new("servers"), Authority::new("clients"), Authority::new("others"));
    let mut receiver = Receiver::behind(servers.listener(Some(&clients)).await);
    let tls = |of: &Authority| {
        let client = of.client("hookyard");
        json!({"client_certificate": client.certificate, "client_key": client.key, "ca": servers.pem()})
    };
    let endpoint = once(&tenant, &receiver, json!({"tls": {"ca": servers.pem()}})).await;
    let own = path(&endpoint);
    let refused = async || {
        let event = publish(&tenant).await;
        let (outcome, error) = failure(&tenant, &event).await;
        assert_eq!(outcome, "tls", "{error}");
    };
    refused().await;
    tenant.patch(&own, json!({"tls": tls(&others)})).await.expect(200);
    refused().await;

    let right = tls(&clients);
    let shown = tenant.patch(&own, json!({"tls": right})).await.expect(200);
    assert_eq!(shown["tls"]["client_certificate"], right["client_certificate"]);
    assert_eq!(shown["tls"]["client_key"], Value::Null);
    let before = publish(&tenant).await;
    assert_eq!(receiver.next().await.header("webhook-id"), before);

    // What was shown can be sent back, and after a restart it is still there.
    tenant.patch(&own, json!({"tls": shown["tls"]})).await.expect(200);
    publish(&tenant).await;
    receiver.next().await;
    let host = host.restart().await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    publish(&tenant).await;
    receiver.next().await;
    // Without it the door is shut again: no connection from before is used.
    tenant.patch(&own, json!({"tls": {"ca": servers.pem()}})).await.expect(200);
    let event = publish(&tenant).await;
    assert_eq!(failure(&tenant, &event).await.0, "tls");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_token_from_the_receivers_own_host_is_fetched_as_the_receiver_is_reached() {
    let host = Host::start_with(loopback()).await;
    let tenant = host.tenant("acme").await;
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let client = clients.client("hookyard");
    let tls = json!({"client_certificate": client.certificate, "client_key": client.key, "ca": servers.pem()});
    let mut receiver = Receiver::behind(servers.listener(Some(&clients)).await);
    receiver.answer_by(|arrived| {
        let token = json!({"access_token": "t", "token_type": "Bearer"}).to_string();
        (arrived.uri == "/token").then(|| axum::http::Response::new(token))
    });
    let auth = |host: &str| {
        let token_url = format!("https://{host}:{}/token", receiver.address().port());
        json!({"type": "oauth2", "token_url": token_url, "client_id": "a", "client_secret": "b"})
    };
    let (same, other) = (auth("127.0.0.1"), auth("localhost"));
    let endpoint = once(&tenant, &receiver, json!({"auth": same, "tls": tls})).await;
    publish(&tenant).await;
    assert_eq!(receiver.next().await.uri, "/token");
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t");

    // Another host is a public one, which the endpoint's certificate is not for.
    tenant.patch(&path(&endpoint), json!({"auth": other})).await.expect(200);
    let event = publish(&tenant).await;
    let (outcome, error) = failure(&tenant, &event).await;
    assert!(outcome == "no-token" && error.contains("TLS failed"), "{outcome}: {error}");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn what_cannot_work_is_refused_by_its_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let authority = Authority::new("clients");
    let (good, other) = (authority.client("one"), authority.client("another"));
    let expired = authority.client_until("old", 2021);
    let form = |tls: Value| json!({"name": "a", "url": "https://127.0.0.1:4/", "event_types": ["*"], "tls": tls});
    let pair = |certificate: &str, key: &str| json!({"client_certificate": certificate, "client_key": key});
    let broken = good.certificate.replacen("MII", "AAA", 1);
    let encrypted = good.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    for (tls, field, words) in [
        (json!({}), "tls", "give `client_certificate` and `client_key`"),
        (json!({"ca": "no PEM"}), "tls.ca", "certificates in PEM"),
        (json!({"ca": good.key}), "tls.ca", "certificates in PEM"),
        (json!({"ca": broken}), "tls.ca", "certificate 1 cannot be read"),
        (json!({"ca": "x".repeat(65 * 1024)}), "tls.ca", "at most 65536"),
        (json!({"ca": authority.pem().repeat(101)}), "tls.ca", "at most"),
        (json!({"client_certificate": good.certificate}), "tls.client_key", "is needed"),
        (json!({"client_key": good.key}), "tls.client_certificate", "is needed"),
        (pair("no PEM", &good.key), "tls.client_certificate", "certificates in PEM"),
        (pair(&broken, &good.key), "tls.client_certificate", "cannot be read"),
        (pair(&good.certificate, "hush"), "tls.client_key", "a private key in PEM"),
        (pair(&good.certificate, &good.certificate), "tls.client_key", "a private key in PEM"),
        (pair(&good.certificate, &encrypted), "tls.client_key", "is encrypted"),
        (pair(&good.certificate, &other.key), "tls.client_key", "does not belong"),
        (pair(&expired.certificate, &expired.key), "tls.client_certificate", "has expired"),
    ] {
        let said = tenant.post("/v1/endpoints", form(tls)).await.problem(422, field);
        assert!(said.contains(words) && !said.contains("hush"), "{said}");
    }
    // A certificate with another key is refused as well when the key is kept.
    let endpoint = tenant.post("/v1/endpoints", form(pair(&good.certificate, &good.key))).await.expect(201);
    let own = path(&endpoint);
    let changed = json!({"tls": {"client_certificate": other.certificate}});
    let said = tenant.patch(&own, changed).await.problem(422, "tls.client_key");
    assert!(said.contains("does not belong"), "{said}");
    assert_eq!(tenant.patch(&own, json!({"tls": null})).await.expect(200)["tls"], Value::Null);
}
