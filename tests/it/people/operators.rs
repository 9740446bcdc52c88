//! The operator's own people: who they are, what ends their being in, and that one
//! who can come in stays. And another address, whoever's it is.

use std::time::Duration;

use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{Host, list, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PASSWORD, Tab, at, user};

const PEOPLE: &str = "/v1/operator/users";
const PAGE: &str = "/operator/users";

/// One of the operator's, who has taken their link and chosen a password.
async fn operator(host: &Host, email: &str) -> (Value, Tab) {
    let made = host.operator.post(PEOPLE, json!({"email": email})).await.expect(201);
    let mut tab = Tab::at(host);
    let shown = tab.post(text(&made["link"]), &[("password", PASSWORD)]).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER, "{}", shown.body);
    (made, tab)
}

fn path(user: &Value) -> String {
    format!("{PEOPLE}/{}", text(&user["id"]))
}

/// One after another, also for a clock that counts milliseconds.
fn tick(host: &Host) {
    host.clock.advance(Duration::from_millis(2));
}

async fn is_operator(tab: &mut Tab) -> bool {
    tab.get(PAGE).await.status == 200
}

#[tokio::test]
async fn the_operators_people_are_made_listed_changed_and_removed() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    assert_eq!(host.operator.get(PEOPLE).await.expect(200), json!({"items": [], "next": null}));
    for (form, field) in [
        (json!({"email": "jane"}), "email"),
        (json!({"email": "jane@example.com", "role": "member"}), "role"),
        (json!({"email": "jane@example.com", "tenant": "acme"}), "tenant"),
    ] {
        host.operator.post(PEOPLE, form).await.problem(422, field);
    }
    let made = host.operator.post(PEOPLE, json!({"email": "jane@example.com", "role": "admin"})).await.expect(201);
    assert_eq!((&made["name"], &made["role"]), (&json!("jane"), &json!("admin")));
    host.operator.post(PEOPLE, json!({"email": "JANE@example.com"})).await.problem(409, "email");
    tick(&host);
    let renamed = host.operator.patch(&path(&made), json!({"name": "Jane Smith"})).await.expect(200);
    assert_eq!(host.operator.get(&path(&made)).await.expect(200), renamed);
    host.operator.patch(&path(&made), json!({"role": "viewer"})).await.problem(422, "role");
    tick(&host);
    let (john, mut johns) = operator(&host, "john@example.com").await;
    host.operator.patch(&path(&john), json!({"email": "jane@example.com"})).await.problem(409, "email");
    let page = host.operator.get(&format!("{PEOPLE}?limit=1")).await.expect(200);
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&john["id"], &john["id"]));
    let rest = host.operator.get(&format!("{PEOPLE}?limit=1&cursor={}", text(&page["next"]))).await.expect(200);
    assert_eq!((&rest["items"], &rest["next"]), (&json!([renamed]), &Value::Null));

    // They are nobody's in a tenant, and see every tenant.
    admin.get(&at(&john)).await.problem(404, "");
    assert_eq!(admin.get("/v1/users").await.expect(200)["items"], json!([]));
    assert_eq!(johns.ask("GET /v1/tenants", Value::Null).await.0, 200);
    tick(&host);
    let made_by_him = [("_call", "POST /v1/operator/users"), ("email", "kate@example.com"), ("_show", "1")];
    assert!(johns.post(PAGE, &made_by_him).await.body.contains("A link to hand over, shown this once"));

    // Whoever was removed is out, with the link that they had.
    tick(&host);
    let second = host.operator.post(&format!("{}/link", path(&made)), json!({})).await.expect(201);
    tick(&host);
    host.operator.delete(&path(&made)).await.expect(204);
    host.operator.get(&path(&made)).await.problem(404, "");
    assert_eq!(Tab::at(&host).get(text(&second["url"])).await.status, 410);

    // What was done is in the operator's own log, and in no tenant's.
    let log = host.operator.get("/v1/operator/audit").await.expect(200);
    // What becomes of their links has a test of its own.
    let log: Vec<&Value> =
        list(&log["items"]).iter().filter(|entry| entry["action"] != "user.password-chosen").collect();
    let told: Vec<(&str, &str)> = log.iter().map(|entry| (text(&entry["action"]), text(&entry["by"]["id"]))).collect();
    let expected = [
        ("user.deleted", "operator"),
        ("user.link-made", "operator"),
        ("user.created", text(&john["id"])),
        ("user.created", "operator"),
        ("user.updated", "operator"),
        ("user.created", "operator"),
    ];
    assert_eq!(told, expected);
    assert_eq!(log[4]["changes"], json!([{"field": "name", "old": "jane", "new": "Jane Smith"}]));
    let by_john = format!("/v1/operator/audit?action=user.created&by={}", text(&john["id"]));
    assert_eq!(host.operator.get(&by_john).await.expect(200)["items"], json!([log[2]]));
    let of_tenant = admin.get("/v1/audit").await.expect(200);
    assert!(!of_tenant.to_string().contains("user."), "{of_tenant}");
}

