//! The operator's egress proxy: all that is dialled for tenants goes through it, by
//! the address that was judged; what may not be dialled is not asked for.

use hookyard::domain::egress::EgressProxy;
use hookyard::domain::url::UrlPolicy;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::proxy::Proxy;
use hookyard_tests::tls::Authority;
use hookyard_tests::{Host, HostProcess, Receiver, TempDir, build};
use serde_json::json;

use super::{failure, loopback, once, publish};

const LOGIN: (&str, &str) = ("hook yard", "p:ss/w@rd");
const LOGIN_IN_URL: &str = "hook%20yard:p%3Ass%2Fw%40rd";

async fn host_behind(url: &str, urls: UrlPolicy) -> Host {
    let egress = Some(EgressProxy::parse(url).expect("a proxy"));
    Host::start_as(urls, Extra { egress, ..Extra::default() }).await
}

/// Each kind of proxy with a login, and the URL that an operator gives.
async fn proxies() -> [(Proxy, String); 2] {
    let (connect, socks) = (Proxy::connect(Some(LOGIN)).await, Proxy::socks5(Some(LOGIN)).await);
    let urls = [("http", &connect), ("socks5", &socks)];
    let [first, second] = urls.map(|(scheme, proxy)| format!("{scheme}://{LOGIN_IN_URL}@{}", proxy.address()));
    [(connect, first), (socks, second)]
}

