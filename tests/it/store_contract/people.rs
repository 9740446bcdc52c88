//! People: read back whole, let in once by a link, and out with all that they were
//! in by.

use std::collections::BTreeSet;
use std::time::Duration;

use hookyard::domain::audit::{Action, Author, Entry};
use hookyard::domain::id::{TenantId, UserId};
use hookyard::domain::key::KeyHash;
use hookyard::domain::password::PasswordHash;
use hookyard::domain::role::Role;
use hookyard::domain::session::{Capability, Holder, Link, MOST_OF_HOLDER, Maker, PortalScope, Session, TokenHash};
use hookyard::domain::time::Timestamp;
use hookyard::domain::user::{User, Whose};
use hookyard::store::StoreError;
use hookyard::store::catalog::AuditQuery;
use hookyard::store::people::{Portals, Taking};

use super::Store;
use super::given::{MINUTE, NOW, SECOND, a_tenant, id, user};

const MANY: u32 = 100;

fn hash(number: u8) -> TokenHash {
    TokenHash([number; 32])
}

fn session(number: u8, holder: Holder) -> Session {
    Session::new(hash(number), holder, NOW)
}

fn of(user: &User) -> Holder {
    Holder::User(user.whose, user.id)
}

fn link(number: u8, whose: Whose, user: Option<UserId>) -> Link {
    Link { hash: hash(number), whose, user, ends_at: NOW + MINUTE }
}

fn scope() -> PortalScope {
    PortalScope {
        account: Some("größe \"l\"".to_owned()),
        capabilities: BTreeSet::from([Capability::View, Capability::Replay]),
        embed_origins: vec!["https://app.example.com".parse().expect("an origin")],
    }
}

async fn is_open(store: &Store, number: u8) -> Result<bool, StoreError> {
    Ok(store.people.session(hash(number)).await?.is_some())
}

fn password(text: &str) -> PasswordHash {
    PasswordHash::stored(text.to_owned())
}

