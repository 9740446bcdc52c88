-- Replays, and how far each has come; when it was asked for is in its id.
CREATE TABLE replays (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    states      TEXT NOT NULL,
    event_types TEXT NOT NULL,
    since       BIGINT,
    until       BIGINT NOT NULL,
    through     TEXT NOT NULL,
    found       BIGINT NOT NULL,
    made        BIGINT NOT NULL,
    -- The last delivery that it came to.
    after       TEXT,
    state       TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE INDEX replays_running ON replays (tenant_id) WHERE state = 'running';

-- Which of its notices an endpoint that only fails has had.
ALTER TABLE endpoint_health ADD COLUMN warnings BIGINT NOT NULL DEFAULT 0;

-- Counts the changes of a row: two that began with the same one cannot both be
-- made.
ALTER TABLE endpoints ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
