//! What only SQLite promises: what is in its files, and who may open them.

use std::path::Path;
use std::sync::Arc;

use hookyard::domain::id::EventId;
use hookyard::domain::secret::Secret;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::{OpenError, SqliteStore};
use hookyard::store::{Catalog as _, Ledger as _, People as _, StoreError};
use hookyard_tests::TempDir;

use super::given::{NOW, endpoint, event, key, recording, source, tenant, user};
use super::{Kept, MASTER_KEY};

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Seal::new(MASTER_KEY)).await.expect("the database opens")
}

/// Whether any file of the store has these bytes.
fn on_disk(place: &TempDir, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(place.path()).expect("the directory is there");
    files.map(|file| file.expect("an entry").path()).any(|path| {
        let content = std::fs::read(path).expect("a readable file");
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

async fn an_event(store: &SqliteStore) -> Result<EventId, StoreError> {
    let acme = tenant("acme");
    store.create_tenant(&acme, key(1)).await?;
    let event = Arc::new(event(acme.id));
    store.record(recording(acme.id, &event, Vec::new())).await?;
    Ok(event.id)
}

#[tokio::test]
async fn secrets_are_not_in_the_files() -> Kept {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    let store = open(&path).await;
    let acme = tenant("acme");
    store.create_tenant(&acme, key(0xab)).await?;
    let first = Secret::text("", *b"the-first-signing-key-24");
    let second = Secret::text("", *b"the-other-signing-key-24");
    let mut endpoint = endpoint(acme.id, "a-name-to-be-found");
    store.create_endpoint(&endpoint, Some(&first), None).await?;
    store.rotate_secret(acme.id, endpoint.id, &second, NOW, NOW).await?;
    store.create_source(&source(acme.id, "shop")).await?;
    store.create_user(&user(acme.id, "jane@example.com"), 9).await?;
    let before = endpoint.clone();
    endpoint.headers[0].value = "another-secret-header".to_owned();
    store.update_endpoint(&endpoint, &before).await?;

    // Once with all of it in the log, and once in the database.
    for _ in 0..2 {
        assert!(on_disk(&place, b"a-name-to-be-found"), "the search finds what is there");
        assert!(!on_disk(&place, first.reveal().as_bytes()));
        assert!(!on_disk(&place, second.reveal().as_bytes()));
        assert!(!on_disk(&place, b"a-source-secret"));
        assert!(!on_disk(&place, b"a-verify-token"));
        // The header, the login, the hidden header, the client's key and a
        // password's hash.
        assert!(!on_disk(&place, b"a-very-secret"));
        assert!(!on_disk(&place, b"another-secret-header"));
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() -> Kept {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    let store = open(&path).await;
    let event = an_event(&store).await?;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));

    let store = open(&path).await;
    let tenants = store.tenants().await?;
    assert!(store.event(tenants[0], event).await?.is_some());
    store.ping().await?;
    Ok(())
}

/// A copy of the files as they are in the middle, log and all, is what a crash
/// leaves.
#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() -> Kept {
    let (place, after) = (TempDir::new(), TempDir::new());
    let store = open(&place.path().join("hookyard.db")).await;
    let event = an_event(&store).await?;
    for file in ["hookyard.db", "hookyard.db-wal"] {
        std::fs::copy(place.path().join(file), after.path().join(file)).expect("a file to copy");
    }

    let store = open(&after.path().join("hookyard.db")).await;
    let tenants = store.tenants().await?;
    assert!(store.event(tenants[0], event).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    open(&path).await.close().await;
    let opened = SqliteStore::open(&path, Seal::new([8; 32])).await;
    assert!(matches!(opened, Err(OpenError::WrongMasterKey)));
    open(&path).await;
}

#[tokio::test]
async fn a_second_host_is_refused() {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    let first = open(&path).await;
    let second = SqliteStore::open(&path, Seal::new(MASTER_KEY)).await;
    assert!(matches!(second, Err(OpenError::InUse(_))));
    first.close().await;
    open(&path).await;
}
