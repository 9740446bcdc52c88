-- What the operator lets a tenant's plugins ask for: JSON. Absent: the defaults.
ALTER TABLE tenants ADD COLUMN limits TEXT;

-- How long compiling took, in milliseconds, and whose key it came with; absent
-- for what comes with the server.
ALTER TABLE plugins ADD COLUMN compile_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE plugins ADD COLUMN uploaded_by TEXT;

-- Upgrades of a plugin's steps, to be taken back: the last is the first to go.
CREATE TABLE plugin_moves (
    tenant_id TEXT NOT NULL,
    plugin    TEXT NOT NULL,
    number    BIGINT NOT NULL,
    -- JSON: which steps went from which version to which.
    steps     TEXT NOT NULL,
    moved_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, plugin, number)
) WITHOUT ROWID;

-- What plugins used, by day (UTC, counted from 1970).
CREATE TABLE plugin_use (
    tenant_id   TEXT NOT NULL,
    day         BIGINT NOT NULL,
    plugin      TEXT NOT NULL,
    version     BIGINT NOT NULL,
    calls       BIGINT NOT NULL,
    refused     BIGINT NOT NULL,
    faulted     BIGINT NOT NULL,
    fuel        BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    -- The most that one call had.
    memory      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, plugin, version)
) WITHOUT ROWID;

-- The last version that a name had: a number is never given twice, also after
-- the version was deleted.
CREATE TABLE plugin_numbers (
    owner TEXT NOT NULL,
    name  TEXT NOT NULL,
    last  BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
INSERT INTO plugin_numbers (owner, name, last) SELECT owner, name, max(version) FROM plugins GROUP BY owner, name;
