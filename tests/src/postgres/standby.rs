//! A second cluster that follows a first, and can take its place.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;

use super::cluster::Cluster;
use super::enclosure::Enclosure;
use crate::eventually;

/// What every standby calls itself. A primary has one at a time.
const NAME: &str = "standby";

impl Cluster {
    /// A standby for which commits on the primary wait, from before this returns.
    pub async fn standby(primary: &Self) -> Self {
        let standby = Self::asynchronous_standby(primary).await;
        primary.waits_for(NAME).await;
        followed(primary, "sync_state = 'sync'").await;
        standby
    }

    /// From when this returns, commits wait for no standby.
    pub async fn waits_for_nobody(&self) {
        self.waits_for("").await;
    }

    async fn waits_for(&self, names: &str) {
        self.psql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await;
        self.psql("SELECT pg_reload_conf()").await;
        // It is the checkpointer that tells everybody whether commits wait, and
        // it reads its settings before it begins one.
        self.psql("CHECKPOINT").await;
    }

    /// A standby for which nothing waits.
    pub async fn asynchronous_standby(primary: &Self) -> Self {
        let enclosure = Enclosure::new();
        let source = format!("host=127.0.0.1 port={} user=postgres application_name={NAME}", primary.port());
        let copied = ["--pgdata=data", "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--dbname"];
        enclosure.run("pg_basebackup", &[&copied.map(OsStr::new)[..], &[OsStr::new(&source)]].concat()).await;
        // Copied from a primary that waits for its own standby; this one has none yet.
        let settings = fs::File::options().append(true).open(enclosure.path().join("data/postgresql.auto.conf"));
        let written = writeln!(settings.expect("it was copied"), "synchronous_standby_names = ''");
        written.expect("the temporary directory can be written");
        let standby = Self::on(enclosure).await;
        followed(primary, "state = 'streaming'").await;
        standby
    }

    /// From now on it is a primary; takes writes when this returns.
    pub async fn promote(&self) {
        assert_eq!(self.psql("SELECT pg_promote()").await, "t", "it can be promoted:\n{}", self.log());
        eventually("the end of its recovery", async || {
            (self.psql("SELECT pg_is_in_recovery()").await == "f").then_some(())
        })
        .await;
    }
}

async fn followed(primary: &Cluster, how: &str) {
    let sql = format!("SELECT count(*) FROM pg_stat_replication WHERE application_name = '{NAME}' AND {how}");
    eventually("a standby that follows", async || (primary.psql(&sql).await == "1").then_some(())).await;
}
