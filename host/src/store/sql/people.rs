//! The promises about people, kept in SQL. Passwords' hashes are sealed here,
//! before they are handed to the writer.

use std::sync::Arc;

use super::Store;
use super::changes::{Written, changed, found, require, taken};
use super::db::{Connection, Pool, Row};
use super::rows::{Columns, corrupt};
use crate::domain::audit::Entry;
use crate::domain::id::{TenantId, UserId};
use crate::domain::key::KeyHash;
use crate::domain::role::Role;
use crate::domain::session::{Holder, Link, MOST_OF_HOLDER, Session, TokenHash};
use crate::domain::time::Timestamp;
use crate::domain::user::{Email, User, Whose};
use crate::store::people::{People, Portals, Taking};
use crate::store::seal::Seal;
use crate::store::text::{id_text, json};
use crate::store::{Reply, StoreError, sealed};

impl People for Store {
    fn noting(&self, entry: Entry) -> Arc<dyn People> {
        Arc::new(Store::noting(self, entry))
    }

    fn create_user<'a>(&'a self, user: &'a User, max: u32) -> Reply<'a, ()> {
        let (user, password) = (user.clone(), self.seal_password(user));
        self.change(move |conn| Box::pin(async move { create(conn, &user, password.as_deref(), Some(max)).await }))
    }

    fn update_user<'a>(&'a self, user: &'a User, were: &'a User, keeping: Option<TokenHash>) -> Reply<'a, ()> {
        let (user, were) = (user.clone(), were.clone());
        self.change(move |conn| Box::pin(async move { update(conn, &user, &were, keeping).await }))
    }

    fn delete_user(&self, whose: Whose, user: UserId) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(delete(conn, whose, user)))
    }

    fn user(&self, whose: Whose, user: UserId) -> Reply<'_, Option<User>> {
        Box::pin(async move { Ok(read(&self.readers, &self.seal, whose, (None, Some(user)), 1).await?.pop()) })
    }

    fn users(&self, whose: Whose, older_than: Option<UserId>, limit: u32) -> Reply<'_, Vec<User>> {
        Box::pin(read(&self.readers, &self.seal, whose, (older_than, None), limit))
    }

    fn by_email<'a>(&'a self, email: &'a Email, limit: u32) -> Reply<'a, Vec<User>> {
        Box::pin(by_email(&self.readers, &self.seal, email, limit))
    }

    fn create_link<'a>(&'a self, link: &'a Link) -> Reply<'a, ()> {
        let link = link.clone();
        self.change(move |conn| Box::pin(async move { create_link(conn, &link).await }))
    }

    fn link(&self, hash: TokenHash, now: Timestamp) -> Reply<'_, Option<(Link, Option<User>)>> {
        Box::pin(link(&self.readers, &self.seal, hash, now))
    }

    fn take_link(&self, hash: TokenHash, taking: Taking, session: Session, now: Timestamp) -> Reply<'_, ()> {
        let seal = self.seal.clone();
        self.change(move |conn| Box::pin(async move { take_link(conn, &seal, hash, &taking, &session, now).await }))
    }

    fn open_session<'a>(&'a self, session: &'a Session, max: u32) -> Reply<'a, ()> {
        let session = session.clone();
        self.change(move |conn| Box::pin(async move { open_session(conn, &session, Some(max)).await }))
    }

    fn session(&self, hash: TokenHash) -> Reply<'_, Option<(Session, Option<User>)>> {
        Box::pin(session(&self.readers, &self.seal, hash))
    }

    fn prolong_session(&self, hash: TokenHash, lapses_at: Timestamp) -> Reply<'_, ()> {
        const PROLONG: &str = concat!(
            "UPDATE sessions SET lapses_at = ",
            greatest!("lapses_at", least!("$1", "ends_at")),
            " WHERE hash = $2"
        );
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(PROLONG).bind(lapses_at.as_millis()).bind(hash.0.as_slice()).execute(conn).await?;
                Ok(())
            })
        })
    }

    fn enter(&self, hash: TokenHash, tenant: Option<TenantId>) -> Reply<'_, ()> {
        self.change(move |conn| Box::pin(enter(conn, hash, tenant)))
    }

    fn end_session(&self, hash: TokenHash) -> Reply<'_, ()> {
        self.write(move |conn| {
            Box::pin(async move {
                let hash = hash.0;
                sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash.as_slice()).execute(conn).await?;
                Ok(())
            })
        })
    }

    fn end_portals(&self, tenant: TenantId, which: Portals) -> Reply<'_, u64> {
        self.change(move |conn| Box::pin(async move { end_portals(conn, tenant, &which).await }))
    }

    fn end_lapsed(&self, now: Timestamp, limit: u32) -> Reply<'_, u64> {
        const LOOK: &str = "
            SELECT coalesce((SELECT min(lapses_at) FROM sessions) <= $1, FALSE)
                OR coalesce((SELECT min(ends_at) FROM links) <= $1, FALSE)";
        Box::pin(async move {
            let some: bool = sqlx::query_scalar(LOOK).bind(now.as_millis()).fetch_one(&self.readers).await?;
            if !some {
                return Ok(0);
            }
            self.change(move |conn| Box::pin(end_lapsed(conn, now, limit))).await
        })
    }
}