contract! {
    async fn a_user_reads_back_whole_in_their_tenant_alone(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (jane, john) = (user(acme, "jane@example.com"), user(acme, "john@example.com"));
        store.people.create_user(&jane, MANY).await?;
        store.people.create_user(&john, MANY).await?;
        assert!(store.people.user(jane.whose, jane.id).await? == Some(jane.clone()));
        assert!(store.people.user(Whose::Tenant(other), jane.id).await?.is_none());
        assert!(store.people.user(Whose::Operator, jane.id).await?.is_none());
        let all = store.people.users(jane.whose, None, 9).await?;
        assert!(all == [john.clone(), jane.clone()], "the newest first");
        assert!(store.people.users(jane.whose, Some(john.id), 9).await? == [jane.clone()]);
        assert!(store.people.users(Whose::Tenant(other), None, 9).await?.is_empty());

        let email = "jane.doe@example.com".parse().expect("an address");
        let changed = User { email, name: "Jane Doe".to_owned(), role: Role::Admin, ..jane.clone() };
        store.people.update_user(&changed, &jane, None).await?;
        assert!(store.people.user(jane.whose, jane.id).await? == Some(changed.clone()));
        let foreign = User { whose: Whose::Tenant(other), ..changed.clone() };
        assert!(matches!(store.people.update_user(&foreign, &changed, None).await, Err(StoreError::NotFound)));
        let late = User { name: "Jane".to_owned(), ..jane.clone() };
        assert!(matches!(store.people.update_user(&late, &jane, None).await, Err(StoreError::Changed)));
        let twin = User { email: john.email.clone(), ..changed.clone() };
        assert!(matches!(store.people.update_user(&twin, &changed, None).await, Err(StoreError::NameTaken)));
        assert!(matches!(store.people.delete_user(foreign.whose, jane.id).await, Err(StoreError::NotFound)));
        assert!(store.people.user(jane.whose, jane.id).await? == Some(changed));
        Ok(())
    }

    async fn an_address_is_taken_once_in_each_tenant(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let (here, there) = (user(acme, "jane@example.com"), user(other, "jane@example.com"));
        store.people.create_user(&here, MANY).await?;
        store.people.create_user(&there, MANY).await?;
        let twin = user(acme, "Jane@example.com");
        assert!(matches!(store.people.create_user(&twin, MANY).await, Err(StoreError::NameTaken)));
        let found = store.people.by_email(&here.email, 9).await?;
        assert!(found == [here.clone(), there], "the oldest first");
        assert_eq!(store.people.by_email(&here.email, 1).await?.len(), 1);
        let last = user(acme, "john@example.com");
        assert!(matches!(store.people.create_user(&last, 1).await, Err(StoreError::OverLimit)));
        assert_eq!(store.people.users(here.whose, None, 9).await?.len(), 1);
        let nowhere = user(id(), "jane@example.com");
        assert!(matches!(store.people.create_user(&nowhere, MANY).await, Err(StoreError::NotFound)));
        Ok(())
    }

    async fn a_link_lets_in_once_and_until_it_ends(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let jane = user(acme, "jane@example.com");
        store.people.create_user(&jane, MANY).await?;
        let first = link(1, jane.whose, Some(jane.id));
        store.people.create_link(&first).await?;
        let (found, whose) = store.people.link(first.hash, NOW).await?.expect("it is there");
        assert!(found == first && whose == Some(jane.clone()));
        assert!(store.people.link(first.hash, NOW + MINUTE).await?.is_none(), "it has ended");
        let take = async |number: u8, session_number: u8, now: Timestamp| {
            store.people.take_link(hash(number), Taking::In, session(session_number, of(&jane)), now).await
        };
        assert!(matches!(take(1, 11, NOW + MINUTE).await, Err(StoreError::NotFound)));
        // Another one takes its place.
        store.people.create_link(&link(2, jane.whose, Some(jane.id))).await?;
        assert!(matches!(take(1, 12, NOW).await, Err(StoreError::NotFound)));
        let (one, two) = tokio::join!(take(2, 13, NOW), take(2, 14, NOW));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        assert!(is_open(store, 13).await? != is_open(store, 14).await?);
        assert!(!is_open(store, 11).await? && !is_open(store, 12).await?);
        assert!(store.people.link(hash(2), NOW).await?.is_none());
        let nobodys = link(3, jane.whose, Some(id()));
        assert!(matches!(store.people.create_link(&nobodys).await, Err(StoreError::NotFound)));
        Ok(())
    }

    async fn another_password_signs_everybody_else_out(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let (jane, john) = (user(acme, "jane@example.com"), user(acme, "john@example.com"));
        store.people.create_user(&jane, MANY).await?;
        store.people.create_user(&john, MANY).await?;
        store.people.open_session(&session(1, of(&jane)), MANY).await?;
        store.people.open_session(&session(2, of(&john)), MANY).await?;
        store.people.create_link(&link(1, jane.whose, Some(jane.id))).await?;
        let taking = Taking::Password(password("another"));
        store.people.take_link(hash(1), taking, session(3, of(&jane)), NOW).await?;
        let now = store.people.user(jane.whose, jane.id).await?.expect("she is there");
        assert!(now == User { password: Some(password("another")), ..jane });
        assert!(!is_open(store, 1).await?);
        assert!(is_open(store, 2).await? && is_open(store, 3).await?);
        Ok(())
    }

    async fn another_address_ends_other_sessions_and_the_link(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let (jane, john) = (user(acme, "jane@example.com"), user(acme, "john@example.com"));
        for one in [&jane, &john] {
            store.people.create_user(one, MANY).await?;
        }
        for (number, whose) in [(1, &jane), (2, &jane), (3, &john)] {
            store.people.open_session(&session(number, of(whose)), MANY).await?;
        }
        store.people.create_link(&link(1, jane.whose, Some(jane.id))).await?;
        store.people.create_link(&link(2, john.whose, Some(john.id))).await?;
        let renamed = User { name: "Jane Doe".to_owned(), ..jane.clone() };
        store.people.update_user(&renamed, &jane, None).await?;
        assert!(is_open(store, 1).await? && is_open(store, 2).await?, "a name opens nothing");
        let moved = User { email: "jane@example.org".parse().expect("an address"), ..renamed.clone() };
        store.people.update_user(&moved, &renamed, Some(hash(2))).await?;
        assert!(!is_open(store, 1).await? && is_open(store, 2).await? && is_open(store, 3).await?);
        assert!(store.people.link(hash(1), NOW).await?.is_none());
        assert!(store.people.link(hash(2), NOW).await?.is_some(), "his is his");
        let back = User { email: jane.email.clone(), ..moved.clone() };
        store.people.update_user(&back, &moved, Some(hash(3))).await?;
        assert!(!is_open(store, 2).await? && is_open(store, 3).await?, "somebody else's session keeps nobody in");
        Ok(())
    }

    async fn the_last_of_the_operator_who_has_a_password_stays(store: &Store) -> Kept {
        let operator = |email: &str, password: Option<&str>| User {
            whose: Whose::Operator,
            password: password.map(self::password),
            ..user(id(), email)
        };
        let (first, second) = (operator("a@example.com", Some("x")), operator("b@example.com", Some("y")));
        let invited = operator("c@example.com", None);
        let delete = async |who: &User| store.people.delete_user(Whose::Operator, who.id).await;
        store.people.create_user(&invited, MANY).await?;
        assert!(matches!(delete(&invited).await, Err(StoreError::LastAdmin)), "nobody would be left");
        for one in [&first, &second] {
            store.people.create_user(one, MANY).await?;
        }
        let (one, two) = tokio::join!(delete(&first), delete(&second));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        assert!(matches!(one.and(two), Err(StoreError::LastAdmin)));
        assert_eq!(store.people.users(Whose::Operator, None, 9).await?.len(), 2);
        delete(&invited).await?;
        // A tenant's are the tenant's business: it has keys, and the operator.
        let acme = a_tenant(store, "acme").await?;
        let jane = User { password: Some(password("z")), ..user(acme, "jane@example.com") };
        store.people.create_user(&jane, MANY).await?;
        store.people.delete_user(jane.whose, jane.id).await
    }

    async fn the_operator_has_one_first_user(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let first = User { whose: Whose::Operator, ..user(acme, "me@example.com") };
        let second = User { whose: Whose::Operator, ..user(acme, "you@example.com") };
        store.people.create_link(&link(1, Whose::Operator, None)).await?;
        store.people.take_link(hash(1), Taking::First(first.clone()), session(1, of(&first)), NOW).await?;
        assert!(store.people.users(Whose::Operator, None, 9).await? == [first]);
        store.people.create_link(&link(2, Whose::Operator, None)).await?;
        let refused =
            store.people.take_link(hash(2), Taking::First(second.clone()), session(2, of(&second)), NOW).await;
        assert!(matches!(refused, Err(StoreError::NameTaken)), "{refused:?}");
        assert!(!is_open(store, 2).await?);
        // A user's link does not make an operator, and a first link sets nobody's password.
        let jane = user(acme, "jane@example.com");
        store.people.create_user(&jane, MANY).await?;
        store.people.create_link(&link(3, jane.whose, Some(jane.id))).await?;
        for (number, taking) in [(3, Taking::First(second)), (2, Taking::Password(password("x")))] {
            let refused = store.people.take_link(hash(number), taking, session(3, of(&jane)), NOW).await;
            assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
        }
        assert!(store.people.link(hash(3), NOW).await?.is_some(), "it was not taken");
        Ok(())
    }

    async fn a_session_reads_back_whole_and_goes_with_its_user(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let jane = user(acme, "jane@example.com");
        store.people.create_user(&jane, MANY).await?;
        let by = |maker| (acme, scope(), Some(maker));
        let portal = Session::portal(hash(3), by(Maker::User(jane.id)), NOW + SECOND, Duration::from_secs(90));
        let all = [
            session(1, of(&jane)),
            session(2, Holder::Key(Whose::Operator, KeyHash([7; 32]))),
            portal,
            session(4, Holder::Key(Whose::Tenant(other), KeyHash([8; 32]))),
            Session::portal(hash(6), by(Maker::Key(id())), NOW, MINUTE),
            Session::portal(hash(7), (acme, scope(), None), NOW, MINUTE),
        ];
        for one in &all {
            store.people.open_session(one, MANY).await?;
            let (read, whose) = store.people.session(one.hash).await?.expect("it is there");
            assert_eq!(&read, one);
            assert!(whose == matches!(one.holder, Holder::User(..)).then(|| jane.clone()));
        }
        store.people.enter(hash(2), Some(acme)).await?;
        assert_eq!(store.people.session(hash(2)).await?.expect("it is there").0.entered, Some(acme));
        store.people.enter(hash(2), None).await?;
        assert_eq!(store.people.session(hash(2)).await?.expect("it is there").0, all[1]);
        // Only the operator enters, and only what is there.
        for (number, tenant) in [(1, other), (4, acme), (2, id::<TenantId>())] {
            assert!(matches!(store.people.enter(hash(number), Some(tenant)).await, Err(StoreError::NotFound)));
        }

        store.people.delete_user(jane.whose, jane.id).await?;
        assert!(!is_open(store, 1).await?);
        store.people.end_session(hash(4)).await?;
        assert!(!is_open(store, 4).await?);
        assert!(is_open(store, 2).await? && is_open(store, 3).await?);
        store.catalog.delete_tenant(acme, NOW).await?;
        assert!(!is_open(store, 3).await? && is_open(store, 2).await?);
        let late = Session::portal(hash(5), (acme, scope(), None), NOW, MINUTE);
        assert!(matches!(store.people.open_session(&late, MANY).await, Err(StoreError::NotFound)));
        Ok(())
    }

    async fn a_session_is_prolonged_up_to_its_end_and_swept_after_it(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let jane = user(acme, "jane@example.com");
        store.people.create_user(&jane, MANY).await?;
        let opened = session(1, of(&jane));
        store.people.open_session(&opened, MANY).await?;
        store.people.create_link(&link(1, jane.whose, Some(jane.id))).await?;
        let lapses_at = async || Ok::<_, StoreError>(store.people.session(hash(1)).await?.expect("it is there").0.lapses_at);
        store.people.prolong_session(hash(1), opened.lapses_at + MINUTE).await?;
        assert_eq!(lapses_at().await?, opened.lapses_at + MINUTE);
        // It does not become shorter, nor longer than it may be.
        store.people.prolong_session(hash(1), NOW).await?;
        assert_eq!(lapses_at().await?, opened.lapses_at + MINUTE);
        store.people.prolong_session(hash(1), opened.ends_at + MINUTE).await?;
        assert_eq!(lapses_at().await?, opened.ends_at);

        assert_eq!(store.people.end_lapsed(NOW, MANY).await?, 0);
        assert_eq!(store.people.end_lapsed(NOW + MINUTE, MANY).await?, 1, "the link");
        assert!(is_open(store, 1).await?);
        assert_eq!(store.people.end_lapsed(opened.ends_at, MANY).await?, 1);
        assert!(!is_open(store, 1).await?);
        Ok(())
    }

    async fn portals_do_not_take_the_places_of_people(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let jane = user(acme, "jane@example.com");
        store.people.create_user(&jane, MANY).await?;
        let portal = |number| Session::portal(hash(number), (acme, scope(), None), NOW, MINUTE);
        store.people.open_session(&portal(1), 1).await?;
        assert!(matches!(store.people.open_session(&portal(2), 1).await, Err(StoreError::OverLimit)));
        store.people.open_session(&session(3, of(&jane)), 1).await?;
        assert!(matches!(store.people.open_session(&session(4, of(&jane)), 1).await, Err(StoreError::OverLimit)));
        assert!(!is_open(store, 2).await? && !is_open(store, 4).await?);
        Ok(())
    }

    async fn portals_end_by_account_or_all_of_them(store: &Store) -> Kept {
        let (acme, other) = (a_tenant(store, "acme").await?, a_tenant(store, "other").await?);
        let jane = user(acme, "jane@example.com");
        store.people.create_user(&jane, MANY).await?;
        store.people.open_session(&session(1, of(&jane)), MANY).await?;
        let of_account = |account: Option<&str>| PortalScope { account: account.map(str::to_owned), ..scope() };
        let portals = [(2, acme, Some("a")), (3, acme, Some("b")), (4, acme, None), (5, other, Some("a"))];
        for (number, tenant, account) in portals {
            let portal = Session::portal(hash(number), (tenant, of_account(account), None), NOW, MINUTE);
            store.people.open_session(&portal, MANY).await?;
        }
        let open = async || {
            let mut open = Vec::new();
            for number in 1..=5 {
                open.extend(is_open(store, number).await?.then_some(number));
            }
            Ok::<_, StoreError>(open)
        };
        assert_eq!(store.people.end_portals(acme, Portals::Of("none".to_owned())).await?, 0);
        assert_eq!(store.people.end_portals(acme, Portals::Of("a".to_owned())).await?, 1);
        assert_eq!(open().await?, [1, 3, 4, 5]);
        assert_eq!(store.people.end_portals(acme, Portals::All).await?, 2);
        assert_eq!(open().await?, [1, 5]);
        Ok(())
    }

    async fn whoever_is_in_too_often_loses_the_oldest(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let (jane, john) = (user(acme, "jane@example.com"), user(acme, "john@example.com"));
        for user in [&jane, &john] {
            store.people.create_user(user, MANY).await?;
        }
        store.people.open_session(&session(0, of(&john)), MANY).await?;
        let key = Holder::Key(Whose::Tenant(acme), KeyHash([9; 32]));
        let most = u8::try_from(MOST_OF_HOLDER).expect("few");
        for (holder, first) in [(of(&jane), 1), (key, 101)] {
            // The last is the newest also by a clock that was set back.
            for number in 0..=most {
                let created_at = if number == most { NOW } else { NOW + SECOND * (1 + u32::from(number)) };
                let one = Session { created_at, ..session(first + number, holder.clone()) };
                store.people.open_session(&one, 1000).await?;
            }
            assert!(!is_open(store, first).await?, "the oldest");
            for number in 1..=most {
                assert!(is_open(store, first + number).await?, "{number}");
            }
        }
        assert!(is_open(store, 0).await?, "of somebody else");
        Ok(())
    }

    async fn a_change_and_its_entry_are_written_together(store: &Store) -> Kept {
        let acme = a_tenant(store, "acme").await?;
        let jane = user(acme, "jane@example.com");
        let entry = |action| Entry {
            id: id(),
            whose: Whose::Tenant(acme),
            by: Author::of_user(&jane),
            action,
            target: jane.id.to_string(),
            changes: Vec::new(),
        };
        let created = entry(Action::UserCreated);
        store.people.noting(created.clone()).create_user(&jane, MANY).await?;
        let again = store.people.noting(entry(Action::UserCreated)).create_user(&jane, MANY).await;
        assert!(again.is_err());
        let log = store.catalog.audit(Whose::Tenant(acme), AuditQuery { limit: 9, ..AuditQuery::default() }).await?;
        assert_eq!(log, [created]);
        Ok(())
    }
}
