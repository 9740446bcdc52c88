//! Schemathesis, a stranger's reading of the API's document: it makes requests
//! that fit it and requests that do not, and says where the server falls over or
//! answers as it is not described.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use hookyard_tests::{Api, HostProcess, Receiver, TempDir, build, text};
use serde_json::json;
use tokio::process::Command;

/// What an answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,allow_header_conformance,\
                      negative_data_rejection,ignored_auth";

/// What is the operator's.
const OPERATORS: &str = "^/(metrics|v1/(tenants|operator))";

/// Whose calls are made: by which key, and to which operations.
struct Run<'a> {
    name: &'a str,
    api: &'a Api,
    /// Given to the command as it is.
    operations: [&'a str; 2],
    /// What can be read afterwards as before: its key has opened doors all along.
    reads: &'a str,
}

#[tokio::test]
async fn a_stranger_who_reads_the_document_finds_no_fault() {
    let data = TempDir::new();
    let host = HostProcess::start(data.path()).await;
    let receiver = Receiver::start().await;
    let tenant = host.operator.post("/v1/tenants", json!({"name": "fuzzed"})).await.expect(201);
    let admin = host.operator.with_key(tenant["key"].as_str());
    let other = host.operator.post("/v1/tenants", json!({"name": "for the operator"})).await.expect(201);
    let config = data.path().join("schemathesis.toml");
    let things = things(&admin, &receiver, text(&other["id"])).await;
    std::fs::write(&config, things).expect("it can be written");
    // The operator comes last, and may find the first tenant and delete it.
    let runs = [
        Run { name: "tenant", api: &admin, operations: ["--exclude-path-regex", OPERATORS], reads: "/v1/endpoints" },
        Run {
            name: "operator",
            api: &host.operator,
            operations: ["--include-path-regex", OPERATORS],
            reads: "/v1/tenants",
        },
    ];
    for run in &runs {
        let (ended_well, said) = run.schemathesis(&config).await;
        assert!(ended_well, "as the {}:\n{said}", run.name);
        run.api.get(run.reads).await.expect(200);
    }
}

impl Run<'_> {
    async fn schemathesis(&self, config: &Path) -> (bool, String) {
        let command = program();
        assert!(command.exists(), "run tests/run once: it installs schemathesis");
        let key = format!("Authorization: Bearer {}", self.api.key());
        let output = Command::new(command)
            .args(["--no-color", "--config-file"])
            .arg(config)
            .args(["run", &format!("{}/openapi.json", self.api.base()), "--url", self.api.base()])
            .args(["--header", &key, "--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25"])
            .args(["--generation-deterministic", "--request-timeout", "60"])
            // One at a time: Python 3.11 cannot parse itself in two threads.
            .args(["--workers", "1"])
            // It has no way to make a component, and would revoke its own key.
            .args(["--exclude-operation-id", "upload_plugin", "--exclude-operation-id", "revoke_key"])
            .args(self.operations)
            .current_dir(config.parent().expect("it is in a directory"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = output.await.expect("it can be run");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), said.concat())
    }
}

fn program() -> PathBuf {
    build::target_dir().join("schemathesis/bin/schemathesis")
}

/// Its configuration: what stands in paths, so that half of what it asks for is
/// there.
async fn things(admin: &Api, receiver: &Receiver, other_tenant: &str) -> String {
    let endpoint = admin.endpoint(&receiver.url(), json!({})).await;
    let source = admin.post("/v1/sources", json!({"name": "shop", "event_type": "a.b"})).await.expect(201);
    let receipt = admin.post(text(&source["url"]), json!({"id": 7})).await.expect(202);
    let event = text(&receipt["event_ids"][0]);
    let delivery = admin.delivery_in(event, "delivered").await;
    let key = admin.post("/v1/keys", json!({"role": "viewer"})).await.expect(201);
    let user = admin.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let replay = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "current"});
    let replay = admin.post(&format!("/v1/endpoints/{}/replay", text(&endpoint["id"])), replay).await.expect(202);
    let erasure = admin.post("/v1/erasures", json!({"subject": "nobody"})).await.expect(202);
    let token = text(&source["url"]).rsplit('/').next().expect("a URL has a path");
    let places = [
        ("^/v1/tenants/", "id", other_tenant),
        ("^/v1/endpoints/", "id", text(&endpoint["id"])),
        ("^/v1/sources/", "id", text(&source["id"])),
        ("^/v1/requests/", "id", text(&receipt["request_id"])),
        ("^/v1/events/", "id", event),
        ("^/v1/deliveries/", "id", text(&delivery["id"])),
        ("^/v1/keys/", "id", text(&key["id"])),
        ("^/v1/users/", "id", text(&user["id"])),
        ("^/v1/replays/", "id", text(&replay["id"])),
        ("^/v1/erasures/", "id", text(&erasure["id"])),
        ("^/v1/plugins/", "name", "tag-filter"),
        ("^/v1/dialects/", "name", "standard-webhooks"),
        ("^/(in|api/webhooks/inbound)/", "token", token),
    ];
    let operation = |(path, name, value): (&str, &str, &str)| {
        // What is deleted could not be asked for again.
        format!(
            "[[operations]]\ninclude-path-regex = '{path}'\nexclude-method = 'DELETE'\nparameters = {{ \"path.{name}\" = \"{value}\" }}\n\n"
        )
    };
    places.map(operation).concat()
}
