//! Plugin versions: numbered, pinned, moved and taken back.

use std::path::PathBuf;

use hookyard_tests::{Api, Host, Receiver, build, text};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The component of `tests/hostile` as another version: a custom section more.
fn another(number: u8) -> Vec<u8> {
    let mut component = build::hostile();
    component.extend([0, 3, 1, b'n', number]);
    component
}

async fn two_versions(host: &Host) -> Api {
    let tenant = host.tenant("acme").await;
    for number in 1..=2 {
        let plugin = tenant.post_bytes("/v1/plugins?name=mine", another(number)).await.expect(201);
        assert_eq!(plugin["version"], number);
    }
    tenant
}

fn step(version: u32, config: Value) -> Value {
    json!([{"plugin": "mine", "version": version, "config": config}])
}

async fn pinned(tenant: &Api, endpoint: &Value) -> Value {
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.get(&path).await.expect(200)["steps"][0]["version"].clone()
}

/// An upload that has its place and whose component does not come. A server asks
/// to go on when it begins to read the body, and not before.
async fn begun(host: &Host, tenant: &Api) -> TcpStream {
    let mut stream = TcpStream::connect(host.address()).await.expect("it listens");
    let head = format!(
        "POST /v1/plugins?name=mine HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\
         expect: 100-continue\r\n\r\n",
        tenant.key()
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut said = [0; 12];
    stream.read_exact(&mut said).await.expect("it answers");
    assert_eq!(&said, b"HTTP/1.1 100", "{}", String::from_utf8_lossy(&said));
    stream
}

#[tokio::test]
async fn uploads_of_one_tenant_leave_room_for_others() {
    let host = Host::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    let two = [begun(&host, &tenant).await, begun(&host, &tenant).await];
    tenant.post_bytes("/v1/plugins?name=mine", "no component").await.problem(503, "");
    other.post_bytes("/v1/plugins?name=mine", "no component").await.problem(422, "");
    drop(two);
    // The server notices at some time that nobody is there any more.
    hookyard_tests::eventually("a place is given back", async || {
        let answer = tenant.post_bytes("/v1/plugins?name=mine", "no component").await;
        (answer.status == 422).then_some(())
    })
    .await;
}

/// The file of compiled code that a host keeps for a version.
fn compiled(host: &Host, plugin: &Value) -> Option<PathBuf> {
    let hex = text(&plugin["digest"]).strip_prefix("sha256:").expect("a digest").to_owned();
    let kept = std::fs::read_dir(host.data().join("compiled")).expect("the host keeps compiled code").flatten();
    kept.map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&hex)))
}

#[tokio::test]
async fn compiled_code_goes_with_the_last_who_has_the_component() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let other = host.operator.post("/v1/tenants", json!({"name": "other"})).await.expect(201);
    let one = tenant.post_bytes("/v1/plugins?name=mine", another(1)).await.expect(201);
    let two = tenant.post_bytes("/v1/plugins?name=mine", another(2)).await.expect(201);
    host.operator.with_key(other["key"].as_str()).post_bytes("/v1/plugins?name=own", another(1)).await.expect(201);

    tenant.delete("/v1/plugins/mine/versions/1").await.expect(204);
    assert!(compiled(&host, &one).is_some(), "another tenant has it too");
    host.operator.delete(&format!("/v1/tenants/{}", text(&other["id"]))).await.expect(204);
    assert!(compiled(&host, &one).is_none());

    // An upload that came to nothing, as a crash leaves it.
    let kept = compiled(&host, &two).expect("it is there still");
    let name = kept.file_name().expect("a name").to_string_lossy().into_owned();
    let left = kept.with_file_name(format!("{}{}", "0".repeat(64), &name[64..]));
    std::fs::copy(&kept, &left).expect("a file can be copied");
    let host = host.restart().await;
    assert!(compiled(&host, &two).is_some() && !left.exists());
}

