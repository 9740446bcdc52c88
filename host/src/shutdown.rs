//! The end, as a value that is passed around; and tasks that must not come to
//! theirs before they are asked to.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Over once `stop` says true, or nobody is left who could say it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _said_or_gone = stop.wait_for(|stop| *stop).await;
}

/// Tasks that go on until they are asked to end, by name. One that ends before, by
/// a panic or otherwise, is missed by nobody else: the rest goes on and looks well.
pub struct Standing {
    tell: mpsc::UnboundedSender<&'static str>,
    ended: mpsc::UnboundedReceiver<&'static str>,
}

impl Default for Standing {
    fn default() -> Self {
        let (tell, ended) = mpsc::unbounded_channel();
        Self { tell, ended }
    }
}

impl Standing {
    /// Begins one.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let presence = self.presence(name);
        tokio::spawn(async move {
            // A panic drops it, too.
            let _presence = presence;
            task.await;
        })
    }

    /// For one that others begin, to be held for as long as it goes on.
    pub fn presence(&self, name: &'static str) -> Presence {
        Presence { name, tell: self.tell.clone() }
    }

    /// The name of the first that has ended.
    pub async fn first_ended(&mut self) -> &'static str {
        self.ended.recv().await.expect("`tell` is here, so there may be more")
    }
}

/// Tells its task's end by its own.
pub struct Presence {
    name: &'static str,
    tell: mpsc::UnboundedSender<&'static str>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        // Nobody listens once the server stops.
        let _stopping = self.tell.send(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_ends_is_named_however_it_ends() {
        let mut standing = Standing::default();
        let (stop, mut stopping) = watch::channel(false);
        let stays = standing.spawn("stays", async move { stopped(&mut stopping).await });
        let panics = standing.spawn("panics", async { assert_eq!(1, 2, "on purpose") });
        assert_eq!(standing.first_ended().await, "panics");
        assert!(panics.await.is_err());
        let _returns = standing.spawn("returns", async {});
        assert_eq!(standing.first_ended().await, "returns");
        standing.spawn("is taken away", std::future::pending()).abort();
        assert_eq!(standing.first_ended().await, "is taken away");
        drop(standing.presence("of others"));
        assert_eq!(standing.first_ended().await, "of others");
        stop.send(true).expect("it stays");
        stays.await.expect("it was asked to");
    }
}