#[tokio::test]
async fn what_an_operator_does_in_a_tenant_is_the_operators_to_the_tenant() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let tenant = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    let (_, mut jane) = operator(&host, "jane@example.com").await;
    let users = format!("POST /v1/tenants/{tenant}/users");
    let page = format!("/operator/tenants/{tenant}");
    assert_eq!(jane.post(&page, &[("_call", &users), ("email", "kate@example.com")]).await.status, 303);
    let log = admin.get("/v1/audit?action=user.created").await.expect(200);
    assert_eq!(log["items"][0]["by"], json!({"id": "operator", "name": null}));
    assert_eq!(host.operator.get("/v1/operator/audit?action=user.updated").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn the_last_operator_who_can_come_in_cannot_be_removed() {
    let host = Host::start().await;
    let alone = host.operator.post(PEOPLE, json!({"email": "alone@example.com"})).await.expect(201);
    host.operator.delete(&path(&alone)).await.problem(409, "");
    let (jane, mut janes) = operator(&host, "jane@example.com").await;
    host.operator.delete(&path(&alone)).await.expect(204);
    let invited = host.operator.post(PEOPLE, json!({"email": "invited@example.com"})).await.expect(201);
    let refused = host.operator.delete(&path(&jane)).await.problem(409, "");
    assert!(refused.contains("password"), "{refused}");
    // Nor by herself, and the page says why.
    let delete = format!("DELETE {}", path(&jane));
    let shown = janes.post(PAGE, &[("_call", &delete)]).await;
    assert!(shown.status == 409 && shown.body.contains("let another choose a password first"), "{}", shown.body);
    assert!(is_operator(&mut janes).await);
    let deleted = host.operator.get("/v1/operator/audit?action=user.deleted").await.expect(200);
    assert_eq!(list(&deleted["items"]).len(), 1, "what was refused leaves no entry: {deleted}");
    // Without a password he was no way in.
    host.operator.delete(&path(&invited)).await.expect(204);
    let (john, mut johns) = operator(&host, "john@example.com").await;
    host.operator.delete(&path(&jane)).await.expect(204);
    assert!(!is_operator(&mut janes).await && is_operator(&mut johns).await);
    host.operator.delete(&path(&john)).await.problem(409, "");
    // The control: the key signs in whoever is there.
    assert_eq!(Tab::at(&host).post("/sign-in", &[("key", OPERATOR_KEY)]).await.status, 303);
}

#[tokio::test]
async fn another_address_signs_out_and_is_signed_in_with() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (jane, mut first) = user(&host, &admin, "jane@example.com", "admin").await;
    let (_, mut johns) = user(&host, &admin, "john@example.com", "member").await;
    let link = admin.post(&format!("{}/link", at(&jane)), json!({})).await.expect(201);
    admin.patch(&at(&jane), json!({"email": "JANE@example.com", "name": "Jane"})).await.expect(200);
    assert!(first.is_in().await, "it is the same address");
    for (email, status) in [("jane", 422), ("john@example.com", 409)] {
        admin.patch(&at(&jane), json!({"email": email})).await.problem(status, "email");
    }
    assert!(first.is_in().await);

    tick(&host);
    let changed = admin.patch(&at(&jane), json!({"email": "Jane@example.org"})).await.expect(200);
    assert_eq!((&changed["email"], &changed["has_password"]), (&json!("jane@example.org"), &json!(true)));
    assert!(!first.is_in().await && johns.is_in().await);
    assert_eq!(Tab::at(&host).get(text(&link["url"])).await.status, 410);
    assert_eq!(first.sign_in("jane@example.com", PASSWORD).await.status, 401);
    assert_eq!(first.sign_in("jane@example.org", PASSWORD).await.status, 303);
    let log = admin.get(&format!("/v1/audit?target={}", text(&jane["id"]))).await.expect(200);
    let told = json!([{"field": "email", "old": "jane@example.com", "new": "jane@example.org"}]);
    assert_eq!(log["items"][0]["changes"], told);

    // Whoever changes their own stays where they are, and is out elsewhere.
    let mut second = Tab::at(&host);
    second.sign_in("jane@example.org", PASSWORD).await;
    let patch = format!("PATCH {}", at(&jane));
    let form = [("_call", &*patch), ("_user", text(&jane["id"])), ("email:?", "jane@example.net"), ("name:?", "")];
    assert_eq!(second.post("/members", &form).await.status, 303);
    assert!(second.is_in().await && !first.is_in().await);
    // What is wrong is said at the field, and in no other form of the page.
    let form = [("_call", &*patch), ("_user", text(&jane["id"])), ("email:?", "john@example.com")];
    let shown = second.post("/members", &form).await;
    assert_eq!(shown.status, 409);
    let field = |id: &str| {
        let start = shown.body.find(&format!("id=\"email-{id}\"")).expect("the field is there");
        shown.body[start..].split("</div>").next().expect("its end").to_owned()
    };
    let (hers, new) = (field(text(&jane["id"])), field("new"));
    assert!(hers.contains("value=\"john@example.com\"") && hers.contains("has the address already"), "{hers}");
    assert!(new.contains("value=\"\"") && !new.contains("already"), "{new}");
}

#[tokio::test]
async fn an_operators_address_is_changed_like_anybodys() {
    let host = Host::start().await;
    let (jane, mut first) = operator(&host, "jane@example.com").await;
    let mut second = Tab::at(&host);
    second.sign_in("jane@example.com", PASSWORD).await;
    let patch = format!("PATCH {}", path(&jane));
    let form = [("_call", &*patch), ("_user", text(&jane["id"])), ("email:?", "root@example.com"), ("name:?", "Root")];
    assert_eq!(second.post(PAGE, &form).await.status, 303);
    assert!(is_operator(&mut second).await && !is_operator(&mut first).await);
    let page = second.get(PAGE).await.body;
    assert!(page.contains("root@example.com") && page.contains("user.updated"), "{page}");
    assert!(!page.contains("<th scope=\"col\">Role</th>"), "all of them may do everything: {page}");
    host.operator.patch(&path(&jane), json!({"email": "jane@example.com"})).await.expect(200);
    assert!(!is_operator(&mut second).await);
}
