-- How many requests a source takes; JSON, as the API has it.
ALTER TABLE sources ADD COLUMN rate_limit TEXT;

-- Events that came in and events that a limit refused, by tenant and day.
CREATE TABLE event_counts (
    tenant_id TEXT   NOT NULL,
    day       BIGINT NOT NULL,
    taken     BIGINT NOT NULL,
    refused   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day)
) WITHOUT ROWID;
