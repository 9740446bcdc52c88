//! Keys read back whole, end when they are revoked, and leave a tenant one that
//! opens everything.

use hookyard::domain::id::TenantId;
use hookyard::domain::key::{Key, KeyHash};
use hookyard::domain::role::Role;
use hookyard::store::StoreError;
use hookyard::store::catalog::NewKey;

use super::Store;
use super::given::{MINUTE, NOW, SECOND, a_tenant, id, key, tenant};

const MANY: u32 = 100;

async fn keys(store: &Store, tenant: TenantId) -> Result<Vec<(KeyHash, Key)>, StoreError> {
    let picture = store.catalog.picture(tenant).await?.expect("the tenant exists");
    Ok(picture.keys.iter().map(|(hash, key)| (*hash, (**key).clone())).collect())
}

fn admin(hash: u8) -> NewKey {
    NewKey { hash: KeyHash([hash; 32]), key: Key::admin(id(), NOW) }
}

contract! {
    async fn a_key_reads_back_whole_and_is_gone_when_it_is_revoked(store: &Store) -> Kept {
        let (first, second) = (key(1), key(2));
        let acme = tenant("acme");
        let ids = [(first.hash, first.key.clone()), (second.hash, second.key.clone())];
        store.catalog.create_tenant(&acme, first).await?;
        store.catalog.create_key(acme.id, second, MANY).await?;
        assert_eq!(keys(store, acme.id).await?, ids);

        store.catalog.delete_key(acme.id, ids[0].1.id, None).await?;
        assert_eq!(keys(store, acme.id).await?, ids[1..]);
        assert!(matches!(store.catalog.delete_key(acme.id, ids[0].1.id, None).await, Err(StoreError::NotFound)));
        Ok(())
    }

    async fn the_last_valid_admin_key_stays_unless_the_operator_says_so(store: &Store) -> Kept {
        let first = admin(1);
        let first_id = first.key.id;
        let acme = tenant("acme");
        store.catalog.create_tenant(&acme, first).await?;
        store.catalog.create_key(acme.id, key(2), MANY).await?;
        let mut short = admin(3);
        short.key.expires_at = Some(NOW + MINUTE);
        let short_id = short.key.id;
        store.catalog.create_key(acme.id, short, MANY).await?;
        let revoke = |id, at| store.catalog.delete_key(acme.id, id, at);

        // One that has expired opens nothing, and a viewer's opens too little.
        assert!(matches!(revoke(first_id, Some(NOW + MINUTE)).await, Err(StoreError::LastAdmin)));
        assert_eq!(keys(store, acme.id).await?.len(), 3, "nothing was revoked");
        // While the other is valid, this one may go, and then the other may not.
        revoke(first_id, Some(NOW + SECOND)).await?;
        assert!(matches!(revoke(short_id, Some(NOW + SECOND)).await, Err(StoreError::LastAdmin)));
        revoke(short_id, None).await?;
        let left: Vec<Role> = keys(store, acme.id).await?.into_iter().map(|(_, key)| key.role).collect();
        assert_eq!(left, [Role::Viewer]);
        Ok(())
    }

    async fn of_two_admins_that_revoke_each_other_one_stays(store: &Store) -> Kept {
        let (first, second) = (admin(1), admin(2));
        let (one, two) = (first.key.id, second.key.id);
        let acme = tenant("acme");
        store.catalog.create_tenant(&acme, first).await?;
        store.catalog.create_key(acme.id, second, MANY).await?;
        let revoke = |id| store.catalog.delete_key(acme.id, id, Some(NOW));
        let (one, two) = tokio::join!(revoke(one), revoke(two));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        assert_eq!(keys(store, acme.id).await?.len(), 1);
        Ok(())
    }

    async fn a_tenant_has_at_most_as_many_keys_as_it_may(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        store.catalog.create_key(acme, key(2), 2).await?;
        assert!(matches!(store.catalog.create_key(acme, key(3), 2).await, Err(StoreError::OverLimit)));
        assert_eq!(keys(store, acme).await?.len(), 2);
        Ok(())
    }
}
