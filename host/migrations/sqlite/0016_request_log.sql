-- What sources received, by source and by state, newest first, without reading
-- others. The state stands in the first too: one of a source is looked for in it.
CREATE INDEX requests_by_source ON requests (tenant_id, source_id, id, state);
CREATE INDEX requests_by_state ON requests (tenant_id, state, id);
DROP INDEX requests_quarantined;
