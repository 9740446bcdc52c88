//! Another master key, as an operator changes it: the command, a start with both
//! keys, and whatever cuts either off.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::{MASTER_KEY, OPERATOR_KEY};
use hookyard_tests::{Api, Host, HostProcess, LOCAL, Receiver, TempDir, build, eventually, text};
use serde_json::json;
use tokio::process::Command;

const LOG: (&str, &str) = ("HOOKYARD_LOG", "info");

/// A data directory with its keys in files, an endpoint in it, and what verifies
/// what it sends.
struct Yard {
    host: Host,
    tenant: Api,
    secret: String,
    receiver: Receiver,
}

impl Yard {
    async fn new() -> Self {
        let mut host = Host::start().await;
        let tenant = host.tenant("acme").await;
        let receiver = Receiver::start().await;
        let steps = json!([{"plugin": "tag-filter", "config": {"expression": "paid"}}]);
        let form = json!({"headers": {"x-key": "a-secret-header"}, "steps": steps});
        let endpoint = tenant.endpoint(&receiver.url(), form).await;
        let secret = text(&endpoint["secret"]).to_owned();
        host.stop().await;
        fs::write(host.data().join("master.key"), STANDARD.encode(MASTER_KEY)).expect("the directory is there");
        Self { host, tenant, secret, receiver }
    }

    fn data(&self) -> &Path {
        self.host.data()
    }

    fn key(&self) -> String {
        fs::read_to_string(self.data().join("master.key")).expect("the key is there").trim().to_owned()
    }

    fn has(&self, file: &str) -> bool {
        self.data().join(file).exists()
    }

    /// A server starts on it and sends what is signed with the secret.
    async fn works(&mut self, variables: &[(&str, &str)]) {
        let process = HostProcess::start_from(self.data(), LOCAL, &[&[LOG], variables].concat()).await;
        let tenant = Api::new(process.operator.base(), Some(self.tenant.key()));
        let event = tenant.publish(json!({"type": "a.b", "data": 1, "tags": ["paid"]})).await;
        let request = self.receiver.next().await;
        assert_eq!((request.header("webhook-id"), request.header("x-key")), (&*event, "a-secret-header"));
        assert!(request.is_signed_with(&self.secret));
        assert!(process.terminate().await.0);
    }
}

fn command(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(build::hookyard());
    command.args(arguments).arg("--data").arg(data).env("HOOKYARD_OPERATOR_KEY", OPERATOR_KEY);
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn rotate(data: &Path, variables: &[(&str, &str)]) -> Output {
    command(data, &["rotate-master-key"], variables).output().await.expect("the program was built")
}

/// What a server says that does not start.
async fn refused(data: &Path, variables: &[(&str, &str)]) -> String {
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let ended = command(data, &serve, &[&[LOG], variables].concat()).output();
    let ended =
        tokio::time::timeout(hookyard_tests::PATIENCE, ended).await.expect("it ends by itself").expect("it ran");
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[tokio::test]
async fn the_command_makes_a_new_key_and_the_old_one_is_useless_afterwards() {
    let mut yard = Yard::new().await;
    let old = yard.key();
    let said = rotate(yard.data(), &[]).await;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let told = String::from_utf8_lossy(&said.stdout);
    let new = yard.key();
    assert!(told.starts_with("2 secrets are encrypted") && !told.contains(&new), "{told}");
    assert!(new != old && !yard.has("master.key.next"));
    yard.works(&[]).await;
    let refusal = refused(yard.data(), &[("HOOKYARD_MASTER_KEY", &old)]).await;
    assert!(refusal.contains("another master key") && refusal.contains("HOOKYARD_MASTER_KEY_OLD"), "{refusal}");
    assert!(!refusal.contains(&old), "{refusal}");
}

#[tokio::test]
async fn a_start_with_both_keys_goes_over_to_the_new_one() {
    let mut yard = Yard::new().await;
    let (old, new) = (yard.key(), STANDARD.encode([9; 32]));
    let both = [("HOOKYARD_MASTER_KEY", &*new), ("HOOKYARD_MASTER_KEY_OLD", &*old)];
    yard.works(&both).await;
    // It may stay set until somebody takes it away.
    yard.works(&both).await;
    let said = refused(yard.data(), &[("HOOKYARD_MASTER_KEY", &old)]).await;
    assert!(said.contains("another master key"), "{said}");
    // With the key in the environment the command changes no file.
    let third = STANDARD.encode([10; 32]);
    let said = rotate(yard.data(), &[("HOOKYARD_MASTER_KEY", &new)]).await;
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && told.contains("HOOKYARD_MASTER_KEY_OLD"), "{told}");
    let said = rotate(yard.data(), &[("HOOKYARD_MASTER_KEY", &third), ("HOOKYARD_MASTER_KEY_OLD", &new)]).await;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(yard.key(), old);
    let said = refused(yard.data(), &[("HOOKYARD_MASTER_KEY", &new)]).await;
    assert!(said.contains("another master key"), "{said}");
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_starts_with_whichever_key_opens() {
    let mut yard = Yard::new().await;
    let (old, other) = (yard.key(), STANDARD.encode([9; 32]));
    // Cut off before the database went over.
    fs::write(yard.data().join("master.key.next"), &other).unwrap();
    yard.works(&[]).await;
    assert_eq!((yard.key(), yard.has("master.key.next")), (old.clone(), false));
    // And after, before the new key had its place.
    assert!(rotate(yard.data(), &[]).await.status.success());
    let new = yard.key();
    fs::rename(yard.data().join("master.key"), yard.data().join("master.key.next")).unwrap();
    fs::write(yard.data().join("master.key"), &old).unwrap();
    yard.works(&[]).await;
    assert_eq!((yard.key(), yard.has("master.key.next")), (new, false));
}

#[tokio::test]
async fn kill_9_while_it_rotates_leaves_a_key_that_opens() {
    let mut yard = Yard::new().await;
    for _ in 0..5 {
        let mut rotating = command(yard.data(), &["rotate-master-key"], &[]).spawn().expect("the program was built");
        eventually("it to have begun or ended", async || {
            (yard.has("master.key.next") || rotating.try_wait().unwrap().is_some()).then_some(())
        })
        .await;
        // It may have ended, which is as good.
        let _killed_or_ended = rotating.kill().await;
        // Whoever rotates again begins with what there is.
        let opened = rotate(yard.data(), &[]).await;
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    }
    yard.works(&[]).await;
}

#[tokio::test]
async fn what_is_not_there_or_in_use_is_not_rotated() {
    let place = TempDir::new();
    let said = rotate(&place.path().join("nowhere"), &[]).await;
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && told.contains("no such directory"), "{told}");
    assert!(!place.path().join("nowhere").exists());

    let host = Host::start().await;
    fs::write(host.data().join("master.key"), STANDARD.encode(MASTER_KEY)).expect("the directory is there");
    let said = rotate(host.data(), &[]).await;
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && told.contains("stop it first"), "{told}");
    // Somebody else's key is told from the database's before anything is written.
    let mut host = host;
    host.stop().await;
    fs::write(host.data().join("master.key"), STANDARD.encode([1; 32])).unwrap();
    let said = rotate(host.data(), &[]).await;
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && told.contains("another master key"), "{told}");
    assert!(!host.data().join("master.key.next").exists());
}
