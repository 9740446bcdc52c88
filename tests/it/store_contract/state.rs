//! Named secrets, and what steps keep: each step its own, changed by one at a
//! time, and gone with where it belongs.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookyard::dial::{Dialler, SystemNames};
use hookyard::domain::id::TenantId;
use hookyard::domain::named_secret::NamedSecret;
use hookyard::domain::place::PlaceId;
use hookyard::domain::secret::Secret;
use hookyard::domain::state::{Entry, MAX_KEYS, StateError, StepRef};
use hookyard::domain::url::UrlPolicy;
use hookyard::reach::Reach;
use hookyard::store::{Picture, StoreError};

use super::Store;
use super::given::{NOW, SECOND, a_tenant, endpoint, source};

fn step(plugin: &str, ordinal: u32) -> StepRef {
    StepRef { plugin: plugin.parse().expect("a plugin name"), ordinal }
}

/// More secrets than a tenant here has.
const MANY: u32 = 10;

fn secret(name: &str, text: &str) -> NamedSecret {
    let (name, secret) = (name.to_owned(), Secret::stored(text.to_owned()));
    NamedSecret { name, secret, created_at: NOW, updated_at: NOW + SECOND }
}

async fn an_endpoint(store: &Store, tenant: TenantId, name: &str) -> Result<PlaceId, StoreError> {
    let endpoint = endpoint(tenant, name);
    store.catalog.create_endpoint(&endpoint, None, None).await?;
    Ok(PlaceId::Endpoint(endpoint.id))
}

async fn put(store: &Store, whose: (TenantId, PlaceId, &StepRef), key: &str, value: &str) -> Result<u32, StoreError> {
    let (tenant, place, step) = whose;
    let written = store.ledger.put_step_entry(tenant, place, step, key, value.into(), None).await?;
    Ok(written.expect("nothing stands against it"))
}

fn entry(value: &str, revision: u32) -> Entry {
    Entry { value: value.into(), revision }
}