impl Store {
    fn seal_password(&self, user: &User) -> Option<Vec<u8>> {
        user.password.as_ref().map(|password| sealed::seal_password(&self.seal, user.id, password))
    }
}

const EXISTS: &str = "SELECT 1 FROM users WHERE owner = $1 AND id = $2";

/// A tenant that was deleted has nobody any more.
async fn require_owner(conn: &mut Connection, whose: Whose) -> Written {
    match whose {
        Whose::Operator => Ok(()),
        Whose::Tenant(tenant) => require(conn, tenant).await,
    }
}

/// `password` is sealed.
async fn create(conn: &mut Connection, user: &User, password: Option<&[u8]>, max: Option<u32>) -> Written {
    const INSERT: &str =
        "INSERT INTO users (owner, id, email, name, role, password, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    const COUNT: &str = "SELECT count(*) AS users FROM users WHERE owner = $1";
    require_owner(conn, user.whose).await?;
    sqlx::query(INSERT)
        .bind(id_text(&user.whose))
        .bind(id_text(&user.id))
        .bind(user.email.as_str())
        .bind(user.name.as_str())
        .bind(user.role.as_str())
        .bind(password)
        .bind(user.created_at.as_millis())
        .execute(&mut *conn)
        .await
        .map_err(taken)?;
    let Some(max) = max else { return Ok(()) };
    // After the insertion and in its savepoint: two that come together cannot
    // both be the last that fits.
    let row = sqlx::query(COUNT).bind(id_text(&user.whose)).fetch_one(conn).await?;
    if Columns(&row).int::<u32>("users")? > max { Err(StoreError::OverLimit) } else { Ok(()) }
}

async fn update(conn: &mut Connection, user: &User, were: &User, keeping: Option<TokenHash>) -> Written {
    const UPDATE: &str = "
        UPDATE users SET email = $1, name = $2, role = $3
        WHERE owner = $4 AND id = $5 AND email = $6 AND name = $7 AND role = $8";
    let updated = sqlx::query(UPDATE)
        .bind(user.email.as_str())
        .bind(user.name.as_str())
        .bind(user.role.as_str())
        .bind(id_text(&user.whose))
        .bind(id_text(&user.id))
        .bind(were.email.as_str())
        .bind(were.name.as_str())
        .bind(were.role.as_str())
        .execute(&mut *conn)
        .await
        .map_err(taken)?;
    changed(conn, updated.rows_affected(), EXISTS, (id_text(&user.whose), id_text(&user.id))).await?;
    if user.email == were.email {
        return Ok(());
    }
    sign_out(conn, user.whose, user.id, keeping).await?;
    forget_links(conn, user.whose, Some(user.id)).await
}

async fn delete(conn: &mut Connection, whose: Whose, user: UserId) -> Written {
    const DELETE: &str = "DELETE FROM users WHERE owner = $1 AND id = $2 RETURNING password";
    let deleted = sqlx::query(DELETE).bind(id_text(&whose)).bind(id_text(&user)).fetch_optional(&mut *conn).await?;
    let deleted = deleted.ok_or(StoreError::NotFound)?;
    if whose == Whose::Operator {
        keep_one(conn, Columns(&deleted).maybe_bytes("password")?.is_some()).await?;
    }
    sign_out(conn, whose, user, None).await?;
    forget_links(conn, whose, Some(user)).await
}

/// Looks at who is left of the operator's after the deletion and in its savepoint:
/// of two that delete each other, one stays.
async fn keep_one(conn: &mut Connection, with_password: bool) -> Written {
    const LEFT: &str = "SELECT count(*) AS users, count(password) AS passwords FROM users WHERE owner = 'operator'";
    let row = sqlx::query(LEFT).fetch_one(conn).await?;
    let left = Columns(&row).int::<u32>(if with_password { "passwords" } else { "users" })?;
    if left > 0 { Ok(()) } else { Err(StoreError::LastAdmin) }
}

