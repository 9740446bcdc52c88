//! The hosts of a PostgreSQL database: a row for each, which it writes again and
//! again while it lives.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::PostgresStore;
use super::sql::rows::{Columns, corrupt};
use crate::domain::host::{Duty, Part};
use crate::domain::id::HostId;
use crate::domain::plugin::Owner;
use crate::store::hosts::{Beat, Hosts};
use crate::store::sealed::{CHECK, READ_CHECK};
use crate::store::text::id_text;
use crate::store::{Reply, StoreError};

/// The server's own clock, in milliseconds.
macro_rules! clock {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// Takes those of some duties (`$1`) that are the host's (`$2`) or whose time is over,
/// for `$3` ms. One that somebody is just taking is theirs: a host that is suspended
/// meanwhile would keep the others from saying that they live. A duty that nobody has
/// had yet has no row.
const HOLD: &str = concat!(
    "WITH kept AS (
        UPDATE duties SET host = $2, held_until = ",
    clock!(),
    " + $3 WHERE duty = ANY(ARRAY(
            SELECT duty FROM duties WHERE duty = ANY($1::text[]) AND (host = $2 OR held_until <= ",
    clock!(),
    ") FOR UPDATE SKIP LOCKED))
        RETURNING duty
    ), begun AS (
        INSERT INTO duties (duty, host, held_until)
        SELECT asked.duty, $2, ",
    clock!(),
    " + $3 FROM unnest($1::text[]) AS asked (duty)
        WHERE NOT EXISTS (SELECT 1 FROM duties WHERE duties.duty = asked.duty)
        ON CONFLICT DO NOTHING RETURNING duty
    )
    SELECT duty FROM kept UNION ALL SELECT duty FROM begun"
);

/// Those whose time has been over for so long are forgotten.
const FORGOTTEN_MILLIS: i64 = 60 * 60 * 1000;

impl Hosts for PostgresStore {
    fn is_alone(&self) -> bool {
        false
    }

    fn beat<'a>(&'a self, host: HostId, life: Duration, duties: &'a [Duty]) -> Reply<'a, Beat> {
        // What is set is reckoned when the row is locked: of two beats of one host the
        // later holds.
        const LIVES: &str = concat!(
            "INSERT INTO hosts (id, started_at, lives_until) VALUES ($1, ",
            clock!(),
            ", ",
            clock!(),
            " + $2) ON CONFLICT (id) DO UPDATE SET lives_until = ",
            clock!(),
            " + $2"
        );
        const FORGET: &str = concat!(
            "DELETE FROM hosts WHERE ",
            rows!("hosts", "id", concat!(" WHERE lives_until < ", clock!(), " - $1"))
        );
        const PART: &str = concat!(
            "SELECT count(*) + 1 AS living,
                count(CASE WHEN (started_at, id) < (SELECT started_at, id FROM hosts WHERE id = $1) THEN 1 END) AS older, ",
            clock!(),
            " AS clock FROM hosts WHERE id <> $1 AND lives_until > ",
            clock!()
        );
        let (id, millis) = (id_text(&host), i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
        let asked: Vec<String> = duties.iter().map(|duty| duty.as_str().to_owned()).collect();
        let (seal, resealed) = (self.seal.clone(), self.resealed.clone());
        Box::pin(async move {
            let lives = id.clone();
            let held = self.promptly(move |conn| {
                Box::pin(async move {
                    sqlx::query(LIVES).bind(&lives).bind(millis).execute(&mut *conn).await?;
                    // Another key is given to a database whose hosts are all dead, and none
                    // comes to life meanwhile: whoever was silent for that long looks here.
                    let check: Vec<u8> = sqlx::query_scalar(READ_CHECK).fetch_one(&mut *conn).await?;
                    if seal.open(CHECK, &check).is_err() {
                        resealed.send_replace(true);
                        return Err(corrupt("meta.value"));
                    }
                    sqlx::query(FORGET).bind(FORGOTTEN_MILLIS).execute(&mut *conn).await?;
                    if asked.is_empty() {
                        return Ok(Vec::new());
                    }
                    let held = sqlx::query_scalar(HOLD).bind(asked).bind(lives).bind(millis);
                    Ok::<Vec<String>, _>(held.fetch_all(conn).await?)
                })
            });
            let held = held.await?;
            // After the commit: of two that come at the same time, one sees the other.
            let row = sqlx::query(PART).bind(id).fetch_one(&self.claiming).await?;
            let row = Columns(&row);
            let part = Part { rank: row.int("older")?, of: row.int("living")? };
            self.living.store(part.of, Ordering::Relaxed);
            Ok(Beat {
                part,
                clock: row.at("clock")?,
                held: duties.iter().copied().filter(|duty| held.iter().any(|held| held == duty.as_str())).collect(),
            })
        })
    }

    /// A duty's row stays: whoever makes one is waited for.
    fn leave(&self, host: HostId) -> Reply<'_, ()> {
        self.promptly(move |conn| {
            Box::pin(async move {
                for statement in ["DELETE FROM hosts WHERE id = $1", "UPDATE duties SET held_until = 0 WHERE host = $1"]
                {
                    sqlx::query(statement).bind(id_text(&host)).execute(&mut *conn).await?;
                }
                Ok(())
            })
        })
    }

    fn living(&self) -> Reply<'_, Vec<HostId>> {
        const LIVING: &str = concat!("SELECT id FROM hosts WHERE lives_until > ", clock!(), " ORDER BY started_at, id");
        Box::pin(async move {
            let rows = sqlx::query(LIVING).fetch_all(&self.readers).await?;
            rows.iter().map(|row| Columns(row).parsed("id")).collect()
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
