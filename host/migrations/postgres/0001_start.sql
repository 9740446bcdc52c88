-- What is kept, for PostgreSQL: the tables and columns of `migrations/sqlite`, all
-- of them. Instants are milliseconds since 1970; ids are prefixed text that sorts by
-- age; JSON and lists of labels are text. Every text sorts by its bytes, as on
-- SQLite: an id's order is its age only then.
--
-- What is written for every event decides the rest. Tables that grow with what
-- happens are cut into days (UTC) by the ids in them, so that a day that is old
-- enough is dropped and not deleted row by row. The server makes days ahead; a row
-- of a day that has none goes to the table's `other_days`, and is not refused.
--
-- The triggers need READ COMMITTED: what they look at after they waited for a lock
-- has to be what the others have committed meanwhile.

-- What the store keeps about itself.
CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- The hosts that work on this database. One that does not say so again before
-- `lives_until` is dead to the others.
CREATE TABLE hosts (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    started_at  BIGINT NOT NULL,
    lives_until BIGINT NOT NULL
) WITH (fillfactor = 50); -- Written every second: the new version fits beside the old.

-- What one host does for all, and which one does until when.
CREATE TABLE duties (
    duty       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    host       TEXT COLLATE "C" NOT NULL,
    held_until BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The catalogue: what tenants and the operator set up.

CREATE TABLE tenants (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    plan       TEXT COLLATE "C",
    dialect    TEXT COLLATE "C" NOT NULL,
    -- What the operator lets its plugins ask for: JSON. Absent: the defaults.
    limits     TEXT COLLATE "C",
    -- How long its past is kept, where that is shorter than the server's own: JSON.
    -- Absent: as long as the server keeps it.
    retention  TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    -- Its catalogue is gone; its past is being purged, and then this row.
    deleted_at BIGINT
);
CREATE UNIQUE INDEX tenants_by_name ON tenants (name) WHERE deleted_at IS NULL;

CREATE TABLE keys (
    hash       BYTEA NOT NULL PRIMARY KEY,
    id         TEXT COLLATE "C" NOT NULL,
    tenant_id  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C",
    role       TEXT COLLATE "C" NOT NULL DEFAULT 'admin',
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX keys_by_tenant ON keys (tenant_id);

CREATE TABLE sources (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    token        TEXT COLLATE "C" NOT NULL UNIQUE,
    event_type   TEXT COLLATE "C",
    -- How its requests prove themselves: scheme, options and secrets, sealed.
    -- Absent: by knowing the URL.
    verification BYTEA,
    -- How many requests it takes; JSON, as the API has it.
    rate_limit   TEXT COLLATE "C",
    pipeline     TEXT COLLATE "C" NOT NULL,
    -- Counts the changes of the row: two that began with the same one cannot both be
    -- made.
    revision     BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE endpoints (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    url          TEXT COLLATE "C" NOT NULL,
    event_types  TEXT COLLATE "C" NOT NULL,
    accounts     TEXT COLLATE "C" NOT NULL,
    tags         TEXT COLLATE "C" NOT NULL,
    -- Sealed: tenants put API keys there.
    headers      BYTEA NOT NULL,
    -- How it proves to its receiver who is calling: headers whose values are secret,
    -- a login, a certificate and its key, authorities. JSON, sealed. Absent: not at
    -- all.
    access       BYTEA,
    pipeline     TEXT COLLATE "C" NOT NULL,
    retry        TEXT COLLATE "C",
    -- How fast it is sent to; JSON, as the API has it.
    pace         TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    dialect      TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    state_reason TEXT COLLATE "C",
    -- As in `sources`.
    revision     BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE endpoint_secrets (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    endpoint_id  TEXT COLLATE "C" NOT NULL,
    -- Counts the rotations; the highest is the one that signs first.
    number       BIGINT NOT NULL,
    sealed       BYTEA NOT NULL,
    -- When it stops signing; until it is replaced, when absent.
    signs_until  BIGINT,
    PRIMARY KEY (tenant_id, endpoint_id, number)
);

-- Types of events that a tenant described, or a dialect's that it described anew.
CREATE TABLE event_types (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    -- JSON.
    schema      TEXT COLLATE "C",
    example     TEXT COLLATE "C",
    -- Whether events that do not fit the schema are refused.
    checked     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, type)
);

-- Secrets that steps may sign with, by the names that tenants gave them.
CREATE TABLE named_secrets (
    tenant_id  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

-- Plugins: versions, components, what steps of theirs keep and used.

CREATE TABLE plugins (
    -- A tenant's id, or 'house'.
    owner       TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    size        BIGINT NOT NULL,
    jobs        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    -- How long compiling took, in milliseconds, and whose key it came with; absent
    -- for what comes with the server.
    compile_ms  BIGINT NOT NULL DEFAULT 0,
    uploaded_by TEXT COLLATE "C",
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (owner, name, version)
);
CREATE INDEX plugins_by_digest ON plugins (digest);

-- Kept once, however many versions of however many owners are this component.
CREATE TABLE components (
    digest    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    component BYTEA NOT NULL
);

-- The last version that a name had: a number is never given twice, also after the
-- version was deleted.
CREATE TABLE plugin_numbers (
    owner TEXT COLLATE "C" NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    last  BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Upgrades of a plugin's steps, to be taken back: the last is the first to go.
CREATE TABLE plugin_moves (
    tenant_id TEXT COLLATE "C" NOT NULL,
    plugin    TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    -- JSON: which steps went from which version to which.
    steps     TEXT COLLATE "C" NOT NULL,
    moved_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, plugin, number)
);

-- What plugins used, by day (UTC, counted from 1970).
CREATE TABLE plugin_use (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    day         BIGINT NOT NULL,
    plugin      TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    calls       BIGINT NOT NULL,
    refused     BIGINT NOT NULL,
    faulted     BIGINT NOT NULL,
    fuel        BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    -- The most that one call had.
    memory      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, plugin, version)
);

-- What steps keep from call to call. A step is known by the endpoint or source
-- whose pipeline it is in, its plugin, and which of that plugin's steps it is.
CREATE TABLE step_values (
    tenant_id TEXT COLLATE "C" NOT NULL,
    place_id  TEXT COLLATE "C" NOT NULL,
    plugin    TEXT COLLATE "C" NOT NULL,
    ordinal   BIGINT NOT NULL,
    key       TEXT COLLATE "C" NOT NULL,
    value     BYTEA NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, place_id, plugin, ordinal, key)
);

-- The last revision that a step's values have had: one that was deleted and written
-- again must not look like what it was.
CREATE TABLE step_revisions (
    tenant_id TEXT COLLATE "C" NOT NULL,
    place_id  TEXT COLLATE "C" NOT NULL,
    plugin    TEXT COLLATE "C" NOT NULL,
    ordinal   BIGINT NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, place_id, plugin, ordinal)
);

-- People: who may come in, and what they did.

-- People who sign in. Whoever works for two tenants is there twice.
CREATE TABLE users (
    -- A tenant's id, or 'operator'.
    owner      TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    email      TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    -- Sealed: its Argon2id hash. None was chosen yet, when absent.
    password   BYTEA,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner, id),
    UNIQUE (owner, email)
);
CREATE INDEX users_by_email ON users (email, id);

