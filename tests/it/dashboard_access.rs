//! How an endpoint proves who is calling, set up and changed by plain forms: as a
//! browser without scripts fills and sends them, and without a secret on any page.

use hookyard_tests::tls::Authority;
use hookyard_tests::{Api, Host, Receiver, list, text};
use serde_json::{Value, json};

use crate::dashboard_pages::{Shown, Visitor};

/// A form as a page has it, with what stands in its fields.
struct Form {
    page: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// The form of a page that makes this call and has this field.
    async fn of(visitor: &Visitor, page: &str, call: &str, field: &str) -> Self {
        let html = visitor.page(page).await;
        let mut forms =
            html.split("<form").skip(1).map(|form| fields(form.split("</form>").next().unwrap_or_default()));
        let is_it = |fields: &Vec<(String, String)>| {
            fields.iter().any(|pair| *pair == ("_call".to_owned(), call.to_owned()))
                && fields.iter().any(|(name, _)| name == field)
        };
        let fields = forms.find(is_it).unwrap_or_else(|| panic!("{page} has no form for {call} with {field}: {html}"));
        Self { page: page.to_owned(), fields }
    }

    fn value(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        &found.unwrap_or_else(|| panic!("there is no {name} in {:?}", self.fields)).1
    }

    fn fill(mut self, name: &str, value: &str) -> Self {
        let found = self.fields.iter_mut().find(|(field, _)| field == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).1 = value.to_owned();
        self
    }

    async fn send(&self, visitor: &Visitor) -> Shown {
        // As a browser ends the lines.
        let values: Vec<String> = self.fields.iter().map(|(_, value)| value.replace('\n', "\r\n")).collect();
        let fields: Vec<(&str, &str)> =
            self.fields.iter().zip(&values).map(|((name, _), value)| (&**name, &**value)).collect();
        visitor.send(&self.page, &fields).await
    }
}