#[tokio::test]
async fn a_version_says_what_it_is_and_where_it_came_from() {
    let host = Host::start().await;
    let tenant = two_versions(&host).await;
    let all = tenant.get("/v1/plugins/mine").await.expect(200);
    let versions: Vec<&Value> = all["versions"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(versions, [2, 1]);
    let one = tenant.get("/v1/plugins/mine/versions/1").await.expect(200);
    let size = another(1).len();
    assert_eq!(one["size"], size);
    assert_eq!(one["interfaces"], json!(["mapper", "filter", "transformer"]));
    assert!(text(&one["uploaded_by"]).starts_with("key_"), "{one}");
    assert!(one["compile_ms"].as_u64().unwrap() > 0, "{one}");
    let ours = tenant.get("/v1/plugins/tag-filter/versions/1").await.expect(200);
    assert_eq!(ours["uploaded_by"], Value::Null);
}

#[tokio::test]
async fn steps_are_moved_all_at_once_and_back() {
    let host = Host::start().await;
    let tenant = two_versions(&host).await;
    let mut receiver = Receiver::start().await;
    let form = |name| json!({"name": name, "steps": step(1, json!({}))});
    let one = tenant.endpoint(&receiver.url(), form("one")).await;
    let other = tenant.endpoint(&receiver.url(), form("other")).await;

    let planned = tenant.post("/v1/plugins/mine/upgrade", json!({"dry_run": true})).await.expect(200);
    assert_eq!(planned["moved"].as_array().unwrap().len(), 2, "{planned}");
    assert_eq!(pinned(&tenant, &one).await, 1);

    // One first, to see how it does.
    let only = json!({"only": [one["id"]]});
    let moved = tenant.post("/v1/plugins/mine/upgrade", only).await.expect(200);
    assert_eq!(moved["moved"], json!([{"whose": one["id"], "step": 0, "from": 1, "to": 2}]));
    assert_eq!((pinned(&tenant, &one).await, pinned(&tenant, &other).await), (json!(2), json!(1)));
    tenant.publish(json!({"type": "a.b", "data": 1})).await;
    for _ in 0..2 {
        receiver.next().await;
    }
    tenant.post("/v1/plugins/mine/upgrade", json!({})).await.expect(200);
    assert_eq!(pinned(&tenant, &other).await, 2);

    // Back in the other order, one upgrade at a time.
    let back = tenant.post("/v1/plugins/mine/rollback", json!({})).await.expect(200);
    assert_eq!(back["moved"], json!([{"whose": other["id"], "step": 0, "from": 2, "to": 1}]));
    tenant.post("/v1/plugins/mine/rollback", json!({})).await.expect(200);
    assert_eq!((pinned(&tenant, &one).await, pinned(&tenant, &other).await), (json!(1), json!(1)));
    tenant.post("/v1/plugins/mine/rollback", json!({})).await.problem(409, "");
}

#[tokio::test]
async fn what_was_changed_since_the_upgrade_is_not_rolled_back() {
    let host = Host::start().await;
    let tenant = two_versions(&host).await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"name": "a", "steps": step(1, json!({}))})).await;
    tenant.post("/v1/plugins/mine/upgrade", json!({})).await.expect(200);
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    let third = tenant.post_bytes("/v1/plugins?name=mine", another(3)).await.expect(201);
    assert_eq!(third["version"], 3);
    tenant.patch(&path, json!({"steps": step(3, json!({}))})).await.expect(200);
    let back = tenant.post("/v1/plugins/mine/rollback", json!({})).await.expect(200);
    assert_eq!((&back["moved"], back["kept"].as_array().unwrap().len()), (&json!([]), 1));
    assert_eq!(pinned(&tenant, &endpoint).await, 3);
}

#[tokio::test]
async fn nothing_goes_back_to_a_version_that_was_deleted() {
    let host = Host::start().await;
    let tenant = two_versions(&host).await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"name": "a", "steps": step(1, json!({}))})).await;
    tenant.post("/v1/plugins/mine/upgrade", json!({})).await.expect(200);
    tenant.delete("/v1/plugins/mine/versions/1").await.expect(204);
    let said = tenant.post("/v1/plugins/mine/rollback", json!({})).await.problem(409, "");
    assert!(said.contains(text(&endpoint["id"])) && said.contains("no version 1"), "{said}");
    assert_eq!(pinned(&tenant, &endpoint).await, 2);
}

#[tokio::test]
async fn nothing_moves_when_one_step_does_not_accept_the_version() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    // A filter and a transformer, under one name.
    let component = |name| hookyard::house::component(name).expect("it is embedded").to_vec();
    tenant.post_bytes("/v1/plugins?name=mine", another(1)).await.expect(201);
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"name": "a", "steps": step(1, json!({}))})).await;
    tenant.post_bytes("/v1/plugins?name=mine", component("tag-filter")).await.expect(201);
    let said = tenant.post("/v1/plugins/mine/upgrade", json!({})).await.problem(422, "steps[0].job");
    assert!(said.contains(text(&endpoint["id"])) && said.contains("nothing has moved"), "{said}");
    assert_eq!(pinned(&tenant, &endpoint).await, 1);
    tenant.post("/v1/plugins/mine/upgrade", json!({"version": 9})).await.problem(422, "version");
    tenant.post("/v1/plugins/mine/upgrade", json!({"only": ["x"]})).await.problem(422, "only[0]");
    let strangers = host.tenant("stranger").await.endpoint("http://127.0.0.1:4/", json!({"name": "hers"})).await;
    let only = json!({"only": [endpoint["id"], strangers["id"]]});
    tenant.post("/v1/plugins/mine/upgrade", only).await.problem(422, "only[1]");
    tenant.post("/v1/plugins/other/upgrade", json!({})).await.problem(404, "");
}

#[tokio::test]
async fn a_version_in_use_stays_and_its_number_is_never_given_again() {
    let host = Host::start().await;
    let tenant = two_versions(&host).await;
    tenant.endpoint("http://127.0.0.1:4/", json!({"name": "a", "steps": step(2, json!({}))})).await;
    tenant.delete("/v1/plugins/mine/versions/2").await.problem(409, "name");
    tenant.delete("/v1/plugins/mine").await.problem(409, "name");
    tenant.delete("/v1/plugins/mine/versions/1").await.expect(204);
    tenant.get("/v1/plugins/mine/versions/1").await.problem(404, "");
    tenant.delete("/v1/plugins/mine/versions/1").await.problem(404, "");
    let again = tenant.post_bytes("/v1/plugins?name=mine", another(1)).await.expect(201);
    assert_eq!(again["version"], 3);
    let stranger = host.tenant("stranger").await;
    stranger.delete("/v1/plugins/mine/versions/2").await.problem(404, "");
    stranger.post("/v1/plugins/mine/upgrade", json!({})).await.problem(404, "");
}
