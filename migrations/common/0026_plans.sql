-- Every limit of a plan and what a tenant has beside it; who changed what, and since when; when a key was used.

-- The limits that there are. A plan holds those that differ from `fallback`; NULL follows the limit of the same
-- name without the class. 0, where it is allowed, means "not limited".
CREATE TABLE control.limits (
    name     text COLLATE "C" PRIMARY KEY,
    low      bigint NOT NULL,
    high     bigint NOT NULL CHECK (high >= low),
    fallback bigint CHECK (fallback BETWEEN low AND high),
    help     text NOT NULL
);
INSERT INTO control.limits (name, low, high, fallback, help) VALUES
    ('requests_per_second', 1, 1000000, 1000, 'Requests per second, of each class that has no rate of its own.'),
    ('burst', 1, 1000000, 2000, 'Requests that may come at once, likewise.'),
    ('events_per_second', 0, 1000000000, 0, 'Events accepted per second.'),
    ('events_burst', 0, 1000000000, 0, 'Events that may come at once; 0: ten seconds'' worth.'),
    ('bytes_per_second', 0, 1099511627776, 0, 'Bytes of request bodies per second.'),
    ('bytes_burst', 0, 1099511627776, 0, 'Bytes that may come at once; 0: ten seconds'' worth.'),
    ('events_per_day', 0, 1000000000000000, 0, 'Events accepted in a UTC day.'),
    ('read_cost_per_second', 0, 1000000000, 0, 'Cost of reads per second.'),
    ('read_cost_burst', 0, 1000000000, 0, 'Cost that may come at once; 0: ten seconds'' worth.'),
    ('concurrency', 0, 100000, 0, 'Requests in flight, per gateway.'),
    ('live_connections', 0, 100000, 100, 'Live connections, per gateway.'),
    ('max_body', 1024, 10485760, 10485760, 'Bytes of a request''s body.'),
    ('weight', 1, 10000, 100, 'Share of a busy upstream, against other tenants'' weights.'),
    ('retention_days', 1, 36500, 400, 'Days that events stay readable.'),
    ('active_series', 1, 10000000, 10000, 'Series that are aggregated one by one.'),
    ('versions', 1, 3, 3, 'Versions of the API: 1 is v1, 2 is v2, 3 both.');
INSERT INTO control.limits (name, low, high, fallback, help)
    SELECT class || '_' || l.name, l.low, l.high, NULL, 'As ' || l.name || ', for ' || class || ' requests.'
    FROM control.limits l, unnest('{ingest,read,manage,registry,live,admin}'::text[]) AS class
    WHERE l.name IN ('requests_per_second', 'burst');

ALTER TABLE control.plans
    ADD COLUMN limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'
        AND NOT limits ?| '{requests_per_second,burst,active_series,retention_days}'); -- these are columns
ALTER TABLE control.tenants
    ADD COLUMN limits     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
    -- Whose keys may have the scope admin: the platform's own people.
    ADD COLUMN operator   boolean NOT NULL DEFAULT false,
    ADD COLUMN deleted_at timestamptz,
    ADD CHECK (deleted_at IS NULL OR disabled_at IS NOT NULL);

-- What a plan sets, columns and all.
CREATE FUNCTION control.plan_limits(p control.plans) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('requests_per_second', p.requests_per_second, 'burst', p.burst,
                              'active_series', p.active_series, 'retention_days', p.retention_days) || p.limits
$$;

-- As the gateways read it: "name=value name=value".
CREATE FUNCTION control.limits_text(limits jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(string_agg(l.key || '=' || l.value, ' ' ORDER BY l.key), '') FROM jsonb_each_text(limits) AS l
$$;

-- Who did what. `actor` is key:ID for the admin API and sql:ROLE for all else; `address` is the client's.
CREATE TABLE control.audit_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    address text NOT NULL,
    action  text NOT NULL, -- tenant.suspend
    kind    text NOT NULL, -- tenant
    object  text NOT NULL, -- its id
    tenant  text COLLATE "C", -- whom it concerns; NULL: no one tenant
    before  jsonb,
    after   jsonb
);
CREATE INDEX audit_log_tenant ON control.audit_log (tenant, id);

