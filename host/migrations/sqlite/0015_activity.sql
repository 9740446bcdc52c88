-- How much happened in each tenant in five minutes that begin `at`: for charts.
-- Of attempts, how many took how long: each within so many milliseconds, and not
-- within the bound before.
CREATE TABLE activity (
    tenant_id    TEXT NOT NULL,
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
) WITHOUT ROWID;
CREATE INDEX activity_by_time ON activity (at);

-- The trace that an event is part of, as W3C Trace Context writes it.
ALTER TABLE events ADD COLUMN traceparent TEXT;

-- What wants somebody's attention is counted without reading what does not.
CREATE INDEX deliveries_dead ON deliveries (tenant_id, updated_at) WHERE state = 'dead';
CREATE INDEX requests_quarantined ON requests (tenant_id, id) WHERE state = 'quarantined';
