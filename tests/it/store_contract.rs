//! The promises that every engine of the store keeps, checked through the
//! traits alone. `contract!` makes a test for each engine of each promise.

use std::sync::Arc;

use hookyard::domain::database::Durability;
use hookyard::store::postgres::PostgresStore;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard::store::{Catalog, Engine, Hosts, Ledger, People, StoreError};
use hookyard_tests::TempDir;
use hookyard_tests::postgres::{self, Database};

/// A store with nothing in it, and the place where it keeps its files.
struct Store {
    catalog: Arc<dyn Catalog>,
    ledger: Arc<dyn Ledger>,
    people: Arc<dyn People>,
    hosts: Arc<dyn Hosts>,
    /// All of these.
    engine: Arc<dyn Engine>,
    place: Place,
}

/// Where a store keeps what it keeps; gone with this.
enum Place {
    Directory { _directory: TempDir },
    Server { database: Database },
}

/// What a promise comes to: a store that fails fails the test.
type Kept = Result<(), StoreError>;

const MASTER_KEY: [u8; 32] = [7; 32];

impl Store {
    async fn sqlite() -> Self {
        let place = TempDir::new();
        let opened = SqliteStore::open(&place.path().join("hookyard.db"), Seal::new(MASTER_KEY)).await;
        let store = Arc::new(opened.expect("an empty directory takes a database"));
        Self::of(store, Place::Directory { _directory: place })
    }

    async fn postgres() -> Self {
        let database = postgres::database().await;
        let url = database.url().parse().expect("a server's URL");
        let opened = PostgresStore::open(&url, Seal::new(MASTER_KEY), Durability::Required).await;
        let store = Arc::new(opened.expect("an empty database takes the schema"));
        Self::of(store, Place::Server { database })
    }

    fn of(store: Arc<impl Engine + 'static>, place: Place) -> Self {
        Self {
            catalog: store.clone(),
            ledger: store.clone(),
            people: store.clone(),
            hosts: store.clone(),
            engine: store,
            place,
        }
    }
}

/// Each promise is a function over a [`Store`]; each engine runs all of them.
macro_rules! contract {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident: &Store) -> Kept $body:block)*) => {
        $($(#[$doc])* async fn $name($store: &crate::store_contract::Store) -> crate::store_contract::Kept $body)*

        mod sqlite {
            $(#[tokio::test]
            async fn $name() -> crate::store_contract::Kept {
                super::$name(&crate::store_contract::Store::sqlite().await).await
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() -> crate::store_contract::Kept {
                super::$name(&crate::store_contract::Store::postgres().await).await
            })*
        }
    };
}

mod audit;
mod beside;
mod catalogue;
mod claims;
mod days;
mod figures;
mod files;
mod given;
mod hosts;
mod keeping;
mod keys;
mod lines;
mod lists;
mod people;
mod plugins;
mod recordings;
mod replays;
mod reseal;
mod settlements;
mod state;
mod tenancy;
