//! An entry of the audit log is there exactly when its change is.

use std::time::Duration;

use hookyard::domain::audit::{Action, Author, Change, Entry};
use hookyard::domain::id::{AuditId, TenantId, TypedId as _};
use hookyard::domain::user::Whose;
use hookyard::store::StoreError;
use hookyard::store::catalog::AuditQuery;
use serde_json::json;

use super::Store;
use super::given::{NOW, SECOND, a_tenant, endpoint, id, source};

/// An entry in which every field is set.
fn entry(tenant: TenantId, action: Action, target: &str) -> Entry {
    Entry {
        id: id(),
        whose: Whose::Tenant(tenant),
        by: Author::Key { id: id(), name: Some("ci".to_owned()) },
        action,
        target: target.to_owned(),
        changes: vec![Change::new("name", json!("a"), json!("b")), Change::secret("secret")],
    }
}

async fn all(store: &Store, tenant: TenantId) -> Result<Vec<Entry>, StoreError> {
    store.catalog.audit(Whose::Tenant(tenant), AuditQuery { limit: 100, ..AuditQuery::default() }).await
}

contract! {
    async fn an_entry_reads_back_whole(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let shop = source(tenant, "shop");
        let by_key = entry(tenant, Action::SourceCreated, "src_1");
        store.catalog.noting(by_key.clone()).create_source(&shop).await?;
        let mut by_operator = entry(tenant, Action::TenantUpdated, "ten_1");
        (by_operator.by, by_operator.changes) = (Author::Operator, Vec::new());
        store.catalog.noting(by_operator.clone()).note().await?;
        let by_itself = Entry { by: Author::Hookyard, ..entry(tenant, Action::EndpointDisabled, "ep_1") };
        store.catalog.noting(by_itself.clone()).note().await?;
        assert_eq!(all(store, tenant).await?, [by_itself, by_operator, by_key]);
        Ok(())
    }

    async fn the_operators_own_entries_are_no_tenants(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let noted = entry(tenant, Action::UserCreated, "usr_1");
        let own = Entry { id: id(), whose: Whose::Operator, ..noted.clone() };
        for entry in [&noted, &own] {
            store.catalog.noting(entry.clone()).note().await?;
        }
        assert_eq!(all(store, tenant).await?, [noted]);
        let query = AuditQuery { limit: 100, ..AuditQuery::default() };
        assert_eq!(store.catalog.audit(Whose::Operator, query).await?, [own]);
        Ok(())
    }

    async fn a_change_that_fails_leaves_no_entry(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let noted = entry(tenant, Action::SourceCreated, "shop");
        store.catalog.noting(noted.clone()).create_source(&source(tenant, "shop")).await?;
        let again = store.catalog.noting(entry(tenant, Action::SourceCreated, "x"));
        assert!(matches!(again.create_source(&source(tenant, "shop")).await, Err(StoreError::NameTaken)));
        let missing = store.catalog.noting(entry(tenant, Action::EndpointDeleted, "x"));
        assert!(matches!(missing.delete_endpoint(tenant, id()).await, Err(StoreError::NotFound)));
        assert_eq!(all(store, tenant).await?, [noted]);
        Ok(())
    }

    async fn an_entry_that_cannot_be_written_takes_its_change_back(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let noted = entry(tenant, Action::SourceCreated, "shop");
        store.catalog.noting(noted.clone()).create_source(&source(tenant, "shop")).await?;
        // An id is taken once.
        let again = store.catalog.noting(noted.clone());
        assert!(again.create_endpoint(&endpoint(tenant, "crm"), None, None).await.is_err());
        assert!(store.catalog.picture(tenant).await?.expect("it exists").endpoints.is_empty());
        assert_eq!(all(store, tenant).await?, [noted]);
        Ok(())
    }

    async fn entries_are_found_by_what_is_asked_for(store: &Store) -> Kept {
        let (tenant, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let at = |seconds: u64, action, target| {
            let at = AuditId::new(NOW + Duration::from_secs(seconds), [u8::try_from(seconds).expect("few"); 10]);
            Entry { id: at, ..entry(tenant, action, target) }
        };
        let entries = [
            at(1, Action::SourceCreated, "a"),
            at(2, Action::SourceUpdated, "a"),
            at(3, Action::SourceCreated, "b"),
            at(4, Action::SourceDeleted, "a"),
        ];
        for entry in &entries {
            store.catalog.noting(entry.clone()).note().await?;
        }
        store.catalog.noting(entry(other, Action::SourceCreated, "a")).note().await?;
        let found = async |query: AuditQuery| -> Result<Vec<usize>, StoreError> {
            let query = AuditQuery { limit: query.limit.max(1), ..query };
            let found = store.catalog.audit(Whose::Tenant(tenant), query).await?;
            Ok(found.iter().map(|entry| entries.iter().position(|one| one == entry).expect("its own") + 1).collect())
        };
        let any = || AuditQuery { limit: 10, ..AuditQuery::default() };
        assert_eq!(found(any()).await?, [4, 3, 2, 1]);
        assert_eq!(found(AuditQuery { limit: 2, ..any() }).await?, [4, 3]);
        assert_eq!(found(AuditQuery { older_than: Some(entries[2].id), ..any() }).await?, [2, 1]);
        let target = |name: &str| AuditQuery { target: Some(name.to_owned()), ..any() };
        assert_eq!(found(target("a")).await?, [4, 2, 1]);
        assert_eq!(found(AuditQuery { older_than: Some(entries[3].id), ..target("a") }).await?, [2, 1]);
        assert_eq!(found(AuditQuery { action: Some(Action::SourceCreated), ..target("a") }).await?, [1]);
        assert_eq!(found(AuditQuery { action: Some(Action::SourceCreated), ..any() }).await?, [3, 1]);
        assert_eq!(found(AuditQuery { by: Some(entries[1].by.to_string()), ..any() }).await?, [2]);
        let span = AuditQuery { after: Some(NOW + 2 * SECOND), before: Some(NOW + 4 * SECOND), ..any() };
        assert_eq!(found(span).await?, [3, 2]);
        Ok(())
    }

    async fn of_a_purged_tenant_its_deletion_is_left(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        store.catalog.noting(entry(tenant, Action::SourceCreated, "a")).note().await?;
        let deletion = Entry { by: Author::Operator, ..entry(tenant, Action::TenantDeleted, "acme") };
        store.catalog.noting(deletion.clone()).delete_tenant(tenant, NOW).await?;
        assert_eq!(all(store, tenant).await?.len(), 2);
        while store.ledger.purge(tenant, 1).await? {}
        assert_eq!(all(store, tenant).await?, [deletion]);
        Ok(())
    }
}
