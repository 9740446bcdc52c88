-- Who made a portal's link: a user's or a key's id, with whose end it ends.
-- Absent: the operator, and whatever was made before this was kept.
ALTER TABLE sessions ADD COLUMN made_by TEXT;

-- The account whose events alone a replay is of; absent: of any.
ALTER TABLE replays ADD COLUMN account TEXT;
-- A portal asks for those of each of its endpoints.
CREATE INDEX replays_by_endpoint ON replays (tenant_id, endpoint_id, id);
