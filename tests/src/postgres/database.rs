//! Databases of one test each, on a cluster that all tests of the process share.

use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::programs::{asking, psql};

/// The cluster for tests that leave it as it is. Ends with the process.
pub async fn shared() -> &'static Cluster {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    SHARED.get_or_init(Cluster::start).await
}

/// A fresh, empty database on the shared cluster.
pub async fn database() -> Database {
    shared().await.database().await
}

/// Gone some time after this is.
pub struct Database {
    name: String,
    url: String,
    /// Where it can be dropped from.
    beside: String,
}

impl Cluster {
    /// A fresh, empty database.
    pub async fn database(&self) -> Database {
        self.database_like("template0").await
    }

    /// A copy of a database to which nobody is connected.
    pub async fn database_like(&self, template: &str) -> Database {
        let name = format!("test_{:016x}", u64::from_le_bytes(hookyard::clock::random()));
        // Through the log: the other strategy waits for two checkpoints, with all
        // that other tests have written, and takes ten times as long.
        self.psql(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")).await;
        Database { url: self.url(&name), beside: self.url("postgres"), name }
    }
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What statements answer: one row a line, columns parted by `|`.
    pub async fn psql(&self, sql: &str) -> String {
        psql(&self.url, sql).await
    }
}

impl Drop for Database {
    /// Waits for a checkpoint, which no test has time for. What the end of the
    /// process, or of the cluster, overtakes is gone with the cluster.
    fn drop(&mut self) {
        let mut dropping = asking(&self.beside, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        std::thread::spawn(move || {
            let _its_cluster_may_be_gone = dropping.output();
        });
    }
}
