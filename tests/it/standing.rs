//! A task that ends without being asked to: the server must not look well without
//! it.

use hookyard::RunError;
use hookyard_tests::{Host, Receiver, Wire, eventually};
use serde_json::json;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_server_that_has_lost_a_task_says_which_and_ends() {
    let (mut host, mut receiver) = (Host::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let mut asking = Wire::to(host.address()).await;
    asking.send("GET /readyz HTTP/1.1\r\nhost: a\r\n").await;
    assert_eq!(host.operator.get("/readyz").await.expect(200), "ready");

    host.clock.break_once();
    eventually("the end of all listening", async || TcpStream::connect(host.address()).await.err()).await;
    asking.send("\r\n").await;
    let said = asking.rest().await;
    let RunError::Ended(task) = host.ended().await else { panic!("another end") };
    // These look at the clock by themselves.
    assert!(["claiming", "upkeep"].contains(&task), "{task}");
    assert!(said.starts_with("HTTP/1.1 503") && said.ends_with(&format!("`{task}` has ended")), "{said}");

    let host = host.restart().await;
    assert_eq!(host.operator.get("/readyz").await.expect(200), "ready");
    let tenant = host.operator.with_key(Some(tenant.key()));
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    receiver.next().await;
    tenant.delivery_in(&event, "delivered").await;
}
