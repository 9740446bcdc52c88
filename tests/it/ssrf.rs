//! What may not be dialled is not, on any path: in a network of its own, in which
//! every address is this machine's and every connection is noticed.
//!
//! The addresses of clouds' metadata services are ours in there, so nothing is
//! ever sent to real ones. It takes `unshare` and `ip`, and a system that lets
//! tests make namespaces; where it does not, these tests fail.

mod canaries;
mod names;
mod paths;

use std::net::IpAddr;
use std::process::Stdio;

use hookyard_tests::{TempDir, build};
use ipnet::IpNet;

use canaries::Canaries;

/// What the names of the vectors' last lines, which are harmless, stand for.
const PUBLIC: &str = "93.184.216.34";

/// Every IPv4 and IPv6 address is local, and names are asked of `names.rs`.
const SCRIPT: &str = r#"
    set -eu
    ip link set lo up
    ip route add local 0.0.0.0/0 dev lo
    ip -6 route add local ::/0 dev lo
    mount --bind "$1/resolv.conf" /etc/resolv.conf
    shift
    exec "$@"
"#;

/// Runs one of the tests below, which are ignored elsewhere, in a network of its
/// own.
async fn inside(test: &str) {
    // Built out here, where cargo has its network.
    build::hookyard();
    build::capable();
    let directory = TempDir::new();
    // Whoever lets names be completed is completed to the inside.
    let asked = "nameserver 127.0.0.1\nsearch inside.test\n";
    std::fs::write(directory.path().join("resolv.conf"), asked).expect("it can be written");
    let itself = std::env::current_exe().expect("a test is a program");
    let program = "unshare";
    let mut command = tokio::process::Command::new(program);
    // Who is not root becomes it in there.
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let output = command
        .args(["--net", "--mount", "sh", "-c", SCRIPT, "inside"])
        .arg(directory.path())
        .arg(itself)
        .args(["--exact", "--ignored", "--nocapture", test])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} (of util-linux) cannot be run: {error}; tests/run installs it"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("running 1 test"),
        "a network namespace could not be made, so this proves nothing; run it where `unshare --net --mount` and \
         `ip` work: {said}"
    );
    assert!(output.status.success(), "{said}");
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

/// Of what was dialled, what is not the one public address.
fn forbidden(canaries: &Canaries) -> Vec<IpAddr> {
    let public: IpAddr = PUBLIC.parse().expect("an address");
    canaries.hit().into_iter().filter(|address| *address != public).collect()
}

#[tokio::test]
async fn no_form_of_a_forbidden_address_is_dialled_on_any_path() {
    inside("ssrf::inside_no_canary_is_hit").await;
}

/// The control: the same on a host that may dial anything.
#[tokio::test]
async fn the_same_forms_are_dialled_where_the_operator_allows_everything() {
    inside("ssrf::inside_every_canary_is_hit").await;
}

#[tokio::test]
async fn what_the_operator_denies_is_not_dialled_whatever_is_allowed() {
    inside("ssrf::inside_denied_canaries_are_not_hit").await;
}

#[tokio::test]
#[ignore = "run by the first of these tests, in a network of its own"]
async fn inside_no_canary_is_hit() {
    let canaries = Canaries::listen().await;
    let count = paths::all(&canaries, &["--allow-http"]).await;
    assert!(count.refused > 60 && count.taken > 15, "{count:?}");
    assert!(canaries.hits(PUBLIC) > 20, "what may be dialled is: {:?}", canaries.hit());
    assert_eq!(forbidden(&canaries), Vec::<IpAddr>::new());
}

#[tokio::test]
#[ignore = "run by the second of these tests, in a network of its own"]
async fn inside_every_canary_is_hit() {
    let canaries = Canaries::listen().await;
    paths::all(&canaries, &["--allow-http", "--allow-addresses", "0.0.0.0/0,::/0"]).await;
    // Every block that a vector has an address of; nobody listens at ports of
    // another protocol, which stay refused.
    for net in nets(&[
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.169.254/32",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "192.0.0.0/24",
        "198.18.0.0/15",
        "::1/128",
        "fc00::/7",
        "2002::/16",
    ]) {
        assert!(forbidden(&canaries).iter().any(|hit| net.contains(hit)), "nothing in {net}: {:?}", canaries.hit());
    }
}

#[tokio::test]
#[ignore = "run by the third of these tests, in a network of its own"]
async fn inside_denied_canaries_are_not_hit() {
    let canaries = Canaries::listen().await;
    let denied = ["169.254.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"];
    let flags = ["--allow-http", "--allow-addresses", "0.0.0.0/0,::/0", "--deny-addresses", &denied.join(",")];
    paths::all(&canaries, &flags).await;
    let hit = forbidden(&canaries);
    for net in nets(&denied) {
        assert!(!hit.iter().any(|hit| net.contains(hit)), "{net}: {hit:?}");
    }
    assert!(nets(&["10.0.0.0/8"]).iter().all(|net| hit.iter().any(|hit| net.contains(hit))), "{hit:?}");
}
