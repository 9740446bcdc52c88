-- Whoever signs in too often loses their oldest session: those of a key are found
-- by it, as a user's are by `sessions_by_user`.
CREATE INDEX sessions_by_key ON sessions (owner, key_hash) WHERE key_hash IS NOT NULL;
