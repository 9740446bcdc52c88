//! PgBouncer in front of the server: one that gives a host others' rows is refused
//! before anything is asked, and any other serves.

use hookyard::domain::database::Durability;
use hookyard::store::postgres::{OpenError, PostgresStore};
use hookyard::store::seal::Seal;
use hookyard_tests::postgres::{PgBouncer, database, shared};
use hookyard_tests::{HostProcess, Receiver, TempDir};
use serde_json::json;

async fn refusal(url: &str) -> Option<OpenError> {
    let url = url.parse().expect("a server's URL");
    PostgresStore::open(&url, Seal::new([7; 32]), Durability::Required).await.err()
}

/// Debian 12 has PgBouncer 1.18, which does not know of prepared statements.
#[tokio::test]
async fn one_that_mixes_statements_is_refused_whatever_its_turns() {
    let database = database().await;
    for more in [&[][..], &[("server_round_robin", "1")], &[("default_pool_size", "2"), ("min_pool_size", "2")]] {
        let bouncer = PgBouncer::start_with(shared().await, &[&[("pool_mode", "transaction")], more].concat()).await;
        // What an earlier host left prepared makes no difference.
        for _ in 0..3 {
            let refused = refusal(&bouncer.url(database.name())).await;
            assert!(matches!(refused, Some(OpenError::Pooler)), "{more:?}: {refused:?}");
        }
    }
    assert_eq!(database.psql("SELECT to_regclass('meta') IS NULL").await, "t", "nothing was done through it");
    // The control: it is not the server.
    assert!(refusal(database.url()).await.is_none());
    let (data, bouncer) = (TempDir::new(), PgBouncer::start(shared().await, "transaction").await);
    let said = HostProcess::refused(data.path(), &[("HOOKYARD_DATABASE", &bouncer.url(database.name()))]).await;
    assert!(said.contains("PgBouncer 1.21 or newer with max_prepared_statements"), "{said}");
}

#[tokio::test]
async fn one_that_keeps_connections_apart_serves() {
    let (data, database) = (TempDir::new(), database().await);
    let settings = [("pool_mode", "session"), ("default_pool_size", "100"), ("ignore_startup_parameters", "")];
    let bouncer = PgBouncer::start_with(shared().await, &settings).await;
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_DATABASE", &bouncer.url(database.name()))]).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(receiver.next().await.header("webhook-id"), event);
    tenant.delivery_in(&event, "delivered").await;
    assert!(host.terminate().await.0);
}
