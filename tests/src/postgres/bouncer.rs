//! PgBouncer in front of a cluster.

use std::net::SocketAddr;
use std::process::Child;

use tokio::net::TcpStream;

use super::cluster::{Cluster, free_port, url};
use super::enclosure::Enclosure;
use crate::eventually;

/// Runs until it is dropped.
pub struct PgBouncer {
    running: Child,
    address: SocketAddr,
    _enclosure: Enclosure,
}

impl PgBouncer {
    /// In a mode of pooling: `session`, `transaction` or `statement`.
    pub async fn start(cluster: &Cluster, mode: &str) -> Self {
        Self::start_with(cluster, &[("pool_mode", mode)]).await
    }

    /// With these settings of `[pgbouncer]` beside the usual ones, or in their
    /// place. Everybody becomes `postgres`, in every database of the cluster.
    pub async fn start_with(cluster: &Cluster, settings: &[(&str, &str)]) -> Self {
        let enclosure = Enclosure::new();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let port = address.port().to_string();
        let usual = [
            ("listen_addr", "127.0.0.1"),
            ("listen_port", port.as_str()),
            ("unix_socket_dir", ""),
            ("auth_type", "any"),
            ("max_client_conn", "1000"),
            ("default_pool_size", "20"),
            // PgBouncer ends connections that ask for what it does not know; this
            // is asked for by sqlx unless it is told not to.
            ("ignore_startup_parameters", "extra_float_digits"),
            ("logfile", "log"),
        ];
        let mut file = format!("[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\n", cluster.port());
        for (name, value) in usual.iter().filter(|(name, _)| !settings.iter().any(|(other, _)| other == name)) {
            file += &format!("{name} = {value}\n");
        }
        for (name, value) in settings {
            file += &format!("{name} = {value}\n");
        }
        std::fs::write(enclosure.path().join("pgbouncer.ini"), file).expect("the temporary directory can be written");
        let mut command = enclosure.command("pgbouncer");
        command.args(["--quiet", "pgbouncer.ini"]);
        let mut running = command.spawn().unwrap_or_else(|error| panic!("{error}; tests/run installs PgBouncer"));
        eventually("PgBouncer's start", async || {
            let log = || std::fs::read_to_string(enclosure.path().join("log")).unwrap_or_default();
            let ended = running.try_wait().expect("it is our child");
            assert!(ended.is_none(), "PgBouncer does not start:\n{}", log());
            TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
        Self { running, address, _enclosure: enclosure }
    }

    /// Of one of the cluster's databases, through it.
    pub fn url(&self, database: &str) -> String {
        url(self.address, database)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _it_dies_at_once = self.running.kill();
        let _nobody_else_waits = self.running.wait();
    }
}