contract! {
    async fn a_named_secret_reads_back_whole(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        store.catalog.put_secret(acme, &secret("crm", "before"), MANY).await?;
        let later = NamedSecret { created_at: NOW + SECOND, updated_at: NOW + 2 * SECOND, ..secret("crm", "after") };
        store.catalog.put_secret(acme, &later, MANY).await?;
        store.catalog.put_secret(other, &secret("crm", "his"), MANY).await?;
        let picture = store.catalog.picture(acme).await?.expect("the tenant exists");
        let stored = &picture.secrets["crm"];
        assert_eq!((stored.name.as_str(), stored.secret.reveal()), ("crm", "after"));
        assert_eq!((stored.created_at, stored.updated_at), (NOW, NOW + 2 * SECOND));

        store.catalog.delete_secret(acme, "crm").await?;
        assert!(matches!(store.catalog.delete_secret(acme, "crm").await, Err(StoreError::NotFound)));
        let picture = store.catalog.picture(other).await?.expect("the tenant exists");
        assert_eq!(picture.secrets["crm"].secret.reveal(), "his");
        Ok(())
    }

    async fn a_tenant_has_as_many_secrets_as_it_may(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        store.catalog.put_secret(acme, &secret("a", "1"), 2).await?;
        let [b, c] = [secret("b", "1"), secret("c", "1")];
        let (first, second) =
            tokio::join!(store.catalog.put_secret(acme, &b, 2), store.catalog.put_secret(acme, &c, 2));
        first?;
        assert!(matches!(second, Err(StoreError::OverLimit)), "{second:?}");
        store.catalog.put_secret(acme, &secret("a", "2"), 2).await?;
        store.catalog.put_secret(other, &secret("c", "his"), 2).await?;
        let picture = store.catalog.picture(acme).await?.expect("the tenant exists");
        assert_eq!(picture.secrets.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(picture.secrets["a"].secret.reveal(), "2");
        Ok(())
    }

    async fn a_secret_that_a_step_is_granted_stays(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        for tenant in [acme, other] {
            store.catalog.put_secret(tenant, &secret("crm", "1"), MANY).await?;
        }
        store.catalog.put_secret(acme, &secret("erp", "1"), MANY).await?;
        // Both have a step that is granted `crm`.
        let (source, endpoint) = (source(acme, "in"), endpoint(acme, "out"));
        store.catalog.create_source(&source).await?;
        store.catalog.create_endpoint(&endpoint, None, None).await?;
        let refused = async || {
            let kept = store.catalog.delete_secret(acme, "crm").await;
            assert!(matches!(kept, Err(StoreError::InUse)), "{kept:?}");
        };

        refused().await;
        store.catalog.delete_source(acme, source.id).await?;
        refused().await;
        store.catalog.delete_secret(acme, "erp").await?;
        store.catalog.delete_secret(other, "crm").await?;
        store.catalog.delete_endpoint(acme, endpoint.id).await?;
        store.catalog.delete_secret(acme, "crm").await?;
        Ok(())
    }

    async fn a_step_keeps_its_own(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (first, second) = (an_endpoint(store, acme, "a").await?, an_endpoint(store, acme, "b").await?);
        let (one, two) = (step("mine", 0), step("mine", 1));
        assert_eq!(put(store, (acme, first, &one), "k", "v").await?, 1);
        assert_eq!(put(store, (acme, first, &one), "k", "w").await?, 2);
        assert_eq!(put(store, (acme, first, &one), "l", "").await?, 3);
        assert_eq!(put(store, (acme, first, &two), "k", "x").await?, 1);

        let ledger = &store.ledger;
        assert_eq!(ledger.step_entry(acme, first, &one, "k").await?, Some(entry("w", 2)));
        let all = BTreeMap::from([("k".to_owned(), entry("w", 2)), ("l".to_owned(), entry("", 3))]);
        assert_eq!(ledger.step_entries(acme, first, &one).await?, all);
        for (tenant, place, step) in [
            (acme, first, step("other", 0)),
            (acme, second, one.clone()),
            (other, first, one.clone()),
            (acme, first, StepRef { ordinal: 2, ..one.clone() }),
        ] {
            assert_eq!(ledger.step_entry(tenant, place, &step, "k").await?, None, "{tenant} {place} {step:?}");
            assert_eq!(ledger.step_entries(tenant, place, &step).await?, BTreeMap::new());
        }
        // Nobody keeps anything in another tenant's place.
        let foreign = ledger.put_step_entry(other, first, &one, "k", b"v".into(), None).await;
        assert!(matches!(foreign, Err(StoreError::NotFound)));
        Ok(())
    }

    async fn of_two_that_expect_the_same_one_is_told(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let place = an_endpoint(store, acme, "a").await?;
        let step = step("mine", 0);
        let put = |expected| store.ledger.put_step_entry(acme, place, &step, "k", b"v".into(), expected);
        let delete = |expected| store.ledger.delete_step_entry(acme, place, &step, "k", expected);
        let (a, b) = tokio::join!(put(Some(0)), put(Some(0)));
        let mut both = [a?, b?];
        both.sort_by_key(Result::is_err);
        assert_eq!(both, [Ok(1), Err(StateError::Conflict)]);
        assert_eq!(put(Some(2)).await?, Err(StateError::Conflict));
        assert_eq!(put(Some(1)).await?, Ok(2));
        assert_eq!(delete(Some(1)).await?, Err(StateError::Conflict));
        assert_eq!(delete(Some(2)).await?, Ok(()));
        assert_eq!((delete(None).await?, delete(Some(0)).await?), (Ok(()), Ok(())));
        // What was deleted does not come back under its old revision.
        assert_eq!(put(Some(0)).await?, Ok(3));
        Ok(())
    }

    async fn a_step_keeps_so_many_keys(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let place = an_endpoint(store, acme, "a").await?;
        let (one, two) = (step("mine", 0), step("mine", 1));
        for key in 0..MAX_KEYS {
            put(store, (acme, place, &one), &format!("k{key}"), "v").await?;
        }
        let more = store.ledger.put_step_entry(acme, place, &one, "more", b"v".into(), None).await?;
        assert!(matches!(more, Err(StateError::Quota(_))), "{more:?}");
        put(store, (acme, place, &one), "k7", "another value").await?;
        put(store, (acme, place, &two), "k", "v").await?;
        store.ledger.delete_step_entry(acme, place, &one, "k1", None).await?.expect("it is there");
        put(store, (acme, place, &one), "more", "v").await?;
        Ok(())
    }

    async fn what_a_step_keeps_goes_with_its_endpoint_source_or_tenant(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let (first, second) = (an_endpoint(store, acme, "a").await?, an_endpoint(store, acme, "b").await?);
        let shop = source(acme, "shop");
        store.catalog.create_source(&shop).await?;
        let third = PlaceId::Source(shop.id);
        let step = step("mine", 0);
        for place in [first, second, third] {
            put(store, (acme, place, &step), "k", "v").await?;
        }
        let PlaceId::Endpoint(id) = first else { panic!("it is an endpoint") };
        store.catalog.delete_endpoint(acme, id).await?;
        store.catalog.delete_source(acme, shop.id).await?;
        let kept = async |place| store.ledger.step_entry(acme, place, &step, "k").await;
        assert_eq!((kept(first).await?, kept(third).await?), (None, None));
        assert_eq!(kept(second).await?, Some(entry("v", 1)));
        let late = store.ledger.put_step_entry(acme, first, &step, "k", b"v".into(), None).await;
        assert!(matches!(late, Err(StoreError::NotFound)), "a call that was on its way leaves nothing");

        store.catalog.delete_tenant(acme, NOW).await?;
        assert_eq!(kept(second).await?, None);
        Ok(())
    }

    async fn a_preview_finds_what_is_kept_and_leaves_it(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let place = an_endpoint(store, acme, "a").await?;
        let step = step("mine", 0);
        put(store, (acme, place, &step), "k", "v").await?;
        let picture = Arc::new(Picture::load(&*store.catalog).await?);
        let dialler = Arc::new(Dialler::new(Arc::new(UrlPolicy::default()), Arc::new(SystemNames), None));
        let preview = Reach::new(store.ledger.clone(), picture, dialler).preview(acme, Some(place), false);
        let (whose, seen) = (step.clone(), tokio::task::spawn_blocking(move || {
            let step = step;
            let before = preview.get(&step, "k");
            let written = preview.put(&step, "k", b"w".into(), Some(1));
            let more = preview.put(&step, "l", b"x".into(), Some(0));
            (before, written, more, preview.get(&step, "k"), preview.delete(&step, "l", Some(3)))
        }));
        let seen = seen.await.expect("it does not panic");
        assert_eq!(seen, (Ok(Some(entry("v", 1))), Ok(2), Ok(3), Ok(Some(entry("w", 2))), Ok(())));
        let kept = BTreeMap::from([("k".to_owned(), entry("v", 1))]);
        assert_eq!(store.ledger.step_entries(acme, place, &whose).await?, kept);
        Ok(())
    }
}
