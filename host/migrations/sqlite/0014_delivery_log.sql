-- The delivery log: an endpoint's deliveries, and those that did not arrive,
-- newest first, without reading others. Those that are pending or delivered are
-- found without: an index that every settlement moves a row in costs each event.
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, tenant_id, id);
CREATE INDEX deliveries_ended ON deliveries (tenant_id, state, id) WHERE state IN ('dead', 'dropped', 'cancelled');
