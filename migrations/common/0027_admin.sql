-- Changing tenants, plans and keys: one function for each change, for the admin API and the command line alike.
--
-- Nobody but the owner writes the tables. The admin API's role may call these functions and nothing else; whom it
-- speaks for it says in tidegate.actor and tidegate.address, for the audit log. A refusal has an SQLSTATE of class
-- TG (TG400 invalid, TG404 not there, TG409 not now) and a message "field: reason", the field perhaps empty.
-- Answers are JSON as the API shows it.

DO $roles$
BEGIN
    CREATE ROLE tidegate_admin LOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
END
$roles$;

CREATE SCHEMA admin;
GRANT USAGE ON SCHEMA admin TO tidegate_admin;

CREATE FUNCTION admin.refuse(state text, field text, reason text) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '%: %', field, reason USING ERRCODE = state;
END
$$;

CREATE FUNCTION admin.rfc3339(moment timestamptz) RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- --- reading a body ---

CREATE FUNCTION admin.check_members(body jsonb, known text[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    IF jsonb_typeof(body) IS DISTINCT FROM 'object' THEN
        PERFORM admin.refuse('TG400', '', 'The body must be a JSON object.');
    END IF;
    FOR name IN SELECT k FROM jsonb_object_keys(body) AS k WHERE k <> ALL (known) ORDER BY k LIMIT 1 LOOP
        PERFORM admin.refuse('TG400', left(name, 64), format('There is no such member; there are: %s.',
                                                             array_to_string(known, ', ')));
    END LOOP;
END
$$;

-- NULL when absent (or null).
CREATE FUNCTION admin.text_member(body jsonb, field text, most integer) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(body -> field) NOT IN ('string', 'null') OR octet_length(body ->> field) > most THEN
        PERFORM admin.refuse('TG400', field, format('It must be text of at most %s bytes.', most));
    END IF;
    RETURN body ->> field;
END
$$;

CREATE FUNCTION admin.check_name(field text, name text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF name IS NULL OR name !~ '^[a-z0-9][a-z0-9-]{0,62}$' THEN
        PERFORM admin.refuse('TG400', field, 'It must be 1 to 63 of a-z, 0-9 and -, and not begin with -.');
    END IF;
END
$$;

-- Limits as they are changed: whole numbers within their bounds; null takes one away.
CREATE FUNCTION admin.check_limits(body jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given record;
BEGIN
    IF body -> 'limits' IS NULL THEN
        RETURN '{}';
    END IF;
    IF jsonb_typeof(body -> 'limits') <> 'object' THEN
        PERFORM admin.refuse('TG400', 'limits', 'It must be an object of limits and numbers.');
    END IF;
    FOR given IN
        SELECT g.key, l.name, l.low, l.high, jsonb_typeof(g.value) = 'null'
                   OR jsonb_typeof(g.value) = 'number' AND g.value::numeric = trunc(g.value::numeric)
                      AND g.value::numeric BETWEEN l.low AND l.high AS ok
        FROM jsonb_each(body -> 'limits') AS g LEFT JOIN control.limits l ON l.name = g.key ORDER BY g.key
    LOOP
        IF given.name IS NULL THEN
            PERFORM admin.refuse('TG400', 'limits.' || left(given.key, 64),
                                 'There is no such limit; GET /admin/v1/limits lists them.');
        ELSIF NOT given.ok THEN
            PERFORM admin.refuse('TG400', 'limits.' || given.key,
                                 format('It must be a whole number from %s to %s, or null.', given.low, given.high));
        END IF;
    END LOOP;
    RETURN (SELECT coalesce(jsonb_object_agg(g.key, CASE jsonb_typeof(g.value) WHEN 'null' THEN g.value
                                                    ELSE to_jsonb(g.value::numeric::bigint) END), '{}')
            FROM jsonb_each(body -> 'limits') AS g);
END
$$;

CREATE FUNCTION admin.check_scopes(body jsonb, of_operator boolean) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known  text[] := '{ingest,read,manage,registry,admin}';
    scopes text[];
BEGIN
    IF jsonb_typeof(body -> 'scopes') = 'array' THEN
        SELECT array_agg(k ORDER BY n) INTO scopes FROM unnest(known) WITH ORDINALITY AS u (k, n)
        WHERE (body -> 'scopes') ? k;
        IF EXISTS (SELECT FROM jsonb_array_elements(body -> 'scopes') AS e
                   WHERE jsonb_typeof(e) <> 'string' OR e #>> '{}' <> ALL (known)) THEN
            scopes := NULL;
        END IF;
    END IF;
    IF scopes IS NULL THEN
        PERFORM admin.refuse('TG400', 'scopes',
                             'It must be a list of at least one of ingest, read, manage, registry, admin.');
    ELSIF 'admin' = ANY (scopes) AND NOT of_operator THEN
        PERFORM admin.refuse('TG400', 'scopes', 'The scope admin is for keys of an operator''s tenant.');
    END IF;
    RETURN scopes;
END
$$;

-- "expires_at" (RFC 3339) or "expires_in" (seconds); NULL: never.
CREATE FUNCTION admin.check_expiry(body jsonb) RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    field  text := CASE WHEN body ? 'expires_in' THEN 'expires_in' ELSE 'expires_at' END;
    moment timestamptz;
BEGIN
    IF body ? 'expires_in' AND body ? 'expires_at' THEN
        PERFORM admin.refuse('TG400', 'expires_in', 'Give one of expires_in and expires_at.');
    ELSIF coalesce(jsonb_typeof(body -> field), 'null') = 'null' THEN
        RETURN NULL;
    ELSIF field = 'expires_in' AND jsonb_typeof(body -> field) = 'number'
          AND (body ->> field)::numeric BETWEEN 1 AND 315360000 THEN
        RETURN now() + make_interval(secs => trunc((body ->> field)::numeric)::double precision);
    ELSIF field = 'expires_at' AND body ->> field ~ '^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$' THEN
        BEGIN
            moment := (body ->> field)::timestamptz;
        EXCEPTION
            WHEN data_exception THEN
                moment := NULL;
        END;
        IF moment > now() THEN
            RETURN moment;
        END IF;
    END IF;
    PERFORM admin.refuse('TG400', field, CASE field
        WHEN 'expires_in' THEN 'It must be seconds, 1 to 315360000 (ten years), or null.'
        ELSE 'It must be an RFC 3339 time in the future, or null.' END);
END
$$;

-- --- showing ---

CREATE FUNCTION admin.effective_limits(own jsonb, plan jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_object_agg(l.name, coalesce(own -> l.name, plan -> l.name, to_jsonb(l.fallback),
                                             own -> g.name, plan -> g.name, to_jsonb(g.fallback)))
    FROM control.limits l LEFT JOIN control.limits g
        ON l.fallback IS NULL AND l.name LIKE '%\_' || g.name AND g.name IN ('requests_per_second', 'burst')
$$;

CREATE FUNCTION admin.tenant_json(t control.tenants) RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object(
        'id', t.id, 'name', t.name, 'plan', t.plan, 'operator', t.operator,
        'state', CASE WHEN t.deleted_at IS NOT NULL THEN 'deleted' WHEN t.disabled_at IS NOT NULL THEN 'suspended'
                      ELSE 'active' END,
        'limits', t.limits,
        'effective_limits', (SELECT admin.effective_limits(t.limits, control.plan_limits(p))
                             FROM control.plans p WHERE p.name = t.plan),
        'created_at', admin.rfc3339(t.created_at), 'suspended_at', admin.rfc3339(t.disabled_at),
        'deleted_at', admin.rfc3339(t.deleted_at))
$$;

CREATE FUNCTION admin.plan_json(p control.plans) RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('name', p.name, 'limits', control.plan_limits(p),
                             'effective_limits', admin.effective_limits('{}', control.plan_limits(p)),
                             'created_at', admin.rfc3339(p.created_at))
$$;

CREATE FUNCTION admin.key_json(k control.api_keys) RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object(
        'id', k.id, 'tenant', k.tenant_id, 'scopes', k.scopes, 'description', k.description,
        'state', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= now() THEN 'expired'
                      ELSE 'active' END,
        'created_at', admin.rfc3339(k.created_at),
        'expires_at', CASE WHEN isfinite(k.expires_at) THEN admin.rfc3339(k.expires_at) END,
        'revoked_at', admin.rfc3339(k.revoked_at),
        'last_used_at', (SELECT admin.rfc3339(u.used_at) FROM control.key_uses u WHERE u.key_id = k.id))
$$;

-- A page: `most` rows were wanted and one more was asked for.
CREATE FUNCTION admin.page(items json[], cursors text[], most integer) RETURNS json
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('items', coalesce(to_json(items[:most]), '[]'),
                             'next_cursor', CASE WHEN cardinality(items) > most THEN cursors[most] END)
$$;

-- --- tenants ---

CREATE FUNCTION admin.the_tenant(of_id text) RETURNS control.tenants
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants;
BEGIN
    SELECT * INTO t FROM control.tenants x WHERE x.id = of_id FOR UPDATE;
    IF t.id IS NULL THEN
        PERFORM admin.refuse('TG404', '', format('There is no tenant "%s".', left(of_id, 64)));
    END IF;
    RETURN t;
END
$$;

-- The same, but for a change: not of a deleted one, and an operator's only from the command line.
CREATE FUNCTION admin.the_changing_tenant(of_id text, ends_it boolean) RETURNS control.tenants
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants := admin.the_tenant(of_id);
BEGIN
    IF t.deleted_at IS NOT NULL THEN
        PERFORM admin.refuse('TG409', '', format('The tenant "%s" is deleted.', t.id));
    ELSIF ends_it AND t.operator AND session_user = 'tidegate_admin' THEN
        PERFORM admin.refuse('TG409', '', 'An operator''s tenant is suspended or deleted on the command line only.');
    END IF;
    RETURN t;
END
$$;

CREATE FUNCTION admin.check_plan(name text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM control.plans p WHERE p.name = check_plan.name) THEN
        PERFORM admin.refuse('TG400', 'plan', format('There is no plan "%s".', left(name, 64)));
    END IF;
END
$$;

CREATE FUNCTION admin.create_tenant(body jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants;
BEGIN
    PERFORM admin.check_members(body, '{id,name,plan,limits}');
    PERFORM admin.check_name('id', admin.text_member(body, 'id', 64));
    PERFORM admin.text_member(body, 'name', 256), admin.text_member(body, 'plan', 64);
    PERFORM admin.check_plan(coalesce(body ->> 'plan', 'default'));
    IF (SELECT count(*) FROM control.tenants x WHERE x.deleted_at IS NULL) >= 100000 THEN
        PERFORM admin.refuse('TG409', '', 'There are 100000 tenants, which is the limit.');
    END IF;
    INSERT INTO control.tenants AS x (id, name, plan, limits)
    VALUES (body ->> 'id', coalesce(body ->> 'name', ''), coalesce(body ->> 'plan', 'default'),
            jsonb_strip_nulls(admin.check_limits(body)))
    ON CONFLICT (id) DO NOTHING RETURNING x.* INTO t;
    IF t.id IS NULL THEN
        PERFORM admin.refuse('TG409', 'id', format('The tenant %s exists%s.', body ->> 'id',
            (SELECT ', deleted; an id is not used again' FROM control.tenants x
             WHERE x.id = body ->> 'id' AND x.deleted_at IS NOT NULL)));
    END IF;
    RETURN admin.tenant_json(t);
END
$$;

CREATE FUNCTION admin.update_tenant(of_id text, body jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants;
BEGIN
    PERFORM admin.check_members(body, '{name,plan,limits}');
    PERFORM admin.text_member(body, 'name', 256), admin.text_member(body, 'plan', 64);
    t := admin.the_changing_tenant(of_id, false);
    PERFORM admin.check_plan(coalesce(body ->> 'plan', t.plan));
    UPDATE control.tenants x
    SET name = coalesce(body ->> 'name', x.name), plan = coalesce(body ->> 'plan', x.plan),
        limits = jsonb_strip_nulls(x.limits || admin.check_limits(body))
    WHERE x.id = of_id RETURNING x.* INTO t;
    RETURN admin.tenant_json(t);
END
$$;

CREATE FUNCTION admin.suspend_tenant(of_id text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants := admin.the_changing_tenant(of_id, true);
BEGIN
    IF t.disabled_at IS NULL THEN
        UPDATE control.tenants x SET disabled_at = now() WHERE x.id = of_id RETURNING x.* INTO t;
    END IF;
    RETURN admin.tenant_json(t);
END
$$;

CREATE FUNCTION admin.resume_tenant(of_id text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants := admin.the_changing_tenant(of_id, false);
BEGIN
    IF t.disabled_at IS NOT NULL THEN
        UPDATE control.tenants x SET disabled_at = NULL WHERE x.id = of_id RETURNING x.* INTO t;
    END IF;
    RETURN admin.tenant_json(t);
END
$$;

-- For good: its keys end with it, its data stays until it is erased.
CREATE FUNCTION admin.delete_tenant(of_id text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants := admin.the_tenant(of_id);
BEGIN
    IF t.deleted_at IS NULL THEN
        t := admin.the_changing_tenant(of_id, true);
        UPDATE control.api_keys k SET revoked_at = now() WHERE k.tenant_id = of_id AND k.revoked_at IS NULL;
        UPDATE control.tenants x SET deleted_at = now(), disabled_at = coalesce(x.disabled_at, now())
        WHERE x.id = of_id RETURNING x.* INTO t;
    END IF;
    RETURN admin.tenant_json(t);
END
$$;

CREATE FUNCTION admin.show_tenant(of_id text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN admin.tenant_json(admin.the_tenant(of_id));
END
$$;

-- Deleted ones are listed only when asked for by their state.
CREATE FUNCTION admin.list_tenants(most integer, after text, of_state text, of_plan text) RETURNS json
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT admin.page(array_agg(admin.tenant_json(x.t) ORDER BY (x.t).id),
                      array_agg((x.t).id::text ORDER BY (x.t).id), most)
    FROM (SELECT t FROM control.tenants t
          WHERE t.id > coalesce(after, '') COLLATE "C"
            AND (of_plan IS NULL OR t.plan = of_plan)
            AND CASE coalesce(of_state, '') WHEN 'deleted' THEN t.deleted_at IS NOT NULL
                    WHEN 'suspended' THEN t.disabled_at IS NOT NULL AND t.deleted_at IS NULL
                    WHEN 'active' THEN t.disabled_at IS NULL ELSE t.deleted_at IS NULL END
          ORDER BY t.id LIMIT most + 1) x
$$;

-- --- plans ---

CREATE FUNCTION admin.the_plan(of_name text) RETURNS control.plans
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p control.plans;
BEGIN
    SELECT * INTO p FROM control.plans x WHERE x.name = of_name FOR UPDATE;
    IF p.name IS NULL THEN
        PERFORM admin.refuse('TG404', '', format('There is no plan "%s".', left(of_name, 64)));
    END IF;
    RETURN p;
END
$$;

-- Limits that are columns of the plan; what takes one away gives it its default again.
CREATE FUNCTION admin.column_limit(limits jsonb, of_name text, now_is integer) RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN limits ? of_name OR now_is IS NULL
        THEN coalesce((limits ->> of_name)::integer,
                      (SELECT l.fallback::integer FROM control.limits l WHERE l.name = of_name))
        ELSE now_is END
$$;

CREATE FUNCTION admin.other_limits(limits jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT limits - '{requests_per_second,burst,active_series,retention_days}'::text[]
$$;

CREATE FUNCTION admin.create_plan(body jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p      control.plans;
    limits jsonb;
BEGIN
    PERFORM admin.check_members(body, '{name,limits}');
    PERFORM admin.check_name('name', admin.text_member(body, 'name', 64));
    limits := admin.check_limits(body);
    IF (SELECT count(*) FROM control.plans) >= 1000 THEN
        PERFORM admin.refuse('TG409', '', 'There are 1000 plans, which is the limit.');
    END IF;
    INSERT INTO control.plans AS x (name, requests_per_second, burst, active_series, retention_days, limits)
    VALUES (body ->> 'name', admin.column_limit(limits, 'requests_per_second', NULL),
            admin.column_limit(limits, 'burst', NULL), admin.column_limit(limits, 'active_series', NULL),
            admin.column_limit(limits, 'retention_days', NULL), jsonb_strip_nulls(admin.other_limits(limits)))
    ON CONFLICT (name) DO NOTHING RETURNING x.* INTO p;
    IF p.name IS NULL THEN
        PERFORM admin.refuse('TG409', 'name', format('The plan %s exists.', body ->> 'name'));
    END IF;
    RETURN admin.plan_json(p);
END
$$;

CREATE FUNCTION admin.update_plan(of_name text, body jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p     control.plans;
    given jsonb;
BEGIN
    PERFORM admin.check_members(body, '{limits}');
    given := admin.check_limits(body);
    p := admin.the_plan(of_name);
    UPDATE control.plans x
    SET requests_per_second = admin.column_limit(given, 'requests_per_second', x.requests_per_second),
        burst = admin.column_limit(given, 'burst', x.burst),
        active_series = admin.column_limit(given, 'active_series', x.active_series),
        retention_days = admin.column_limit(given, 'retention_days', x.retention_days),
        limits = jsonb_strip_nulls(x.limits || admin.other_limits(given))
    WHERE x.name = of_name RETURNING x.* INTO p;
    RETURN admin.plan_json(p);
END
$$;

-- Deleted tenants that had it get the default plan: nothing asks for theirs any more.
CREATE FUNCTION admin.delete_plan(of_name text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p control.plans := admin.the_plan(of_name);
BEGIN
    IF p.name = 'default' THEN
        PERFORM admin.refuse('TG409', '', 'The plan default stays: it is that of new tenants.');
    ELSIF EXISTS (SELECT FROM control.tenants t WHERE t.plan = of_name AND t.deleted_at IS NULL) THEN
        PERFORM admin.refuse('TG409', '', format('Tenants have the plan "%s"; give them another one first.', of_name));
    END IF;
    UPDATE control.tenants t SET plan = 'default' WHERE t.plan = of_name;
    DELETE FROM control.plans x WHERE x.name = of_name;
    RETURN admin.plan_json(p);
END
$$;

CREATE FUNCTION admin.show_plan(of_name text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN admin.plan_json(admin.the_plan(of_name));
END
$$;

CREATE FUNCTION admin.list_plans(most integer, after text) RETURNS json
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT admin.page(array_agg(admin.plan_json(x.p) ORDER BY (x.p).name),
                      array_agg((x.p).name::text ORDER BY (x.p).name), most)
    FROM (SELECT p FROM control.plans p WHERE p.name > coalesce(after, '') COLLATE "C"
          ORDER BY p.name LIMIT most + 1) x
$$;

CREATE FUNCTION admin.list_limits() RETURNS json
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('items', json_agg(json_build_object(
        'name', l.name, 'minimum', l.low, 'maximum', l.high, 'default', l.fallback, 'help', l.help) ORDER BY l.name))
    FROM control.limits l
$$;

-- --- keys ---

CREATE FUNCTION admin.the_key(of_id text) RETURNS control.api_keys
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k control.api_keys;
BEGIN
    SELECT * INTO k FROM control.api_keys x WHERE x.id = of_id FOR UPDATE;
    IF k.id IS NULL THEN
        PERFORM admin.refuse('TG404', '', format('There is no key "%s".', left(of_id, 12)));
    END IF;
    RETURN k;
END
$$;

CREATE FUNCTION admin.the_living_key(of_id text) RETURNS control.api_keys
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k control.api_keys := admin.the_key(of_id);
BEGIN
    IF k.revoked_at IS NOT NULL OR k.expires_at <= now() THEN
        PERFORM admin.refuse('TG409', '', format('The key %s is %s.', k.id,
            CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' ELSE 'expired' END));
    END IF;
    RETURN k;
END
$$;

CREATE FUNCTION admin.add_key(t control.tenants, new_id text, digest bytea, scopes text[], description text,
                              expires timestamptz) RETURNS control.api_keys
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k control.api_keys;
BEGIN
    IF (SELECT count(*) FROM control.api_keys x WHERE x.tenant_id = t.id AND x.revoked_at IS NULL) >= 1000 THEN
        PERFORM admin.refuse('TG409', '', 'The tenant has 1000 keys, which is the limit; revoke those not in use.');
    ELSIF (SELECT count(*) FROM control.api_keys x WHERE x.revoked_at IS NULL) >= 1000000 THEN
        PERFORM admin.refuse('TG409', '', 'There are 1000000 keys, which is the limit.');
    END IF;
    INSERT INTO control.api_keys AS x (id, tenant_id, secret_sha256, scopes, description, expires_at)
    VALUES (new_id, t.id, digest, scopes, coalesce(description, ''), expires) RETURNING x.* INTO k;
    RETURN k;
END
$$;

-- `new_id` and `digest` come from whoever made the key's text, which never comes here.
CREATE FUNCTION admin.create_key(of_tenant text, new_id text, digest bytea, body jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants;
BEGIN
    PERFORM admin.check_members(body, '{scopes,description,expires_at,expires_in}');
    PERFORM admin.text_member(body, 'description', 256);
    t := admin.the_changing_tenant(of_tenant, false);
    RETURN admin.key_json(admin.add_key(t, new_id, digest, admin.check_scopes(body, t.operator),
                                        body ->> 'description', admin.check_expiry(body)));
END
$$;

CREATE FUNCTION admin.update_key(of_id text, body jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k control.api_keys;
    of_operator boolean;
BEGIN
    PERFORM admin.check_members(body, '{scopes,description,expires_at,expires_in}');
    PERFORM admin.text_member(body, 'description', 256);
    k := admin.the_living_key(of_id);
    SELECT t.operator INTO of_operator FROM control.tenants t WHERE t.id = k.tenant_id;
    UPDATE control.api_keys x
    SET scopes = CASE WHEN body ? 'scopes' THEN admin.check_scopes(body, of_operator) ELSE x.scopes END,
        description = coalesce(body ->> 'description', x.description),
        expires_at = CASE WHEN body ?| '{expires_at,expires_in}' THEN admin.check_expiry(body) ELSE x.expires_at END
    WHERE x.id = of_id RETURNING x.* INTO k;
    RETURN admin.key_json(k);
END
$$;

-- A new key like the old one, which ends `overlap` seconds later. A key that was made for a time gets as long again.
CREATE FUNCTION admin.rotate_key(of_id text, new_id text, digest bytea, overlap bigint) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k     control.api_keys := admin.the_living_key(of_id);
    fresh control.api_keys;
    ends  timestamptz := now() + make_interval(secs => overlap);
BEGIN
    fresh := admin.add_key(admin.the_changing_tenant(k.tenant_id, false), new_id, digest, k.scopes, k.description,
                           CASE WHEN isfinite(k.expires_at) THEN now() + (k.expires_at - k.created_at) END);
    UPDATE control.api_keys x
    SET expires_at = least(coalesce(x.expires_at, 'infinity'), ends),
        revoked_at = CASE WHEN overlap = 0 THEN now() END
    WHERE x.id = of_id;
    RETURN admin.key_json(fresh);
END
$$;

CREATE FUNCTION admin.revoke_key(of_id text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k control.api_keys := admin.the_key(of_id);
BEGIN
    IF k.revoked_at IS NULL THEN
        UPDATE control.api_keys x SET revoked_at = now() WHERE x.id = of_id RETURNING x.* INTO k;
    END IF;
    RETURN admin.key_json(k);
END
$$;

CREATE FUNCTION admin.show_key(of_id text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN admin.key_json(admin.the_key(of_id));
END
$$;

CREATE FUNCTION admin.list_keys(of_tenant text, most integer, after text) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM admin.the_tenant(of_tenant);
    RETURN (SELECT admin.page(array_agg(admin.key_json(x.k) ORDER BY (x.k).id),
                              array_agg((x.k).id::text ORDER BY (x.k).id), most)
            FROM (SELECT k FROM control.api_keys k
                  WHERE k.tenant_id = of_tenant AND k.id > coalesce(after, '') COLLATE "C"
                  ORDER BY k.id LIMIT most + 1) x);
END
$$;

-- The platform's own tenant and a key of it with the scope admin: what the first administrator needs. For the
-- command line alone.
CREATE FUNCTION admin.bootstrap(new_id text, digest bytea, expires_in bigint) RETURNS json
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t control.tenants;
BEGIN
    INSERT INTO control.tenants (id, name, operator) VALUES ('operator', 'The platform''s operators', true)
    ON CONFLICT (id) DO NOTHING;
    t := admin.the_changing_tenant('operator', false);
    IF NOT t.operator THEN
        PERFORM admin.refuse('TG409', '', 'There is a tenant "operator" that is not the operators'' own.');
    END IF;
    RETURN admin.key_json(admin.add_key(t, new_id, digest, '{admin}', 'bootstrap',
                                        now() + make_interval(secs => expires_in)));
END
$$;

-- --- audit ---

-- Newest first; the cursor is the id below which to go on.
CREATE FUNCTION admin.list_audit(most integer, before_id text, of_tenant text, of_action text) RETURNS json
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF before_id !~ '^[0-9]{1,18}$' THEN
        PERFORM admin.refuse('TG400', 'cursor', 'It is none that this list gave.');
    END IF;
    RETURN (
        SELECT admin.page(array_agg(json_build_object(
                   'id', a.id::text, 'at', admin.rfc3339(a.at), 'actor', a.actor, 'address', a.address,
                   'action', a.action, 'kind', a.kind, 'object', a.object, 'tenant', a.tenant,
                   'before', a.before, 'after', a.after) ORDER BY a.id DESC),
               array_agg(a.id::text ORDER BY a.id DESC), most)
        FROM (SELECT * FROM control.audit_log l
              WHERE l.id < coalesce(before_id::bigint, 9223372036854775807)
                AND (of_tenant IS NULL OR l.tenant = of_tenant)
                AND (of_action IS NULL OR l.action = of_action)
              ORDER BY l.id DESC LIMIT most + 1) a);
END
$$;

DO $grants$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'admin'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
    FOR f IN SELECT p.oid::regprocedure FROM pg_proc p
             WHERE p.pronamespace = 'admin'::regnamespace AND p.prosecdef LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tidegate_admin', f);
    END LOOP;
END
$grants$;
