-- How long a tenant's past is kept, where that is shorter than the server's
-- own: JSON. Absent: as long as the server keeps it.
ALTER TABLE tenants ADD COLUMN retention TEXT;

-- When the content went and the row stayed: an event's data and the messages
-- that were made of it; a request's body.
ALTER TABLE events ADD COLUMN data_gone_at BIGINT;
ALTER TABLE requests ADD COLUMN body_gone_at BIGINT;

-- How far rows that stay have been looked through, by what was looked for: the
-- next look begins there.
CREATE TABLE sweeps (
    tenant_id TEXT NOT NULL,
    kind      TEXT NOT NULL,
    at        TEXT NOT NULL,
    PRIMARY KEY (tenant_id, kind)
) WITHOUT ROWID;

-- Subjects whose data is or was erased.
CREATE TABLE erasures (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    state        TEXT NOT NULL,
    -- Forgotten with the rest: it may be somebody's name.
    subject      TEXT,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    events       BIGINT NOT NULL,
    deliveries   BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    requests     BIGINT NOT NULL,
    state_values BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE INDEX erasures_open ON erasures (state) WHERE state <> 'done';
