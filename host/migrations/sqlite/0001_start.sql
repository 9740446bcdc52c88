-- What is kept, for SQLite. `migrations/postgres` has the same tables with the
-- same columns. Instants are milliseconds since 1970; ids are prefixed text that
-- sorts by age; JSON and lists of labels are text.
--
-- What is written for every event decides the keys: tables of large rows are
-- appended to and found by a small index, and whatever need not be listed by
-- tenant has the global id first, so that one commit of many tenants' events
-- touches few pages.

-- What the store keeps about itself.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- The catalogue: what tenants and the operator set up.

CREATE TABLE tenants (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    plan       TEXT,
    dialect    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Its catalogue is gone; its past is being purged, and then this row.
    deleted_at BIGINT
) WITHOUT ROWID;
CREATE UNIQUE INDEX tenants_by_name ON tenants (name) WHERE deleted_at IS NULL;

CREATE TABLE keys (
    hash       BLOB NOT NULL PRIMARY KEY,
    id         TEXT NOT NULL,
    tenant_id  TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_tenant ON keys (tenant_id);

CREATE TABLE sources (
    tenant_id  TEXT NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    token      TEXT NOT NULL UNIQUE,
    event_type TEXT,
    pipeline   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE endpoints (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    name         TEXT NOT NULL,
    url          TEXT NOT NULL,
    event_types  TEXT NOT NULL,
    accounts     TEXT NOT NULL,
    tags         TEXT NOT NULL,
    -- Sealed: tenants put API keys there.
    headers      BLOB NOT NULL,
    pipeline     TEXT NOT NULL,
    retry        TEXT,
    dialect      TEXT NOT NULL,
    state        TEXT NOT NULL,
    state_reason TEXT,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE endpoint_secrets (
    tenant_id    TEXT NOT NULL,
    endpoint_id  TEXT NOT NULL,
    -- Counts the rotations; the highest is the one that signs first.
    number       BIGINT NOT NULL,
    sealed       BLOB NOT NULL,
    -- When it stops signing; until it is replaced, when absent.
    signs_until  BIGINT,
    PRIMARY KEY (tenant_id, endpoint_id, number)
);

CREATE TABLE plugins (
    -- A tenant's id, or 'house'.
    owner       TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     BIGINT NOT NULL,
    digest      TEXT NOT NULL,
    size        BIGINT NOT NULL,
    jobs        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (owner, name, version)
);
CREATE INDEX plugins_by_digest ON plugins (digest);

-- Kept once, however many versions of however many owners are this component.
CREATE TABLE components (
    digest    TEXT NOT NULL PRIMARY KEY,
    component BLOB NOT NULL
);

-- The ledger: what happened.

CREATE TABLE requests (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    method      TEXT NOT NULL,
    query       TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body        BLOB NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    steps       TEXT NOT NULL,
    -- The ids of the events it became, a space before each.
    events      TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE events (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    type        TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    subject     TEXT,
    account     TEXT,
    tags        TEXT NOT NULL,
    data        TEXT NOT NULL,
    request_id  TEXT,
    PRIMARY KEY (tenant_id, id)
);

-- When a delivery was made is in its id.
CREATE TABLE deliveries (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    attempts    BIGINT NOT NULL,
    -- When somebody may take it: for one that is claimed, the claim's end; for
    -- one that is held, never.
    due_at      BIGINT,
    claim       BIGINT,
    updated_at  BIGINT NOT NULL,
    replay_of   TEXT,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE INDEX deliveries_by_event ON deliveries (event_id, tenant_id);
-- Whoever looks for work passes over busy endpoints, and whoever starts looks
-- for claims of the dead: both without reading the rows.
CREATE INDEX deliveries_due ON deliveries (due_at, claim, endpoint_id) WHERE state = 'pending';

CREATE TABLE messages (
    delivery_id TEXT NOT NULL,
    tenant_id   TEXT NOT NULL,
    steps       TEXT NOT NULL,
    -- No method: the pipeline made no message.
    method      TEXT,
    target      TEXT,
    headers     TEXT,
    body        BLOB,
    PRIMARY KEY (delivery_id, tenant_id)
);

CREATE TABLE attempts (
    delivery_id    TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    number         BIGINT NOT NULL,
    id             TEXT NOT NULL,
    started_at     BIGINT NOT NULL,
    duration_us    BIGINT NOT NULL,
    url            TEXT NOT NULL,
    signed_headers TEXT NOT NULL,
    outcome        TEXT NOT NULL,
    status         BIGINT,
    error          TEXT,
    -- No body: there was no answer.
    answer_headers TEXT,
    answer_body    BLOB,
    answer_cut     BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, tenant_id, number)
);

CREATE TABLE idempotency (
    tenant_id   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    -- As in `requests.events`.
    events      TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_by_end ON idempotency (expires_at);