-- What lets somebody in once; of its token only the SHA-256.
CREATE TABLE links (
    hash    BYTEA NOT NULL PRIMARY KEY,
    owner   TEXT COLLATE "C" NOT NULL,
    -- Absent: whoever takes it becomes the operator's first user.
    user_id TEXT COLLATE "C",
    ends_at BIGINT NOT NULL
);
CREATE INDEX links_by_user ON links (owner, user_id);
CREATE INDEX links_by_end ON links (ends_at);

-- Who is signed in; of a token only the SHA-256. A user, a key or a scope says by
-- what, and one of them is there.
CREATE TABLE sessions (
    hash       BYTEA NOT NULL PRIMARY KEY,
    owner      TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C",
    key_hash   BYTEA,
    -- A portal's: JSON.
    scope      TEXT COLLATE "C",
    -- Who made a portal's link: a user's or a key's id, with whose end it ends.
    -- Absent: the operator, and whatever was made before this was kept.
    made_by    TEXT COLLATE "C",
    -- The tenant that the operator has entered.
    entered    TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    -- It is over then, unless somebody is seen before.
    lapses_at  BIGINT NOT NULL,
    -- It is over then.
    ends_at    BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (owner, user_id);
CREATE INDEX sessions_by_lapse ON sessions (lapses_at);
-- Whoever signs in too often loses their oldest session: those of a key are found by
-- it, as a user's are by `sessions_by_user`.
CREATE INDEX sessions_by_key ON sessions (owner, key_hash) WHERE key_hash IS NOT NULL;

-- Who changed what of a tenant's. When is in the id.
CREATE TABLE audit (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    -- A key's id, 'operator' or 'hookyard'.
    author      TEXT COLLATE "C" NOT NULL,
    -- The name that the key had then.
    author_name TEXT COLLATE "C",
    action      TEXT COLLATE "C" NOT NULL,
    target      TEXT COLLATE "C" NOT NULL,
    -- JSON: the fields that changed; of secrets only that they did.
    changes     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_by_target ON audit (tenant_id, target, id);

-- Which owners' catalogue has changed since a host last looked. Whoever changes the
-- catalogue holds one lock until its commit, so that no version becomes visible
-- before a smaller one: a host that has seen one asks for those after it.
CREATE SEQUENCE catalogue_version;
CREATE TABLE catalogue_changes (
    -- A tenant's id, or 'house'.
    owner   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
CREATE INDEX catalogue_changes_by_version ON catalogue_changes (version);

-- A trigger, so that no change is made of which the other hosts do not hear. Once for
-- a statement: a tenant is deleted with all its endpoints. The argument is the column
-- that says whose a row is.
CREATE FUNCTION note_catalogue_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO catalogue_changes (owner, version)
         SELECT owner, nextval(''catalogue_version'') FROM (SELECT DISTINCT %I AS owner FROM changed) AS owners
         ON CONFLICT (owner) DO UPDATE SET version = excluded.version', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE TRIGGER tenants_made AFTER INSERT ON tenants
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('id');
-- Deleting a tenant is a change of its row.
CREATE TRIGGER tenants_changed AFTER UPDATE ON tenants
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('id');

CREATE TRIGGER keys_made AFTER INSERT ON keys
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER keys_changed AFTER UPDATE ON keys
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER keys_gone AFTER DELETE ON keys
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');

CREATE TRIGGER sources_made AFTER INSERT ON sources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER sources_changed AFTER UPDATE ON sources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER sources_gone AFTER DELETE ON sources
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');

CREATE TRIGGER endpoints_made AFTER INSERT ON endpoints
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER endpoints_changed AFTER UPDATE ON endpoints
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER endpoints_gone AFTER DELETE ON endpoints
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');

CREATE TRIGGER endpoint_secrets_made AFTER INSERT ON endpoint_secrets
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER endpoint_secrets_changed AFTER UPDATE ON endpoint_secrets
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER endpoint_secrets_gone AFTER DELETE ON endpoint_secrets
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');

CREATE TRIGGER event_types_made AFTER INSERT ON event_types
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER event_types_changed AFTER UPDATE ON event_types
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER event_types_gone AFTER DELETE ON event_types
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');

CREATE TRIGGER named_secrets_made AFTER INSERT ON named_secrets
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER named_secrets_changed AFTER UPDATE ON named_secrets
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');
CREATE TRIGGER named_secrets_gone AFTER DELETE ON named_secrets
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('tenant_id');

CREATE TRIGGER plugins_made AFTER INSERT ON plugins
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('owner');
CREATE TRIGGER plugins_changed AFTER UPDATE ON plugins
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('owner');
CREATE TRIGGER plugins_gone AFTER DELETE ON plugins
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_catalogue_change('owner');

-- What told of a tenant's end stays when its row goes: a host that was away for all
-- of that time still has to hear of it.

-- The ledger: what happened.

CREATE TABLE requests (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    source_id    TEXT COLLATE "C" NOT NULL,
    received_at  BIGINT NOT NULL,
    method       TEXT COLLATE "C" NOT NULL,
    query        TEXT COLLATE "C" NOT NULL,
    headers      TEXT COLLATE "C" NOT NULL,
    body         BYTEA NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C",
    steps        TEXT COLLATE "C" NOT NULL,
    -- The ids of the events it became, a space before each.
    events       TEXT COLLATE "C" NOT NULL,
    -- When the body went and the row stayed.
    body_gone_at BIGINT,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
-- What sources received, by source and by state, newest first, without reading
-- others. The state stands in the first too: one of a source is looked for in it.
CREATE INDEX requests_by_source ON requests (tenant_id, source_id, id, state);
CREATE INDEX requests_by_state ON requests (tenant_id, state, id);
-- Of what proved nothing, the newest of each source are kept.
CREATE INDEX requests_unproven ON requests (tenant_id, source_id, id) WHERE state IN ('refused', 'answered');
CREATE TABLE requests_other_days PARTITION OF requests DEFAULT;

CREATE TABLE events (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    type         TEXT COLLATE "C" NOT NULL,
    occurred_at  BIGINT NOT NULL,
    received_at  BIGINT NOT NULL,
    -- When it is to be sent, where that is later.
    deliver_at   BIGINT,
    subject      TEXT COLLATE "C",
    account      TEXT COLLATE "C",
    tags         TEXT COLLATE "C" NOT NULL,
    data         TEXT COLLATE "C" NOT NULL,
    request_id   TEXT COLLATE "C",
    -- The trace that it is part of, as W3C Trace Context writes it.
    traceparent  TEXT COLLATE "C",
    -- When its data and the messages that were made of it went and the row stayed.
    data_gone_at BIGINT,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
-- A plugin may ask for the earlier events of a subject.
CREATE INDEX events_by_subject ON events (tenant_id, subject, id) WHERE subject IS NOT NULL;
CREATE TABLE events_other_days PARTITION OF events DEFAULT;

-- When a delivery was made is in its id. Those that are pending are one small table,
-- which is searched and changed all the time; an update of the state moves a row to
-- those that have come to rest, which grow by day and hardly change, and back when a
-- dead one is retried.
CREATE TABLE deliveries (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    event_id    TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C",
    attempts    BIGINT NOT NULL,
    -- When somebody may take it: for one that is claimed, the claim's end; for one
    -- that waits in a line behind another, never.
    due_at      BIGINT,
    claim       BIGINT,
    updated_at  BIGINT NOT NULL,
    replay_of   TEXT COLLATE "C",
    -- The line of an ordered endpoint that it waits in, its place there in
    -- microseconds, and when it is due once it is the first.
    line        TEXT COLLATE "C",
    turn        BIGINT,
    not_before  BIGINT,
    -- The state is here because PostgreSQL asks for it.
    PRIMARY KEY (tenant_id, id, state)
) PARTITION BY LIST (state);
CREATE INDEX deliveries_by_event ON deliveries (event_id, tenant_id);
-- The delivery log: an endpoint's deliveries, newest first, without reading others.
-- The tenant first, so that who asks for an endpoint's without one, in the order in
-- which they are due, has but one index that serves: `deliveries_due`.
CREATE INDEX deliveries_by_endpoint ON deliveries (tenant_id, endpoint_id, id);

-- Most rows are here for a second and never again.
CREATE TABLE deliveries_pending PARTITION OF deliveries FOR VALUES IN ('pending') WITH (
    -- One that is claimed or tried again finds room on its page, which is in memory and
    -- in the log already.
    fillfactor = 80,
    -- Every row that leaves is a dead one, and whoever looks for work walks over it: an
    -- empty queue is cleaned every minute. Of ten million that wait, a hundred thousand
    -- have to be dead first, because then all of the indexes is read.
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_scale_factor = 0.01,
    -- Slept through, the cleaning would be slower than what it cleans up after.
    autovacuum_vacuum_cost_delay = 0,
    -- Rows come and go at the same rate: without this, those that only come would be
    -- counted a second time.
    autovacuum_vacuum_insert_threshold = -1,
    -- How many wait changes by orders of magnitude within minutes.
    autovacuum_analyze_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.05,
    -- Giving back pages locks everybody out, and a moment later they are needed again.
    vacuum_truncate = false
);
-- Whoever looks for work asks which endpoints have some, and takes as much of each as
-- it may have: one that waits with a million others costs the same.
CREATE INDEX deliveries_due ON deliveries_pending (endpoint_id, due_at, claim) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_in_line ON deliveries_pending (endpoint_id, line, turn, event_id, id) WHERE line IS NOT NULL;

CREATE TABLE deliveries_rested PARTITION OF deliveries
    FOR VALUES IN ('delivered', 'dead', 'dropped', 'cancelled') PARTITION BY RANGE (id);
-- Those that did not arrive, newest first. Those that were delivered are found
-- without: they are most of all.
CREATE INDEX deliveries_ended ON deliveries_rested (tenant_id, state, id)
    WHERE state IN ('dead', 'dropped', 'cancelled');
-- What wants somebody's attention is counted without reading what does not.
CREATE INDEX deliveries_dead ON deliveries_rested (tenant_id, updated_at) WHERE state = 'dead';
CREATE TABLE deliveries_rested_other_days PARTITION OF deliveries_rested DEFAULT;

-- Of a line, only the first is due; the others have no `due_at`. Triggers, so that
-- whatever adds, takes or deletes a delivery keeps to it: a line whose first is gone
-- and whose second does not know would wait for ever.
--
-- Two that come to one line at the same time do not see each other's rows, and each
-- would leave the line as if it had been alone: whoever joins or leaves one waits for
-- the other's end first. The lock is the line's for the rest of the transaction.
-- Whoever changes several lines in one transaction, or rows that wait in one, takes
-- their locks before and in the order of their keys, or is told of a deadlock. There
-- are so many keys and no more, because the server has room for some thousand locks;
-- two lines that share one only wait for each other.
CREATE FUNCTION line_key(endpoint TEXT, line TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (hashtextextended(endpoint || ' ' || line, 0) & 1023) + 7205759403800000 $$;

-- The settings, the orders and the places: plans of triggers are kept for as long as a
-- connection is, and one that was made while the table was empty would read all of it,
-- or all that a tenant has in it, when it is not.
--
-- One that comes before another that is being sent waits for that one's end, or for
-- the end of its claim: hosts store side by side what they accepted one after the
-- other. It has both a `due_at`, which is that end, and a `not_before`.
CREATE FUNCTION join_line() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    sent_until BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(line_key(NEW.endpoint_id, NEW.line));
    -- It may come before one that is due: what was to be delivered later. Whoever is
    -- claiming that one at this moment is waited for, and then it is seen below.
    UPDATE deliveries_pending SET not_before = coalesce(not_before, due_at), due_at = NULL
    WHERE due_at IS NOT NULL AND claim IS NULL AND ctid = (
        SELECT ctid FROM deliveries_pending
        WHERE endpoint_id = NEW.endpoint_id AND line = NEW.line
            AND (turn, event_id, id) > (NEW.turn, NEW.event_id, NEW.id)
        ORDER BY turn, event_id, id LIMIT 1);
    IF EXISTS (
        SELECT 1 FROM deliveries_pending AS before
        WHERE before.endpoint_id = NEW.endpoint_id AND before.line = NEW.line
            AND (before.turn, before.event_id, before.id) < (NEW.turn, NEW.event_id, NEW.id)
    ) THEN
        UPDATE deliveries_pending SET not_before = due_at, due_at = NULL
        WHERE due_at IS NOT NULL AND ctid = (
            SELECT ctid FROM deliveries_pending
            WHERE tenant_id = NEW.tenant_id AND id = NEW.id ORDER BY state LIMIT 1);
        -- The first may have waited for it.
        IF TG_OP = 'UPDATE' THEN
            UPDATE deliveries_pending SET due_at = not_before, not_before = NULL
            WHERE claim IS NULL AND due_at IS NOT NULL AND not_before IS NOT NULL AND ctid = (
                SELECT ctid FROM deliveries_pending
                WHERE endpoint_id = NEW.endpoint_id AND line = NEW.line
                ORDER BY turn, event_id, id LIMIT 1);
        END IF;
    ELSE
        -- One that is being sent was the first: only what has come before it since is
        -- in between.
        SELECT due_at INTO sent_until FROM (
            SELECT due_at, claim FROM deliveries_pending
            WHERE endpoint_id = NEW.endpoint_id AND line = NEW.line
                AND (turn, event_id, id) > (NEW.turn, NEW.event_id, NEW.id)
            ORDER BY turn, event_id, id LIMIT 32) AS following
        WHERE claim IS NOT NULL LIMIT 1;
        -- A time that it has waited for before is over.
        UPDATE deliveries_pending SET
            not_before = CASE WHEN sent_until IS NOT NULL THEN due_at END, due_at = greatest(due_at, sent_until)
        WHERE claim IS NULL AND due_at IS NOT NULL AND (sent_until IS NOT NULL OR not_before IS NOT NULL)
            AND ctid = (
                SELECT ctid FROM deliveries_pending
                WHERE tenant_id = NEW.tenant_id AND id = NEW.id ORDER BY state LIMIT 1);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION leave_line() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    was_sent BOOLEAN := OLD.claim IS NOT NULL;
    -- What it waited for goes on, and the next waits for it instead.
    has_waited BOOLEAN := OLD.claim IS NULL AND OLD.due_at IS NOT NULL AND OLD.not_before IS NOT NULL;
BEGIN
    PERFORM pg_advisory_xact_lock(line_key(OLD.endpoint_id, OLD.line));
    UPDATE deliveries_pending SET
        due_at = CASE WHEN has_waited THEN greatest(OLD.due_at, coalesce(not_before, updated_at))
            ELSE coalesce(not_before, updated_at) END,
        not_before = CASE WHEN has_waited THEN coalesce(not_before, updated_at) END
    WHERE claim IS NULL AND (due_at IS NULL OR (was_sent AND not_before IS NOT NULL)) AND ctid = (
        SELECT ctid FROM deliveries_pending
        WHERE endpoint_id = OLD.endpoint_id AND line = OLD.line
        ORDER BY turn, event_id, id LIMIT 1);
    RETURN NULL;
END $$;

-- A row that an update of its state moves here is inserted, and one that it moves away
-- is deleted: a dead one that is retried joins in its old place.
CREATE TRIGGER deliveries_join AFTER INSERT ON deliveries_pending
    FOR EACH ROW WHEN (NEW.line IS NOT NULL) EXECUTE FUNCTION join_line();
-- One whose claim ends may find such a one before it.
CREATE TRIGGER deliveries_join_again AFTER UPDATE OF claim ON deliveries_pending
    FOR EACH ROW WHEN (NEW.line IS NOT NULL AND NEW.claim IS NULL) EXECUTE FUNCTION join_line();
CREATE TRIGGER deliveries_leave AFTER DELETE ON deliveries_pending
    FOR EACH ROW WHEN (OLD.line IS NOT NULL) EXECUTE FUNCTION leave_line();
-- Lines are given up when an endpoint is ordered no more; what joined one meanwhile,
-- behind rows that were still in it, is left behind as its first.
CREATE TRIGGER deliveries_let_out AFTER UPDATE OF line ON deliveries_pending
    FOR EACH ROW WHEN (OLD.line IS NOT NULL AND NEW.line IS NULL) EXECUTE FUNCTION leave_line();

-- Of the day of their delivery, with which they go.
CREATE TABLE messages (
    delivery_id TEXT COLLATE "C" NOT NULL,
    tenant_id   TEXT COLLATE "C" NOT NULL,
    steps       TEXT COLLATE "C" NOT NULL,
    -- No method: the pipeline made no message.
    method      TEXT COLLATE "C",
    target      TEXT COLLATE "C",
    headers     TEXT COLLATE "C",
    body        BYTEA,
    PRIMARY KEY (delivery_id, tenant_id)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE messages_other_days PARTITION OF messages DEFAULT;

CREATE TABLE attempts (
    delivery_id    TEXT COLLATE "C" NOT NULL,
    tenant_id      TEXT COLLATE "C" NOT NULL,
    number         BIGINT NOT NULL,
    id             TEXT COLLATE "C" NOT NULL,
    started_at     BIGINT NOT NULL,
    duration_us    BIGINT NOT NULL,
    url            TEXT COLLATE "C" NOT NULL,
    signed_headers TEXT COLLATE "C" NOT NULL,
    outcome        TEXT COLLATE "C" NOT NULL,
    status         BIGINT,
    error          TEXT COLLATE "C",
    -- No body: there was no answer.
    answer_headers TEXT COLLATE "C",
    answer_body    BYTEA,
    answer_cut     BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, tenant_id, number)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE attempts_other_days PARTITION OF attempts DEFAULT;

CREATE TABLE idempotency (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    -- As in `requests.events`.
    events      TEXT COLLATE "C" NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITH (autovacuum_vacuum_scale_factor = 0.05); -- All of it goes every day.
CREATE INDEX idempotency_by_end ON idempotency (expires_at);

-- What is known of receivers that fail. One that does well has no row.
CREATE TABLE endpoint_health (
    endpoint_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id     TEXT COLLATE "C" NOT NULL,
    failing_since BIGINT,
    weight        BIGINT NOT NULL,
    trips         BIGINT NOT NULL,
    not_before    BIGINT,
    -- Which of its notices an endpoint that only fails has had.
    warnings      BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70); -- Written with every attempt that fails.

-- Replays, and how far each has come; when it was asked for is in its id.
CREATE TABLE replays (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    states      TEXT COLLATE "C" NOT NULL,
    event_types TEXT COLLATE "C" NOT NULL,
    -- The account whose events alone it is of; absent: of any.
    account     TEXT COLLATE "C",
    since       BIGINT,
    until       BIGINT NOT NULL,
    through     TEXT COLLATE "C" NOT NULL,
    found       BIGINT NOT NULL,
    made        BIGINT NOT NULL,
    -- The last delivery that it came to.
    after       TEXT COLLATE "C",
    state       TEXT COLLATE "C" NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX replays_running ON replays (tenant_id) WHERE state = 'running';
-- A portal asks for those of each of its endpoints.
CREATE INDEX replays_by_endpoint ON replays (tenant_id, endpoint_id, id);

-- How far rows that stay have been looked through, by what was looked for: the next
-- look begins there.
CREATE TABLE sweeps (
    tenant_id TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    at        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, kind)
);

-- Subjects whose data is or was erased.
CREATE TABLE erasures (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    -- Forgotten with the rest: it may be somebody's name.
    subject      TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    events       BIGINT NOT NULL,
    deliveries   BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    requests     BIGINT NOT NULL,
    state_values BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX erasures_open ON erasures (state) WHERE state <> 'done';

-- Events that came in and events that a limit refused, by tenant and day.
CREATE TABLE event_counts (
    tenant_id TEXT COLLATE "C" NOT NULL,
    day       BIGINT NOT NULL,
    taken     BIGINT NOT NULL,
    refused   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day)
);

-- How much happened in each tenant in five minutes that begin `at`: for charts.
-- Of attempts, how many took how long: each within so many milliseconds, and not
-- within the bound before.
CREATE TABLE activity (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    at           BIGINT NOT NULL,
    events       BIGINT NOT NULL,
    delivered    BIGINT NOT NULL,
    dead         BIGINT NOT NULL,
    dropped      BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    failed       BIGINT NOT NULL,
    within_5     BIGINT NOT NULL,
    within_10    BIGINT NOT NULL,
    within_20    BIGINT NOT NULL,
    within_50    BIGINT NOT NULL,
    within_100   BIGINT NOT NULL,
    within_200   BIGINT NOT NULL,
    within_500   BIGINT NOT NULL,
    within_1000  BIGINT NOT NULL,
    within_2000  BIGINT NOT NULL,
    within_5000  BIGINT NOT NULL,
    within_10000 BIGINT NOT NULL,
    within_30000 BIGINT NOT NULL,
    beyond       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, at)
);
CREATE INDEX activity_by_time ON activity (at);
