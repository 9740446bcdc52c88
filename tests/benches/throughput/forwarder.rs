//! The bare forwarder: axum in, reqwest out, and nothing between.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

pub(crate) async fn run() {
    let target = std::env::var("TARGET").expect("TARGET is given");
    let client = hookyard_tests::api::client();
    let router = Router::new().route("/", post(forward)).with_state((client, target));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    println!("{}", listener.local_addr().expect("it is bound"));
    axum::serve(listener, router).await.expect("it serves");
}

async fn forward(State((client, target)): State<(reqwest::Client, String)>, body: Bytes) -> StatusCode {
    let request = client.post(&target).header("content-type", "application/json").body(body);
    match request.send().await {
        Ok(_) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::BAD_GATEWAY,
    }
}
