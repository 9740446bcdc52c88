//! The end, as a value that is passed around.

use tokio::sync::watch;

/// Over once `stop` says true, or nobody is left who could say it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _said_or_gone = stop.wait_for(|stop| *stop).await;
}
