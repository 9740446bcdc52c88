-- When an event is to be sent, where that is later.
ALTER TABLE events ADD COLUMN deliver_at BIGINT;

-- What waits for an endpoint that is paused is due like all else: whoever claims
-- passes over its endpoint.
UPDATE deliveries SET due_at = updated_at, reason = NULL WHERE state = 'pending' AND due_at IS NULL;

-- The line of an ordered endpoint that a delivery waits in, its place there in
-- microseconds, and when it is due once it is the first.
ALTER TABLE deliveries ADD COLUMN line TEXT;
ALTER TABLE deliveries ADD COLUMN not_before BIGINT;
UPDATE deliveries SET line = '', turn = turn * 1000 WHERE state = 'pending' AND turn IS NOT NULL;
CREATE INDEX deliveries_in_line ON deliveries (endpoint_id, line, turn, event_id, id)
    WHERE state = 'pending' AND line IS NOT NULL;

-- Of a line, only the first is due; the others have no `due_at`. Triggers, so
-- that whatever adds, takes or deletes a delivery keeps to it: a line whose first
-- is gone and whose second does not know would wait for ever.
UPDATE deliveries SET not_before = due_at, due_at = NULL
WHERE state = 'pending' AND line IS NOT NULL AND claim IS NULL AND EXISTS (
    SELECT 1 FROM deliveries AS before
    WHERE before.endpoint_id = deliveries.endpoint_id AND before.line = deliveries.line AND before.state = 'pending'
        AND (before.turn, before.event_id, before.id) < (deliveries.turn, deliveries.event_id, deliveries.id));

CREATE TRIGGER deliveries_join AFTER INSERT ON deliveries WHEN NEW.line IS NOT NULL AND NEW.state = 'pending'
BEGIN
    UPDATE deliveries SET not_before = due_at, due_at = NULL
    WHERE tenant_id = NEW.tenant_id AND id = NEW.id AND EXISTS (
        SELECT 1 FROM deliveries AS before
        WHERE before.endpoint_id = NEW.endpoint_id AND before.line = NEW.line AND before.state = 'pending'
            AND (before.turn, before.event_id, before.id) < (NEW.turn, NEW.event_id, NEW.id));
    -- It may come before one that is due: what was to be delivered later.
    UPDATE deliveries SET not_before = due_at, due_at = NULL
    WHERE due_at IS NOT NULL AND claim IS NULL AND (tenant_id, id) = (
        SELECT tenant_id, id FROM deliveries
        WHERE endpoint_id = NEW.endpoint_id AND line = NEW.line AND state = 'pending'
            AND (turn, event_id, id) > (NEW.turn, NEW.event_id, NEW.id)
        ORDER BY turn, event_id, id LIMIT 1);
END;

-- A dead one that is retried joins in its old place; one whose claim ends may
-- find such a one before it.
CREATE TRIGGER deliveries_join_again AFTER UPDATE OF state, claim ON deliveries
WHEN NEW.line IS NOT NULL AND NEW.state = 'pending' AND NEW.claim IS NULL
BEGIN
    UPDATE deliveries SET not_before = due_at, due_at = NULL
    WHERE due_at IS NOT NULL AND tenant_id = NEW.tenant_id AND id = NEW.id AND EXISTS (
        SELECT 1 FROM deliveries AS before
        WHERE before.endpoint_id = NEW.endpoint_id AND before.line = NEW.line AND before.state = 'pending'
            AND (before.turn, before.event_id, before.id) < (NEW.turn, NEW.event_id, NEW.id));
    UPDATE deliveries SET not_before = due_at, due_at = NULL
    WHERE due_at IS NOT NULL AND claim IS NULL AND (tenant_id, id) = (
        SELECT tenant_id, id FROM deliveries
        WHERE endpoint_id = NEW.endpoint_id AND line = NEW.line AND state = 'pending'
            AND (turn, event_id, id) > (NEW.turn, NEW.event_id, NEW.id)
        ORDER BY turn, event_id, id LIMIT 1);
END;

CREATE TRIGGER deliveries_leave AFTER UPDATE OF state ON deliveries
WHEN OLD.line IS NOT NULL AND OLD.state = 'pending' AND NEW.state <> 'pending'
BEGIN
    UPDATE deliveries SET due_at = coalesce(not_before, updated_at), not_before = NULL
    WHERE due_at IS NULL AND (tenant_id, id) = (
        SELECT tenant_id, id FROM deliveries
        WHERE endpoint_id = OLD.endpoint_id AND line = OLD.line AND state = 'pending'
        ORDER BY turn, event_id, id LIMIT 1);
END;

CREATE TRIGGER deliveries_gone AFTER DELETE ON deliveries WHEN OLD.line IS NOT NULL AND OLD.state = 'pending'
BEGIN
    UPDATE deliveries SET due_at = coalesce(not_before, updated_at), not_before = NULL
    WHERE due_at IS NULL AND (tenant_id, id) = (
        SELECT tenant_id, id FROM deliveries
        WHERE endpoint_id = OLD.endpoint_id AND line = OLD.line AND state = 'pending'
        ORDER BY turn, event_id, id LIMIT 1);
END;