/// What the fields of a form have when it is sent as it is.
fn fields(form: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut is_first = false;
    for tag in form.split('<').skip(1) {
        let (head, content) = tag.split_once('>').expect("a tag ends");
        let name = attribute(head, "name").unwrap_or_default();
        let is_off = (head.contains("checkbox") || head.contains("radio")) && !head.contains(" checked");
        match head.split(' ').next().unwrap_or_default() {
            "input" if !is_off => found.push((name, attribute(head, "value").unwrap_or_default())),
            // HTML leaves the first end of a line out.
            "textarea" => found.push((name, unescaped(content.strip_prefix('\n').unwrap_or(content)))),
            "select" => {
                found.push((name, String::new()));
                is_first = true;
            }
            "option" if is_first || head.contains(" selected") => {
                let value = attribute(head, "value").unwrap_or_else(|| unescaped(content));
                found.last_mut().expect("it is of a select").1 = value;
                is_first = false;
            }
            _ => {}
        }
    }
    found.retain(|(name, _)| !name.is_empty());
    found
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(unescaped)
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The part of a page that is about one field: from its label to its problem.
fn part_of(html: &str, id: &str) -> String {
    let start = html.find(&format!("for=\"{id}\"")).unwrap_or_else(|| panic!("there is no {id}: {html}"));
    html[start..].split("</div>").next().unwrap_or_default().to_owned()
}

#[track_caller]
fn check_problem(shown: &Shown, id: &str, says: &str) {
    assert_eq!(shown.status, 422, "{}", shown.html);
    let part = part_of(&shown.html, id);
    assert!(part.contains("field-problem") && part.contains(says), "{id}: {part}");
    // And nowhere else, but above all fields.
    assert_eq!(shown.html.matches("field-problem").count(), 1, "{}", shown.html);
    assert!(!shown.html.contains("hush"), "a secret is sent back: {}", shown.html);
}

/// What is filled in, and at which field what is said.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

const BASIC: &str = r#"{"type":"basic"}"#;
const BEARER: &str = r#"{"type":"bearer"}"#;
const NEW: (&str, &str) = ("/endpoints/new", "POST /v1/endpoints");

async fn new_form(visitor: &Visitor, url: &str) -> Form {
    let form = Form::of(visitor, NEW.0, NEW.1, "name").await;
    form.fill("name", "crm").fill("url", url).fill("event_types:lines", "*")
}

/// The only endpoint of the tenant's, and where its form is.
async fn only(tenant: &Api) -> (Value, String, String) {
    let endpoint = list(&tenant.get("/v1/endpoints").await.expect(200)["items"])[0].clone();
    let id = text(&endpoint["id"]).to_owned();
    (endpoint, format!("/endpoints/{id}/edit"), format!("PATCH /v1/endpoints/{id}"))
}

async fn publish(tenant: &Api) {
    tenant.publish(json!({"type": "a.b", "data": 1})).await;
}

#[tokio::test]
async fn a_login_and_secret_headers_are_given_kept_changed_and_taken_away() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let form = new_form(&visitor, &receiver.url()).await;
    let form = form.fill("auth:json", BASIC).fill("auth.username:?", "me").fill("auth.password:secret?", "hush");
    let form =
        form.fill("headers:pairs", "X-Plain: 1").fill("headers:secret-pairs", "X-Key: hush-key\nx.dots: hush-dots");
    let made = form.send(&visitor).await;
    assert_eq!(made.status, 200, "{}", made.html);
    let (endpoint, page, call) = only(&tenant).await;
    assert_eq!(endpoint["auth"], json!({"type": "basic", "username": "me", "password": null}));
    let hidden = json!({"value": null, "secret": true});
    assert_eq!(endpoint["headers"], json!({"x-plain": "1", "x-key": hidden, "x.dots": hidden}));
    let arrived = async |receiver: &mut Receiver| {
        publish(&tenant).await;
        let arrived = receiver.next().await;
        ["authorization", "x-plain", "x-key", "x.dots"].map(|name| arrived.header(name).to_owned())
    };
    let all = ["Basic bWU6aHVzaA==", "1", "hush-key", "hush-dots"];
    assert_eq!(arrived(&mut receiver).await, all);

    // What is sent as the page has it changes nothing, and no secret is on the page.
    let html = visitor.page(&page).await;
    assert!(!html.contains("hush") && html.contains("x-key:"), "{html}");
    let form = Form::of(&visitor, &page, &call, "name").await;
    assert_eq!((form.value("auth:json"), form.value("auth.username:?")), (BASIC, "me"));
    assert_eq!(form.fill("name", "crm 2").send(&visitor).await.status, 303);
    assert_eq!(arrived(&mut receiver).await, all);
    let log = tenant.get("/v1/audit?action=endpoint.updated").await.expect(200);
    assert_eq!(log["items"][0]["changes"], json!([{"field": "name", "old": "crm", "new": "crm 2"}]));

    // One secret header stays, one goes, one comes; the login is another.
    let form = Form::of(&visitor, &page, &call, "name").await;
    let form = form.fill("headers:secret-pairs", "x-key:\n\nx-new: hush-new").fill("headers:pairs", "");
    let form = form.fill("auth:json", BEARER).fill("auth.username:?", "").fill("auth.token:secret?", "t0k");
    assert_eq!(form.send(&visitor).await.status, 303);
    publish(&tenant).await;
    let got = receiver.next().await;
    let got = ["authorization", "x-plain", "x-key", "x.dots", "x-new"].map(|name| got.header(name).to_owned());
    assert_eq!(got, ["Bearer t0k", "", "hush-key", "", "hush-new"]);

    let form = Form::of(&visitor, &page, &call, "name").await;
    assert_eq!(form.value("headers:secret-pairs"), "x-key:\nx-new:\n");
    let form = form.fill("auth:json", "null").fill("headers:secret-pairs", "");
    assert_eq!(form.send(&visitor).await.status, 303);
    let (endpoint, ..) = only(&tenant).await;
    assert_eq!((&endpoint["auth"], &endpoint["headers"]), (&Value::Null, &json!({})));
}