/// Ends the sessions of a user, but for one.
async fn sign_out(conn: &mut Connection, whose: Whose, user: UserId, but: Option<TokenHash>) -> Written {
    sqlx::query("DELETE FROM sessions WHERE owner = $1 AND user_id = $2 AND hash IS DISTINCT FROM $3")
        .bind(id_text(&whose))
        .bind(id_text(&user))
        .bind(but.map(|hash| hash.0.to_vec()))
        .execute(conn)
        .await?;
    Ok(())
}

async fn forget_links(conn: &mut Connection, whose: Whose, user: Option<UserId>) -> Written {
    sqlx::query("DELETE FROM links WHERE owner = $1 AND user_id IS NOT DISTINCT FROM $2")
        .bind(id_text(&whose))
        .bind(user.map(|user| id_text(&user)))
        .execute(conn)
        .await?;
    Ok(())
}

const USER: &str = "owner, id, email, name, role, password, created_at";

async fn read(
    pool: &Pool,
    seal: &Seal,
    whose: Whose,
    (older_than, only): (Option<UserId>, Option<UserId>),
    limit: u32,
) -> Result<Vec<User>, StoreError> {
    let select = format!(
        "SELECT {USER} FROM users WHERE owner = $1 AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR id = $3)
        ORDER BY id DESC LIMIT $4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(id_text(&whose))
        .bind(older_than.map(|id| id_text(&id)))
        .bind(only.map(|id| id_text(&id)))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| user(seal, row)).collect()
}

async fn by_email(pool: &Pool, seal: &Seal, email: &Email, limit: u32) -> Result<Vec<User>, StoreError> {
    let select = format!("SELECT {USER} FROM users WHERE email = $1 ORDER BY id LIMIT $2");
    let query = sqlx::query(sqlx::AssertSqlSafe(select)).bind(email.as_str().to_owned()).bind(i64::from(limit));
    query.fetch_all(pool).await?.iter().map(|row| user(seal, row)).collect()
}

fn user(seal: &Seal, row: &Row) -> Result<User, StoreError> {
    let row = Columns(row);
    let id = row.parsed("id")?;
    let password = row.maybe_bytes("password")?;
    Ok(User {
        id,
        whose: row.parsed("owner")?,
        email: row.parsed("email")?,
        name: row.text("name")?.to_owned(),
        role: Role::parse(row.text("role")?).ok_or_else(|| corrupt("users.role"))?,
        password: password.map(|sealed| sealed::open_password(seal, id, sealed)).transpose()?,
        created_at: row.at("created_at")?,
    })
}

async fn create_link(conn: &mut Connection, link: &Link) -> Written {
    const INSERT: &str = "INSERT INTO links (hash, owner, user_id, ends_at) VALUES ($1, $2, $3, $4)";
    if let Some(user) = link.user {
        let exists = sqlx::query(EXISTS).bind(id_text(&link.whose)).bind(id_text(&user));
        found(exists.fetch_optional(&mut *conn).await?.is_some().into())?;
    }
    forget_links(conn, link.whose, link.user).await?;
    sqlx::query(INSERT)
        .bind(link.hash.0.as_slice())
        .bind(id_text(&link.whose))
        .bind(link.user.map(|user| id_text(&user)))
        .bind(link.ends_at.as_millis())
        .execute(conn)
        .await?;
    Ok(())
}

fn link_of(row: &Row) -> Result<Link, StoreError> {
    let row = Columns(row);
    Ok(Link {
        hash: token(row.bytes("hash")?, "links.hash")?,
        whose: row.parsed("owner")?,
        user: row.maybe_parsed("user_id")?,
        ends_at: row.at("ends_at")?,
    })
}

fn token(bytes: &[u8], column: &str) -> Result<TokenHash, StoreError> {
    bytes.try_into().map(TokenHash).map_err(|_| corrupt(column))
}

