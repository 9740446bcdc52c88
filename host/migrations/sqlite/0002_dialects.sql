-- How a source's requests prove themselves: scheme, options and secrets, sealed.
-- Absent: by knowing the URL.
ALTER TABLE sources ADD COLUMN verification BLOB;

-- Types of events that a tenant described, or a dialect's that it described anew.
CREATE TABLE event_types (
    tenant_id   TEXT NOT NULL,
    type        TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    -- JSON.
    schema      TEXT,
    example     TEXT,
    -- Whether events that do not fit the schema are refused.
    checked     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, type)
) WITHOUT ROWID;

-- Of what proved nothing, the newest of each source are kept.
CREATE INDEX requests_unproven ON requests (tenant_id, source_id, id) WHERE state IN ('refused', 'answered');

-- A plugin may ask for the earlier events of a subject.
CREATE INDEX events_by_subject ON events (tenant_id, subject, id) WHERE subject IS NOT NULL;
