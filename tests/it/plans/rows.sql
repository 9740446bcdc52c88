-- Rows as servers leave them, as many as are wanted, made in the database itself. Where
-- they are is made to be found hard: three tenants have nine tenths of all, and what is
-- rare in one of them is common elsewhere, or was on the first day. The planner knows
-- each column alone, and would not think so.

-- An id of that millisecond; of one kind and number always the same.
CREATE FUNCTION made_id(kind TEXT, at BIGINT, number BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT kind || '_'
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 45 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 40 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 35 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 30 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 25 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 20 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 15 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 10 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at >> 5 & 31)::int + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (at & 31)::int + 1, 1)
        || substr(md5(kind || number), 1, 16)
$$;

-- Tenant 0 has six tenths, 1 and 2 have two and one, 500 others the rest.
CREATE FUNCTION tenant_of(number BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN number % 10 < 6 THEN 0 WHEN number % 10 < 8 THEN 1 WHEN number % 10 < 9 THEN 2
        ELSE 3 + (number / 10) % 500 END
$$;

-- Of a tenant's endpoints the first have most; the large ones have 200.
CREATE FUNCTION endpoint_of(tenant BIGINT, number BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN tenant < 3 THEN ((number / 10) % 199) * ((number / 2000) % 199) / 199 ELSE number / 10 % 3 END
$$;

CREATE FUNCTION tenant_id(tenant BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT made_id('ten', 1700000000000 + tenant, tenant)
$$;
CREATE FUNCTION endpoint_id(tenant BIGINT, endpoint BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT made_id('ep', 1700000000000 + tenant * 1000 + endpoint, tenant * 1000 + endpoint)
$$;
CREATE FUNCTION source_id(tenant BIGINT, source BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT made_id('src', 1700000000000 + tenant * 1000 + source, tenant * 1000 + source)
$$;

-- Thing number `number` of all; the first is on the first day's first millisecond.
CREATE PROCEDURE fill_catalogue() LANGUAGE sql AS $$
    INSERT INTO tenants (id, name, dialect, created_at)
        SELECT tenant_id(n), 'tenant ' || n, 'standard-webhooks', 1700000000000 + n FROM generate_series(0, 502) AS n;
    INSERT INTO endpoints (tenant_id, id, name, url, event_types, accounts, tags, headers, pipeline, dialect, state, created_at)
        SELECT tenant_id(t), endpoint_id(t, e), 'endpoint ' || e, 'https://example.com/', '["*"]', '[]', '[]', '\x', '[]',
            'standard-webhooks', 'active', 1700000000000 + t * 1000 + e
        FROM generate_series(0, 502) AS t
        CROSS JOIN LATERAL generate_series(0, CASE WHEN t < 3 THEN 199 ELSE 2 END) AS e;
$$;

-- The things of one day: `many`, of which the first is number `first` of all. On the
-- first day there is what the largest tenant never has again.
CREATE PROCEDURE fill_day(day_begin BIGINT, first BIGINT, many BIGINT) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE made ON COMMIT DROP AS
    SELECT n, day_at, tenant, tenant_id(tenant) AS tenant_id, first = 0 AS is_first,
        made_id('evt', day_at, n) AS event_id, made_id('dlv', day_at, n) AS delivery_id, made_id('req', day_at, n) AS request_id,
        CASE WHEN first = 0 AND tenant = 0 AND n % 100 = 0 THEN 199 ELSE endpoint_of(tenant, n) END AS endpoint,
        CASE WHEN tenant >= 3 THEN 0 WHEN first = 0 AND n % 100 = 0 THEN 9 ELSE n / 10 % 7 END AS source
    FROM (SELECT n, day_begin + (n - first) * 86400000 / many AS day_at, tenant_of(n) AS tenant
        FROM generate_series(first, first + many - 1) AS n) AS numbers;

    INSERT INTO events (tenant_id, id, type, occurred_at, received_at, subject, account, tags, data, request_id)
    SELECT tenant_id, event_id,
        (ARRAY['order.created', 'order.paid', 'order.shipped', 'user.created', 'user.deleted'])[1 + n / 10 % 5], day_at, day_at,
        CASE WHEN tenant > 0 AND n / 10 % 4 = 0 OR is_first AND n % 1000 = 0 THEN 'everybody'
            ELSE 'subject ' || n / 10 % 50000 END,
        CASE WHEN tenant > 0 AND n / 10 % 4 = 0 THEN 'elsewhere' ELSE 'account ' || n / 10 % 50 END,
        CASE n / 10 % 3 WHEN 0 THEN '["eu","large"]' ELSE '["us"]' END, '{"n":1}', request_id
    FROM made ORDER BY event_id;

    INSERT INTO requests (tenant_id, id, source_id, received_at, method, query, headers, body, state, steps, events)
    SELECT tenant_id, request_id, source_id(tenant, source), day_at, 'POST', '', '[]', '\x7b7d',
        CASE WHEN tenant = 0 AND NOT is_first THEN 'accepted'
            ELSE (ARRAY['quarantined', 'refused', 'ignored', 'accepted'])[1 + least(3, n / 10 % 50)] END, '[]', ' ' || event_id
    FROM made ORDER BY request_id;

    INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, state, reason, attempts, updated_at)
    SELECT tenant_id, delivery_id, event_id, endpoint_id(tenant, endpoint), state,
        CASE WHEN state <> 'delivered' THEN 'because' END, 1, day_at + 100
    FROM made CROSS JOIN LATERAL (
        SELECT CASE WHEN tenant = 0 AND NOT is_first THEN 'delivered'
            ELSE (ARRAY['dead', 'dropped', 'cancelled', 'delivered'])[1 + least(3, n / 10 % 60)] END AS state) AS rested
    ORDER BY delivery_id;

    INSERT INTO messages (delivery_id, tenant_id, steps, method, headers, body)
    SELECT delivery_id, tenant_id, '[]', 'POST', '[]', '\x7b7d' FROM made ORDER BY delivery_id;

    INSERT INTO attempts (delivery_id, tenant_id, number, id, started_at, duration_us, url, signed_headers, outcome, status,
        answer_headers, answer_body, answer_cut)
    SELECT delivery_id, tenant_id, 1, made_id('att', day_at, n), day_at, 1000, 'https://example.com/', '[]', 'accepted', 200,
        '[]', '\x6f6b', 0
    FROM made ORDER BY delivery_id;
END $$;

-- What waits, due since a moment after `begin`: nine tenths at one endpoint of the
-- largest tenant. One endpoint of it is ordered.
CREATE PROCEDURE fill_waiting(begin BIGINT, many BIGINT) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, state, attempts, due_at, updated_at)
    SELECT tenant_id(tenant), made_id('dlv', at, 1000000000 + n), made_id('evt', at, 1000000000 + n),
        endpoint_id(tenant, endpoint), 'pending', 0, at, at
    FROM (SELECT n, begin + n * 3600000 / many AS at, CASE WHEN n % 10 < 9 THEN 0 ELSE n / 10 % 500 END AS tenant,
            CASE WHEN n % 10 < 9 THEN 1 WHEN n / 10 % 500 < 3 THEN n / 5000 % 199 ELSE n / 5000 % 3 END AS endpoint
        FROM generate_series(0, many - 1) AS n) AS numbers;
    -- Whoever claims reads the events of what is due longest.
    INSERT INTO events (tenant_id, id, type, occurred_at, received_at, tags, data)
    SELECT tenant_id, event_id, 'order.created', begin, begin, '[]', '{"n":1}'
    FROM (SELECT tenant_id, event_id, row_number() OVER (PARTITION BY endpoint_id ORDER BY due_at) AS place
        FROM deliveries_pending) AS waiting WHERE place <= 5000;
    INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, state, attempts, due_at, updated_at)
    SELECT tenant_id(0), made_id('dlv', begin + n, 2000000000 + n), made_id('evt', begin + n, 2000000000 + n),
        endpoint_id(0, 150), 'pending', 0, CASE WHEN n = 0 THEN begin END, begin
    FROM generate_series(0, 4999) AS n;
    UPDATE deliveries_pending SET line = 'all', turn = 1 WHERE endpoint_id = endpoint_id(0, 150) AND due_at IS NULL;
END $$;

-- What is kept of a tenant beside what happened: much of it in the largest.
CREATE PROCEDURE fill_rest(now BIGINT, many BIGINT) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (tenant_id, id, author, action, target, changes)
    SELECT tenant_id(tenant_of(n)), made_id('aud', now - 3600000 + n, n), 'operator', 'endpoint.updated',
        CASE WHEN tenant_of(n) > 0 AND n / 10 % 3 = 0 OR n = 0 THEN 'common' ELSE 'target ' || n / 10 % 1000 END, '[]'
    FROM generate_series(0, many - 1) AS n;
    INSERT INTO idempotency (tenant_id, key, fingerprint, events, expires_at)
    SELECT tenant_id(tenant_of(n)), 'key ' || n, sha256('x'), '', now + n - many / 2 FROM generate_series(0, many - 1) AS n;
    INSERT INTO activity
    SELECT tenant_id(n % 503), now - (n / 503 + 1) * 300000, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM generate_series(0, many - 1) AS n;
    INSERT INTO users (owner, id, email, name, role, created_at)
    SELECT tenant_id(0), made_id('usr', now - 3600000 + n, n), 'somebody' || n || '@example.com', 'Jane', 'admin', now
    FROM generate_series(0, 999) AS n;
    INSERT INTO sessions (hash, owner, user_id, created_at, lapses_at, ends_at)
    SELECT sha256(('session ' || n)::bytea), tenant_id(0), made_id('usr', now - 3600000 + n % 1000, n % 1000), now, now + 1 + n, now + 2 + n
    FROM generate_series(0, many - 1) AS n;
    INSERT INTO replays (tenant_id, id, endpoint_id, states, event_types, until, through, found, made, state, updated_at)
    SELECT tenant_id(0), made_id('rpl', now - 3600000 + n, n), endpoint_id(0, n % 200), '["dead"]', '[]', now, '"current"', 1, 1,
        'done', now FROM generate_series(0, 4999) AS n;
    INSERT INTO erasures
    SELECT tenant_id(0), made_id('era', now - 3600000 + n, n), 'done', NULL, now, now, 1, 1, 1, 1, 1 FROM generate_series(0, 4999) AS n;
    INSERT INTO endpoint_health (endpoint_id, tenant_id, weight, trips)
    SELECT id, tenant_id, 0, 1 FROM endpoints LIMIT 100;
    INSERT INTO plugin_use
    SELECT tenant_id(n % 503), now / 86400000 - n / 503, 'jq', 1, 1, 0, 0, 1, 1, 1 FROM generate_series(0, 15089) AS n;
    INSERT INTO event_counts
    SELECT tenant_id(n % 503), now / 86400000 - n / 503, 1, 0 FROM generate_series(0, 15089) AS n;
    INSERT INTO step_values (tenant_id, place_id, plugin, ordinal, key, value, revision)
    SELECT tenant_id(0), endpoint_id(0, n % 200), 'jq', 1, 'key ' || n, 'x', 1 FROM generate_series(0, 19999) AS n;
END $$;
