//! Who may sign in and who is signed in.

use std::sync::Arc;

use super::Reply;
use crate::domain::audit::Entry;
use crate::domain::id::{TenantId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::session::{Link, Session, TokenHash};
use crate::domain::time::Timestamp;
use crate::domain::user::{Email, User, Whose};

/// Users, the links that let them in, and sessions.
///
/// Promises that every engine keeps, and `tests/it/store_contract` checks: an
/// e-mail address is taken once by the operator and once in each tenant; a link
/// is taken once, with all that it leads to; whoever is deleted or gets another
/// password or address is signed out in the same transaction.
///
/// Without a tenant id, because nobody knows yet whose they are:
/// [`Self::by_email`], [`Self::link`], [`Self::take_link`] and what is asked of a
/// session, by their hash; and [`Self::end_lapsed`], upkeep's.
pub trait People: Send + Sync {
    /// The same people for one change, which writes `entry` in its transaction.
    fn noting(&self, entry: Entry) -> Arc<dyn People>;

    /// Refused with [`super::StoreError::NameTaken`] when somebody else of the
    /// same tenant has the address, and with [`super::StoreError::OverLimit`] when
    /// it would have more than `max`.
    fn create_user<'a>(&'a self, user: &'a User, max: u32) -> Reply<'a, ()>;

    /// Writes address, name and role. Another address ends their links and their
    /// sessions, but for `keeping`. [`super::StoreError::Changed`] when they are not
    /// what they `were` any more.
    fn update_user<'a>(&'a self, user: &'a User, were: &'a User, keeping: Option<TokenHash>) -> Reply<'a, ()>;

    /// Ends their sessions and links as well. Refused with
    /// [`super::StoreError::LastAdmin`] when nobody of the operator's would be left,
    /// or nobody who has a password where they have one.
    fn delete_user(&self, whose: Whose, user: UserId) -> Reply<'_, ()>;

    fn user(&self, whose: Whose, user: UserId) -> Reply<'_, Option<User>>;

    /// Newest first.
    fn users(&self, whose: Whose, older_than: Option<UserId>, limit: u32) -> Reply<'_, Vec<User>>;

    /// Everybody with this address, the oldest first.
    fn by_email<'a>(&'a self, email: &'a Email, limit: u32) -> Reply<'a, Vec<User>>;

    /// Makes a link, and those of the same user worth nothing.
    fn create_link<'a>(&'a self, link: &'a Link) -> Reply<'a, ()>;

    /// A link that was not taken and has not ended, and whose it is. Looking at
    /// it does not take it.
    fn link(&self, hash: TokenHash, now: Timestamp) -> Reply<'_, Option<(Link, Option<User>)>>;

    /// Takes a link: what is to come of it and `session` are there, and the link
    /// is gone. [`super::StoreError::NotFound`] when it is taken already or has
    /// ended.
    fn take_link(&self, hash: TokenHash, taking: Taking, session: Session, now: Timestamp) -> Reply<'_, ()>;

    /// Ends the oldest of the same holder beyond
    /// [`crate::domain::session::MOST_OF_HOLDER`]. Refused with
    /// [`super::StoreError::OverLimit`] when its tenant would have more than `max` by
    /// portals or more than `max` by others.
    fn open_session<'a>(&'a self, session: &'a Session, max: u32) -> Reply<'a, ()>;

    /// A session, which may be over, and its user if it has one. None when the
    /// user is gone.
    fn session(&self, hash: TokenHash) -> Reply<'_, Option<(Session, Option<User>)>>;

    /// Says that somebody was seen.
    fn prolong_session(&self, hash: TokenHash, lapses_at: Timestamp) -> Reply<'_, ()>;

    /// Lets the operator into a tenant, or out of it.
    fn enter(&self, hash: TokenHash, tenant: Option<TenantId>) -> Reply<'_, ()>;

    fn end_session(&self, hash: TokenHash) -> Reply<'_, ()>;

    /// Ends a tenant's portals; answers how many there were.
    fn end_portals(&self, tenant: TenantId, which: Portals) -> Reply<'_, u64>;

    /// Deletes up to `limit` sessions and links that are over; answers how many.
    fn end_lapsed(&self, now: Timestamp, limit: u32) -> Reply<'_, u64>;
}

/// Which portals' sessions end.
#[derive(Clone, Debug)]
pub enum Portals {
    All,
    /// Those of this account, and none of the whole tenant.
    Of(String),
}

/// What taking a link leads to, beside a session.
#[derive(Clone)]
pub enum Taking {
    /// Nothing.
    In,
    /// The link's user has another password, and is signed out elsewhere.
    Password(PasswordHash),
    /// The operator has a first user. Refused with
    /// [`super::StoreError::NameTaken`] when there is one already.
    First(User),
}