async fn link(
    pool: &Pool,
    seal: &Seal,
    hash: TokenHash,
    now: Timestamp,
) -> Result<Option<(Link, Option<User>)>, StoreError> {
    const SELECT: &str = "SELECT hash, owner, user_id, ends_at FROM links WHERE hash = $1 AND ends_at > $2";
    let row = sqlx::query(SELECT).bind(hash.0.to_vec()).bind(now.as_millis()).fetch_optional(pool).await?;
    let Some(link) = row.as_ref().map(link_of).transpose()? else { return Ok(None) };
    let Some(id) = link.user else { return Ok(Some((link, None))) };
    let user = read(pool, seal, link.whose, (None, Some(id)), 1).await?.pop();
    Ok(user.map(|user| (link, Some(user))))
}

async fn take_link(
    conn: &mut Connection,
    seal: &Seal,
    hash: TokenHash,
    taking: &Taking,
    session: &Session,
    now: Timestamp,
) -> Written {
    const TAKE: &str = "DELETE FROM links WHERE hash = $1 AND ends_at > $2 RETURNING hash, owner, user_id, ends_at";
    const PASSWORD: &str = "UPDATE users SET password = $1 WHERE owner = $2 AND id = $3";
    let row = sqlx::query(TAKE).bind(hash.0.as_slice()).bind(now.as_millis()).fetch_optional(&mut *conn).await?;
    let link = link_of(&row.ok_or(StoreError::NotFound)?)?;
    match (taking, link.user) {
        (Taking::In, _) => {}
        (Taking::Password(password), Some(user)) => {
            let updated = sqlx::query(PASSWORD)
                .bind(sealed::seal_password(seal, user, password))
                .bind(id_text(&link.whose))
                .bind(id_text(&user))
                .execute(&mut *conn)
                .await?;
            found(updated.rows_affected())?;
            sign_out(conn, link.whose, user, None).await?;
        }
        (Taking::First(user), None) => {
            let is_some = sqlx::query("SELECT 1 FROM users WHERE owner = 'operator' LIMIT 1");
            if is_some.fetch_optional(&mut *conn).await?.is_some() {
                return Err(StoreError::NameTaken);
            }
            let password = user.password.as_ref().map(|password| sealed::seal_password(seal, user.id, password));
            create(conn, user, password.as_deref(), None).await?;
        }
        // A link of another kind than its taker thought.
        (Taking::Password(_), None) | (Taking::First(_), Some(_)) => return Err(StoreError::NotFound),
    }
    open_session(conn, session, None).await
}

async fn open_session(conn: &mut Connection, session: &Session, max: Option<u32>) -> Written {
    const INSERT: &str = "
        INSERT INTO sessions (hash, owner, user_id, key_hash, scope, made_by, entered, created_at, lapses_at, ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const COUNT: &str = "SELECT count(*) AS sessions FROM sessions WHERE owner = $1 AND (scope IS NULL) = $2";
    let whose = session.holder.whose();
    require_owner(conn, whose).await?;
    let (user, key, scope, maker) = match &session.holder {
        Holder::User(_, user) => (Some(id_text(user)), None, None, None),
        Holder::Key(_, key) => (None, Some(key.0.as_slice()), None, None),
        Holder::Portal(_, scope, maker) => (None, None, Some(json(scope)), maker.as_ref().map(id_text)),
    };
    let is_persons = scope.is_none();
    sqlx::query(INSERT)
        .bind(session.hash.0.as_slice())
        .bind(id_text(&whose))
        .bind(user)
        .bind(key)
        .bind(scope)
        .bind(maker)
        .bind(session.entered.map(|tenant| id_text(&tenant)))
        .bind(session.created_at.as_millis())
        .bind(session.lapses_at.as_millis())
        .bind(session.ends_at.as_millis())
        .execute(&mut *conn)
        .await?;
    end_oldest(conn, session).await?;
    let Some(max) = max else { return Ok(()) };
    let row = sqlx::query(COUNT).bind(id_text(&whose)).bind(is_persons).fetch_one(conn).await?;
    if Columns(&row).int::<u32>("sessions")? > max { Err(StoreError::OverLimit) } else { Ok(()) }
}

/// Of a user, and with a key.
pub(crate) const END_OLDEST: [&str; 2] = [
    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions
        WHERE owner = $1 AND user_id = $2 AND hash <> $3 ORDER BY created_at DESC LIMIT 1000000 OFFSET $4)",
    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions
        WHERE owner = $1 AND key_hash = $2 AND hash <> $3 ORDER BY created_at DESC LIMIT 1000000 OFFSET $4)",
];

