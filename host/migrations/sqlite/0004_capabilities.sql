-- Secrets that steps may sign with, by the names that tenants gave them.
CREATE TABLE named_secrets (
    tenant_id  TEXT NOT NULL,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
) WITHOUT ROWID;

-- What steps keep from call to call. A step is known by the endpoint or source
-- whose pipeline it is in, its plugin, and which of that plugin's steps it is.
CREATE TABLE step_values (
    tenant_id TEXT NOT NULL,
    place_id  TEXT NOT NULL,
    plugin    TEXT NOT NULL,
    ordinal   BIGINT NOT NULL,
    key       TEXT NOT NULL,
    value     BLOB NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, place_id, plugin, ordinal, key)
);

-- The last revision that a step's values have had: one that was deleted and
-- written again must not look like what it was.
CREATE TABLE step_revisions (
    tenant_id TEXT NOT NULL,
    place_id  TEXT NOT NULL,
    plugin    TEXT NOT NULL,
    ordinal   BIGINT NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, place_id, plugin, ordinal)
) WITHOUT ROWID;