#[tokio::test]
async fn everything_that_is_dialled_for_tenants_goes_through_the_proxy() {
    for (proxy, url) in proxies().await {
        let host = host_behind(&url, local()).await;
        let tenant = host.tenant("acme").await;
        let mut receiver = Receiver::start().await;
        let issuer = Receiver::start().await;
        let token = json!({"access_token": "t", "token_type": "Bearer"}).to_string();
        issuer.answer_with(axum::http::Response::new(token));
        let auth = json!({"type": "oauth2", "token_url": issuer.url(), "client_id": "a", "client_secret": "b"});
        tenant.endpoint(&receiver.url(), json!({"auth": auth})).await;
        publish(&tenant).await;
        assert_eq!(receiver.next().await.header("authorization"), "Bearer t");
        assert_eq!(proxy.asked(), [issuer.address(), receiver.address()].map(|at| at.to_string()));

        // A handshake, with a receiver of its own: connections are kept.
        let mut asked = Receiver::start().await;
        let form = json!({"name": "asked", "dialect": "cloudevents", "event_types": ["none"]});
        tenant.endpoint(&asked.url(), form).await;
        assert_eq!(asked.next().await.method, "OPTIONS");
        assert_eq!(proxy.asked().last(), Some(&asked.address().to_string()));

        // And what a plugin sends.
        let mut reached = Receiver::start().await;
        tenant.post_bytes("/v1/plugins?name=capable", build::capable()).await.expect(201);
        let hosts = [reached.address().to_string()];
        let grants = json!({"secrets": [], "state": true, "http": hosts});
        let deeds = json!({"do": [{"send": {"url": reached.url()}}]});
        let put = tenant.request(reqwest::Method::PUT, "/v1/secrets/crm").body(r#"{"value": "x"}"#);
        tenant.send(put).await.expect(200);
        let mut step = json!({"plugin": "capable", "config": deeds, "grants": grants});
        step["grants"]["secrets"] = json!(["crm"]);
        let form = json!({"steps": [step], "event": {"type": "a.b", "data": {}}, "http": true});
        tenant.post("/v1/try", form).await.expect(200);
        reached.next().await;
        assert_eq!(proxy.asked().last(), Some(&hosts[0]));
        assert_eq!(proxy.asked().len(), 4);
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_address_and_the_receiver_sees_the_name() {
    for (proxy, url) in proxies().await {
        let host = host_behind(&url, loopback()).await;
        let tenant = host.tenant("acme").await;
        let authority = Authority::new("servers");
        let mut receiver = Receiver::behind(authority.listener(None).await);
        let port = receiver.address().port();
        let form = json!({"tls": {"ca": authority.pem()}});
        tenant.endpoint(&format!("https://localhost:{port}/in"), form).await;
        publish(&tenant).await;
        assert_eq!(receiver.next().await.header("host"), format!("localhost:{port}"));
        // IPv6 may have been tried first, where nobody listens.
        let asked = proxy.asked();
        let addresses: Vec<std::net::SocketAddr> = asked.iter().filter_map(|one| one.parse().ok()).collect();
        assert_eq!(addresses.len(), asked.len(), "no name is asked for: {asked:?}");
        assert_eq!(addresses.last(), Some(&receiver.address()));
    }
}

#[tokio::test]
async fn what_may_not_be_dialled_is_not_asked_of_the_proxy() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux has a host name");
    for (proxy, url) in proxies().await {
        let mut receiver = Receiver::start().await;
        let port = receiver.address().port();
        // While loopback is allowed, as the control, and then not.
        let host = Host::start().await;
        let tenant = host.tenant("acme").await;
        let data = [format!("http://127.0.0.1:{port}/"), format!("http://{}:{port}/", name.trim())];
        for (at, url) in data.iter().enumerate() {
            let more =
                json!({"name": format!("e{at}"), "retry": {"schedule": []}, "event_types": [format!("to.{at}")]});
            tenant.endpoint(url, more).await;
        }
        tenant.publish(json!({"type": "to.0", "data": 1})).await;
        receiver.next().await;
        let egress = Some(EgressProxy::parse(&url).expect("a proxy"));
        let strict = UrlPolicy { allow_http: true, ..UrlPolicy::default() };
        let host = host.restart_as(strict, Extra { egress, ..Extra::default() }).await;
        let tenant = host.operator.with_key(Some(tenant.key()));
        for at in 0..data.len() {
            let event = tenant.publish(json!({"type": format!("to.{at}"), "data": 1})).await;
            let (outcome, error) = failure(&tenant, &event).await;
            assert_eq!(outcome, "forbidden", "{error}");
        }
        assert!(proxy.asked().is_empty() && receiver.so_far().is_empty());
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failed_attempt() {
    for (proxy, url) in proxies().await {
        let wrong = url.replace("%40rd", "");
        let host = host_behind(&wrong, local()).await;
        let tenant = host.tenant("acme").await;
        let mut receiver = Receiver::start().await;
        once(&tenant, &receiver, json!({})).await;
        let event = publish(&tenant).await;
        let (outcome, error) = failure(&tenant, &event).await;
        assert_eq!(outcome, "connect");
        assert!(error.contains("the operator's egress proxy: ") && !error.contains("yard"), "{error}");
        assert!(proxy.asked().is_empty() && receiver.so_far().is_empty());
    }
}

#[tokio::test]
async fn only_the_operators_own_setting_names_a_proxy() {
    let (named, meant) = (Proxy::connect(None).await, Proxy::connect(None).await);
    let environment = format!("http://{}", named.address());
    let mut variables: Vec<(&str, &str)> = Vec::new();
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        variables.push((name, &environment));
    }
    let data = TempDir::new();
    let mut receiver = Receiver::start().await;
    let host = HostProcess::start_with(data.path(), &variables).await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    publish(&tenant).await;
    receiver.next().await;
    host.terminate().await;
    assert!(named.asked().is_empty());

    // The control: the setting is a variable as well.
    let setting = format!("http://{}", meant.address());
    variables.push(("HOOKYARD_EGRESS_PROXY", &setting));
    let host = HostProcess::start_with(data.path(), &variables).await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    publish(&tenant).await;
    receiver.next().await;
    assert_eq!((named.asked().len(), meant.asked()), (0, vec![receiver.address().to_string()]));

    let variables = [("HOOKYARD_EGRESS_PROXY", "ftp://me:hush@proxy:1")];
    let said = HostProcess::refused(TempDir::new().path(), &variables).await;
    assert!(said.contains("egress-proxy = `ftp:...`: give http://") && !said.contains("hush"), "{said}");
}