/// Ends those of the same holder beyond what one has, but never the new one. Of
/// portals each was made for somebody.
async fn end_oldest(conn: &mut Connection, new: &Session) -> Written {
    let [of_user, with_key] = END_OLDEST;
    let ending = match &new.holder {
        Holder::User(whose, user) => sqlx::query(of_user).bind(id_text(whose)).bind(id_text(user)),
        Holder::Key(whose, key) => sqlx::query(with_key).bind(id_text(whose)).bind(key.0.as_slice()),
        Holder::Portal(..) => return Ok(()),
    };
    ending.bind(new.hash.0.as_slice()).bind(i64::from(MOST_OF_HOLDER - 1)).execute(conn).await?;
    Ok(())
}

async fn session(pool: &Pool, seal: &Seal, hash: TokenHash) -> Result<Option<(Session, Option<User>)>, StoreError> {
    const SELECT: &str = "
        SELECT hash, owner, user_id, key_hash, scope, made_by, entered, created_at, lapses_at, ends_at FROM sessions
        WHERE hash = $1";
    let row = sqlx::query(SELECT).bind(hash.0.to_vec()).fetch_optional(pool).await?;
    let Some(session) = row.as_ref().map(session_of).transpose()? else { return Ok(None) };
    let Holder::User(whose, id) = session.holder else { return Ok(Some((session, None))) };
    let user = read(pool, seal, whose, (None, Some(id)), 1).await?.pop();
    Ok(user.map(|user| (session, Some(user))))
}

fn session_of(row: &Row) -> Result<Session, StoreError> {
    let row = Columns(row);
    let whose: Whose = row.parsed("owner")?;
    let key = row.maybe_bytes("key_hash")?.map(|bytes| bytes.try_into().map(KeyHash));
    let holder = match (row.maybe_parsed("user_id")?, key, row.maybe_json("scope")?, whose) {
        (Some(user), None, None, _) => Holder::User(whose, user),
        (None, Some(Ok(key)), None, _) => Holder::Key(whose, key),
        (None, None, Some(scope), Whose::Tenant(tenant)) => Holder::Portal(tenant, scope, row.maybe_parsed("made_by")?),
        _ => return Err(corrupt("sessions.owner")),
    };
    Ok(Session {
        hash: token(row.bytes("hash")?, "sessions.hash")?,
        holder,
        entered: row.maybe_parsed("entered")?,
        created_at: row.at("created_at")?,
        lapses_at: row.at("lapses_at")?,
        ends_at: row.at("ends_at")?,
    })
}

async fn enter(conn: &mut Connection, hash: TokenHash, tenant: Option<TenantId>) -> Written {
    const ENTER: &str = "UPDATE sessions SET entered = $1 WHERE hash = $2 AND owner = 'operator'";
    if let Some(tenant) = tenant {
        require(conn, tenant).await?;
    }
    let entered =
        sqlx::query(ENTER).bind(tenant.map(|tenant| id_text(&tenant))).bind(hash.0.as_slice()).execute(conn).await?;
    found(entered.rows_affected())
}

async fn end_portals(conn: &mut Connection, tenant: TenantId, which: &Portals) -> Result<u64, StoreError> {
    const END: &str = concat!(
        "DELETE FROM sessions WHERE owner = $1 AND scope IS NOT NULL AND ($2 IS NULL OR ",
        field!("scope", "account"),
        " = $2)"
    );
    let account = match which {
        Portals::All => None,
        Portals::Of(account) => Some(account.as_str()),
    };
    Ok(sqlx::query(END).bind(id_text(&tenant)).bind(account).execute(conn).await?.rows_affected())
}

async fn end_lapsed(conn: &mut Connection, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let mut ended = 0;
    for statement in [
        concat!(
            "DELETE FROM sessions WHERE ",
            rows!("sessions", "hash", " WHERE lapses_at <= $1 ORDER BY lapses_at LIMIT $2")
        ),
        concat!("DELETE FROM links WHERE ", rows!("links", "hash", " WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2")),
    ] {
        let deleted = sqlx::query(statement).bind(now.as_millis()).bind(i64::from(limit)).execute(&mut *conn).await?;
        ended += deleted.rows_affected();
    }
    Ok(ended)
}

/// What a deleted tenant leaves of its people, at once.
pub(crate) async fn forget_tenant(conn: &mut Connection, tenant: TenantId) -> Written {
    for statement in [
        "DELETE FROM users WHERE owner = $1",
        "DELETE FROM links WHERE owner = $1",
        "DELETE FROM sessions WHERE owner = $1",
    ] {
        sqlx::query(statement).bind(id_text(&tenant)).execute(&mut *conn).await?;
    }
    Ok(())
}
