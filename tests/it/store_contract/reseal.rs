//! Another master key, on SQLite: everything goes over, or nothing does.

use std::collections::BTreeSet;
use std::path::Path;

use hookyard::domain::id::TenantId;
use hookyard::domain::named_secret::NamedSecret;
use hookyard::domain::secret::Secret;
use hookyard::domain::user::Whose;
use hookyard::store::SEALED;
use hookyard::store::offline::Resealed;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::{Offline, OpenError, SqliteStore};
use hookyard::store::{Catalog as _, People as _};
use hookyard_tests::TempDir;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::given::{NOW, endpoint, key, source, tenant, user};
use super::{Kept, MASTER_KEY};

const NEW_KEY: [u8; 32] = [8; 32];
const NAMED: &str = "a-named-secret";

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.expect("the file opens")
}

/// A database in which every sealed column has something.
async fn full(path: &Path) -> Result<TenantId, hookyard::store::StoreError> {
    let store = SqliteStore::open(path, Seal::new(MASTER_KEY)).await.expect("the database opens");
    let acme = tenant("acme");
    store.create_tenant(&acme, key(1)).await?;
    let crm = endpoint(acme.id, "crm");
    store.create_endpoint(&crm, Some(&Secret::standard([5; 24])), None).await?;
    store.rotate_secret(acme.id, crm.id, &Secret::ed25519([6; 32]), NOW, NOW + super::given::MINUTE).await?;
    store.create_endpoint(&endpoint(acme.id, "unsigned"), None, None).await?;
    store.create_source(&source(acme.id, "shop")).await?;
    let secret = NamedSecret::value(NAMED.to_owned()).expect("it is a value");
    let named = NamedSecret { name: "crm".to_owned(), secret, created_at: NOW, updated_at: NOW };
    store.put_secret(acme.id, &named, 9).await?;
    store.create_user(&user(acme.id, "jane@example.com"), 9).await?;
    store.close().await;
    Ok(acme.id)
}

/// What every sealed column has.
async fn sealed(path: &Path) -> BTreeSet<Vec<u8>> {
    let mut conn = raw(path).await;
    let mut values = BTreeSet::new();
    for column in &SEALED {
        let select = format!("SELECT {0} FROM {1} WHERE {0} IS NOT NULL", column.column, column.table);
        let found: Vec<Vec<u8>> =
            sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut conn).await.expect("a column");
        assert!(!found.is_empty(), "nothing is in {}.{}", column.table, column.column);
        values.extend(found);
    }
    conn.close().await.expect("it closes");
    values
}

fn are_in_files(place: &TempDir, values: &BTreeSet<Vec<u8>>) -> usize {
    let files = std::fs::read_dir(place.path()).expect("the directory is there");
    let contents: Vec<Vec<u8>> =
        files.map(|file| std::fs::read(file.expect("an entry").path()).expect("a file")).collect();
    let is_in = |value: &&Vec<u8>| contents.iter().any(|file| file.windows(value.len()).any(|part| part == **value));
    values.iter().filter(is_in).count()
}

async fn reseal(path: &Path, old: [u8; 32], new: [u8; 32]) -> Result<Resealed, OpenError> {
    let mut offline = Offline::open(path).await?;
    let resealed = offline.reseal(&Seal::new(old), &Seal::new(new)).await;
    offline.clean().await?;
    offline.close().await?;
    resealed
}

