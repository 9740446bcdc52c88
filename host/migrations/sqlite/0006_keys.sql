-- Keys of before there were roles could do everything.
ALTER TABLE keys ADD COLUMN name TEXT;
ALTER TABLE keys ADD COLUMN role TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE keys ADD COLUMN expires_at BIGINT;

-- Who changed what of a tenant's. When is in the id.
CREATE TABLE audit (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    -- A key's id, 'operator' or 'hookyard'.
    author      TEXT NOT NULL,
    -- The name that the key had then.
    author_name TEXT,
    action      TEXT NOT NULL,
    target      TEXT NOT NULL,
    -- JSON: the fields that changed; of secrets only that they did.
    changes     TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE INDEX audit_by_target ON audit (tenant_id, target, id);
