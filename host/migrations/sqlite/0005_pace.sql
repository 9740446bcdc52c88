-- How fast an endpoint is sent to; JSON, as the API has it.
ALTER TABLE endpoints ADD COLUMN pace TEXT NOT NULL DEFAULT '{}';

-- What is known of receivers that fail. One that does well has no row.
CREATE TABLE endpoint_health (
    endpoint_id   TEXT NOT NULL PRIMARY KEY,
    tenant_id     TEXT NOT NULL,
    failing_since BIGINT,
    weight        BIGINT NOT NULL,
    trips         BIGINT NOT NULL,
    not_before    BIGINT
) WITHOUT ROWID;

-- The place in the line of an ordered endpoint.
ALTER TABLE deliveries ADD COLUMN turn BIGINT;

-- Whoever looks for work asks which endpoints have some, and takes as much of
-- each as it may have: one that waits with a million others costs the same.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, claim) WHERE state = 'pending' AND due_at IS NOT NULL;