#[tokio::test]
async fn client_credentials_are_set_up_by_a_form() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let form = new_form(&visitor, &receiver.url()).await.fill("auth:json", r#"{"type":"oauth2"}"#);
    check_problem(&form.send(&visitor).await, "f-auth.token_url", "is needed for this");
    let form = form.fill("auth.token_url:?", &receiver.url()).fill("auth.client_id:?", "me");
    check_problem(&form.send(&visitor).await, "f-auth.client_secret", "there is none to keep");
    let form =
        form.fill("auth.client_secret:secret?", "hush").fill("auth.scope:?", "a b").fill("auth.client_auth:?", "body");
    assert_eq!(form.send(&visitor).await.status, 200);
    let (endpoint, page, call) = only(&tenant).await;
    let auth = json!({"type": "oauth2", "token_url": receiver.url(), "client_id": "me", "client_secret": null,
        "scope": "a b", "audience": null, "client_auth": "body"});
    let normal = |mut auth: Value| {
        auth["token_url"] = json!(text(&auth["token_url"]).trim_end_matches('/'));
        auth
    };
    assert_eq!(normal(endpoint["auth"].clone()), normal(auth));
    let form = Form::of(&visitor, &page, &call, "name").await;
    assert_eq!(form.send(&visitor).await.status, 303);
    assert_eq!(only(&tenant).await.0["auth"], endpoint["auth"]);
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_no_secret_comes_back() {
    let host = Host::start().await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let filled = async |fields: &[(&str, &str)]| {
        let form = new_form(&visitor, &receiver.url()).await;
        fields.iter().fold(form, |form, (name, value)| form.fill(name, value)).send(&visitor).await
    };
    // Without scripts all fields are there, and what fits together is for the API to say.
    let token = "auth.token:secret?";
    let (plain, secret, hidden) = ("headers:pairs", "headers:secret-pairs", "f-headers-secret");
    let cases: [Case<'_>; 10] = [
        (&[("auth.username:?", "me"), ("auth.password:secret?", "hush")], "f-auth", "type"),
        (&[("auth:json", BEARER), (token, "hush"), ("auth.username:?", "me")], "f-auth.username", "is not for this"),
        (&[("auth:json", BEARER), (token, "Bearer hush")], "f-auth.token", "visible ASCII"),
        (&[("auth:json", BEARER), (token, "hush"), (plain, "Authorization: x")], "f-auth", "keep one of the two"),
        (&[(secret, "x-ok: hush\nHost: hush")], hidden, "is set by the host"),
        (&[(secret, "x-key:")], hidden, "there is none to keep"),
        (&[(secret, "x-a: hush\nhush")], hidden, "line 2"),
        (&[(plain, "te: x"), (secret, "x-te: hush")], "f-headers", "is set by the host"),
        (&[("tls.client_key:secret?", "hush")], "f-tls.client_certificate", "is needed with a key"),
        (&[("tls.ca:block?", "x")], "f-tls.ca", "in PEM"),
    ];
    for (fields, at, says) in cases {
        check_problem(&filled(fields).await, at, says);
    }
    let names = part_of(&filled(&[(secret, "x-a: hush\nte: hush")]).await.html, hidden);
    assert!(names.contains("x-a:\nte:"), "the names are still there: {names}");
    assert_eq!(tenant.get("/v1/endpoints").await.expect(200)["items"], json!([]));

    // What was meant for one host has to be given again for another.
    let auth = json!({"type": "bearer", "token": "hush"});
    let headers = json!({"x-key": {"value": "hush", "secret": true}});
    tenant.endpoint(&receiver.url(), json!({"auth": auth, "headers": headers})).await;
    let (_, page, call) = only(&tenant).await;
    let form = Form::of(&visitor, &page, &call, "name").await.fill("url", &other.url());
    check_problem(&form.send(&visitor).await, "f-headers-secret", "there is none to keep");
    let form = form.fill("headers:secret-pairs", "x-key: hush-new");
    check_problem(&form.send(&visitor).await, "f-auth.token", "there is none to keep");
    assert_eq!(form.fill("auth.token:secret?", "hush-new").send(&visitor).await.status, 303);
}

#[tokio::test]
async fn certificates_are_given_kept_and_taken_away() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let mut receiver = Receiver::behind(servers.listener(Some(&clients)).await);
    let (client, another) = (clients.client("hookyard"), clients.client("another"));
    let form = new_form(&visitor, &receiver.url()).await.fill("tls.ca:block?", &servers.pem());
    let form = form.fill("tls.client_certificate:block?", &client.certificate);
    let wrong = form.fill("tls.client_key:secret?", &another.key);
    let shown = wrong.send(&visitor).await;
    check_problem(&shown, "f-tls.client_key", "does not belong");
    let secret = &another.key.lines().nth(1).expect("PEM has lines")[..16];
    assert!(!shown.html.contains(secret), "a key is sent back: {}", shown.html);
    assert_eq!(wrong.fill("tls.client_key:secret?", &client.key).send(&visitor).await.status, 200);
    publish(&tenant).await;
    receiver.next().await;

    let (endpoint, page, call) = only(&tenant).await;
    let tls = json!({"client_certificate": client.certificate, "client_key": null, "ca": servers.pem()});
    assert_eq!(endpoint["tls"], tls);
    assert!(visitor.page(&page.replace("/edit", "")).await.contains("client certificate, authorities of its own"));
    let of_tls = async || Form::of(&visitor, &page, &call, "tls.ca:block?").await;
    assert_eq!(of_tls().await.send(&visitor).await.status, 303);
    let log = tenant.get("/v1/audit?action=endpoint.updated").await.expect(200);
    assert_eq!(log["items"][0]["changes"], json!([]), "what is sent as it was changes nothing");
    // What else is changed leaves it alone.
    let form = Form::of(&visitor, &page, &call, "name").await;
    assert!(!form.fields.iter().any(|(name, _)| name.starts_with("tls")), "{:?}", form.fields);
    assert_eq!(form.send(&visitor).await.status, 303);
    publish(&tenant).await;
    receiver.next().await;

    let emptied = of_tls().await.fill("tls.client_certificate:block?", "");
    assert_eq!(emptied.send(&visitor).await.status, 303);
    let tls = json!({"client_certificate": null, "client_key": null, "ca": servers.pem()});
    assert_eq!(only(&tenant).await.0["tls"], tls);
    // The key went with it.
    let back = of_tls().await.fill("tls.client_certificate:block?", &client.certificate);
    check_problem(&back.send(&visitor).await, "f-tls.client_key", "there is none to keep");
    assert_eq!(of_tls().await.fill("tls.ca:block?", "").send(&visitor).await.status, 303);
    assert_eq!(only(&tenant).await.0["tls"], Value::Null);
}
