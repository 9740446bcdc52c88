-- People who sign in. Whoever works for two tenants is there twice.
CREATE TABLE users (
    -- A tenant's id, or 'operator'.
    owner      TEXT NOT NULL,
    id         TEXT NOT NULL,
    email      TEXT NOT NULL,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    -- Sealed: its Argon2id hash. None was chosen yet, when absent.
    password   BLOB,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner, id),
    UNIQUE (owner, email)
);
CREATE INDEX users_by_email ON users (email, id);

-- What lets somebody in once; of its token only the SHA-256.
CREATE TABLE links (
    hash    BLOB NOT NULL PRIMARY KEY,
    owner   TEXT NOT NULL,
    -- Absent: whoever takes it becomes the operator's first user.
    user_id TEXT,
    ends_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX links_by_user ON links (owner, user_id);
CREATE INDEX links_by_end ON links (ends_at);

-- Who is signed in; of a token only the SHA-256. A user, a key or a scope says
-- by what, and one of them is there.
CREATE TABLE sessions (
    hash       BLOB NOT NULL PRIMARY KEY,
    owner      TEXT NOT NULL,
    user_id    TEXT,
    key_hash   BLOB,
    -- A portal's: JSON.
    scope      TEXT,
    -- The tenant that the operator has entered.
    entered    TEXT,
    created_at BIGINT NOT NULL,
    -- It is over then, unless somebody is seen before.
    lapses_at  BIGINT NOT NULL,
    -- It is over then.
    ends_at    BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (owner, user_id);
CREATE INDEX sessions_by_lapse ON sessions (lapses_at);