/// A picture shows every secret as it was given.
async fn shows_all(path: &Path, master_key: [u8; 32], tenant: TenantId) -> Kept {
    let store = SqliteStore::open(path, Seal::new(master_key)).await.expect("its key opens it");
    let picture = store.picture(tenant).await?.expect("the tenant exists");
    let crm = picture.endpoints.values().find(|sealed| sealed.endpoint.name == "crm").expect("it is there");
    let secrets: Vec<&str> = crm.secrets.iter().map(|overlap| overlap.secret.reveal()).collect();
    assert_eq!(secrets, [Secret::ed25519([6; 32]).reveal(), Secret::standard([5; 24]).reveal()]);
    assert_eq!(crm.endpoint.headers[0].value, "a-very-secret-header");
    let verification = &picture.sources.values().next().expect("a source").verification;
    assert_eq!(verification.secret.as_ref().map(|secret| secret.reveal()), Some("a-source-secret"));
    assert_eq!(verification.verify_token.as_ref().map(|token| token.reveal()), Some("a-verify-token"));
    assert_eq!(picture.secrets["crm"].secret.reveal(), NAMED);
    let users = store.users(Whose::Tenant(tenant), None, 9).await?;
    assert_eq!(users[0].password, user(tenant, "jane@example.com").password);
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn a_new_master_key_opens_everything_and_the_old_one_nothing() -> Kept {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    let tenant = full(&path).await?;
    let before = sealed(&path).await;
    let all = before.len();
    assert!(all >= SEALED.len());
    assert_eq!(are_in_files(&place, &before), all, "the search finds what is there");

    assert_eq!(reseal(&path, MASTER_KEY, NEW_KEY).await.unwrap(), Resealed::Now(all));
    // What the old key opens is not even in a page that is free.
    assert_eq!(are_in_files(&place, &before), 0);
    assert!(sealed(&path).await.is_disjoint(&before));
    let opened = SqliteStore::open(&path, Seal::new(MASTER_KEY)).await;
    assert!(matches!(opened, Err(OpenError::WrongMasterKey)));
    shows_all(&path, NEW_KEY, tenant).await?;

    // Once more is no harm.
    assert_eq!(reseal(&path, MASTER_KEY, NEW_KEY).await.unwrap(), Resealed::Before);
    shows_all(&path, NEW_KEY, tenant).await
}

#[tokio::test]
async fn a_rotation_that_fails_changes_nothing() -> Kept {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    let tenant = full(&path).await?;
    let before = sealed(&path).await;
    assert!(matches!(reseal(&path, [9; 32], NEW_KEY).await, Err(OpenError::WrongMasterKey)));
    shows_all(&path, MASTER_KEY, tenant).await?;

    // The last of the columns has a value that no key opens.
    let mut conn = raw(&path).await;
    sqlx::query("INSERT INTO named_secrets VALUES ('ten_x', 'broken', x'0102', 1, 1)")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.expect("it closes");
    let refused = reseal(&path, MASTER_KEY, NEW_KEY).await;
    assert!(matches!(refused, Err(OpenError::Unopened { table: "named_secrets", .. })), "{refused:?}");
    assert!(sealed(&path).await.is_superset(&before));
    shows_all(&path, MASTER_KEY, tenant).await
}

#[tokio::test]
async fn a_database_that_a_host_has_open_is_left_alone() {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    let store = SqliteStore::open(&path, Seal::new(MASTER_KEY)).await.unwrap();
    assert!(matches!(reseal(&path, MASTER_KEY, NEW_KEY).await, Err(OpenError::InUse(_))));
    store.close().await;
    assert_eq!(reseal(&path, MASTER_KEY, NEW_KEY).await.unwrap(), Resealed::Now(0));
}

/// Columns of bytes that are no secret of anybody's.
const PLAIN: [(&str, &str); 11] = [
    ("attempts", "answer_body"),
    ("components", "component"),
    ("idempotency", "fingerprint"),
    ("keys", "hash"),
    ("links", "hash"),
    ("messages", "body"),
    ("meta", "value"),
    ("requests", "body"),
    ("sessions", "hash"),
    ("sessions", "key_hash"),
    ("step_values", "value"),
];

/// A new column of bytes is either sealed, and then a rotation knows it, or it
/// is named above as plain.
#[tokio::test]
async fn every_sealed_column_is_known_to_the_rotation() {
    let place = TempDir::new();
    let path = place.path().join("hookyard.db");
    SqliteStore::open(&path, Seal::new(MASTER_KEY)).await.unwrap().close().await;
    let mut conn = raw(&path).await;
    let select = "
        SELECT tables.name, columns.name, columns.type, columns.pk
        FROM sqlite_schema tables, pragma_table_info(tables.name) columns
        WHERE tables.type = 'table' AND tables.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
        ORDER BY tables.name, columns.pk";
    let columns: Vec<(String, String, String, i64)> =
        sqlx::query_as(select).fetch_all(&mut conn).await.expect("a column");
    let blobs: BTreeSet<(&str, &str)> = columns
        .iter()
        .filter(|(_, _, kind, _)| kind == "BLOB")
        .map(|(table, column, ..)| (table.as_str(), column.as_str()))
        .collect();
    let known = SEALED.iter().map(|column| (column.table, column.column)).chain(PLAIN).collect();
    assert_eq!(blobs, known, "say in `SEALED` (store/sealed.rs) or `PLAIN` here what each column of bytes is");
    for column in &SEALED {
        let key: Vec<&str> = columns
            .iter()
            .filter(|(table, _, _, pk)| table == column.table && *pk > 0)
            .map(|(_, name, ..)| name.as_str())
            .collect();
        assert_eq!(key, column.key, "the primary key of {}", column.table);
    }
}
