//! The hosts of a PostgreSQL database: a row for each, which it writes again and
//! again while it lives.

use super::PostgresStore;
use super::sql::rows::{Columns, corrupt};
use crate::domain::host::{Duty, Part};
use crate::domain::id::HostId;
use crate::domain::plugin::Owner;
use crate::domain::time::Timestamp;
use crate::store::hosts::{Beat, Hosts};
use crate::store::text::id_text;
use crate::store::{Reply, StoreError};

/// Those whose time has been over for so long are forgotten.
const FORGOTTEN_MILLIS: i64 = 60 * 60 * 1000;

impl Hosts for PostgresStore {
    fn is_alone(&self) -> bool {
        false
    }

    fn beat(&self, host: HostId, now: Timestamp, until: Timestamp) -> Reply<'_, Beat> {
        const LIVES: &str = "
            INSERT INTO hosts (id, started_at, lives_until) VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET lives_until = greatest(hosts.lives_until, excluded.lives_until)";
        const FORGET: &str = "DELETE FROM hosts WHERE lives_until < $1";
        const PART: &str = "
            SELECT count(*) AS living,
                count(CASE WHEN (hosts.started_at, hosts.id) < (me.started_at, me.id) THEN 1 END) AS older,
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock
            FROM hosts CROSS JOIN (SELECT started_at, id FROM hosts WHERE id = $1) AS me
            WHERE hosts.lives_until > $2 OR hosts.id = $1";
        Box::pin(async move {
            self.write(move |conn| {
                Box::pin(async move {
                    let lives = sqlx::query(LIVES).bind(id_text(&host)).bind(now.as_millis()).bind(until.as_millis());
                    lives.execute(&mut *conn).await?;
                    sqlx::query(FORGET).bind(now.as_millis() - FORGOTTEN_MILLIS).execute(conn).await?;
                    Ok(())
                })
            })
            .await?;
            // After the commit: of two that come at the same time, one sees the other.
            let part = sqlx::query(PART).bind(id_text(&host)).bind(now.as_millis());
            let row = part.fetch_one(&self.claiming).await?;
            let row = Columns(&row);
            Ok(Beat { part: Part { rank: row.int("older")?, of: row.int("living")? }, clock: row.at("clock")? })
        })
    }

    fn leave(&self, host: HostId) -> Reply<'_, ()> {
        self.write(move |conn| {
            Box::pin(async move {
                for statement in ["DELETE FROM duties WHERE host = $1", "DELETE FROM hosts WHERE id = $1"] {
                    sqlx::query(statement).bind(id_text(&host)).execute(&mut *conn).await?;
                }
                Ok(())
            })
        })
    }

    fn living(&self, now: Timestamp) -> Reply<'_, Vec<HostId>> {
        const LIVING: &str = "SELECT id FROM hosts WHERE lives_until > $1 ORDER BY started_at, id";
        Box::pin(async move {
            let rows = sqlx::query(LIVING).bind(now.as_millis()).fetch_all(&self.readers).await?;
            rows.iter().map(|row| Columns(row).parsed("id")).collect()
        })
    }

    fn hold(&self, duty: Duty, host: HostId, now: Timestamp, until: Timestamp) -> Reply<'_, bool> {
        const HOLD: &str = "
            INSERT INTO duties (duty, host, held_until) VALUES ($1, $2, $3)
            ON CONFLICT (duty) DO UPDATE SET host = excluded.host, held_until = excluded.held_until
            WHERE duties.host = excluded.host OR duties.held_until <= $4";
        self.write(move |conn| {
            Box::pin(async move {
                let hold = sqlx::query(HOLD).bind(duty.as_str()).bind(id_text(&host));
                let held = hold.bind(until.as_millis()).bind(now.as_millis()).execute(conn).await?;
                Ok(held.rows_affected() > 0)
            })
        })
    }

    /// Changes are made one at a time until they are committed, so that no version is
    /// seen before a smaller one.
    fn changed(&self, since: i64) -> Reply<'_, (i64, Vec<Owner>)> {
        const CHANGED: &str = "
            SELECT newest.version, changed.owner
            FROM (SELECT coalesce(max(version), 0) AS version FROM catalogue_changes) AS newest
            LEFT JOIN catalogue_changes AS changed ON changed.version > $1";
        Box::pin(async move {
            let rows = sqlx::query(CHANGED).bind(since).fetch_all(&self.claiming).await?;
            let (mut newest, mut owners) = (0, Vec::new());
            for row in rows.iter().map(Columns) {
                newest = row.int("version")?;
                owners.extend(row.maybe_text("owner")?.map(|owner| read_owner(&owner)).transpose()?);
            }
            Ok((newest, owners))
        })
    }
}

fn read_owner(text: &str) -> Result<Owner, StoreError> {
    match text {
        "house" => Ok(Owner::House),
        tenant => tenant.parse().map(Owner::Tenant).map_err(|_| corrupt("catalogue_changes.owner")),
    }
}
