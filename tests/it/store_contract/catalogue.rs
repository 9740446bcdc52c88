//! What is set up reads back whole, and names are taken once.

use std::time::Duration;

use hookyard::domain::access::{Access, Auth};
use hookyard::domain::endpoint::{Endpoint, Status};
use hookyard::domain::id::TenantId;
use hookyard::domain::pace::Pace;
use hookyard::domain::pipeline::Pipeline;
use hookyard::domain::secret::Secret;
use hookyard::domain::source::Source;
use hookyard::domain::verification::Verification;
use hookyard::store::StoreError;
use hookyard::store::picture::TenantPicture;

use super::Store;
use super::given::{
    MINUTE, NOW, SECOND, a_tenant, access, endpoint, event_type, id, key, oauth, pipeline, secret, source, tenant,
};

async fn picture(store: &Store, tenant: TenantId) -> Result<TenantPicture, StoreError> {
    Ok(store.catalog.picture(tenant).await?.expect("the tenant exists"))
}

fn name_taken(result: Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::NameTaken))
}

fn not_found(result: Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

contract! {
    async fn a_tenant_reads_back_whole(store: &Store) -> Kept {
        let mut acme = tenant("acme");
        store.catalog.create_tenant(&acme, key(1)).await?;

        let stored = picture(store, acme.id).await?;
        assert_eq!(stored.tenant, acme);

        acme.name = "acme & sons".to_owned();
        acme.plan = None;
        acme.limits.ceilings.fuel = 1;
        acme.limits.intake.per_day = None;
        acme.dialect = "svix".to_owned();
        store.catalog.update_tenant(&acme).await?;
        assert_eq!(picture(store, acme.id).await?.tenant, acme);
        assert_eq!(store.catalog.tenants().await?, [acme.id]);
        Ok(())
    }

    async fn a_source_reads_back_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let mut shop = source(tenant, "shop");
        store.catalog.create_source(&shop).await?;
        let stored = picture(store, tenant).await?;
        let stored = stored.sources.get(&shop.id).expect("the source is stored");
        assert_eq!(format!("{stored:?}"), format!("{shop:?}"));
        // Its `Debug` hides these.
        assert_eq!(stored.token, shop.token);
        let revealed = |secret: &Option<std::sync::Arc<Secret>>| secret.as_ref().map(|one| one.reveal().to_owned());
        assert_eq!(revealed(&stored.verification.secret).as_deref(), Some("a-source-secret"));
        assert_eq!(revealed(&stored.verification.verify_token).as_deref(), Some("a-verify-token"));

        let before = shop.clone();
        shop.name = "store".to_owned();
        shop.event_type = None;
        shop.verification = Verification::none();
        shop.rate_limit = None;
        shop.pipeline = pipeline("{}");
        store.catalog.update_source(&shop, &before).await?;
        shop.revision += 1;
        assert_eq!(format!("{:?}", picture(store, tenant).await?.sources[&shop.id]), format!("{shop:?}"));

        store.catalog.delete_source(tenant, shop.id).await?;
        assert!(picture(store, tenant).await?.sources.is_empty());
        Ok(())
    }

    async fn an_endpoint_reads_back_whole_with_its_secret(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let mut crm = endpoint(tenant, "crm");
        store.catalog.create_endpoint(&crm, Some(&Secret::standard([5; 24])), None).await?;
        let stored = picture(store, tenant).await?;
        let stored = &stored.endpoints[&crm.id];
        assert_eq!(format!("{:?}", stored.endpoint), format!("{crm:?}"));
        // Its `Debug` hides the secrets.
        assert!(stored.endpoint.access == crm.access);
        assert_eq!(stored.secrets.len(), 1);
        assert_eq!(stored.secrets[0].secret.reveal(), Secret::standard([5; 24]).reveal());
        assert_eq!(stored.secrets[0].until, None);

        let before = crm.clone();
        crm.name = "sales".to_owned();
        crm.url = hookyard::domain::url::DeliveryUrl::stored("https://example.org/").expect("a URL");
        crm.subscription.event_types.pop();
        crm.subscription.accounts.clear();
        crm.subscription.tags.pop();
        crm.headers.clear();
        crm.access = std::sync::Arc::default();
        crm.pipeline.steps.clear();
        crm.retry = None;
        crm.pace = Pace::default();
        crm.dialect = "standard-webhooks".to_owned();
        crm.status = Status::Active;
        store.catalog.update_endpoint(&crm, &before).await?;
        crm.revision += 1;
        let stored = picture(store, tenant).await?;
        assert_eq!(format!("{:?}", stored.endpoints[&crm.id].endpoint), format!("{crm:?}"));
        assert_eq!(stored.endpoints[&crm.id].secrets[0].secret.reveal(), Secret::standard([5; 24]).reveal());

        store.catalog.delete_endpoint(tenant, crm.id).await?;
        assert!(picture(store, tenant).await?.endpoints.is_empty());
        Ok(())
    }

    async fn an_endpoints_login_reads_back_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let mut crm = endpoint(tenant, "crm");
        crm.pipeline.steps.clear();
        store.catalog.create_endpoint(&crm, None, None).await?;
        let logins = [
            access(Auth::Basic { username: "me".to_owned(), password: secret("a-very-secret-password") }),
            access(Auth::Bearer { token: secret("a-very-secret-token") }),
            access(oauth()),
            Access { headers: Vec::new(), ..access(oauth()) },
            Access { auth: None, ..access(oauth()) },
            Access { tls: None, ..access(oauth()) },
            Access::default(),
        ];
        for access in logins {
            let before = crm.clone();
            crm.access = std::sync::Arc::new(access);
            store.catalog.update_endpoint(&crm, &before).await?;
            crm.revision += 1;
            assert!(picture(store, tenant).await?.endpoints[&crm.id].endpoint.access == crm.access, "{crm:?}");
        }
        Ok(())
    }

    async fn a_change_does_not_take_back_what_another_did_meanwhile(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (crm, shop) = (endpoint(tenant, "crm"), source(tenant, "shop"));
        store.catalog.create_endpoint(&crm, None, None).await?;
        store.catalog.create_source(&shop).await?;
        let repiped = Endpoint { pipeline: Pipeline::default(), ..crm.clone() };
        store.catalog.update_endpoint(&repiped, &crm).await?;
        let written = Endpoint { revision: 1, ..repiped.clone() };
        let refused = [
            // Whoever began before that would write the old pipeline back.
            store.catalog.update_endpoint(&Endpoint { name: "late".to_owned(), ..crm.clone() }, &crm).await,
            store.catalog.update_endpoint(&repiped, &repiped).await,
            // A pipeline whose plugin is gone.
            store.catalog.update_endpoint(&crm, &written).await,
            store.catalog.update_source(&shop, &Source { revision: 1, ..shop.clone() }).await,
        ];
        for refused in refused {
            assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
        }
        assert_eq!(format!("{:?}", picture(store, tenant).await?.endpoints[&crm.id].endpoint), format!("{written:?}"));
        Ok(())
    }

    async fn a_name_is_taken_once_per_tenant_and_kind(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        assert!(name_taken(store.catalog.create_tenant(&tenant("acme"), key(3)).await));

        store.catalog.create_source(&source(acme, "shop")).await?;
        store.catalog.create_source(&source(other, "shop")).await?;
        assert!(name_taken(store.catalog.create_source(&source(acme, "shop")).await));
        let mut second = source(acme, "second");
        store.catalog.create_source(&second).await?;
        let before = second.clone();
        second.name = "shop".to_owned();
        assert!(name_taken(store.catalog.update_source(&second, &before).await));

        let secret = Secret::standard([5; 24]);
        store.catalog.create_endpoint(&endpoint(acme, "shop"), Some(&secret), None).await?;
        store.catalog.create_endpoint(&endpoint(other, "shop"), Some(&secret), None).await?;
        assert!(name_taken(store.catalog.create_endpoint(&endpoint(acme, "shop"), Some(&secret), None).await));
        assert_eq!(picture(store, acme).await?.endpoints.len(), 1);
        Ok(())
    }

    async fn a_rotation_lets_the_old_secret_run_out(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let crm = endpoint(tenant, "crm");
        store.catalog.create_endpoint(&crm, Some(&Secret::standard([1; 24])), None).await?;
        let number = |secret: &Secret| (1..=4).find(|byte| secret.reveal() == Secret::standard([*byte; 24]).reveal());
        let signing = async |after: Duration| -> Result<Vec<u8>, StoreError> {
            let stored = picture(store, tenant).await?;
            Ok(stored.endpoints[&crm.id].signing(NOW + after).filter_map(number).collect())
        };
        let rotate = |byte, at, until| {
            let secret = Secret::standard([byte; 24]);
            async move { store.catalog.rotate_secret(tenant, crm.id, &secret, NOW + at, NOW + until).await }
        };

        rotate(2, Duration::ZERO, MINUTE).await?;
        assert_eq!(signing(SECOND).await?, [2, 1]);
        assert_eq!(signing(MINUTE).await?, [2]);
        // Nobody's time is made longer.
        rotate(3, SECOND, 2 * MINUTE).await?;
        assert_eq!(signing(2 * SECOND).await?, [3, 2, 1]);
        assert_eq!(signing(MINUTE).await?, [3, 2]);
        // A secret that got out is rotated without an overlap.
        rotate(4, 2 * SECOND, 2 * SECOND).await?;
        assert_eq!(signing(2 * SECOND).await?, [4]);
        Ok(())
    }

    async fn an_event_type_reads_back_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let mut own = event_type("order.paid");
        store.catalog.put_event_type(tenant, &own).await?;
        assert_eq!(picture(store, tenant).await?.event_types[&own.kind.event_type], own);

        own.kind.name = "Paid".to_owned();
        own.kind.description = String::new();
        own.kind.schema = None;
        own.kind.example = None;
        own.check = false;
        store.catalog.put_event_type(tenant, &own).await?;
        let stored = picture(store, tenant).await?.event_types;
        assert_eq!(stored.into_values().collect::<Vec<_>>(), [own.clone()]);

        let other = a_tenant(store, "other").await?;
        assert!(picture(store, other).await?.event_types.is_empty());
        assert!(not_found(store.catalog.delete_event_type(other, &own.kind.event_type).await));
        store.catalog.delete_event_type(tenant, &own.kind.event_type).await?;
        assert!(picture(store, tenant).await?.event_types.is_empty());
        assert!(not_found(store.catalog.delete_event_type(tenant, &own.kind.event_type).await));
        Ok(())
    }

    async fn a_tenant_has_at_most_as_many_urls_as_it_may(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let at = |name: &str, url: &str| {
            let mut endpoint = endpoint(acme, name);
            endpoint.url = hookyard::domain::url::DeliveryUrl::stored(url).expect("a URL");
            endpoint
        };
        let create = async |name: &str, url: &str| store.catalog.create_endpoint(&at(name, url), None, Some(2)).await;
        create("a", "https://a.example/").await?;
        create("a too", "https://a.example/").await?;
        create("b", "https://b.example/").await?;
        assert!(matches!(create("c", "https://c.example/").await, Err(StoreError::OverLimit)));
        assert_eq!(picture(store, acme).await?.endpoints.len(), 3, "what is over the limit is not there");
        // Of two at once, one at most is the last that fits.
        let other = a_tenant(store, "other").await?;
        let racing = |name: &str, url: &str| {
            let mut endpoint = endpoint(other, name);
            endpoint.url = hookyard::domain::url::DeliveryUrl::stored(url).expect("a URL");
            async move { store.catalog.create_endpoint(&endpoint, None, Some(1)).await }
        };
        let (one, two) = tokio::join!(racing("a", "https://a.example/"), racing("b", "https://b.example/"));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        Ok(())
    }

    async fn what_is_not_there_cannot_be_changed(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let nobody: TenantId = id();
        let secret = Secret::standard([1; 24]);
        let catalog = &store.catalog;
        assert!(not_found(catalog.update_tenant(&tenant("ghost")).await));
        assert!(not_found(catalog.delete_tenant(nobody, NOW).await));
        assert!(not_found(catalog.create_key(nobody, key(9), 9).await));
        assert!(not_found(catalog.delete_key(acme, id(), None).await));
        assert!(not_found(catalog.create_source(&source(nobody, "a")).await));
        assert!(not_found(catalog.update_source(&source(acme, "a"), &source(acme, "a")).await));
        assert!(not_found(catalog.delete_source(acme, id()).await));
        assert!(not_found(catalog.create_endpoint(&endpoint(nobody, "a"), Some(&secret), None).await));
        assert!(not_found(catalog.update_endpoint(&endpoint(acme, "a"), &endpoint(acme, "a")).await));
        assert!(not_found(catalog.rotate_secret(acme, id(), &secret, NOW, NOW).await));
        assert!(not_found(catalog.delete_endpoint(acme, id()).await));
        assert!(not_found(catalog.put_event_type(nobody, &event_type("a.b")).await));
        assert!(not_found(catalog.delete_plugin(acme, &"a".parse().expect("a plugin name"), None).await));
        assert!(catalog.picture(nobody).await?.is_none());
        Ok(())
    }
}
