//! Another master key: `hookyard rotate-master-key`, and what a start does when
//! it is given the old key too, or finds a rotation that did not end.
//!
//! The key's file and the database cannot change in one step. So the new key
//! stands beside the old one, on the disk, before anything is sealed with it; the
//! database goes over in one transaction; then the new key takes the old one's
//! place. Wherever that is cut off, the database itself says which of the two
//! opens it. Its lock is held throughout.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::{self, Given, NextMasterKey, Place, Settings};
use crate::domain::database::Database;
use crate::store::engine::OpenError;
use crate::store::offline::{Offline, Resealed};
use crate::store::seal::Seal;
use crate::store::{postgres, sqlite};
use crate::telemetry::Chain;

/// `hookyard rotate-master-key`
pub(super) fn rotate(place: Place) -> Result<(), Failure> {
    let given = Given::from(place).or(config::read_file(Path::new("hookyard.toml"))?);
    // A first start makes both; a name that was mistyped must not.
    let data = given.data.clone().unwrap_or_else(|| PathBuf::from("hookyard-data"));
    if !data.exists() {
        return Err(Failure(format!("data ({}): there is no such directory", data.display())));
    }
    let mut settings = given.settle()?;
    if let Database::Sqlite(path) = &settings.database
        && !path.exists()
    {
        return Err(Failure(format!("database ({}): there is none to rotate", path.display())));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(rotate_offline(&mut settings))?;
    writeln!(io::stdout(), "{said}")?;
    Ok(())
}

async fn open(settings: &Settings) -> Result<Offline, Failure> {
    Offline::open(&settings.database).await.map_err(|error| Failure(Chain(&error).to_string()))
}

async fn rotate_offline(settings: &mut Settings) -> Result<String, Failure> {
    let mut database = open(settings).await?;
    // Before there is a new key that nobody needs.
    database.is_alone().await?;
    end_unfinished(settings, &mut database).await?;
    if let Some(old) = config::old_master_key()? {
        let resealed = database.reseal(&Seal::new(old.bytes()), &Seal::new(settings.master_key.bytes())).await?;
        database.clean().await.map_err(|error| not_clean(&error))?;
        return Ok(match resealed {
            Resealed::Now(values) => format!("{values} secrets are encrypted with the new master key now"),
            Resealed::Before => "the database is encrypted with the new master key already".to_owned(),
        });
    }
    if config::master_key_is_given() {
        let problem = "the master key comes from HOOKYARD_MASTER_KEY: set that to the new key, which `openssl rand \
                       -base64 32` makes, and HOOKYARD_MASTER_KEY_OLD to the one before";
        return Err(Failure(problem.to_owned()));
    }
    let current = Seal::new(settings.master_key.bytes());
    if !database.is_sealed_with(&current).await? {
        return Err(wrong_master_key(&database).into());
    }
    let next = NextMasterKey::of(&settings.data);
    let key = next.make()?;
    let resealed = database.reseal(&current, &Seal::new(key.bytes())).await?;
    // Before the key has its place: what is cut off here is begun again.
    let cleaned = database.clean().await;
    next.install()?;
    cleaned.map_err(|error| not_clean(&error))?;
    let values = if let Resealed::Now(values) = resealed { values } else { 0 };
    let file = settings.data.join("master.key");
    let and_copy = match database {
        Offline::Sqlite(_) => "",
        Offline::Postgres(_) => ", and copy it to every other host",
    };
    Ok(format!("{values} secrets are encrypted with the new master key now; back up {}{and_copy}", file.display()))
}

fn wrong_master_key(database: &Offline) -> OpenError {
    match database {
        Offline::Sqlite(_) => OpenError::Sqlite(sqlite::OpenError::WrongMasterKey),
        Offline::Postgres(_) => OpenError::Postgres(postgres::OpenError::WrongMasterKey),
    }
}

fn not_clean(error: &OpenError) -> Failure {
    Failure(format!(
        "the secrets are encrypted with the new master key, but what the old one opens could not be removed from the \
         database's free space: {}; make room (SQLite: set SQLITE_TMPDIR where it is), and run this once more",
        Chain(error)
    ))
}

/// A server need not wait for room on the disk.
async fn clean(database: &mut Offline) {
    if let Err(error) = database.clean().await {
        tracing::warn!(error = %Chain(&error), "what the old master key opens is still in the database's free space");
    }
}

/// What is to be done before a server opens the database.
pub(super) async fn before_start(settings: &mut Settings) -> Result<(), Failure> {
    let old = config::old_master_key()?;
    let is_unfinished = !config::master_key_is_given() && NextMasterKey::of(&settings.data).read()?.is_some();
    if old.is_none() && !is_unfinished {
        return Ok(());
    }
    let mut database = open(settings).await?;
    end_unfinished(settings, &mut database).await?;
    if let Some(old) = old {
        match database.reseal(&Seal::new(old.bytes()), &Seal::new(settings.master_key.bytes())).await? {
            Resealed::Now(values) => {
                clean(&mut database).await;
                tracing::info!(values, "secrets are encrypted with the new master key now");
            }
            Resealed::Before => tracing::warn!("HOOKYARD_MASTER_KEY_OLD is not needed any more; take it away"),
        }
    }
    Ok(database.close().await?)
}

/// Ends a rotation that was cut off: the key that the database is sealed with
/// stays, the other goes.
async fn end_unfinished(settings: &mut Settings, database: &mut Offline) -> Result<(), Failure> {
    let next = NextMasterKey::of(&settings.data);
    let Some(key) = next.read()?.filter(|_| !config::master_key_is_given()) else { return Ok(()) };
    if database.is_sealed_with(&Seal::new(settings.master_key.bytes())).await? {
        next.discard()?;
        return Ok(());
    }
    if database.is_sealed_with(&Seal::new(key.bytes())).await? {
        clean(database).await;
        next.install()?;
        settings.master_key = key;
    }
    Ok(())
}