-- Which rows changed in which version, so that a gateway that holds version n reads only what came after. Who
-- holds less than config_version.floor reads everything.
CREATE TABLE control.changes (
    version bigint NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('plan', 'tenant', 'key')),
    id      text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX changes_version ON control.changes (version);
CREATE INDEX changes_at ON control.changes (at);
ALTER TABLE control.config_version ADD COLUMN floor bigint NOT NULL DEFAULT 0;
UPDATE control.config_version SET floor = version;

-- Written by the gateways, each key at most once a minute; announces nothing.
CREATE TABLE control.key_uses (
    key_id  text COLLATE "C" PRIMARY KEY REFERENCES control.api_keys (id) ON DELETE CASCADE,
    used_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- The verb for a change of one row. Without a search_path of its own, so that it is inlined.
CREATE FUNCTION control.audit_action(kind text, before jsonb, after jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT kind || CASE
        WHEN before IS NULL THEN '.create'
        WHEN after IS NULL THEN '.remove'
        WHEN before ->> 'deleted_at' IS NULL AND after ->> 'deleted_at' IS NOT NULL THEN '.delete'
        WHEN before ->> 'revoked_at' IS NULL AND after ->> 'revoked_at' IS NOT NULL THEN '.revoke'
        WHEN before ->> 'disabled_at' IS NULL AND after ->> 'disabled_at' IS NOT NULL THEN '.suspend'
        WHEN before ->> 'disabled_at' IS NOT NULL AND after ->> 'disabled_at' IS NULL THEN '.resume'
        ELSE '.update' END
$$;

-- Who makes this change. Only the admin API may speak for somebody else: it has authenticated a key.
CREATE FUNCTION control.audit_actor(OUT actor text, OUT address text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN session_user = 'tidegate_admin' THEN nullif(current_setting('tidegate.actor', true), '') END,
           CASE WHEN session_user = 'tidegate_admin' THEN nullif(current_setting('tidegate.address', true), '') END
$$;

-- After each statement on plans, tenants, keys and logins: raises the version, notes the rows, writes the audit
-- log. Arguments: the kind, the column of the id, the column of the tenant, whether gateways need it. A statement
-- on very many rows makes everybody read everything.
CREATE FUNCTION control.note_changes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed text := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT NULL::jsonb AS before, to_jsonb(n) - ''secret_sha256'' AS after FROM new_rows n'
        WHEN 'DELETE' THEN 'SELECT to_jsonb(o) - ''secret_sha256'' AS before, NULL::jsonb AS after FROM old_rows o'
        ELSE 'SELECT o.j AS before, n.j AS after'
             ' FROM (SELECT to_jsonb(o) - ''secret_sha256'' AS j FROM old_rows o) o'
             ' FULL JOIN (SELECT to_jsonb(n) - ''secret_sha256'' AS j FROM new_rows n) n'
             ' ON o.j ->> $2 = n.j ->> $2' END;
    now_at  bigint;
    touched bigint;
BEGIN
    EXECUTE format('INSERT INTO control.audit_log (actor, address, action, kind, object, tenant, before, after)'
                   ' SELECT coalesce(w.actor, ''sql:'' || session_user),'
                   ' coalesce(w.address, host(inet_client_addr()), ''local''),'
                   ' control.audit_action($1, c.before, c.after), $1, coalesce(c.after, c.before) ->> $2,'
                   ' coalesce(c.after, c.before) ->> $3, c.before, c.after'
                   ' FROM (%s) c, control.audit_actor() w WHERE c.before IS DISTINCT FROM c.after', changed)
        USING TG_ARGV[0], TG_ARGV[1], TG_ARGV[2];
    IF NOT TG_ARGV[3]::boolean THEN
        RETURN NULL;
    END IF;
    UPDATE control.config_version SET version = version + 1, changed_at = clock_timestamp()
    RETURNING version INTO now_at;
    EXECUTE format('INSERT INTO control.changes (version, kind, id)'
                   ' SELECT DISTINCT $4::bigint, $1, v.id FROM (%s) c,'
                   ' LATERAL (VALUES (c.before ->> $2), (c.after ->> $2)) AS v (id)'
                   ' WHERE v.id IS NOT NULL LIMIT 5001', changed)
        USING TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], now_at;
    GET DIAGNOSTICS touched = ROW_COUNT;
    WITH gone AS (
        DELETE FROM control.changes
        WHERE at < clock_timestamp() - interval '1 hour' OR touched > 5000 AND version = now_at
        RETURNING version)
    UPDATE control.config_version c SET floor = greatest(c.floor, g.newest)
    FROM (SELECT max(version) AS newest FROM gone) g WHERE g.newest IS NOT NULL;
    RETURN NULL;
END
$$;

-- TRUNCATE shows no rows.
CREATE FUNCTION control.note_truncation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE control.config_version
    SET version = version + 1, floor = version + 1, changed_at = clock_timestamp();
    INSERT INTO control.audit_log (actor, address, action, kind, object)
    SELECT coalesce(who.actor, 'sql:' || session_user), coalesce(who.address, host(inet_client_addr()), 'local'),
           TG_ARGV[0] || '.truncate', TG_ARGV[0], '*' FROM control.audit_actor() AS who;
    RETURN NULL;
END
$$;

DO $triggers$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES ('plans', 'plan', 'name', '', true), ('tenants', 'tenant', 'id', 'id', true),
                                   ('api_keys', 'key', 'id', 'tenant_id', true),
                                   ('sql_logins', 'sql_login', 'login', 'tenant_id', false))
                           AS v (name, kind, id, tenant, announced) LOOP
        IF t.announced THEN
            EXECUTE format('DROP TRIGGER bump ON control.%I', t.name);
        END IF;
        EXECUTE format('CREATE TRIGGER noted_insert AFTER INSERT ON control.%I REFERENCING NEW TABLE AS new_rows'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION control.note_changes(%L, %L, %L, %L)',
                       t.name, t.kind, t.id, t.tenant, t.announced);
        EXECUTE format('CREATE TRIGGER noted_update AFTER UPDATE ON control.%I'
                       ' REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION control.note_changes(%L, %L, %L, %L)',
                       t.name, t.kind, t.id, t.tenant, t.announced);
        EXECUTE format('CREATE TRIGGER noted_delete AFTER DELETE ON control.%I REFERENCING OLD TABLE AS old_rows'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION control.note_changes(%L, %L, %L, %L)',
                       t.name, t.kind, t.id, t.tenant, t.announced);
        EXECUTE format('CREATE TRIGGER noted_truncate AFTER TRUNCATE ON control.%I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION control.note_truncation(%L)', t.name, t.kind);
    END LOOP;
END
$triggers$;

-- When keys were last used, as the gateways report it; a report of less than a minute later changes nothing.
CREATE FUNCTION control.note_key_uses(ids text[], seconds_ago integer[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO control.key_uses AS u (key_id, used_at)
    SELECT k.id, now() - make_interval(secs => min(n.ago))
    FROM unnest(ids, seconds_ago) AS n (id, ago) JOIN control.api_keys k ON k.id = n.id
    GROUP BY k.id ORDER BY k.id
    ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at
        WHERE u.used_at < excluded.used_at - interval '30 seconds'
$$;

REVOKE ALL ON FUNCTION control.note_changes(), control.note_truncation(),
    control.note_key_uses(text[], integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION control.note_key_uses(text[], integer[]) TO tidegate_gateway;
GRANT SELECT ON control.changes TO tidegate_gateway;
